"""Records of `conversations` with `from` and `value`: ShareGPT, Glaive's, Hermes', ToolACE's.

After LLaMA-Factory's `data/README.md`, axolotl's page on conversations, and the cards of the data sets.
"""

import json
from dataclasses import replace
from typing import Any

from bench.fuzz_data.case import Case, bare, definition
from bench.fuzz_data.chat import messages
from bench.fuzz_data.marks import AsText, Joined, Mint
from bench.fuzz_data.talk import Call, Draw, Talk, Turn, slots

Fields = dict[str, Any]


def sharegpt(mint: Mint) -> Case:
    """Plain talk; a system turn or column; weights on turns, also as a table's floats."""
    talk = Draw(mint, calls=False).talk()
    weighted, floats = mint.chance(0.3), mint.chance(0.5)
    if weighted:
        flags = [turn.role != "assistant" or mint.chance(0.6) for turn in talk.turns]
        flags[-1] = True
        pairs = zip(talk.turns, flags, strict=True)
        talk = replace(talk, turns=tuple(replace(turn, learned=flag) for turn, flag in pairs))
    said = _turns(
        talk, human=mint.random.choice(("human", "user")), gpt=mint.random.choice(("gpt", "assistant"))
    )
    if weighted:
        for one, turn in zip(said[talk.system is not None :], talk.turns, strict=True):
            if turn.role == "assistant":
                one["weight"] = float(turn.learned) if floats else int(turn.learned)
            elif floats:
                one["weight"] = None
    record: Fields = {"conversations": said, **talk.labels}
    if talk.system is not None and mint.chance(0.5):
        record["system"] = said.pop(0)["value"]
    return Case(record, slots(talk))


def flagged(mint: Mint) -> Case:
    """axolotl's `train` on turns: what is false is shown and not learned."""
    talk = Draw(mint, calls=False, labels=False).talk()
    turns = tuple(replace(turn, learned=mint.chance(0.5)) for turn in talk.turns)
    talk = replace(talk, turns=(*turns[:-1], replace(turns[-1], learned=True)))
    said = _turns(talk)
    for one, turn in zip(said[talk.system is not None :], talk.turns, strict=True):
        if turn.role == "assistant" or mint.chance(0.3):
            one["train"] = turn.learned and turn.role == "assistant"
    return Case({"conversations": said}, slots(talk))


def role_content(mint: Mint) -> Case:
    """`conversations` of `role` and `content`, as ms-swift writes them; some with OpenAI's calls."""
    calls = mint.chance(0.3)
    talk = Draw(mint, calls=calls, any_order=True).talk()
    record: Fields = {"conversations": messages(mint, talk), **talk.labels}
    if talk.tools:
        record["tools"] = [definition(tool) for tool in talk.tools]
    return Case(record, slots(talk), supported=not calls)


def glaive(mint: Mint) -> Case:
    """`function_call` and `observation`, tools as text or as a list; LLaMA-Factory also lists calls."""
    listed = mint.chance(0.3)
    talk = Draw(mint, words_before_calls=False, nulls=True).talk()
    said: list[Fields] = []
    for turn in talk.turns:
        if turn.text is not None:
            said.append({"from": "human" if turn.role == "user" else "gpt", "value": turn.text})
        calls = [{"name": call.name, "arguments": call.arguments} for call in turn.calls]
        several = listed and len(calls) > 1
        values: list[Any] = [calls] if several else calls
        said += [{"from": "function_call", "value": AsText(value)} for value in values]
        results: list[Any] = [text for _, text in turn.results]
        if several and results:
            results = [AsText(results)]
        said += [{"from": "observation", "value": text} for text in results]
    record: Fields = {"conversations": said, **talk.labels}
    if talk.tools:
        offered = [bare(tool) for tool in talk.tools]
        record["tools"] = AsText(offered) if mint.chance(0.8) else offered
    if talk.system is not None:
        record["system"] = talk.system
    return Case(record, slots(talk))


def functioncall(mint: Mint) -> Case:
    """Glaive v2's `<functioncall>` texts in ShareGPT's turns: arguments quoted once more."""
    talk = _as_text(mint, Draw(mint, parallel=False, words_before_calls=False, labels=False).talk())
    said: list[Fields] = [{"from": "system", "value": _glaive_system(talk)}]
    for turn in talk.turns:
        if turn.text is not None:
            said.append({"from": "human" if turn.role == "user" else "gpt", "value": turn.text})
        said += [{"from": "gpt", "value": _functioncall(call)} for call in turn.calls]
        said += [{"from": "function_response", "value": text} for _, text in turn.results]
    return Case({"conversations": said}, slots(talk), supported=False)


def glaive_raw(mint: Mint) -> Case:
    """Glaive's function-calling-v2 as it is: two texts, `system` and `chat`."""
    talk = _as_text(mint, Draw(mint, parallel=False, words_before_calls=False, labels=False).talk())
    chat: list[Any] = []
    for turn in talk.turns:
        if turn.role == "user":
            chat.append(f"USER: {turn.text}\n\n\n")
        elif turn.text is not None:
            chat.append(f"ASSISTANT: {turn.text} <|endoftext|>\n\n\n")
        for call in turn.calls:
            chat += ["ASSISTANT: ", _functioncall(call), " <|endoftext|>\n\n\n"]
        chat += [f"FUNCTION RESPONSE: {text}\n\n\n" for _, text in turn.results]
    return Case(
        {"system": _glaive_system(talk, "SYSTEM: "), "chat": Joined(chat)}, slots(talk), supported=False
    )


