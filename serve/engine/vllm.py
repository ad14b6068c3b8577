"""vLLM 0.32 in this process: the only module, with the CPU operators, that touches its internals.

The pieces are those of vLLM's own API server (`entrypoints/launchers/api_server`), so rendering, tool
parsing and streaming are vLLM's; its HTTP surface is left out.
"""

import asyncio
import itertools
import multiprocessing
import os
import secrets
from argparse import Namespace
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import vllm
from pydantic import ValidationError
from starlette.datastructures import State
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.serve import create_error_response
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.inputs import TokensPrompt
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.sampling_params import SamplingParams
from vllm.usage.usage_lib import UsageContext
from vllm.utils import func_utils
from vllm.utils.argparse_utils import FlexibleArgumentParser
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.structured_output import backend_xgrammar

from data.cores import share_cores
from data.mistakes import first_error
from data.probes import TOP
from serve.engine import plugin, rendering
from serve.engine.defaults import KV_CACHE_GIB_ON_CPU, LORA_MODULES, SEQUENCES, SEQUENCES_ON_CPU
from serve.engine.numbers import Numbers, Watched
from serve.engine.protocol import Answer, EngineDied, NoNumbers, served_name
from serve.engine.shapes import check_grammar, check_shape, hold, shapes
from serve.engine.trials import Trials
from serve.engine.vllm_terms import in_vllms_terms
from serve.errors import ApiError
from serve.registry.records import Version
from serve.settings import Settings

FIRST_CALL_SECONDS = 60
"""An engine that dies at its first call leaves it unanswered."""

PROMPT_PARAMS = ("input_text", "input_tokens")
"""What vLLM calls a prompt that is longer than the context."""


_STARTER = ThreadPoolExecutor(1)
"""Each thread has heaps of its own, and keeps what an engine's start left in them: 60 MB a thread."""


