"""Prompt and completion, as two texts or as two lists of messages."""

from data.formats import messages
from data.formats.keys import Fields, Reader
from data.formats.openai import offer
from data.formats.parts import labels, objects
from data.formats.turns import Turns
from data.formats.values import kind_of


def completion(root: Reader) -> Fields:
    """Two texts become a user's message and its answer; of two lists, only the completion is learned."""
    kept = labels(root)
    offered = offer(root)
    prompt, answer = root.take("prompt"), root.take("completion")
    made = Turns(offered)
    if isinstance(prompt, list) and isinstance(answer, list):
        asked = objects(prompt, "`prompt`")
        messages.system(root, made, asked)
        messages.add(root, "prompt[]", asked, made, learned=False, of=" of `prompt`")
        before = len(made.messages)
        messages.add(root, "completion[]", objects(answer, "`completion`"), made, of=" of `completion`")
        if not any(message["role"] == "assistant" for message in made.messages[before:]):
            raise ValueError("`completion` holds no assistant message, so there is nothing to learn from it")
    elif isinstance(prompt, list) or isinstance(answer, list):
        raise ValueError("`prompt` and `completion` must both be text, or both be lists of messages")
    else:
        for name, value in (("prompt", prompt), ("completion", answer)):
            if not isinstance(value, str):
                raise ValueError(f"`{name}` is not text but {kind_of(value)}")
        messages.system(root, made, [])
        made.say("user", prompt)
        made.answer(answer, ())
    return kept | {"messages": made.messages, "tools": offered}
