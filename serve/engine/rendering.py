"""vLLM's renderer of chat templates, in whose prompts only the template writes control tokens."""

import copy
from typing import Any

from vllm.renderers.hf import HfRenderer, safe_apply_chat_template
from vllm.renderers.registry import RENDERER_REGISTRY
from vllm.utils.async_utils import make_async

from data.control_tokens import ControlTokens
from data.errors import UserError
from serve.errors import ApiError


def install() -> None:
    """Have vLLM render with it in this process. Mistral's renderer reads no control token out of texts."""
    RENDERER_REGISTRY.renderers["hf"] = (__name__, WordsRenderer.__name__)


class WordsRenderer(HfRenderer):
    """The same, but that what spells a control token in a request stays words, as in training.

    Prompts that hold none take vLLM's own way, from the template to the token ids.
    """

    def __init__(self, config: Any, tokenizer: Any) -> None:
        super().__init__(config, tokenizer)
        self._controls = ControlTokens(copy.deepcopy(self.tokenizer.backend_tokenizer))
        self._apply_chat_template_async = make_async(self._render, executor=self._executor)

    def _render(
        self, model_config: Any, tokenizer: Any, conversation: Any, chat_template: Any = None, **given: Any
    ) -> str:
        """A hidden text, as long as the text itself: vLLM bounds it by its length before it is encoded."""

        def render(words: tuple[Any, dict[str, Any]]) -> list[str]:
            conversation, given = words
            return [
                safe_apply_chat_template(
                    model_config, tokenizer, conversation, chat_template=chat_template, **given
                )
            ]

        try:
            [text] = self._controls.rendered((conversation, given), render)
        except UserError as error:
            raise _refused(error) from None
        return text

    def _tokenize_prompt(self, prompt: Any, params: Any) -> Any:
        shown = self._controls.shown(prompt["prompt"])
        if shown == prompt["prompt"]:
            return super()._tokenize_prompt(prompt, params)
        try:
            [ids] = self._controls.encode([prompt["prompt"]])
        except UserError as error:
            raise _refused(error) from None
        return self._build_tokens_prompt(ids, {**prompt, "prompt": shown})


def _refused(error: UserError) -> ApiError:
    return ApiError(f"The conversation cannot be rendered: {error}", param="messages")
