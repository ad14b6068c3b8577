"""vLLM's own rendering, the code behind `/v1/chat/completions/render`, without an engine."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data.chat import Conversation, Message


class ServedPrompts:
    """Prompt token ids as vLLM 0.32 computes them for the model in `folder`, with the server's renderer.

    `template` None means Mistral's tokenizer mode; else the Jinja file and the options of `serve/engine`.
    `plain` means vLLM's own renderer, which reads control tokens out of messages.
    """

    def __init__(self, folder: Path, template: Path | None, plain: bool = False) -> None:
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        from starlette.datastructures import State
        from vllm import AsyncEngineArgs
        from vllm.config import VllmConfig
        from vllm.entrypoints.launchers.cli_args import make_arg_parser
        from vllm.entrypoints.launchers.render.app_state import init_render_app_state
        from vllm.renderers.registry import RENDERER_REGISTRY
        from vllm.utils.argparse_utils import FlexibleArgumentParser

        from serve.engine import rendering

        if plain:
            RENDERER_REGISTRY.renderers["hf"] = ("vllm.renderers.hf", "HfRenderer")
        else:
            rendering.install()
        line = ["--model", str(folder), "--enable-auto-tool-choice"]
        if template is None:
            line += ["--tokenizer-mode", "mistral", "--tool-call-parser", "mistral"]
        else:
            line += ["--tool-call-parser", "hermes", "--chat-template", str(template)]
            line += ["--chat-template-content-format", "string"]
        args = make_arg_parser(FlexibleArgumentParser()).parse_args(line)
        model = AsyncEngineArgs.from_cli_args(args).create_model_config()
        model.quantization = None  # as vLLM's own launcher for rendering does
        self._loop = asyncio.new_event_loop()
        state = State()
        self._loop.run_until_complete(init_render_app_state(VllmConfig(model_config=model), state, args))
        self._renderer: Any = state.online_renderer

    def __call__(self, messages: list[Message], conversation: Conversation) -> list[int]:
        """ValueError (or vLLM's kind of it) where the server would answer 400."""
        return self.of_request(conversation.model_copy(update={"messages": messages}).plain())

    def of_request(self, body: dict[str, Any]) -> list[int]:
        """The same of a body in vLLM's terms."""
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        request = ChatCompletionRequest.model_validate({"model": "m", **body})
        answer = self._loop.run_until_complete(self._renderer.render_chat(request))
        if not isinstance(answer, tuple):
            raise ValueError(answer.error.message)
        _, [engine_input] = answer
        engine_input.get("prompt", "").encode()  # nothing of a disguise is left
        ids: list[int] = engine_input["prompt_token_ids"]
        return ids


def parsed_calls(parser: str, folder: Path) -> Callable[[list[int], Conversation], list[tuple[str, object]]]:
    """vLLM's tool parser of that name on the answer's tokens, without the stop token."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.tokenizers import get_tokenizer
    from vllm.tool_parsers import ToolParserManager

    tokenizer = get_tokenizer(str(folder), tokenizer_mode="mistral" if parser == "mistral" else "auto")
    made = ToolParserManager.get_tool_parser(parser)

    def read(ids: list[int], conversation: Conversation) -> list[tuple[str, object]]:
        request = ChatCompletionRequest.model_validate({"model": "m", **conversation.plain()})
        text = tokenizer.decode(ids, skip_special_tokens=False)
        answer = made(tokenizer, request.tools).extract_tool_calls(text, request)
        return [(call.function.name, json.loads(call.function.arguments)) for call in answer.tool_calls]

    return read
