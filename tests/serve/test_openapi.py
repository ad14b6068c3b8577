"""Every route answers as the OpenAPI document says, whatever comes: the requests are made up from it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from data.manifest import ADAPTER_FILES
from serve.registry.fsck import fsck
from serve.routes.fields import IGNORED, OURS, PASSED_ON
from tests.serve import tiny
from tests.serve.test_auth import NEEDED, OPEN
from tests.serve.test_client import listening
from tests.serve.test_registry import UPLOAD
from tests.serve.tiny import TinyServer

ROUTES = sorted((set(NEEDED) | OPEN) - {("GET", "/openapi.json")})
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]

ODD = ("\0", '"\r\nx: y', "a/../b", 2**31, 2**63)
"""Values that some database, header or path may not hold."""


@pytest.fixture
def server(tmp_path: Path, database_url: str) -> TinyServer:
    """With three versions of two adapters, aliases, an open upload and a second key."""
    base = tiny.make_base(tmp_path / "base")
    server = tiny.make_server(tmp_path / "registry", base, database=database_url)
    for seed, name in enumerate(("support", "support", "sql")):
        adapter = tiny.make_adapter(tmp_path / str(seed) / "adapter", base, seed)
        server.registry.add(name, tiny.check_adapter(adapter, base))
        server.registry.set_alias(name, "default", 1)
    server.registry.set_alias("support", "canary", 2)
    server.registry.storage.keys.create("shop", ["chat"])
    return server


@pytest.fixture
def document(tmp_path: Path) -> Iterator[dict[str, Any]]:
    server = tiny.make_server(tmp_path / "registry", tiny.make_base(tmp_path / "base"))
    with TestClient(server.app) as http:
        yield http.get("/openapi.json", headers=server.headers).json()


@pytest.mark.parametrize("examples", [12, pytest.param(460, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_route_keeps_to_the_document(server: TinyServer, method: str, path: str, examples: int) -> None:
    there = {
        "adapter": ["support", "sql"],
        "version": [1, 2],
        "alias": ["default", "canary"],
        "file": list(ADAPTER_FILES),
        "upload": [server.registry.staging.create(UPLOAD)[0]],
        "name": ["shop"],
        "model": ["support", "support:canary", "support@2", server.app.state.settings.base.name],
    }
    with listening(server.app) as url, requests.Session() as session:
        operation = schemathesis.openapi.from_url(f"{url}/openapi.json", headers=server.headers)[path][method]

        @settings(
            max_examples=examples,
            derandomize=examples <= 12,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(data=st.data(), case=_cases(operation), keyed=st.integers(0, 19).map((7).__ne__))
        def keeps(data: st.DataObject, case: Any, keyed: bool) -> None:
            for values in (case.path_parameters, case.body):
                for name in sorted(there.keys() & (values.keys() if isinstance(values, dict) else set())):
                    if data.draw(st.booleans()):
                        values[name] = data.draw(st.sampled_from([*there[name], *ODD]))
            headers = server.headers if keyed else {"authorization": "Bearer enx_" + "a" * 43}
            answer = case.call(base_url=url, session=session, headers=headers)
            case.validate_response(answer, checks=CHECKS)
            assert keyed or answer.status_code == 401 or (method, path) in OPEN

        keeps()
        assert requests.get(f"{url}/v1/keys", headers=server.headers, timeout=30).ok
    assert fsck(server.registry.storage).problems == []


def _cases(operation: Any) -> st.SearchStrategy[Any]:
    """Requests that fit the document, and, where there is anything to get wrong, others."""
    modes = [GenerationMode.POSITIVE]
    if operation.body or operation.path_parameters or operation.query:
        modes.append(GenerationMode.NEGATIVE)
    return st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])


def test_every_route_is_described_with_an_example(document: dict[str, Any]) -> None:
    told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert told == set(ROUTES)
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            assert operation["description"], path
            for parameter in operation.get("parameters", []):
                assert parameter["description"], (path, parameter["name"])
                assert parameter["in"] != "path" or parameter["schema"]["examples"]
            list(_examples(document, operation))  # fails where there is none


def test_the_examples_are_what_the_document_says(document: dict[str, Any]) -> None:
    found = 0
    for methods in document["paths"].values():
        for operation in methods.values():
            for schema, example in _examples(document, operation):
                whole = {"components": document["components"], "allOf": [schema]}
                jsonschema.Draft202012Validator(whole).validate(example)
                found += 1
    assert found > len(ROUTES)


def _examples(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each schema of a JSON body with an example of it: the request's, and those of answers without error."""
    answers = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    for body in [operation.get("requestBody", {}), *answers]:
        if told := body.get("content", {}).get("application/json"):
            schema = told["schema"]
            name = schema.get("$ref", "").rpartition("/")[2]
            shape = document["components"]["schemas"][name] if name else schema
            given = [told["example"]] if "example" in told else shape["examples"]
            yield from ((schema, example) for example in given)


def test_the_document_has_the_fields_that_a_chat_may_send(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]
    assert set(body["schema"]["properties"]) == OURS | PASSED_ON | IGNORED
