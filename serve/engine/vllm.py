"""vLLM 0.32 in this process: the only module, with the CPU operators, that touches its internals.

The pieces are those of vLLM's own API server (`entrypoints/launchers/api_server`), so rendering, tool
parsing and streaming are vLLM's; its HTTP surface is left out.
"""

import itertools
import os
from argparse import Namespace
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import State
from vllm.entrypoints.launchers.api_server.app_state import init_app_state
from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.serve import create_error_response
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.utils.argparse_utils import FlexibleArgumentParser

from data.manifest import first_error
from serve.engine import plugin
from serve.engine.protocol import Answer, served_name
from serve.engine.shapes import check_shape
from serve.engine.vllm_terms import in_vllms_terms
from serve.errors import ApiError
from serve.registry.records import Version
from serve.settings import Settings

LORA_MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Where adapters may sit. Without this list vLLM wraps lm_head too, which costs 3 to 9 ms a step."""

KV_CACHE_GIB_ON_CPU = 1
SEQUENCES_ON_CPU = 16
"""Answered at a time; more of them share the same arithmetic and only wait for each other."""

PROMPT_PARAMS = ("input_text", "input_tokens")
"""What vLLM calls a prompt that is longer than the context."""


class VllmEngine:
    """`protocol.Engine` on vLLM's AsyncLLM."""

    def __init__(self, settings: Settings) -> None:
        self.slots = settings.max_loras
        self.base_name = settings.base.name
        self._settings = settings
        self._running = AsyncExitStack()
        # Never the same id twice: the engine's caches are keyed by it.
        self._ids = itertools.count(1)
        self._client: Any = None
        self._models: Any = None
        self._chat: Any = None

    async def start(self) -> None:
        _set_environment()
        args = _arguments(self._settings)
        self._client = await self._running.enter_async_context(build_async_engine_client(args))
        state = State()
        await init_app_state(self._client, state, args, await self._client.get_supported_tasks())
        self._models, self._chat = state.openai_serving_models, state.openai_serving_chat

    async def close(self) -> None:
        await self._running.aclose()

    @property
    def healthy(self) -> bool:
        return self._client is not None and not self._client.errored

    async def add(self, version: Version) -> None:
        request = LoRARequest(
            lora_name=served_name(version), lora_int_id=next(self._ids), lora_path=str(version.folder)
        )
        try:
            await self._client.add_lora(request)
        except Exception as error:
            raise ApiError(f"the engine refused adapter {version.reference}: {error}") from error
        self._models.lora_requests[request.lora_name] = request

    async def remove(self, version: Version) -> None:
        request = self._models.lora_requests.pop(served_name(version))
        # vLLM's own unload forgets the name and leaves the adapter in the engine (#54839).
        await self._client.remove_lora(request.lora_int_id)
        if request.lora_int_id in await self._client.list_loras():
            raise RuntimeError(f"vLLM still holds adapter {version.reference} after its removal")

    async def chat(self, body: dict[str, Any], version: Version | None) -> Answer:
        name = served_name(version) if version else self.base_name
        config = self._client.model_config
        body = in_vllms_terms(body, config.max_model_len, mistral=config.tokenizer_mode == "mistral")
        try:
            request = ChatCompletionRequest.model_validate({**body, "model": name})
            check_shape(request)
            answer = await self._chat.create_chat_completion(request)
        except ValidationError as error:
            raise ApiError(f"The request is not valid: {first_error(error)}.", param=_field(error)) from None
        except Exception as error:
            raise _api_error(create_error_response(error)) from error
        if isinstance(answer, ErrorResponse):
            raise _api_error(answer)
        return answer if isinstance(answer, AsyncGenerator) else answer.model_dump(mode="json")


def _field(error: ValidationError) -> str | None:
    where = error.errors()[0]["loc"]
    return str(where[0]) if where else None


def _api_error(answer: ErrorResponse) -> ApiError:
    """vLLM's error with this server's stable codes: vLLM's own `code` is the HTTP status again."""
    error = answer.error
    if error.param in PROMPT_PARAMS:
        return ApiError(error.message, code="context_length_exceeded", param="messages")
    ours = error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    return ApiError(
        error.message,
        status=error.code,
        code="invalid_request" if ours else "engine_error",
        param=error.param,
        type="invalid_request_error" if ours else "server_error",
    )


def _set_environment() -> None:
    """What vLLM reads from the environment and hands down to its engine process."""
    os.environ |= {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", plugin.SERVER: str(os.getpid())}
    if current_platform.is_cpu():
        # The model runs in the engine's process, not in a worker of its own: one process less to start
        # (20 s on 2 cores) and no copying between the two at every step. vLLM prefers a worker because
        # OpenMP reads its settings when a process starts; the engine is started after they are made here.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))
        # How long OpenMP's threads spin for their next piece of work. Its default, for as long as it takes,
        # loses nine tenths of the tokens once anything else wants a core, as the HTTP server does. Not at
        # all costs a third of a single stream's speed.
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(KV_CACHE_GIB_ON_CPU))


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
        line += ["--dtype", "bfloat16", "--max-num-seqs", str(SEQUENCES_ON_CPU)]
    args: Namespace = make_arg_parser(FlexibleArgumentParser()).parse_args(line)
    validate_parsed_serve_args(args)
    return args
