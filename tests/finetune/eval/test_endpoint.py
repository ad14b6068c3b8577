"""Who answers at an address, through which proxy, and what is kept when it goes away."""

from pathlib import Path

import pytest

from data.errors import UserError
from finetune.eval.command import evaluate
from finetune.eval.endpoint import RefusedError, _may_pass, _proxy
from tests.finetune.eval.conftest import DIGEST
from tests.finetune.eval.endpoint import (
    Fake,
    Message,
    serving,
    words,
)

OUT = Path("out")
MODELS = ["base", "support"]


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:8080")
    monkeypatch.setenv("no_proxy", "example.org,127.0.0.1")
    assert _proxy("http://models.example/v1") == "http://proxy:8080"
    assert _proxy("http://example.org") is None
    assert _proxy("http://127.0.0.1:8321") is None


def test_a_busy_endpoint_says_how_long_to_wait(suite: Path, fake: Fake) -> None:
    busy = RefusedError(429, "busy", wait_s=7)
    assert (_may_pass(busy), _may_pass(RefusedError(503, "busy")), _may_pass(RefusedError(400, ""))) == (
        7,
        True,
        False,
    )


def test_nobody_at_the_address(suite: Path) -> None:
    with pytest.raises(UserError, match=r"nobody answers at http://127\.0\.0\.1:9 .*serve up"):
        evaluate(suite, MODELS, "http://127.0.0.1:9", OUT)


def test_the_address_may_end_in_v1(suite: Path, fake: Fake) -> None:
    assert evaluate(suite, ["base"], fake.url + "/v1/", OUT).endpoint == fake.url


def test_an_endpoint_that_goes_away_keeps_what_it_answered(suite: Path) -> None:
    seen = 0

    def reply_and_end(adapter: str | None, text: str) -> Message:
        nonlocal seen
        seen += 1
        if seen == 8:
            going.stop()
        return words("going")

    with (
        serving(Fake(reply=reply_and_end, adapters={"support": DIGEST}, delay_s=0.2)) as going,
        pytest.raises(UserError, match=r"(?s)nobody answers.*of 14 answers are kept; run the same"),
    ):
        evaluate(suite, MODELS, going.url, OUT)
    kept = len((OUT / "answers.jsonl").read_bytes().splitlines())
    assert 0 < kept < 14
    with serving(Fake(adapters={"support": DIGEST})) as back:
        assert evaluate(suite, MODELS, back.url, OUT).reused == kept
