"""ShareGPT with the tool turns of LLaMA-Factory and ms-swift, and raw Glaive, whose turns are one text."""

import re

from data.formats.keys import Fields, Reader
from data.formats.openai import conversation
from data.formats.parts import objects, text
from data.formats.written import END

_SPEAKERS = {"USER": "human", "ASSISTANT": "gpt", "FUNCTION RESPONSE": "function_response"}
_SPEAKER = re.compile(rf"(?:\A|\n)\s*({'|'.join(_SPEAKERS)}):")


def sharegpt(root: Reader) -> Fields:
    """`conversations` of `from` and `value` (or `role` and `content`), and `tools` as a list or as JSON text.

    Calls that follow each other are one message's parallel calls; results answer them in order.
    """
    return conversation(root, "conversations", objects(root.take("conversations"), "`conversations`"))


def glaive(root: Reader) -> Fields:
    """Glaive v2 as it is published: `system`, and all turns in the text `chat`."""
    first, *turns = _SPEAKER.split(text(root, "chat"))
    if first.strip():
        raise ValueError(f"`chat` starts with {first.strip()[:40]!r}, not with one of {', '.join(_SPEAKERS)}")
    given = [
        {"from": _SPEAKERS[who], "value": words.strip().removesuffix(END).strip()}
        for who, words in zip(turns[::2], turns[1::2], strict=True)
    ]
    if isinstance(system := root.left.get("system"), str):
        root.left["system"] = system.strip().removeprefix("SYSTEM:").strip()
    return conversation(root, "chat", given)