class VllmEngine:
    """`protocol.Engine` on vLLM's AsyncLLM; one life, from its start to its end or its death."""

    _ids = itertools.count(1)
    """Never the same id twice in this process: the engine's caches are keyed by it."""

    def __init__(self, settings: Settings) -> None:
        self.slots = settings.max_loras
        self.sequences = _sequences()
        self.base_name = settings.base.name
        self.identity = ""
        self._settings = settings
        self._asked = itertools.count(1)
        self._salt = secrets.token_hex()
        self._starting: asyncio.Future[tuple[Namespace, Any]] | None = None
        self._client: Any = None
        self._models: Any = None
        self._chat: Any = None
        self._render: Any = None
        self._trials: Trials | None = None
        self._numbers: Any = None

    async def start(self) -> None:
        # In a thread, since vLLM waits for its engine's process without the event loop: a server whose
        # engine starts again has /health and the registry to answer meanwhile.
        self._starting = asyncio.get_running_loop().run_in_executor(_STARTER, _client, self._settings)
        args, self._client = await asyncio.shield(self._starting)
        async with asyncio.timeout(FIRST_CALL_SECONDS):
            tasks = await self._client.get_supported_tasks()
        self._numbers = Numbers(self._client)
        state = State()
        await init_app_state(self._client, state, args, tasks)
        dtype = self._client.model_config.dtype
        self.identity = f"vllm {vllm.__version__} {current_platform.device_name} {dtype}"
        self._models, self._chat = state.openai_serving_models, state.openai_serving_chat
        tokenizer = asyncio.get_running_loop().run_in_executor(
            _STARTER, _tokenizer, self._client, self._chat.renderer.tokenizer
        )
        self._trials = Trials(await tokenizer)
        await self._trials.start()
        self._render, self._chat.render_chat_request = self._chat.render_chat_request, self._rendered

    async def close(self) -> None:
        if self._trials:
            await self._trials.close()
        while self._starting and not self._starting.done():
            # The thread cannot be told to stop; it gives up when the process that it waits for is gone.
            for child in multiprocessing.active_children():
                child.kill()
            await asyncio.wait((self._starting,), timeout=0.1)
        if self._starting and not self._starting.exception():
            _, client = self._starting.result()
            await asyncio.to_thread(client.shutdown, client.vllm_config.shutdown_timeout)
            # It remembers methods of each engine's own tokenizer class: 40 MB an engine, for good.
            func_utils._supports_kw.cache_clear()

    @property
    def trouble(self) -> EngineDied | None:
        return EngineDied() if self._client is None or self._client.errored else None

    async def add(self, version: Version) -> None:
        request = LoRARequest(
            lora_name=served_name(version), lora_int_id=next(self._ids), lora_path=str(version.folder)
        )
        try:
            await self._client.add_lora(request)
        except Exception as error:
            raise self.trouble or ApiError(
                f"the engine refused adapter {version.reference}: {error}"
            ) from error
        self._models.lora_requests[request.lora_name] = request

    async def remove(self, version: Version) -> None:
        request = self._models.lora_requests[served_name(version)]
        # vLLM's own unload forgets the name and leaves the adapter in the engine (#54839).
        await self._client.remove_lora(request.lora_int_id)
        if request.lora_int_id in await self._client.list_loras():
            raise RuntimeError(f"vLLM still holds adapter {version.reference} after its removal")
        del self._models.lora_requests[request.lora_name]  # only now: until then it may be asked again

    async def likeliest(
        self, token_ids: list[int], places: list[int], version: Version | None
    ) -> list[list[tuple[int, float]]]:
        asked = SamplingParams(max_tokens=1, prompt_logprobs=TOP, detokenize=False)
        name = f"likeliest-{next(self._asked)}"
        lora = self._lora(version)
        # A cache of their own: what a chat finds there shall be of its own key.
        prompt = TokensPrompt(prompt_token_ids=token_ids, cache_salt=self._salt)
        async for output in self._client.generate(prompt, asked, name, lora_request=lora):
            found = output.prompt_logprobs
        return [_ranked(found[place]) for place in places]

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        name = served_name(version) if version else self.base_name
        config = self._client.model_config
        body = in_vllms_terms(body, config.max_model_len, mistral=config.tokenizer_mode == "mistral")
        try:
            request = ChatCompletionRequest.model_validate({**body, "model": name})
            check_shape(request)
        except ValidationError as error:
            raise ApiError(f"The request is not valid: {first_error(error)}.", param=_field(error)) from None
        except ApiError:
            raise
        except Exception as error:  # vLLM's checks have a kind of their own
            raise self._api_error(create_error_response(error)) from error
        with self._numbers.watched(_id(request)) as seen:
            try:
                answer = await self._chat.create_chat_completion(request)
            except ApiError:
                raise
            except Exception as error:
                if seen.tokens:
                    raise await self._no_numbers(seen, request, version) from error
                raise self._api_error(create_error_response(error)) from error
        if isinstance(answer, ErrorResponse):
            raise self._api_error(answer)
        if isinstance(answer, AsyncGenerator):  # which has not begun
            return self._events(answer, request, version)
        whole: dict[str, Any] = answer.model_dump(mode="json")
        return whole

    async def _rendered(self, request: ChatCompletionRequest) -> Any:
        """What vLLM's renderer says, once the grammar that it made for the engine has been tried."""
        asked = shapes(request)
        rendered = await self._render(request)
        if asked and self._trials and not isinstance(rendered, ErrorResponse):
            await check_grammar(self._trials, hold(request), asked, request.cache_salt or "")
        return rendered

    async def _events(
        self, events: AsyncGenerator[str, None], request: ChatCompletionRequest, version: Version | None
    ) -> AsyncGenerator[str, None]:
        """The same events; the one in which vLLM says an error is raised."""
        with self._numbers.watched(_id(request)) as seen:
            async with aclosing(events):
                async for event in events:
                    if event.startswith('data: {"error"'):
                        if seen.tokens:
                            raise await self._no_numbers(seen, request, version)
                        raise self._api_error(ErrorResponse.model_validate_json(event.removeprefix("data: ")))
                    yield event

    async def _no_numbers(
        self, seen: Watched, request: ChatCompletionRequest, version: Version | None
    ) -> ApiError:
        try:
            lora, of_prompt = self._lora(version), request.prompt_logprobs is not None
            found: NoNumbers = await self._numbers.fault(seen, version, lora, of_prompt)
        except Exception as error:
            return self.trouble or self._api_error(create_error_response(error))
        return found

    def _lora(self, version: Version | None) -> LoRARequest | None:
        found: LoRARequest | None = self._models.lora_requests[served_name(version)] if version else None
        return found

    def _api_error(self, answer: ErrorResponse) -> ApiError:
        """vLLM's error with this server's stable codes: vLLM's own `code` is the HTTP status again."""
        error = answer.error
        if error.param in PROMPT_PARAMS:
            return ApiError(error.message, code="context_length_exceeded", param="messages")
        ours = error.code < HTTPStatus.INTERNAL_SERVER_ERROR
        if not ours and (trouble := self.trouble):
            return trouble
        return ApiError(
            error.message,
            status=error.code,
            code="invalid_request" if ours else "engine_error",
            param=error.param,
            type="invalid_request_error" if ours else "server_error",
        )


