"""Records of `messages` with `role` and `content`: OpenAI's, its logs', TRL's, Bedrock's, ms-swift's.

After OpenAI's fine-tuning guide and API reference, TRL's "Dataset formats", the Anthropic cookbook's note on
Bedrock, and ms-swift's "Custom dataset" and "Agent support".
"""

import json
from dataclasses import replace
from typing import Any

from bench.fuzz_data.case import Case, definition
from bench.fuzz_data.marks import AsText, Mint
from bench.fuzz_data.talk import Draw, Talk, Turn, slots

Fields = dict[str, Any]


def openai(mint: Mint) -> Case:
    """Fine-tuning files: weights, parallel calls with ids, content as text items."""
    talk = Draw(mint, any_order=True, nulls=True).talk()
    turns = [replace(turn, learned=turn.role != "assistant" or mint.chance(0.8)) for turn in talk.turns]
    if not any(turn.learned for turn in turns if turn.role == "assistant"):
        turns[-1] = replace(turns[-1], learned=True)
    talk = replace(talk, turns=tuple(turns))
    record = {"messages": messages(mint, talk), **_tools(mint, talk), **talk.labels}
    said = [one for turn in talk.turns for one in ([turn] + [None] * len(turn.results))]
    for message, turn in zip(record["messages"][talk.system is not None :], said, strict=True):
        if turn and turn.role == "assistant" and (not turn.learned or mint.chance(0.3)):
            message["weight"] = int(turn.learned)
        if mint.chance(0.1) and isinstance(message.get("content"), str):
            message["content"] = [{"type": "text", "text": message["content"]}]
    if talk.tools and mint.chance(0.3):
        record["parallel_tool_calls"] = mint.chance(0.5)
    return Case(record, slots(talk))


def logs(mint: Mint) -> Case:
    """Logs of the API: absent fields as null, names, empty annotations, indices of streamed calls."""
    talk = Draw(mint, any_order=True, nulls=True).talk()
    record: Fields = {"messages": messages(mint, talk), **_tools(mint, talk), **talk.labels}
    for message in record["messages"]:
        if message["role"] == "assistant":
            message |= {"refusal": None, "audio": None, "function_call": None}
            if mint.chance(0.3):
                message["annotations"] = []
            if mint.chance(0.2) and "tool_calls" not in message:
                message |= {"content": None, "refusal": message["content"]}
            message.setdefault("content", None)
            if mint.chance(0.5):
                message.setdefault("tool_calls", None)
            for number, call in enumerate(message.get("tool_calls") or []):
                if mint.chance(0.3):
                    call["index"] = number
        elif message["role"] == "system" and mint.chance(0.3):
            message["role"] = "developer"
        if mint.chance(0.3):
            message["name"] = mint.word()
    if mint.chance(0.2):
        record |= {"tool_choice": "auto", "temperature": 0.7, "model": mint.word(), "user": mint.word()}
    return Case(record, slots(talk), supported="tool_choice" not in record)


def functions(mint: Mint) -> Case:
    """The elder calls: `functions`, `function_call`, and results of the role `function`."""
    talk = Draw(mint, parallel=False).talk()
    made = messages(mint, talk)
    for message in made:
        if calls := message.pop("tool_calls", None):
            message |= {"content": message.get("content"), "function_call": calls[0]["function"]}
            name = calls[0]["function"]["name"]
        elif message["role"] == "tool":
            del message["tool_call_id"]
            message |= {"role": "function", "name": name}
    record = {"messages": made, **talk.labels}
    if talk.tools:
        record["functions"] = [definition(tool)["function"] for tool in talk.tools]
    return Case(record, slots(talk))


def trl_tools(mint: Mint) -> Case:
    """TRL's tool calling: arguments as objects, no ids, results by name, `return` in a definition."""
    talk = Draw(mint).talk()
    record = {"messages": messages(mint, talk, ids=False), **talk.labels}
    offered = [definition(tool) for tool in talk.tools]
    for one in offered:
        if mint.chance(0.3):
            one["function"]["return"] = {"type": "string", "description": mint.text()}
    return Case(record | ({"tools": offered} if offered else {}), slots(talk))


def completion(mint: Mint) -> Case:
    """Prompt and completion, as texts or as messages: the completion alone is learned."""
    talk = Draw(mint, calls=mint.chance(0.5), labels=False).talk()
    if mint.chance(0.4):
        asked, answer = Turn("user", mint.text()), Turn("assistant", mint.text())
        record: Fields = {"prompt": asked.text, "completion": answer.text}
        return Case(record, slots(Talk((asked, answer))))
    last = max(number for number, turn in enumerate(talk.turns) if turn.role == "user") + 1
    before = tuple(replace(turn, learned=False) for turn in talk.turns[:last])
    talk = replace(talk, turns=before + talk.turns[last:])
    ids = mint.chance(0.5)
    said = messages(mint, talk, ids=ids)
    prompt = len(messages(mint, replace(talk, turns=before), ids=ids))
    record = {"prompt": said[:prompt], "completion": said[prompt:], **_tools(mint, talk)}
    return Case(record, slots(talk))