def hermes(mint: Mint) -> Case:
    """Tools in the system text, calls and results in tags, after Nous's card and Qwen's template."""
    talk = Draw(mint, words_before_calls=True).talk()
    said: list[Fields] = []
    if talk.tools:
        before = [] if talk.system is None else [talk.system, "\n\n"]
        said.append({"from": "system", "value": Joined([*before, *_hermes_tools(mint, talk)])})
    elif talk.system is not None:
        said.append({"from": "system", "value": talk.system})
    for turn in talk.turns:
        if turn.role == "user":
            said.append({"from": "human", "value": turn.text})
            continue
        parts: list[Any] = [] if turn.text is None else [turn.text]
        for call in turn.calls:
            value = AsText({"name": call.name, "arguments": call.arguments})
            parts += ["\n<tool_call>\n" if parts else "<tool_call>\n", value, "\n</tool_call>"]
        said.append({"from": "gpt", "value": Joined(parts)})
        if turn.results:
            texts = [f"<tool_response>\n{text}\n</tool_response>" for _, text in turn.results]
            said.append({"from": "tool", "value": "\n".join(texts)})
    record: Fields = {"conversations": said}
    if mint.chance(0.3):
        roles = {"system": "system", "human": "user", "gpt": "assistant", "tool": "tool"}
        record = {"messages": [{"role": roles[one["from"]], "content": one["value"]} for one in said]}
    return Case(record | talk.labels, slots(talk), named="hermes")


def toolace(mint: Mint) -> Case:
    """ToolACE: calls as `[Name(parameter=value)]`, definitions in the system text."""
    talk = _as_text(mint, Draw(mint, words_before_calls=False, labels=False).talk())
    offered = [bare(tool) | {"required": None} for tool in talk.tools]
    before = "Here is a list of functions in JSON format that you can invoke:\n"
    after = "\nShould you decide to return the function call(s), put them as [func1(name=value), func2()]."
    said: list[Fields] = []
    turns = []
    for turn in talk.turns:
        if turn.text is not None:
            said.append({"from": turn.role, "value": turn.text})
        if turn.calls:
            said.append({"from": "assistant", "value": f"[{', '.join(map(_bracketed, turn.calls))}]"})
        results = [{"name": turn.calls[n].name, "results": mint.word()} for n, _ in turn.results]
        if results:
            said.append({"from": "tool", "value": AsText(results)})
        # One result is the text as it stands, of several each is its own part of it.
        texts = [json.dumps(one if len(results) > 1 else results) for one in results]
        turns.append(replace(turn, results=tuple(enumerate(texts))))
    talk = replace(talk, turns=tuple(turns))
    record: Fields = {"conversations": said}
    record = {"system": AsText(offered, before, after) if offered else talk.system, **record}
    return Case(record, slots(talk), supported=False)


def _as_text(mint: Mint, talk: Talk) -> Talk:
    """A talk whose tools stand in the system text, where it calls one; else a system text without tools."""
    if any(turn.calls for turn in talk.turns):
        return replace(talk, system=None)
    return replace(talk, tools=(), system=f"You are {mint.word()}, with no access to external functions.")


def _bracketed(call: Call) -> str:
    return f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"


def _turns(talk: Talk, human: str = "human", gpt: str = "gpt") -> list[Fields]:
    turns = list(talk.turns) if talk.system is None else [Turn("system", talk.system), *talk.turns]
    names = {"user": human, "assistant": gpt, "system": "system"}
    return [{"from": names[turn.role], "value": turn.text} for turn in turns]


def _functioncall(call: Call) -> AsText:
    return AsText({"name": call.name, "arguments": call.arguments}, "<functioncall> ", "", _quoted_once_more)


def _quoted_once_more(value: Any) -> str:
    if not isinstance(value, dict) or set(value) != {"name", "arguments"}:
        return json.dumps(value)
    return f'{{"name": {json.dumps(value["name"])}, "arguments": \'{json.dumps(value["arguments"])}\'}}'


def _glaive_system(talk: Talk, before: str = "") -> Joined:
    if not talk.tools:
        return Joined([f"{before}{talk.system}"])
    opening = (
        f"{before}You are a helpful assistant with access to the following functions. Use them if required -"
    )
    parts: list[Any] = [opening]
    for tool in talk.tools:
        parts += ["\n", AsText(bare(tool), write=lambda value: json.dumps(value, indent=4))]
    return Joined(parts)


_NOUS = (
    "You are a function calling AI model. You are provided with function signatures within <tools></tools>"
    " XML tags. You may call one or more functions to assist with the user query. Don't make assumptions"
    " about what values to plug into functions. Here are the available tools: <tools> "
)
_NOUS_GOES_ON = (
    " </tools> For each function call return a json object with function name and arguments within"
    " <tool_call></tool_call> XML tags as follows:\n<tool_call>\n"
    "{'arguments': <args-dict>, 'name': <function-name>}\n</tool_call>"
)
_QWEN = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with"
    " function signatures within <tools></tools> XML tags:\n<tools>"
)
_QWEN_GOES_ON = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within"
    " <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


def _hermes_tools(mint: Mint, talk: Talk) -> list[Any]:
    """The tools in Nous's instruction as a list, or in Qwen's one a line."""
    offered = [definition(tool) for tool in talk.tools]
    if mint.chance(0.5):
        return [_NOUS, AsText(offered), _NOUS_GOES_ON]
    return [_QWEN, *(part for one in offered for part in ("\n", AsText(one))), _QWEN_GOES_ON]
