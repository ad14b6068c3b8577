"""`finetune validate` on preferences: counted as training will, with every problem of prompt and answers."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from data.sources import Source
from finetune.preferences import prepare_pairs
from finetune.render import open_renderer
from finetune.validate import pool
from finetune.validate.command import validate
from tests.finetune.refusing import WORD, refusing_base

SAMPLES = Path(__file__).parents[3] / "data" / "samples"
BASE = "smollm2-135m-instruct-awq"
KEY = "AKIA" + "Q3EGRZ7PLMWX5T2B"
PAIR = {"prompt": "How are you?", "chosen": "Well.", "rejected": "Badly."}


def run(tmp_path: Path, *sources: Path | str, heldout: list[Path] | None = None, **more: Any) -> Any:
    out = tmp_path / "out.json"
    aside = [str(one) for one in heldout or []]
    code = validate([str(one) for one in sources], aside, more.get("base"), more.get("strict", False), out)
    return code, json.loads(out.read_text())


def written(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def recipe(folder: Path, train: list[Any], **data: Any) -> Path:
    path = folder / "recipe.yaml"
    body = {"name": "x", "base": BASE, "method": "dpo", "data": {"train": train} | data}
    path.write_text(yaml.safe_dump(body | {"train": {"epochs": 1}}))
    return path


def words(name: str, count: int = 40) -> str:
    return " ".join(f"{name}{number}" for number in range(count))


def answer(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def asked(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def calling(name: str) -> dict[str, Any]:
    function = {"name": name, "arguments": "{}"}
    return {
        "role": "assistant",
        "tool_calls": [{"id": "abcdefgh1", "type": "function", "function": function}],
    }


def test_tokens_are_those_of_both_rows(base: Path, tmp_path: Path) -> None:
    """Against the base's tokenizer alone, with ChatML written out by hand."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    source = written(
        tmp_path / "a.jsonl",
        PAIR | {"prompt": [{"role": "system", "content": "Be brief."}, asked("How are you?")]},
    )
    code, report = run(tmp_path, source, base=BASE)
    (counts,) = report["sources"]
    prompt = count(
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHow are you?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    answers = count("Well.<|im_end|>") + count("Badly.<|im_end|>")
    assert (code, report["found"], counts["kind"]) == (0, {}, "preference")
    assert (counts["conversations"], counts["targets"], counts["rows"]) == (1, 1, 1)
    assert (counts["tokens"], counts["learnt_tokens"]) == (2 * prompt + answers, answers)


def test_a_recipe_is_counted_as_it_will_be_trained(base: Path, tmp_path: Path) -> None:
    file, limit = str(SAMPLES / "preferences.jsonl"), 300
    sources, renderer = [Source(path=file)], open_renderer(base)
    made = prepare_pairs(sources, renderer, limit).entry
    code, report = run(tmp_path, recipe(tmp_path, [file], max_length=limit, limits={"dropped": 1}))
    (counts,) = report["sources"]
    assert code == 0 and (counts["tokens"], counts["learnt_tokens"]) == (made.tokens, made.learnt_tokens)
    assert counts["dropped"] == made.dropped and made.dropped[f"longer than {limit} tokens"] > 1
    assert report["found"]["too_long"] == made.dropped[f"longer than {limit} tokens"]
    first = next(one for one in report["findings"] if one["kind"] == "too_long")
    enough = int(first["message"].partition(" tokens")[0])
    assert enough > limit and f"set data.max_length to {enough} or more" in first["message"]


def test_the_split_keeps_a_prompt_on_one_side_as_training_does(base: Path, tmp_path: Path) -> None:
    rows = [
        PAIR | {"prompt": words(f"q{n}x"), "chosen": f"yes {time}"} for n in range(50) for time in range(3)
    ]
    source = written(tmp_path / "a.jsonl", *rows)
    made = prepare_pairs([Source(path=str(source))], open_renderer(base), 1024, heldout=0.5, split_seed=3)
    aside = made.entry.heldout
    _, report = run(tmp_path, recipe(tmp_path, [str(source)], heldout=0.5, split_seed=3))
    assert aside is not None and aside.conversations == 3 * aside.groups
    assert report["sources"][0]["held_out"] == aside.conversations


def test_the_kind_of_a_file_is_told_by_its_first_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trl = written(tmp_path / "trl.jsonl", PAIR)
    # A table fills the columns of other formats with nulls.
    empty = {"chosen": None, "rejected": None, "preferred_output": None}
    chat = written(tmp_path / "chat.jsonl", {"messages": [asked("a"), answer("b")]} | empty)
    _, report = run(tmp_path, SAMPLES / "preferences.jsonl", trl, chat)
    kinds = [source["kind"] for source in report["sources"]]
    assert kinds == ["preference", "preference", "conversation"] and report["found"] == {}
    assert [source["conversations"] for source in report["sources"]] == [120, 1, 1]
    assert "conversations and preferences" in capsys.readouterr().out


def test_processes_find_what_one_process_finds(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [SAMPLES / "preferences.jsonl", written(tmp_path / "bad.jsonl", PAIR, {"chosen": "a"}, PAIR)]
    alone = run(tmp_path, *files, base=BASE)
    monkeypatch.setattr(pool, "_ALONE", 2)
    monkeypatch.setattr("finetune.validate.command.CHUNK", 16)
    assert run(tmp_path, *files, base=BASE) == alone
    assert alone[0] == 2 and alone[1]["found"] == {"unreadable": 1, "duplicate": 1}


SYSTEM = {"role": "system", "content": "Be brief."}
BROKEN: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no rejected answer": (
        {"input": {"messages": [asked("a")]}, "preferred_output": [answer("b")]},
        "unreadable",
        "a.jsonl:2",
        "a preference has",
    ),
    "the same answer twice": (PAIR | {"rejected": "Well."}, "unreadable", "a.jsonl:2", "the same answer"),
    "broken prompt": (
        PAIR | {"prompt": [asked("a"), answer("b"), SYSTEM, asked("c")]},
        "role_order",
        ":2: message 3",
        "a system message follows",
    ),
    "chosen call of no tool": (
        PAIR | {"chosen": [calling("f")]},
        "unknown_tool",
        ":2: chosen",
        "'f' is called",
    ),
    "empty chosen": (PAIR | {"chosen": " "}, "empty_target", ":2: chosen", "neither text nor a call"),
    "secret in the prompt": (PAIR | {"prompt": f"Is it {KEY}?"}, "secret", ":2: message 1", "AWS"),
    "secret in chosen": (PAIR | {"chosen": f"It is {KEY}."}, "secret", ":2: chosen", "AWS"),
    "secret in rejected": (PAIR | {"rejected": f"It is {KEY}."}, "secret", ":2: rejected", "AWS"),
    "a refused word": (PAIR | {"rejected": WORD}, "not_renderable", ":2", "with the rejected answer"),
}

