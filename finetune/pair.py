"""A preference in tokens: one prompt, and two answers behind it as the server would feed them."""

from dataclasses import dataclass

from data.errors import UserError
from data.preference import Preference
from finetune.render import Renderer


@dataclass(frozen=True)
class TokenPair:
    """Token ids. Each answer ends in its stop token, and stands behind the same `prompt`."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def longest(self) -> int:
        """Tokens of the longer of the two rows: what `data.max_length` limits."""
        return len(self.prompt) + max(len(self.chosen), len(self.rejected))

    @property
    def learnt(self) -> int:
        """Tokens of both answers."""
        return len(self.chosen) + len(self.rejected)

    @property
    def tokens(self) -> int:
        """Tokens of both rows: the prompt counts twice, once for each answer."""
        return 2 * len(self.prompt) + self.learnt


def token_pair(preference: Preference, renderer: Renderer) -> TokenPair:
    """Both answers rendered; UserError when the format refuses one, or when they cannot be compared."""
    prompt, chosen = _answer(preference, "chosen", renderer)
    other, rejected = _answer(preference, "rejected", renderer)
    if other != prompt:
        raise UserError(
            f"the base's chat format writes the prompt in {len(prompt)} tokens before the chosen answer and"
            f" in {len(other)} others before the rejected one, so the two cannot be compared; drop the"
            " preference."
        )
    if chosen == rejected:
        raise UserError(
            f"both answers are the same {len(chosen)} tokens in the base's chat format, so neither can be"
            " preferred; drop the preference."
        )
    return TokenPair(prompt, chosen, rejected)


def _answer(preference: Preference, side: str, renderer: Renderer) -> tuple[list[int], list[int]]:
    """The tokens of the prompt, and those of the answer named `side` up to its stop token."""
    try:
        row = renderer.samples(preference.answered(getattr(preference, side)), "last")[-1]
    except UserError as error:
        raise UserError(f"with the {side} answer: {error}") from None
    start = row.completion_mask.index(1)
    return row.input_ids[:start], row.input_ids[start:]
