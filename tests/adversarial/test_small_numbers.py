"""Finding 25: a number that is 0 to the engine made its logits infinite."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from serve.engine.vllm_terms import SMALLEST_TOP_P, in_vllms_terms
from tests.serve import tiny
from tests.serve.test_adapter_routes import error

MESSAGES = [{"role": "user", "content": "Hello."}]


@pytest.mark.parametrize("penalty", [1e-300, 1e-40, 5e-324, 0, 0.0099, -0.0])
def test_a_repetition_penalty_of_next_to_nothing_is_refused(tmp_path: Path, penalty: float) -> None:
    server = tiny.make_server(tmp_path / "registry", tiny.make_base(tmp_path / "base"))
    body = {"messages": MESSAGES, "repetition_penalty": penalty}
    refused = TestClient(server.app).post("/v1/chat/completions", json=body, headers=server.headers)
    assert "send at least 0.01" in error(refused, 400, "invalid_request")
    body["repetition_penalty"] = 0.01
    assert TestClient(server.app).post("/v1/chat/completions", json=body, headers=server.headers).is_success
    server.registry.close()


@pytest.mark.parametrize("share", [0, 1e-300, 5e-324, 1e-46])
def test_a_top_p_of_next_to_nothing_is_the_likeliest_token_alone(share: float) -> None:
    body: dict[str, Any] = {"messages": MESSAGES, "top_p": share}
    assert in_vllms_terms(body, 8192, mistral=False)["top_p"] == SMALLEST_TOP_P