def _client(settings: Settings) -> tuple[Namespace, Any]:
    """vLLM's arguments, and its AsyncLLM once the engine's process is ready."""
    _set_environment()
    rendering.install()
    backend_xgrammar.validate_xgrammar_grammar = _tried_before
    args = _arguments(settings)
    config = AsyncEngineArgs.from_cli_args(args).create_engine_config(UsageContext.OPENAI_API_SERVER)
    return args, AsyncLLM.from_vllm_config(config, disable_log_stats=args.disable_log_stats)


def _tokenizer(client: Any, tokenizer: Any) -> str:
    """The tokenizer as the engine's own backend has it for xgrammar, serialized."""
    size = client.model_config.get_vocab_size()
    backend = backend_xgrammar.XgrammarBackend(client.vllm_config, tokenizer=tokenizer, vocab_size=size)
    # The compiler keeps its tokenizer to itself; what it compiles names it.
    text: str = backend.compiler.compile_json_schema("{}").tokenizer_info.serialize_json()
    return text


def _tried_before(_: SamplingParams) -> None:
    """In the place of vLLM's check of a grammar, which converts it on the event loop, up to three times.

    Nothing gets here that `shapes` did not let through; what xgrammar refuses was refused there.
    """


def _ranked(named: dict[int, Any]) -> list[tuple[int, float]]:
    """The likeliest tokens; vLLM puts the prompt's own token among them wherever it stands."""
    ranked = sorted(named.items(), key=lambda one: -one[1].logprob)
    return [(token, said.logprob) for token, said in ranked[:TOP]]


def _id(request: ChatCompletionRequest) -> str:
    """What vLLM calls the request in its engine."""
    return f"chatcmpl-{request.request_id}"


def _field(error: ValidationError) -> str | None:
    where = error.errors()[0]["loc"]
    return str(where[0]) if where else None


def _set_environment() -> None:
    """What vLLM reads from the environment and hands down to its engine process."""
    os.environ |= {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", plugin.SERVER: str(os.getpid())}
    # An engine that starts again would otherwise be a fork of a process with threads, clients' connections
    # and a database open.
    os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "spawn"
    os.environ["VLLM_COMPUTE_NANS_IN_LOGITS"] = "1"  # `numbers` looks at them
    if current_platform.is_cpu():
        # The model runs in the engine's process, not in a worker of its own: one process less to start
        # (20 s on 2 cores) and no copying between the two at every step. vLLM prefers a worker because
        # OpenMP reads its settings when a process starts; the engine is started after they are made here.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
        share_cores()
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(KV_CACHE_GIB_ON_CPU))


def _sequences() -> int:
    return SEQUENCES_ON_CPU if current_platform.is_cpu() else SEQUENCES


def _arguments(settings: Settings) -> Namespace:
    """The arguments of `vllm serve` for this base."""
    mistral = settings.base.identity.renderer.name == "mistral"
    line = [
        *("--model", str(settings.folder), "--served-model-name", settings.base.name),
        *(
            "--enable-lora",
            "--max-loras",
            str(settings.max_loras),
            "--max-cpu-loras",
            str(settings.max_loras),
        ),
        *("--max-lora-rank", str(settings.max_lora_rank), "--lora-target-modules", *LORA_MODULES),
        *("--disable-log-stats", "--enable-prompt-tokens-details"),
        *("--enable-auto-tool-choice", "--tool-call-parser", "mistral" if mistral else "hermes"),
        *("--tool-strict-level", settings.tool_strict_level),
        *("--max-num-seqs", str(_sequences())),
    ]
    if mistral:
        line += ["--tokenizer-mode", "mistral"]
    else:
        # Left to itself, vLLM guesses from the template's syntax what becomes of content given in parts; with
        # this it is always one string, which is what the trainer renders.
        line += ["--chat-template", str(settings.folder / "chat_template.jinja")]
        line += ["--chat-template-content-format", "string"]
    if settings.max_model_len:
        line += ["--max-model-len", str(settings.max_model_len)]
    if current_platform.is_cpu():
        # fp16 matrix products are 10 to 20 times slower than bf16 ones where the CPU has bf16 instructions,
        # and vLLM's AWQ kernel knows only these two.
        line += ["--dtype", "bfloat16"]
    args: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args(line)
    validate_parsed_serve_args(args)
    return args
