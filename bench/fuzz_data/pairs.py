"""Preferences: OpenAI's files, TRL's records with and without a prompt, LLaMA-Factory's, ms-swift's.

After OpenAI's guide on preference fine-tuning, TRL's "Dataset formats", LLaMA-Factory's `data/README.md` and
ms-swift's "Custom dataset".
"""

from dataclasses import replace
from typing import Any

from bench.fuzz_data.case import Case, definition
from bench.fuzz_data.chat import messages
from bench.fuzz_data.marks import AsText, Mint
from bench.fuzz_data.talk import Draw, Slot, Talk, Turn, forgotten, slots, slots_of

Fields = dict[str, Any]


def openai_pair(mint: Mint) -> Case:
    """`input`, `preferred_output` and `non_preferred_output`."""
    talk, chosen, rejected = _draw(mint)
    before = len(messages(mint, talk))
    sides = [messages(mint, replace(talk, turns=(*talk.turns, side)))[before:] for side in (chosen, rejected)]
    asked: Fields = {"messages": messages(mint, talk)}
    if talk.tools:
        asked["tools"] = [definition(tool) for tool in talk.tools]
        if mint.chance(0.3):
            asked["parallel_tool_calls"] = True
    record = {"input": asked, "preferred_output": sides[0], "non_preferred_output": sides[1], **talk.labels}
    return Case(record, _slots(talk, chosen, rejected), reader="preference")


def trl_pair(mint: Mint) -> Case:
    """`prompt`, `chosen` and `rejected` as messages, or two whole conversations."""
    talk, chosen, rejected = _draw(mint)
    whole = mint.chance(0.3)
    prompt = messages(mint, talk, ids=False)
    sides = [
        messages(mint, replace(talk, turns=(*talk.turns, side)), ids=False) for side in (chosen, rejected)
    ]
    if not whole:
        sides = [side[len(prompt) :] for side in sides]
    record: Fields = {"chosen": sides[0], "rejected": sides[1], **talk.labels}
    if not whole or mint.chance(0.3):
        record = {"prompt": prompt, **record}
    if talk.tools:
        offered = [definition(tool) for tool in talk.tools]
        record["tools"] = AsText(offered) if mint.chance(0.3) else offered
    return Case(record, _slots(talk, chosen, rejected), reader="preference")


def trl_texts(mint: Mint) -> Case:
    """The same as three texts."""
    talk = Talk((Turn("user", mint.text()),))
    chosen, rejected = Turn("assistant", mint.text()), Turn("assistant", mint.text())
    record = {"prompt": talk.turns[0].text, "chosen": chosen.text, "rejected": rejected.text}
    return Case(record, _slots(talk, chosen, rejected), reader="preference")


def ranking(mint: Mint) -> Case:
    """LLaMA-Factory's: `conversations` (or an instruction), `chosen` and `rejected`."""
    if mint.chance(0.5):
        instruction, about = mint.text(), mint.text()
        given = mint.chance(0.5)
        talk = Talk((Turn("user", f"{instruction}\n\n{about}" if given else instruction),))
        record: Fields = {"instruction": instruction} | ({"input": about} if given else {})
        chosen, rejected = Turn("assistant", mint.text()), Turn("assistant", mint.text())
        record |= {"chosen": chosen.text, "rejected": rejected.text}
    else:
        talk, chosen, rejected = _draw(mint, calls=False)
        names = {"system": "system", "user": "human", "assistant": "gpt"}
        said = [{"from": names[one["role"]], "value": one["content"]} for one in messages(mint, talk)]
        record = {
            "conversations": said,
            "chosen": {"from": "gpt", "value": chosen.text},
            "rejected": {"from": "gpt", "value": rejected.text},
            **talk.labels,
        }
    return Case(record, _slots(talk, chosen, rejected), reader="preference")


def rejected_response(mint: Mint) -> Case:
    """ms-swift's: a conversation, and what its last answer should not have been."""
    talk, chosen, rejected = _draw(mint, calls=False)
    record: Fields = {"messages": messages(mint, replace(talk, turns=(*talk.turns, chosen)))}
    record |= {"rejected_response": rejected.text, **talk.labels}
    return Case(record, _slots(talk, chosen, rejected), reader="preference", supported=False)


def _draw(mint: Mint, calls: bool = True) -> tuple[Talk, Turn, Turn]:
    """A talk that ends where the assistant is to speak, and two answers, words or calls."""
    draw = Draw(mint, calls=calls, words_before_calls=False)
    talk = draw.talk()
    turns = list(talk.turns)
    while turns[-1].role == "assistant" and not turns[-1].results:
        turns.pop()
    talk = replace(talk, turns=tuple(turns))
    sides = [
        draw.calling(talk.tools) if talk.tools and mint.chance(0.4) else Turn("assistant", mint.text())
        for _ in range(2)
    ]
    if sides[0] == sides[1]:  # two calls without a mark of their own
        sides[1] = Turn("assistant", mint.text())
    return talk, sides[0], sides[1]


def _slots(talk: Talk, chosen: Turn, rejected: Turn) -> list[Slot]:
    """The prompt is context; an answer's words and calls say on which side they stand."""
    found = slots(forgotten(talk))
    for name, turn in (("chosen", chosen), ("rejected", rejected)):
        found += [Slot(f"{name} {slot.kind}", slot.said, True) for slot in slots_of(turn)]
    return found
