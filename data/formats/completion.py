"""Prompt and completion, as two texts or as two lists of messages."""

from data.formats.openai import messages
from data.formats.parts import Fields, labels, objects, texts, tools


def completion(record: Fields) -> Fields:
    """Two texts become a user's message and its answer; of two lists, only the completion is learnt."""
    prompt, answer = record.get("prompt"), record.get("completion")
    if isinstance(prompt, list) and isinstance(answer, list):
        given = messages(objects(record, "prompt") + objects(record, "completion"))
        for message in given[: len(prompt)]:
            if message.get("role") == "assistant":
                message["weight"] = 0
        if not any(message.get("role") == "assistant" for message in given[len(prompt) :]):
            raise ValueError("`completion` holds no assistant message, so there is nothing to learn from it")
    elif isinstance(prompt, list) or isinstance(answer, list):
        raise ValueError("`prompt` and `completion` must both be text, or both be lists of messages")
    else:
        question, answer = texts(record, "prompt", "completion")
        given = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return labels(record) | {"messages": given, "tools": tools(record.get("tools"))}
