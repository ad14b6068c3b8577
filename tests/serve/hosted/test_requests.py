"""Every request that the hosted endpoint's schema accepts is accepted, within the documented bounds."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.routes.fields import FIELDS, MAX_CHOICES
from tests.serve import tiny
from tests.serve.hosted.strategies import SCHEMA, VALIDATOR, requests


@pytest.mark.parametrize("examples", [150, pytest.param(5000, marks=pytest.mark.slow)])
def test_what_the_schema_accepts_is_accepted(tmp_path: Path, examples: int) -> None:
    server = tiny.make_server(tmp_path / "registry", tiny.make_base(tmp_path / "base"))
    with TestClient(server.app) as http:

        @settings(
            max_examples=examples,
            derandomize=examples < 1000,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(body=requests(st.integers(1, 2**53), MAX_CHOICES))
        def accepted(body: dict[str, Any]) -> None:
            VALIDATOR.validate(body)
            answer = http.post("/v1/chat/completions", json=body, headers=server.headers)
            assert answer.status_code == 200, answer.text
            if not body.get("stream"):
                message = answer.json()["choices"][0]["message"]
                assert message["tool_calls"] == []
                assert message["reasoning_content"] is None

        accepted()


def test_every_field_of_the_schema_is_in_the_table() -> None:
    assert SCHEMA["properties"].keys() <= FIELDS.keys()
    assert not any(field.fate == "ignored" for name, field in FIELDS.items() if name in SCHEMA["properties"])
