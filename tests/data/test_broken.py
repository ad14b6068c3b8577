"""Broken inputs: each gets its file, its line, the reason and the next step, and stops nothing."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from data.errors import UserError
from data.formats import read, scan, text
from tests.forked import Forge

GOOD = '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}'
ROOT = Path(__file__).parents[2]


def messages(*given: str) -> str:
    return f'{{"messages": [{{"role": "user", "content": "hi"}}, {", ".join(given)}]}}'


def assistant(fields: str) -> str:
    return messages(f'{{"role": "assistant", {fields}}}')


def calling(arguments: str) -> str:
    call = {"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return assistant(f'"tool_calls": [{json.dumps(call)}]')


def turns(*given: tuple[str, str], **more: object) -> str:
    return json.dumps({"conversations": [{"from": who, "value": value} for who, value in given], **more})


def hermes(system: str, answer: str = "ok", *more: tuple[str, str]) -> str:
    return turns(("system", system), ("human", "hi"), ("gpt", answer), *more)


OFFER = '<tools>[{"name": "f"}]</tools>'

# One broken record, standing on line 2 between two good ones: (record, reason).
LINES: dict[str, tuple[str | bytes, str]] = {
    # The text is not JSON.
    "truncated": ('{"messages": [', "not JSON (Expecting value at column 15)"),
    "truncated in a string": ('{"messages": [{"role": "us', "not JSON (Unterminated string"),
    "trailing comma in a list": ('{"messages": [1,]}', "not JSON (Expecting value"),
    "trailing comma in an object": ('{"messages": [],}', "not JSON (Expecting property name"),
    "comma after the record": (GOOD + ",", "not JSON (Extra data at column"),
    "two records on a line": (GOOD + GOOD, "not JSON (Extra data at column"),
    "single quotes": ("{'messages': []}", "not JSON (Expecting property name enclosed in double quotes"),
    "no quotes": ("{messages: []}", "not JSON (Expecting property name"),
    "a comment": ("// " + GOOD, "not JSON (Expecting value at column 1)"),
    "raw tab in a string": ('{"messages": "a\tb"}', "not JSON (Invalid control character"),
    "bad escape": (r'{"messages": "a\qb"}', "not JSON (Invalid \\escape"),
    "bad unicode escape": (r'{"messages": "\u12"}', "not JSON (Invalid \\uXXXX escape"),
    "comma separated values": ("id,prompt,completion", "not JSON"),
    "prose": ("Hello there", "not JSON (Expecting value at column 1)"),
    "python constants": ('{"messages": None}', "not JSON (Expecting value at column 14)"),
    # The bytes are not UTF-8 text.
    "Latin-1": ('{"messages": "café"}'.encode("latin-1"), "not UTF-8 text (invalid continuation byte"),
    "cut UTF-8": ('{"messages": "é'.encode()[:-1], "not UTF-8 text"),
    "Windows quotes": ('{"messages": "“a”"}'.encode("cp1252"), "not UTF-8 text (invalid start byte"),
    "NUL bytes": (b"\0" * 40, "it holds NUL bytes"),
    "NUL in a string": (b'{"messages": "a\0b"}', "it holds NUL bytes"),
    # JSON to Python alone.
    "NaN": ('{"messages": [], "score": NaN}', "NaN is no JSON number"),
    "Infinity": ('{"messages": [], "score": Infinity}', "Infinity is no JSON number"),
    "minus Infinity": ('{"messages": [], "score": -Infinity}', "-Infinity is no JSON number"),
    "too large a float": ('{"messages": [], "score": 1e999}', "1e999 is larger than any float"),
    "too large an integer": ('{"messages": [], "n": ' + "9" * 5000 + "}", "thousands of digits"),
    "key twice": ('{"messages": [], "messages": []}', "the key 'messages' stands twice in one object"),
    "key twice, deep": (assistant('"content": "a", "content": "b"'), "the key 'content' stands twice"),
    "lone high surrogate": (assistant(r'"content": "\ud83d"'), "half of a surrogate pair"),
    "lone low surrogate": (assistant(r'"content": "\uDE00"'), "half of a surrogate pair"),
    "nested too deeply": ("[" * 200_000, "nested too deeply"),
    # JSON, but no record of any format.
    "a number": ("42", "a record is a JSON object, but this is the number 42"),
    "a string": ('"hi"', "a record is a JSON object, but this is text"),
    "null": ("null", "a record is a JSON object, but this is null"),
    "a list": (f"[{GOOD}]", "a record is a JSON object, but this is a list"),
    "no keys": ("{}", "but its keys are none; convert it"),
    "keys of no format": ('{"text": "a"}', "but its keys are 'text'; convert it"),
    "half of a format": ('{"instruction": "a"}', "but its keys are 'instruction'; convert it"),
    "preferences": ('{"prompt": "a", "chosen": "b", "rejected": "c"}', "compares two answers (`chosen` and `rejected`), and so is a preference, which method: dpo learns from"),
    "two formats": (
        '{"messages": [], "conversations": []}',
        "it has `messages` (openai) and `conversations` (sharegpt), so it may be either; name the source's",
    ),
    # OpenAI's format with mistakes.
    "no messages": ('{"messages": []}', "`messages` holds no message"),
    "null messages": ('{"messages": null}', "its keys are 'messages' (null)"),
    "messages as an object": ('{"messages": {"role": "user"}}', "`messages` is not a list of objects"),
    "messages as texts": ('{"messages": ["hi"]}', "`messages` is not a list of objects"),
    "unknown role": (messages('{"role": "robot", "content": "a"}'), "message 2 is from 'robot'; known are"),
    "no role": (messages('{"content": "a"}'), "message 2 has neither `role` nor `from`; its keys are 'content'"),
    "role as a list": (messages('{"role": ["user"], "content": "a"}'), "message 2 is from ['user']"),
    "misspelt key": (assistant('"contnet": "a"'), "`contnet` of message 2 is a key that no reader knows (did you mean `content`?)"),
    "content as a number": (assistant('"content": 5'), "message 2 holds the number 5, not text"),
    "content as an image": (
        messages('{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}'),
        "part 1 of message 2 is 'image_url': this model reads and writes text alone",
    ),
    "weight of two": (assistant('"content": "a", "weight": 2'), "`weight` of message 2 is the number 2, where 0 (not learned) or 1 (learned) is known"),
    "content and refusal": (assistant('"content": "a", "refusal": "b"'), "both `content` and `refusal`"),
    "a refusal in parts": (assistant('"refusal": ["b"]'), "`refusal` of message 2 is not text but a list"),
    "result without an id": (messages('{"role": "tool", "content": "a"}'), "message 2 is a result, but no call waits for one"),
    "calls as an object": (assistant('"tool_calls": {"id": "a"}'), "`tool_calls` of message 2 is not a list of objects but an object"),
    "call without a function": (assistant('"tool_calls": [{"id": "a"}]'), "call 1 of message 2 has no `name`"),
    "arguments cut off": (calling('{"x": '), "arguments of 'f' are not JSON: Expecting value"),
    "arguments as a list": (calling("[1]"), "arguments of 'f' are a list, not an object"),
    "arguments with NaN": (calling('{"x": NaN}'), "arguments of 'f' are not JSON: NaN is no JSON number"),
    "arguments with a key twice": (calling('{"x": 1, "x": 2}'), "the key 'x' stands twice"),
    "arguments with half a pair": (calling(r'{"x": "\ud800"}'), "half of a surrogate pair"),
    "both names of calls": (
        assistant('"function_call": {"name": "f"}, "tool_calls": [{"name": "a"}]'),
        "both `tool_calls` and `function_call`",
    ),
    "function call without a name": (assistant('"function_call": {}'), "`function_call` of message 2 has no `name`"),
    "function result of nothing": (messages('{"role": "function", "content": "a"}'), "message 2 is a result, but no call waits for one"),
    "both names of tools": ('{"messages": [{}], "tools": [{"name": "f"}], "functions": [{"name": "f"}]}', "both `tools` and `functions`"),
    "tools as a number": ('{"messages": [], "tools": 3}', "`tools` is not a list of objects"),
    "tools as broken text": ('{"messages": [], "tools": "["}', "`tools` is text, but not JSON (Expecting value)"),
    "tool without a name": ('{"messages": [], "tools": [{"description": "a"}]}', "tool 1 has no `name`"),
    "id as a list": (GOOD[:-1] + ', "id": ["a"]}', "`id` is a list, not text"),
    # ShareGPT, Glaive and Hermes with mistakes.
    "unknown speaker": (turns(("robot", "a")), "message 1 is from 'robot'; known are"),
    "turn without text": ('{"conversations": [{"from": "human"}]}', "message 1 (the user's) has no text"),
    "call of prose": (turns(("function_call", "f()")), "message 1 is a call, but not JSON (Expecting value)"),
    "call with NaN": (turns(("function_call", '{"name": NaN}')), "message 1 is a call, but NaN is no JSON number"),
    "call without a name": (turns(("function_call", "{}")), "call 1 of message 1 has no `name`"),
    "observation of nothing": (turns(("observation", "a")), "message 1 is a result, but no call waits for one"),
    "calls without tools": (
        turns(("human", "hi"), ("gpt", '<tool_call>{"name": "f"}</tool_call>')),
        "so it may be hermes or sharegpt; name the source's `format`",
    ),
    "Hermes tools cut off": (hermes('<tools>[{"name": "f"}</tools>'), "its <tools> are not JSON"),
    "Hermes tools of numbers": (hermes("<tools>[1]</tools>"), "its <tools> are not objects"),
    "Hermes call cut off": (hermes(OFFER, '<tool_call>{"name": "f"'), "message 3 has an unclosed <tool_call>"),
    "Hermes call of prose": (hermes(OFFER, "<tool_call>f()</tool_call>"), "message 3 has a <tool_call>, but not JSON"),
    "Hermes words after a call": (
        hermes(OFFER, '<tool_call>{"name": "f"}</tool_call> There.'),
        "message 3 has words after its call",
    ),
    "Hermes result of nothing": (hermes(OFFER, "ok", ("tool", "a")), "message 4 is a result, but no call"),
    # xLAM, Alpaca and completions with mistakes.
    "no answers": ('{"query": "a", "tools": "[]", "answers": "[]"}', "`answers` is empty"),
    "answers cut off": ('{"query": "a", "answers": "[{"}', "`answers` is text, but not JSON"),
    "answer without a name": ('{"query": "a", "answers": [{}]}', "answer 1 has no `name`"),
    "query as a number": ('{"query": 1, "answers": [{}]}', "`query` is not text but the number 1"),
    "parameter as text": (
        '{"query": "a", "answers": [{"name": "f"}], "tools": [{"name": "f", "parameters": {"x": "str"}}]}',
        "the parameter 'x' of a tool is not an object",
    ),
    "output as a list": ('{"instruction": "a", "output": []}', "`output` is not text but a list"),
    "broken history": ('{"instruction": "a", "output": "b", "history": ["x"]}', "`history` is not a list of pairs"),
    "null completion": ('{"prompt": "a", "completion": null}', "its keys are 'prompt', 'completion' (null)"),
    "text and messages": ('{"prompt": "a", "completion": []}', "must both be text, or both be lists"),
    "completion of a question": (
        '{"prompt": [], "completion": [{"role": "user", "content": "a"}]}',
        "`completion` holds no assistant message",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_a_broken_line_stops_nothing(tmp_path: Path, name: str) -> None:
    record, reason = LINES[name]
    broken = record.encode() if isinstance(record, str) else record
    path = tmp_path / "chats.jsonl"
    path.write_bytes(b"\n".join([GOOD.encode(), broken, GOOD.encode(), b""]))
    first, bad, last = scan(path)
    assert first.conversation == last.conversation is not None
    assert (first.where, bad.where, last.where) == (f"{path}:1", f"{path}:2", f"{path}:3")
    assert bad.conversation is None and bad.problem is not None
    assert reason in bad.problem
    assert _is_one_sentence_with_a_step(bad.problem)
    with pytest.raises(UserError) as caught:
        list(read(path))
    assert str(caught.value) == f"{bad.where}: {bad.problem}"


def _is_one_sentence_with_a_step(problem: str) -> bool:
    reason, _, step = problem.rpartition("; ")
    return bool(reason) and len(step.split()) >= 2 and problem.endswith(".") and "\n" not in problem


def _gzip(content: str) -> bytes:
    return gzip.compress(content.encode(), mtime=0)


LONG = "".join(f'{GOOD[:-1]}, "id": "{number * 7919 % 10007}"}}\n' for number in range(3000))
# A whole file: (bytes, good records, place of the problem, reason).
FILES: dict[str, tuple[bytes, int, str, str]] = {
    "UTF-16": (GOOD.encode("utf-16"), 0, ":1", "UTF-16 text; save it as UTF-8"),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), 0, ":1", "it holds NUL bytes"),
    "binary": (bytes(range(256)) * 40, 0, ":1", "it holds NUL bytes"),
    "zip": (b"PK\x03\x04" + bytes(100), 0, ":1", "a zip archive"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(100), 0, ":1", "compressed with zstd"),
    "Arrow": (b"ARROW1\0\0" + bytes(100), 0, ":1", "an Arrow file; save it as Parquet"),
    "truncated gzip": (_gzip(LONG)[:-1000], -1, "", "cannot be read from here on (Compressed file ended"),
    "damaged gzip": (_gzip(GOOD)[:-8] + bytes(8), 0, ":1", "cannot be read from here on (CRC check failed"),
    "gzip of nothing but a head": (_gzip(GOOD)[:12], 0, ":1", "cannot be read from here on"),
    "array, unclosed": (f"[{GOOD},\n{GOOD}".encode(), 2, ":2", "not JSON (Expecting ',' or ']'"),
    "array, cut in a record": (f"[{GOOD},\n{GOOD[:-9]}".encode(), 1, ":2", "not JSON (Unterminated string"),
    "array with a trailing comma": (f"[{GOOD},\n]".encode(), 1, ":2", "not JSON (Illegal trailing comma at column 1"),
    "array without a comma": (f"[{GOOD}\n{GOOD}]".encode(), 1, ":2", "not JSON (Expecting ',' or ']' at column 1"),
    "array with two commas": (f"[{GOOD},,{GOOD}]".encode(), 1, ":1", "not JSON (Expecting value"),
    "array with more after it": (f"[{GOOD}]\n{GOOD}".encode(), 1, ":2", "not JSON (Extra data at column 1"),
    "array with a broken record": (f"[{GOOD},\n {{oops}}]".encode(), 1, ":2", "not JSON (Expecting property name enclosed in double quotes at column 3"),
    "array with Latin-1": (f'[{GOOD},\n{{"a": "café"}}]'.encode("latin-1"), 1, ":2", "not UTF-8 text (invalid continuation byte"),
    "array in a truncated gzip": (_gzip("[" + LONG.replace("\n", ",\n")[:-2] + "]")[:-1000], -1, "", "cannot be read from here on"),
    "array nested too deeply": (f"[{GOOD},\n".encode() + b"[" * 100_000, 1, ":2", "nested too deeply"),
    "array with NaN": (f'[{GOOD},\n{{"a": NaN}},\n{GOOD}]'.encode(), 2, ":2 (record 2)", "NaN is no JSON number"),
    "array with a key twice": (f'[{GOOD},\n{{"a": 1, "a": 2}},\n{GOOD}]'.encode(), 2, ":2 (record 2)", "the key 'a' stands twice"),
    "array with half a pair": (f'[{GOOD},\n{{"a": "\\ud800"}},\n{GOOD}]'.encode(), 2, ":2 (record 2)", "half of a surrogate pair"),
    "array with a number": (f"[{GOOD},\n17,\n{GOOD}]".encode(), 2, ":2 (record 2)", "this is the number 17"),
    "indented object in a wrapper": (b'{\n  "data": []\n}', 0, ":1 (record 1)", "its keys are 'data'"),
    "indented object, cut": (b'{\n  "messages": [\n', 0, ":3", "not JSON (Expecting value"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_gives_what_can_be_read_of_it(tmp_path: Path, name: str) -> None:
    content, good, place, reason = FILES[name]
    path = tmp_path / "chats.data"
    path.write_bytes(content)
    records = list(scan(path))
    (bad,) = [record for record in records if record.conversation is None]
    assert bad.problem is not None and reason in bad.problem
    assert bad.where == f"{path}{place}" if place else bad.where.startswith(f"{path}:")
    assert _is_one_sentence_with_a_step(bad.problem.removesuffix(" The rest of this file was not read."))
    if good >= 0:
        assert len(records) - 1 == good
    else:  # what the damaged part held is lost, and the line says how far reading came
        assert int(bad.where.rpartition(":")[2]) > 1000 and len(records) > 1000


def test_a_gigantic_line_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LIMIT", 4096)
    gigantic = GOOD.replace("hello", "a" * 5_000_000)
    path = tmp_path / "chats.jsonl"
    path.write_text(f"{GOOD}\n{gigantic}\n{GOOD}\n")
    _, bad, last = scan(path)
    assert last.conversation is not None and last.where == f"{path}:3"
    assert bad.where == f"{path}:2" and bad.problem is not None
    assert "a record takes at most 0.00390625 MiB, but this one is longer; split or delete it" in bad.problem


def test_a_gigantic_record_of_an_array_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LIMIT", 2**20)
    path = tmp_path / "chats.json"
    path.write_text(f"[{GOOD},\n{GOOD.replace('hello', 'a' * 5_000_000)},\n{GOOD}]")
    first, bad = scan(path)
    assert first.conversation is not None
    assert bad.where == f"{path}:2" and bad.problem is not None
    assert "a record takes at most 1 MiB" in bad.problem and "was not read" in bad.problem


def _nothing(folder: Path) -> str:
    return str(folder / "absent.jsonl")


def _empty_folder(folder: Path) -> str:
    return str(folder)


def _empty_glob(folder: Path) -> str:
    return str(folder / "*.jsonl")


def _parquet(folder: Path) -> str:
    (folder / "a.parquet").write_bytes(b"PAR1" + bytes(100))
    return str(folder / "a.parquet")


def _renamed(folder: Path) -> str:
    (folder / "b.parquet").write_text(GOOD)
    return str(folder / "b.parquet")


SOURCES: dict[str, tuple[Callable[[Path], str], str]] = {
    "missing file": (_nothing, "there is no such file; check the path"),
    "empty folder": (_empty_folder, "the folder holds no file that ends in .jsonl"),
    "empty glob": (_empty_glob, "no file matches this pattern; check it"),
    "broken Parquet": (_parquet, "not a whole Parquet file"),
    "JSON that is called Parquet": (_renamed, "not a whole Parquet file"),
    "hub name without a name": (lambda _: "hf:", "is named hf:owner/name[:split][@revision]; mend the name"),
    "hub folder that is missing": (lambda folder: f"hf:{folder}/none", "the data set cannot be opened"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    make, reason = SOURCES[name]
    source = make(tmp_path)
    with pytest.raises(UserError) as caught:
        list(scan(source))
    assert str(caught.value).startswith(f"{source}: ") and reason in str(caught.value)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_an_unknown_format_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no format 'sharegtp'; did you mean 'sharegpt'"):
        list(scan(tmp_path, "sharegtp"))


def test_a_record_of_another_format_than_the_named(tmp_path: Path) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_text(GOOD)
    (bad,) = scan(path, "alpaca")
    assert bad.problem == (
        "format alpaca has `instruction` and `output`, but its keys are 'messages'; name its own format."
    )


def test_there_are_enough_of_them() -> None:
    assert len(LINES) + len(FILES) + len(SOURCES) >= 60


@pytest.mark.parametrize("content", [b'{"messages": [', b"", GOOD.encode("utf-16")])
def test_the_command_line_exits_with_2(base: Path, tmp_path: Path, content: bytes, forge: Forge) -> None:
    path = tmp_path / "chats.jsonl"
    path.write_bytes(content)
    recipe = {
        "name": "broken",
        "base": base.name,
        "data": {"train": [str(path)]},
        "train": {"steps": 1},
        "output": str(tmp_path / "out"),
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    done = forge.run("finetune", "train", tmp_path / "recipe.yaml")
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and str(path) in last
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()
