"""The loss mask of what was read: all answers that the record says to learn are learned, and nothing else."""

from collections.abc import Iterator

from bench.fuzz_data.marks import MARK
from bench.fuzz_data.oracle import Fault
from bench.fuzz_data.outcome import Outcome
from data import rules
from data.chat import Conversation
from data.errors import UserError
from data.preference import Preference
from finetune.pair import token_pair
from finetune.render import Renderer


def masks(found: Outcome, renderer: Renderer) -> Iterator[Fault]:
    """Faults of the rows that a base's renderer makes of a record; none where it cannot carry the record."""
    assert found.slots is not None and found.made is not None
    texts = _learned_texts(found.made, renderer)
    if texts is None:
        return
    learned = {mark for text in texts for mark in MARK.findall(text)}
    wanted = {mark for slot in found.slots if slot.learned for mark in slot.marks}
    if missing := wanted - learned:
        kinds = sorted({slot.kind for slot in found.slots if slot.learned and slot.marks & missing})
        yield Fault("mask", f"{' and '.join(kinds)} to be learned is not")
    if spoiled := learned - wanted:
        kinds = sorted({slot.kind for slot in found.slots if slot.marks & spoiled})
        yield Fault("mask", f"{' and '.join(kinds)} is learned")


def _learned_texts(made: Conversation | Preference, renderer: Renderer) -> list[str] | None:
    """The text of every learned span; None where the record is one that training refuses."""
    try:
        if isinstance(made, Preference):
            pair = token_pair(made, renderer)
            spans = [pair.chosen, pair.rejected]
        else:
            if any(rules.SEVERITY[problem.kind] == "error" for problem in rules.problems(made)):
                return None
            spans = [
                [token for token, learned in zip(row.input_ids, row.completion_mask, strict=True) if learned]
                for row in renderer.samples(made)
            ]
    except UserError:
        return None
    return ["".join(piece.text for piece in renderer.pieces(span)) for span in spans]
