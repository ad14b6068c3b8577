"""Preferences of several origins, told apart by their keys.

- OpenAI's preference fine-tuning files: `input` with `messages` and `tools`, `preferred_output` and
  `non_preferred_output`, each of one message.
- TRL's data sets: `prompt`, `chosen` and `rejected`, each a text or a list of messages, and `tools`.
  `chosen` and `rejected` may also be whole conversations that are the same up to their last message, with a
  `prompt` beside them or without one.
- LLaMA-Factory's ranking files: `conversations` (or `messages`) with `chosen` and `rejected` as one turn
  each, and Alpaca's `instruction` and `input` with both as texts.
- ms-swift's: `messages` that end in the better answer, and the other one as `rejected_response`; or `query`,
  perhaps `history`, and both answers as `response` and `rejected_response`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.errors import UserError
from data.formats import alpaca, messages
from data.formats.importing import imported
from data.formats.keys import NONE, Fields, Reader
from data.formats.marks import SKIP
from data.formats.parts import labels, objects, tools
from data.formats.problems import RefusalError
from data.formats.reader import raw
from data.formats.record import Raw
from data.formats.shapes import keys_of
from data.formats.turns import Turns
from data.formats.values import kind_of
from data.preference import Preference

_OPENAI = ("input", "preferred_output", "non_preferred_output")
_COMPARED = ("chosen", "rejected")
_SWIFT = ("messages", "rejected_response")
_ANSWERED = ("response", "rejected_response")
_SCORES = ("score_chosen", "score_rejected")
_PROMPTS = ("prompt", "conversations", "messages", "instruction", "query", "question")


@dataclass(frozen=True, slots=True)
class PreferenceRecord:
    """One preference of a source, or the reason and the next step where it could not be read.

    `where`, `unused` and `ends` are as in `data.formats.Record`.
    """

    where: str
    preference: Preference | None
    problem: str | None
    unused: tuple[str, ...] = ()
    ends: bool = False

    def taken(self) -> Preference:
        """The preference; UserError with place, reason and next step where there is none."""
        if self.preference is None:
            raise UserError(f"{self.where}: {self.problem}")
        return self.preference


def scan(source: str | Path, *, ignore: frozenset[str] = NONE) -> Iterator[PreferenceRecord]:
    """Every record of `source` (whatever `data.formats.scan` takes), bad ones with their problem.

    UserError when the source itself cannot be read.
    """
    for one in raw(source):
        yield record(one, ignore)


def record(raw: Raw, ignore: frozenset[str] = NONE) -> PreferenceRecord:
    """What a raw record says as a preference."""
    made = imported(raw, preference, Preference, ignore)
    if isinstance(made, str):
        return PreferenceRecord(raw.where, None, made, ends=raw.ends)
    return PreferenceRecord(raw.where, made[0], None, made[1])


def preference(root: Reader) -> Fields:
    """The fields of a `Preference`, whichever of the formats the record has."""
    found = [
        keys for keys in (_OPENAI, _COMPARED, _SWIFT, _ANSWERED) if all(key in root.left for key in keys)
    ]
    if len(found) > 1:
        names = " and ".join(f"`{keys[0]}`" for keys in found)
        raise RefusalError(f"it has {names}, which are of two formats, so it may be either; delete one")
    if not found:
        raise RefusalError(
            "a preference has `chosen` and `rejected`, or `input`, `preferred_output` and"
            " `non_preferred_output`, or `messages` or `response` and `rejected_response`, but its"
            f" keys are {keys_of(root)}; convert it first"
        )
    kept = labels(root)
    _in_order(root)
    if found[0] is _OPENAI:
        return kept | _openai(root)
    return kept | (_swift(root) if found[0] is _SWIFT else _compared(root, found[0]))


def _in_order(root: Reader) -> None:
    """Refuse a pair whose own scores prefer the other answer."""
    better, worse = (root.left.get(key) for key in _SCORES)
    if isinstance(better, int | float) and isinstance(worse, int | float) and better < worse:
        raise RefusalError(
            f"`{_SCORES[0]}` ({better}) is below `{_SCORES[1]}` ({worse}), so the worse answer would be"
            f" preferred; {SKIP}"
        )


@dataclass(frozen=True, slots=True)
class _Listed:
    """Messages of a record, where they stand and what they are called."""

    path: str
    given: list[Fields]
    of: str = ""
    first: int = 1
    """The number of the first one."""


def _openai(root: Reader) -> Fields:
    given = root.take("input")
    if not isinstance(given, dict):
        raise ValueError(f"`input` is not an object but {kind_of(given)}")
    asked = root.inside("input", given, "record", "`input`")
    offered = tools(asked)
    prompt = _Listed("input.messages[]", objects(asked.take("messages"), "`input.messages`"), " of `input`")
    sides = [_side(name, objects(root.take(name), f"`{name}`")) for name in _OPENAI[1:]]
    for name, side in zip(_OPENAI[1:], sides, strict=True):
        _one_answer(name, side)
    return _parted(root, offered, prompt, sides, _OPENAI[1:], [[prompt, side] for side in sides])


def _compared(root: Reader, names: tuple[str, ...]) -> Fields:
    offered = tools(root)
    sides = [_of(root, name, "assistant") for name in names]
    whole = any(side.given and not _answers(side.given[0]) for side in sides)
    prompt = _prompt(root, whole)
    if prompt is None or whole:
        return _parted(root, offered, prompt, sides, names, [[side] for side in sides])
    for name, side in zip(names, sides, strict=True):
        _one_answer(name, side)
    return _parted(root, offered, prompt, sides, names, [[prompt, side] for side in sides])


def _swift(root: Reader) -> Fields:
    offered = tools(root)
    given = objects(root.take("messages"), "`messages`")
    rejected = _of(root, "rejected_response", "assistant")
    _one_answer("rejected_response", rejected)
    prompt, chosen = _Listed("messages[]", given[:-1]), _Listed("messages[]", given[-1:], first=len(given))
    lists = [[prompt, chosen], [prompt, rejected]]
    return _parted(root, offered, prompt, [chosen, rejected], ("messages", "rejected_response"), lists)


def _prompt(root: Reader, whole: bool) -> _Listed | None:
    """What was asked, under whichever key; None where there is none."""
    found = [key for key in _PROMPTS if key in root.left]
    if whole and found[:1] == ["prompt"] and "messages" in found:
        # As UltraFeedback has it: the better conversation once more.
        found.remove("messages")
        root.take("messages")
        root.unused("messages")
    if len(found) > 1:
        names = " and ".join(f"`{key}`" for key in found)
        raise ValueError(f"it asks twice, under {names}; keep one")
    if not found:
        return None
    if found[0] not in ("instruction", "query"):
        return _of(root, found[0], "user")
    earlier = [
        {"role": role, "content": words}
        for pair in alpaca.pairs(root.take("history"))
        for role, words in zip(("user", "assistant"), pair, strict=True)
    ]
    return _Listed(found[0], [*earlier, {"role": "user", "content": alpaca.asked(root)}])


def _of(root: Reader, name: str, role: str) -> _Listed:
    """The messages under `name`: a text is one of `role`, and an object is one message."""
    value = root.take(name)
    if isinstance(value, str) and not value.lstrip().startswith(('[{"role"', '[{"from"')):
        return _Listed(name, [{"role": role, "content": value}], f" of `{name}`")
    if isinstance(value, dict):
        return _Listed(name, [value], f" of `{name}`")
    if not isinstance(value, str | list):
        raise ValueError(f"`{name}` is neither text nor a list of messages, but {kind_of(value)}")
    return _side(name, objects(value, f"`{name}`"))


def _side(name: str, given: list[Fields]) -> _Listed:
    return _Listed(f"{name}[]", given, f" of `{name}`")


def _answers(message: Fields) -> bool:
    speaker = message.get("from") if message.get("role") is None else message["role"]
    return isinstance(speaker, str) and messages.ROLES.get(speaker) in ("assistant", "call")


def _one_answer(name: str, side: _Listed) -> None:
    if len(side.given) != 1:
        raise ValueError(f"`{name}` holds {len(side.given)} messages, but an answer is one assistant message")


def _parted(
    root: Reader,
    offered: list[Fields],
    prompt: _Listed | None,
    sides: list[_Listed],
    names: tuple[str, ...],
    lists: list[list[_Listed]],
) -> Fields:
    """Two whole conversations as what they share, which is `prompt` where that is given, and two answers."""
    for name, side in zip(names, sides, strict=True):
        if not side.given:
            raise ValueError(f"`{name}` holds no message, but an answer is one assistant message")
        if not _answers(side.given[-1]):
            speaker = side.given[-1].get("role", side.given[-1].get("from"))
            raise ValueError(
                f"`{name}` ends in a message of the role {speaker!r:.60}, but an answer is an assistant's"
            )
    said = {key: root.take(key) for key in messages.SYSTEM}
    chosen, rejected = (_read(root, said, offered, parts) for parts in lists)
    shared = chosen[:-1]
    if shared != rejected[:-1]:
        raise ValueError(
            f"`{names[0]}` and `{names[1]}` differ before the last of their {len(chosen)} and {len(rejected)}"
            " messages, but only their last messages may differ"
        )
    if prompt is not None and _read(root, said, offered, [prompt]) != shared:
        raise ValueError(f"`{names[0]}` and `{names[1]}` do not begin with `prompt` and nothing else")
    if not any(message["role"] != "system" for message in shared):
        raise ValueError(
            f"no message stands before `{names[0]}` and `{names[1]}`, so nothing was asked; give a `prompt`,"
            f" `messages` or an `instruction` (its keys are {keys_of(root)})"
        )
    for name, answer in zip(names, (chosen[-1], rejected[-1]), strict=True):
        if not answer["weight"]:
            raise ValueError(
                f"the answer in `{name}` is marked as not to be learned, but both are needed to compare them"
            )
    return {"prompt": shared, "tools": offered, "chosen": chosen[-1], "rejected": rejected[-1]}


def _read(root: Reader, said: Fields, offered: list[Fields], parts: list[_Listed]) -> list[Fields]:
    made = Turns(offered)
    messages.prompted(said, made, parts[0].given)
    for part in parts:
        messages.add(root, part.path, part.given, made, of=part.of, first=part.first)
    return made.messages