def system_column(mint: Mint) -> Case:
    """A system prompt beside the messages, as Bedrock and LLaMA-Factory's `system` column have it."""
    talk = replace(Draw(mint, calls=False).talk(), system=mint.text())
    record = {"system": talk.system, "messages": messages(mint, replace(talk, system=None)), **talk.labels}
    return Case(record, slots(talk))


def swift_agent(mint: Mint) -> Case:
    """ms-swift's roles `tool_call` and `tool_response`, its `loss` on a message, tools as text."""
    talk = Draw(mint).talk()
    flagged = mint.chance(0.3)
    made: list[Fields] = [] if talk.system is None else [{"role": "system", "content": talk.system}]
    turns = []
    for turn in talk.turns:
        learned = not (flagged and turn.role == "assistant" and not turn.calls and mint.chance(0.5))
        turns.append(replace(turn, learned=learned))
        if turn.text is not None:
            made.append({"role": turn.role, "content": turn.text})
            if flagged and turn.role == "assistant" and not turn.calls:
                made[-1]["loss"] = learned
        for call in turn.calls:
            value = {"name": call.name, "arguments": call.arguments}
            made.append({"role": "tool_call", "content": AsText(value)})
        role = mint.random.choice(("tool_response", "tool"))
        made += [{"role": role, "content": text} for _, text in turn.results]
    record: Fields = {"messages": made}
    if talk.tools:
        record["tools"] = AsText([definition(tool) for tool in talk.tools])
    talk = replace(talk, turns=tuple(turns), labels={})
    return Case(record, slots(talk))


def rated(mint: Mint) -> Case:
    """KTO's records: an answer, and whether it was liked."""
    talk = Draw(mint, calls=False, several=False, labels=False).talk()
    liked = mint.chance(0.5)
    flag: Any = mint.random.choice((liked, int(liked))) if mint.chance(0.3) else liked
    made = messages(mint, talk)
    if mint.chance(0.5):
        record: Fields = {"messages": made, "label": flag}
    else:
        record = {"prompt": made[:-1], "completion": made[-1:], "label": flag}
    return Case(record, slots(talk), spoiled="" if liked else "label", supported=False)


def pictures(mint: Mint) -> Case:
    """Records that speak of images, videos or sounds beside them."""
    column = mint.random.choice(("images", "videos", "audios", "image", "audio", "video"))
    files: Any = [mint.word()] if column.endswith("s") or mint.chance(0.5) else mint.word()
    talk = Draw(mint, calls=False, several=False, labels=False).talk()
    if mint.chance(0.5):
        asked, said = talk.turns
        talk = replace(talk, turns=(replace(asked, text=f"<{column.removesuffix('s')}>{asked.text}"), said))
    record: Fields = {"messages": messages(mint, talk), column: files}
    return Case(record, slots(talk), spoiled=column, supported=False)


def messages(mint: Mint, talk: Talk, ids: bool = True) -> list[Fields]:
    """The talk in OpenAI's roles; without ids, as TRL has it."""
    made: list[Fields] = [] if talk.system is None else [{"role": "system", "content": talk.system}]
    for turn in talk.turns:
        message: Fields = {"role": turn.role} | ({} if turn.text is None else {"content": turn.text})
        if turn.calls:
            message["tool_calls"] = [_call(mint, call.name, call.arguments, ids) for call in turn.calls]
        made.append(message)
        for number, text in turn.results:
            if ids:
                made.append({"role": "tool", "tool_call_id": message["tool_calls"][number]["id"]})
            else:
                made.append({"role": "tool", "name": turn.calls[number].name})
            made[-1]["content"] = text
    return made


def _call(mint: Mint, name: str, arguments: Fields, ids: bool) -> Fields:
    function = {"name": name, "arguments": AsText(arguments, write=_compact) if ids else arguments}
    if ids and mint.chance(0.15) and None not in arguments.values():
        function["arguments"] = arguments
    call = {"type": "function", "function": function}
    return {"id": f"call_{mint.word()}"} | call if ids else call


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _tools(mint: Mint, talk: Talk) -> Fields:
    offered: list[Fields] = [definition(tool) for tool in talk.tools]
    for one in offered:
        if mint.chance(0.2):
            one["function"]["strict"] = mint.chance(0.5)
    if not offered:
        return {}
    return {"tools": AsText(offered) if mint.chance(0.15) else offered}
