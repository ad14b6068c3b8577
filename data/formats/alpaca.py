"""Alpaca: an `instruction`, perhaps an `input` that it is about, and the `output`."""

from data.formats.parts import Fields, labels, texts


def alpaca(record: Fields) -> Fields:
    """One question and its answer; instruction and input stand as two paragraphs, without Alpaca's own frame.

    `system` is a system message, and `history` holds earlier pairs of question and answer.
    """
    messages = []
    if record.get("system"):
        messages.append({"role": "system", "content": texts(record, "system")[0]})
    history = record.get("history") or []
    if not isinstance(history, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in history
    ):
        raise ValueError("`history` is not a list of pairs of question and answer")
    for question, answer in history:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    question, answer = texts(record, "instruction", "output")
    if record.get("input"):
        question = f"{question}\n\n{texts(record, 'input')[0]}"
    messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return labels(record) | {"messages": messages}
