"""OpenAI's chat format: fine-tuning files, API logs (absent fields are null there), and TRL's data sets."""

from data.formats import dialects, messages
from data.formats.keys import Fields, Reader
from data.formats.parts import labels, objects, tools
from data.formats.turns import Turns


def openai(root: Reader) -> Fields:
    """`messages`, `tools` (or `functions`, their older name), and perhaps a `system` prompt beside them."""
    return conversation(root, "messages", objects(root.take("messages"), "`messages`"))


def conversation(root: Reader, key: str, given: list[Fields]) -> Fields:
    """The conversation of the messages that stood under `key`."""
    kept = labels(root)
    offered = offer(root)
    if not given:
        raise ValueError(f"`{key}` holds no message")
    given, offered = dialects.renewed(root, given, offered)
    made = Turns(offered)
    messages.system(root, made, given)
    messages.add(root, f"{key}[]", given, made)
    _repeated(root, made)
    return kept | {"messages": made.messages, "tools": offered}


def offer(root: Reader) -> list[Fields]:
    """The tools on offer."""
    offered, older = tools(root), tools(root, "functions")
    if offered and older:
        raise ValueError("it has both `tools` and `functions`, the older name of the same")
    return offered or older


def _repeated(root: Reader, made: Turns) -> None:
    """Count a `prompt` beside the messages that only repeats the first question."""
    if "prompt" not in root.left:
        return
    asked = next((message["content"] for message in made.messages if message["role"] == "user"), None)
    if asked == root.left["prompt"]:
        root.take("prompt")
        root.unused("prompt")
