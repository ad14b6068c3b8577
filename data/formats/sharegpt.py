"""ShareGPT, with the tool turns of LLaMA-Factory and ms-swift."""

from data.formats.keys import Fields, Reader
from data.formats.openai import conversation


def sharegpt(root: Reader) -> Fields:
    """`conversations` of `from` and `value` (or `role` and `content`), and `tools` as a list or as JSON text.

    Calls that follow each other are one message's parallel calls; results answer them in order.
    """
    return conversation(root, "conversations")
