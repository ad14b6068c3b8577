"""Broken data of all kinds: each is named with its place, the reason and the next step; none is a crash."""

import json
from pathlib import Path
from typing import Any

import pytest

from finetune.validate import table
from finetune.validate.command import validate
from finetune.validate.tally import SEVERITY

USER = {"role": "user", "content": "hi"}
ANSWER = {"role": "assistant", "content": "hello"}
GOOD = {"messages": [USER, ANSWER]}
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}}},
}
RESULT = {"role": "tool", "content": "42", "tool_call_id": "abcdefgh1"}
KEY = "AKIA" + "Q3EGRZ7PLMWX5T2B"


def call(identity: str = "abcdefgh1", name: str = "f", arguments: str = '{"n": 1}') -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def calling(*made: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": list(made) or [call()], **more}


def chat(*messages: dict[str, Any], **more: Any) -> str:
    return json.dumps({"messages": messages, "tools": [TOOL], **more})


ERRORS: dict[str, tuple[str | bytes, str, str]] = {
    "truncated": ('{"messages": [', "unreadable", "not JSON"),
    "no object": ("42", "unreadable", "JSON object"),
    "unknown keys": ('{"text": "a"}', "unreadable", ""),
    "unknown role": (chat({"role": "robot", "content": "a"}), "unreadable", "message 1 is from"),
    "content is a number": (
        chat({"role": "user", "content": 3}),
        "unreadable",
        "message 1 holds the number 3",
    ),
    "no messages": ('{"messages": []}', "unreadable", "holds no message"),
    "arguments are no object": (chat(USER, calling(call(arguments="[1]"))), "unreadable", "not an object"),
    "latin-1": (json.dumps(GOOD).encode().replace(b"hello", b"ol\xe1"), "unreadable", "UTF-8"),
    "binary": (bytes([0, 159, 146, 150]) * 8, "unreadable", ""),
    "tool after user": (chat(USER, RESULT, ANSWER), "role_order", "after a user message"),
    "tool first": (chat(RESULT, USER, ANSWER), "role_order", "first"),
    "assistant first": (chat(ANSWER, USER, ANSWER), "role_order", "opens the conversation"),
    "two answers": (chat(USER, ANSWER, ANSWER), "role_order", "another assistant message"),
    "system in the middle": (
        chat(USER, ANSWER, {"role": "system", "content": "x"}, USER, ANSWER),
        "role_order",
        "",
    ),
    "result without call": (chat(USER, ANSWER, RESULT, ANSWER), "orphan_result", "nowhere before"),
    "result of another call": (
        chat(USER, calling(), RESULT | {"tool_call_id": "zzzzzzzz9"}, ANSWER),
        "orphan_result",
        "zzzzzzzz9",
    ),
    "two results": (chat(USER, calling(), RESULT, RESULT, ANSWER), "orphan_result", "answered"),
    "call without result": (chat(USER, calling(), USER, ANSWER), "unanswered_call", "no result"),
    "one result of two": (
        chat(USER, calling(call(), call("abcdefgh2")), RESULT, ANSWER),
        "unanswered_call",
        "abcdefgh2",
    ),
    "equal ids": (chat(USER, calling(call(), call())), "duplicate_call_id", "stands twice"),
    "broken schema": (
        chat(USER, ANSWER, tools=[{"function": {"name": "f", "parameters": {"type": "x"}}}]),
        "tool_schema",
        "no JSON schema",
    ),
    "tool with a blank": (
        chat(USER, ANSWER, tools=[{"function": {"name": "a b"}}]),
        "tool_name",
        "function name",
    ),
}

WARNINGS: dict[str, tuple[str | bytes, str, str]] = {
    "late system": (chat(USER, {"role": "system", "content": "x"}, ANSWER), "late_system", "user message"),
    "unknown tool": (chat(USER, calling(call(name="g"))), "unknown_tool", "'g' is called"),
    "wrong type": (chat(USER, calling(call(arguments='{"n": "x"}'))), "invalid_arguments", "rule `type`"),
    "tool twice": (chat(USER, ANSWER, tools=[TOOL, TOOL]), "duplicate_tool", "defined twice"),
    "blank target": (
        chat(USER, {"role": "assistant", "content": " "}),
        "empty_target",
        "neither text nor a call",
    ),
    "only weight 0": (chat(USER, ANSWER | {"weight": 0}), "no_target", "weight 0"),
    "no answer": (chat(USER), "no_target", "no assistant message"),
    "secret said": (
        chat(USER, {"role": "assistant", "content": f"It is {KEY}."}),
        "secret",
        "AWS access key",
    ),
    "secret in a call": (chat(USER, calling(call(arguments=json.dumps({"k": KEY})))), "secret", "message 2"),
    "secret in a tool": (
        chat(USER, ANSWER, tools=[{"function": {"name": "f", "description": KEY}}]),
        "secret",
        "tool 1",
    ),
    "the same again": (json.dumps(GOOD | {"id": "other"}), "duplicate", "the same as"),
}


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize(
    ("line", "kind", "reason", "is_error"),
    [
        *(pytest.param(*case, True, id=name) for name, case in ERRORS.items()),
        *(pytest.param(*case, False, id=name) for name, case in WARNINGS.items()),
    ],
)
def test_broken_records(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: str | bytes,
    kind: str,
    reason: str,
    is_error: bool,
    strict: bool,
) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    source, out = tmp_path / "chats.jsonl", tmp_path / "out.json"
    source.write_bytes(json.dumps(GOOD).encode() + b"\n" + raw + b"\n")
    with source.open("a") as file:
        # So many sound ones that the share of what is left out stays within its limit.
        file.writelines(chat(USER, ANSWER | {"content": f"Hello, {n}!"}) + "\n" for n in range(20))
    code = validate([str(source)], [], None, strict, out)
    report = json.loads(out.read_text())
    found = next(one for one in report["findings"] if one["kind"] == kind)
    assert found["where"].startswith(f"{source}:2") and found["severity"] == (
        "error" if is_error else "warning"
    )
    assert reason in found["where"] + found["message"]
    assert "; " in found["message"] and found["message"].endswith(".")
    assert report["sources"][0]["found"][kind] == report["found"][kind]
    assert code == (2 if is_error or strict else 0)
    said = capsys.readouterr().out
    assert f"{source}:2" in said and found["message"] in said and KEY not in said
    assert KEY not in out.read_text()


@pytest.mark.parametrize(
    ("content", "kind"),
    [(None, "unreadable_source"), (b"", "empty_source"), (b"[]", "empty_source"), (b"\n\n", "empty_source")],
)
def test_broken_sources_fail_and_the_others_are_still_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, kind: str
) -> None:
    bad, good, out = tmp_path / "bad.jsonl", tmp_path / "good.jsonl", tmp_path / "out.json"
    if content is not None:
        bad.write_bytes(content)
    good.write_text(json.dumps(GOOD) + "\n")
    assert validate([str(bad), str(good)], [], None, False, out) == 2
    report = json.loads(out.read_text())
    assert report["found"] == {kind: 1}
    assert [source["conversations"] for source in report["sources"]] == [0, 1]
    assert f"{bad}: " in capsys.readouterr().out


def test_notes_never_fail(tmp_path: Path) -> None:
    source, out = tmp_path / "chats.jsonl", tmp_path / "out.json"
    calls = calling(call("call_one"), call("call_two"))
    results = [RESULT | {"tool_call_id": "call_two"}, RESULT | {"tool_call_id": "call_one"}]
    source.write_text(chat(USER, calls, *results, ANSWER) + "\n")
    assert validate([str(source)], [], None, True, out) == 0
    report = json.loads(out.read_text())
    assert report["findings"] == []
    assert report["sources"][0]["found"] == {"mapped_id": 2, "reordered_results": 1}


def test_data_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "chats.jsonl"
    source.write_text(chat(USER, calling(call(name="\x1b[2J\x07[bold]g"))) + "\n")
    validate([str(source)], [], None, False, None)
    said = capsys.readouterr().out
    assert "\x1b[2J" not in said and "\x07" not in said and "[bold]g" in said


def test_every_kind_has_a_heading() -> None:
    assert set(table._HEADINGS) == set(SEVERITY)