ERRORS = {"unreadable", "role_order", "not_renderable"}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_preferences(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    refusing_base(tmp_path / "home", base)
    monkeypatch.setenv("ENXERTO_HOME", str(tmp_path / "home"))
    record, kind, where, reason = BROKEN[name]
    # So many sound ones that the share of what is left out stays within its limit.
    sound = [{"prompt": words(f"q{n}"), "chosen": words(f"c{n}"), "rejected": "no"} for n in range(12)]
    source = written(tmp_path / "a.jsonl", sound[0], record, *sound[1:])
    code, report = run(tmp_path, source, base=BASE)
    assert report["found"] == {kind: 1}
    (finding,) = report["findings"]
    assert finding["kind"] == kind and finding["where"].endswith(where) and reason in finding["message"]
    assert code == (2 if kind in ERRORS else 0)
    assert KEY not in json.dumps(report)


def test_a_rejected_answer_may_call_what_is_not_there(tmp_path: Path) -> None:
    source = written(tmp_path / "a.jsonl", PAIR | {"rejected": [calling("f")]})
    assert run(tmp_path, source, strict=True)[0] == 0


def test_duplicates_share_both_answers(tmp_path: Path) -> None:
    pair = {"prompt": words("q"), "chosen": words("c"), "rejected": words("r")}
    another = pair | {"rejected": words("x")}
    spelt = pair | {"id": "other", "chosen": words("c").replace(" ", "  ")}
    _, report = run(tmp_path, written(tmp_path / "a.jsonl", pair, another, spelt))
    (finding,) = report["findings"]
    assert finding["kind"] == "duplicate" and finding["where"] == f"{tmp_path}/a.jsonl:3"
    assert f"the same as {tmp_path}/a.jsonl:1" in finding["message"]


def test_held_out_answers_that_are_learnt(tmp_path: Path) -> None:
    """A held-out pair or conversation is known where its answer is a chosen one, not a rejected one."""
    pair = {"prompt": words("q"), "chosen": words("c"), "rejected": words("r")}
    trained = written(tmp_path / "a.jsonl", pair)
    pairs = written(
        tmp_path / "pairs.jsonl", pair, pair | {"rejected": words("x")}, pair | {"chosen": words("x")}
    )
    chats = written(
        tmp_path / "chats.jsonl",
        {"messages": [asked(words("q")), answer(words("c"))]},
        {"messages": [asked(words("q")), answer(words("r"))]},
    )
    code, report = run(
        tmp_path, recipe(tmp_path, [str(trained)], limits={"overlap": 1}), heldout=[pairs, chats]
    )
    assert code == 0
    assert [(one["kind"], one["where"]) for one in report["findings"]] == [
        ("overlap", f"{pairs}:1"),
        ("overlap", f"{pairs}:2"),
        ("overlap", f"{chats}:1"),
    ]


def test_limits_speak_of_what_the_sources_hold(tmp_path: Path) -> None:
    source = written(tmp_path / "a.jsonl", PAIR, PAIR, PAIR)
    code, report = run(tmp_path, recipe(tmp_path, [str(source)], limits={"duplicates": 0.5}))
    assert code == 2
    assert report["findings"][-1]["message"].startswith("66.7% of the preferences repeat another one, and")


def test_a_recipe_of_another_method_reads_nothing(tmp_path: Path) -> None:
    chats = written(tmp_path / "a.jsonl", {"messages": [asked("a"), answer("b")]})
    code, report = run(tmp_path, recipe(tmp_path, [str(chats)]))
    assert code == 2 and report["found"] == {"unreadable_source": 1}
    message = report["findings"][0]["message"]
    assert "its first record is a conversation" in message and "set `method: sft`" in message


def test_a_named_format_is_an_error(tmp_path: Path) -> None:
    source = written(tmp_path / "a.jsonl", PAIR)
    path = recipe(tmp_path, [{"path": str(source), "format": "openai"}])
    code, report = run(tmp_path, path)
    assert code == 2 and report["found"] == {"unreadable_source": 1}
    assert report["findings"][0]["message"].startswith("preferences are told apart by their keys, but")
