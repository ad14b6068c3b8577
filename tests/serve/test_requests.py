"""Chat requests as clients send them: what is taken, what is refused, where, and what to do instead."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from openai.types.chat import completion_create_params

from serve.errors import ApiError
from serve.routes.bounds import SCHEMA, check_bounds
from serve.routes.fields import FIELDS
from serve.routes.foreign import FOREIGN, NESTED
from serve.routes.tools import check_schemas
from tests.serve import tiny
from tests.serve.talking import add
from tests.serve.tiny import Base, TinyServer

HELLO: dict[str, Any] = {"role": "user", "content": "Hello"}
OPENAIS = sorted(completion_create_params.CompletionCreateParamsBase.__annotations__.keys() | {"stream"})
"""Every field of OpenAI's own client."""


def read(**fields: Any) -> dict[str, Any]:
    return check_bounds({"messages": [HELLO], **fields})


def refused(**fields: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(**fields)
    assert caught.value.status == 400
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 1000
    return caught.value


def function(**members: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "look", **members}}


# Null is as good as absent.


def test_openais_fields_are_many() -> None:
    assert {"messages", "web_search_options", "verbosity", "functions"} <= set(OPENAIS)


@pytest.mark.parametrize(
    "name", [*(one for one in OPENAIS if one != "messages"), *FOREIGN, "made_up", "think_harder"]
)
def test_every_field_may_be_null(name: str) -> None:
    assert read(**{name: None}) == {"messages": [HELLO]}


def test_null_is_absent_at_every_depth() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}", "made_up": None}}
    messages = [
        HELLO | {"name": None, "tool_calls": None, "made_up": None},
        {"role": "assistant", "content": None, "tool_calls": [call | {"index": None, "made_up": None}]},
        {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "x", "made_up": None}]},
    ]
    given = {
        "messages": messages,
        "tools": [function(description=None, made_up=None) | {"made_up": None}],
        "tool_choice": {"type": "function", "function": {"name": "look", "made_up": None}, "made_up": None},
        "response_format": {"type": "text", "json_schema": None, "schema": None},
        "stream_options": {"include_usage": None, "made_up": None},
        "logit_bias": {"5": None, "6": 1},
    }
    assert read(**given) == {
        "messages": [
            HELLO,
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "x"}]},
        ],
        "tools": [function()],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": {"type": "text"},
        "stream_options": {},
        "logit_bias": {"6": 1},
    }


def test_a_null_that_means_something_stays() -> None:
    parameters = {"type": "object", "properties": {"a": {"enum": [None, 1]}, "b": {"const": None}}}
    body = read(tools=[function(parameters=parameters)])
    check_schemas(body)
    assert body["tools"][0]["function"]["parameters"] == parameters


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": [None]}, "messages[0]"),
        ({"messages": [HELLO | {"content": None}]}, "messages[0]"),
        ({"messages": [HELLO | {"role": None}]}, "messages[0]"),
        ({"tools": [None]}, "tools[0]"),
        ({"stop": [None]}, "stop[0]"),
        ({"response_format": {"type": None}}, "response_format"),
    ],
)
def test_null_is_no_more_than_absent(fields: dict[str, Any], param: str) -> None:
    assert refused(**fields).param == param


# Unknown members.

OBJECTS: dict[str, Any] = {
    "messages[0]": lambda member: {"messages": [HELLO | member]},
    "messages[0].content[1]": lambda member: {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b", **member}],
            }
        ]
    },
    "messages[0].tool_calls[0]": lambda member: {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": ""}, **member}],
            }
        ]
    },
    "messages[0].tool_calls[0].function": lambda member: {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [{"id": "1", "function": {"name": "look", "arguments": "", **member}}],
            }
        ]
    },
    "tools[1]": lambda member: {"tools": [function(), function() | member]},
    "tools[1].function": lambda member: {"tools": [function(), function(**member)]},
    "tool_choice": lambda member: {"tool_choice": function() | member},
    "tool_choice.function": lambda member: {"tool_choice": function(**member)},
    "response_format": lambda member: {"response_format": {"type": "json_object", **member}},
    "response_format.json_schema": lambda member: {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, **member}}
    },
    "stream_options": lambda member: {"stream_options": {"include_usage": True, **member}},
}


@pytest.mark.parametrize("place", OBJECTS)
@pytest.mark.parametrize("name", ["made_up", "Schema", "temperature", "a.b"])
def test_unknown_members_are_refused_with_their_place(place: str, name: str) -> None:
    read(**OBJECTS[place]({}))
    error = refused(**OBJECTS[place]({name: {"a": 1}}))
    assert (error.code, error.param) == ("unknown_field", f"{place}.{name}")
    assert f"{place}.{name}" in str(error)


@pytest.mark.parametrize("place", NESTED)
def test_every_next_step_belongs_to_a_place_that_there_is(place: str) -> None:
    *path, name = place.split(".")
    schema = SCHEMA
    for part in path:
        schema = schema["properties"][part]
        schema = schema.get("items", schema)
    assert name not in schema["properties"] or place == "response_format.json_schema"


@pytest.mark.parametrize("kind", ["json_object", "text"])
@pytest.mark.parametrize("where", ["schema", "json_schema"])
def test_a_schema_that_nothing_is_held_to_is_refused(kind: str, where: str) -> None:
    error = refused(response_format={"type": kind, where: {"name": "a", "schema": {"type": "object"}}})
    assert (error.code, error.param) == ("unknown_field", f"response_format.{where}")
    assert "json_schema" in str(error)


def test_a_tool_of_another_kind_is_refused_by_its_type() -> None:
    error = refused(tools=[{"type": "web_search", "filters": {"a": 1}, "user_location": {}}])
    assert (error.code, error.param) == ("invalid_request", "tools[0].type")


def test_all_unknown_fields_are_told_at_once_each_with_a_next_step() -> None:
    error = refused(num_ctx=4096, random_seed=7, max_token=5, tools=[function(input_schema={"a": 1})], zzz=1)
    assert error.param == "num_ctx"
    for told in ("--max-model-len", "send seed", "did you mean max_tokens?", "send it as parameters", "zzz"):
        assert told in str(error)


def test_a_thousand_unknown_fields_are_counted() -> None:
    error = refused(**{f"field_{number}": 1 for number in range(1000)})
    assert "1000 fields" in str(error)
    assert " more; remove them." in str(error)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_field_says_what_to_do(name: str) -> None:
    assert name not in FIELDS
    error = refused(**{name: {"another": "value"}})
    assert (error.code, error.param) == ("unknown_field", name)
    assert FOREIGN[name].why in str(error)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, one in FOREIGN.items() for value in one.same]
)
def test_what_the_model_does_anyway_is_taken(name: str, value: Any) -> None:
    assert read(**{name: value}) == {"messages": [HELLO]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("modalities", ["text", "audio"]),
        ("modalities", ["audio"]),
        ("safe_prompt", True),
        ("safe_prompt", 0),
        ("verbosity", "low"),
        ("functions", [{"name": "look"}]),
        ("function_call", {"name": "look"}),
        ("best_of", 3),
        ("best_of", True),
        ("echo", True),
        ("thinking", {"type": "enabled", "budget_tokens": 100}),
        ("options", {"num_ctx": 5}),
    ],
)
def test_another_value_of_it_is_refused(name: str, value: Any) -> None:
    assert refused(**{name: value}).code == "unknown_field"


# Values.


def test_mistrals_any_is_openais_required() -> None:
    assert read(tools=[function()], tool_choice="any")["tool_choice"] == "required"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("value", [-1, 0, -(10**9)])
def test_no_tokens_are_refused_with_the_way_to_ask_for_all(name: str, value: int) -> None:
    error = refused(**{name: value})
    assert error.param == name
    assert str(value) in str(error)
    assert "leave it out" in str(error)


@pytest.mark.parametrize(
    ("fields", "param", "told"),
    [
        ({"tool_choice": {"type": "any"}}, "tool_choice.type", "required"),
        ({"tool_choice": {"type": "tool", "name": "look"}}, "tool_choice.type", "function"),
        ({"tool_choice": "always"}, "tool_choice", "none, auto, required, any"),
        ({"response_format": {"type": "json"}}, "response_format.type", "json_object"),
        ({"tools": [{"type": "custom", "custom": {"name": "a"}}]}, "tools[0].type", "function"),
    ],
)
def test_a_word_that_is_not_known_says_those_that_are(fields: dict[str, Any], param: str, told: str) -> None:
    error = refused(**fields)
    assert (error.code, error.param) == ("invalid_request", param)
    assert told in str(error)


def test_logprobs_of_the_older_api_say_their_new_name() -> None:
    assert "top_logprobs" in str(refused(logprobs=5))


# Messages that come back.

PLAYED_BACK: list[dict[str, Any]] = [
    {"role": "assistant", "content": "x", "refusal": None, "annotations": [], "audio": None},
    {"role": "assistant", "content": "x", "reasoning": "t", "reasoning_content": "\n", "function_call": None},
    {"role": "assistant", "content": "x", "id": 12, "opts": {"visible": False}, "name": "the coder (2)"},
    {"role": "assistant", "content": "x", "id": "msg_1", "model": "m", "usage": {"a": 1}, "created": 1},
    {"role": "assistant", "content": "x", "thinking_blocks": [{}], "provider_specific_fields": {"a": 1}},
    {"role": "assistant", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    {"role": "assistant", "content": ""},
    {"role": "assistant"},
    {"role": "assistant", "refusal": "no"},
    {"role": "assistant", "content": "x", "prefix": True},
    {"role": "user", "content": "x", "name": "User proxy", "timestamp": 1.5},
    {"role": "tool", "tool_call_id": "", "content": "x", "name": "weather lookup (v2)"},
]


@pytest.mark.parametrize("message", PLAYED_BACK)
def test_what_comes_back_is_taken(message: dict[str, Any]) -> None:
    read(messages=[HELLO, message, HELLO])


@pytest.mark.parametrize("member", ["index", "extra_content", "provider_specific_fields"])
def test_what_comes_back_with_a_call_is_taken(member: str) -> None:
    call = {"id": "", "type": "function", member: 0, "function": {"name": "look", "arguments": "{}"}}
    read(messages=[HELLO, {"role": "assistant", "content": "", "tool_calls": [call]}])


@pytest.mark.parametrize(
    ("message", "param", "told"),
    [
        ({"function_call": {"name": "a", "arguments": ""}}, "messages[1].function_call", "send tool_calls"),
        ({"audio": {"id": "1"}}, "messages[1].audio", "text alone"),
        ({"images": ["aGk="]}, "messages[1].images", "text alone"),
        ({"role": "function", "name": "a"}, "messages[1].role", "role tool"),
    ],
)
def test_what_would_change_the_answer_is_not(message: dict[str, Any], param: str, told: str) -> None:
    error = refused(messages=[HELLO, {"role": "assistant", "content": "x", **message}])
    assert error.param == param
    assert told in str(error)


# Schemas.


@pytest.mark.parametrize("says", ["http://json-schema.org/draft-04/schema#", "draft-06", None])
@pytest.mark.parametrize("where", ["tools", "response_format"])
def test_bounds_of_draft_4_are_taken_as_the_number_they_mean(says: str | None, where: str) -> None:
    old = {"type": "integer", "exclusiveMinimum": True, "minimum": 0, "maximum": 86_400}
    schema = {"type": "object", "properties": {"ttl": old}} | ({"$schema": says} if says else {})
    if where == "tools":
        body = read(tools=[function(), function(parameters=schema)])
    else:
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        body = read(response_format=form)
    check_schemas(body)
    found = (
        body["tools"][1]["function"]["parameters"]
        if where == "tools"
        else body["response_format"]["json_schema"]["schema"]
    )
    assert found["properties"]["ttl"] == {"type": "integer", "exclusiveMinimum": 0, "maximum": 86_400}


@pytest.mark.parametrize(
    "broken", [{"type": "dict"}, {"required": "a"}, {"properties": {"a": {"minimum": "0"}}}]
)
def test_what_is_no_schema_names_its_tool(broken: dict[str, Any]) -> None:
    body = read(tools=[function(), function(parameters={}), function(parameters=broken)])
    with pytest.raises(ApiError) as caught:
        check_schemas(body)
    assert (caught.value.code, caught.value.param) == (
        "invalid_tool_schema",
        "tools[2].function.parameters",
    )


def catalog(tools: int, properties: int, **kind: Any) -> list[dict[str, Any]]:
    """Tools as servers of them list theirs: a sentence for each, and one for each of its arguments."""
    told = "What it is, told at the length at which people tell such things, with an example or two. " * 4
    members = {f"argument_{number}": {"description": told, **kind} for number in range(properties)}
    parameters = {"type": "object", "description": told, "properties": members, "required": list(members)[:2]}
    return [
        {"type": "function", "function": {"name": f"tool_{number}", "parameters": parameters}}
        for number in range(tools)
    ]


@pytest.mark.parametrize(
    "tools",
    [
        catalog(128, 8, type="string"),
        catalog(60, 12, anyOf=[{"type": "string"}, {"type": "null"}], default=None, title="Argument"),
        catalog(1, 400, type="integer", minimum=0),
        catalog(64, 4, type="string", pattern="^[a-zA-Z0-9_-]+$"),
        catalog(16, 2, type="string", pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[0-9a-f]{12}$"),
        catalog(1, 1, enum=[f"value {number}" for number in range(5000)]),
        catalog(100, 10, type="string", minLength=1, maxLength=65_536),
        catalog(1, 1, type="array", items={"$ref": "#"}, examples=[{"a": [1, 2, 3]}] * 100),
    ],
)
def test_catalogs_as_they_are_pass(tools: list[dict[str, Any]]) -> None:
    check_schemas(read(tools=tools))


@pytest.mark.parametrize(
    ("tools", "told"),
    [
        (catalog(1, 513, type="string"), "513 properties, where at most 512"),
        (catalog(30, 40, anyOf=[{"type": "string"}, {"type": "null"}] * 4), "8192 values"),
        (catalog(120, 14, enum=["a" * 100, "b" * 100]), "131072 characters"),
        (catalog(100, 14, type="string", title="t" * 400), "524288 characters of descriptions"),
        (catalog(100, 3, type="string", pattern="^a$"), "256 patterns"),
        (catalog(40, 1, type="string", pattern="^[a-z]{255}$"), "8192 characters together"),
        (catalog(11, 1, type="string", minLength=1000), "10000 in minItems and minLength together"),
    ],
)
def test_more_than_the_engine_can_bear_is_refused(tools: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(ApiError) as caught:
        check_schemas(read(tools=tools))
    assert caught.value.code == "invalid_tool_schema"
    assert (caught.value.param or "").startswith("tools[")
    assert told in str(caught.value)


@pytest.mark.parametrize("count", ["minProperties", "maxProperties"])
def test_counts_of_properties_multiply(count: str) -> None:
    tools = catalog(1, 400, type="string")
    check_schemas(read(tools=tools))
    tools[0]["function"]["parameters"][count] = 300
    with pytest.raises(ApiError, match="400 properties and a count of 300"):
        check_schemas(read(tools=tools))


def test_a_property_may_be_called_description() -> None:
    broken = {"type": "object", "properties": {"description": "a string", "title": {"type": "string"}}}
    with pytest.raises(ApiError, match="no JSON schema"):
        check_schemas(read(tools=[function(parameters=broken)]))


# Models, and paths of other APIs.


@pytest.fixture
def server(tmp_path: Path, base: Base) -> TinyServer:
    server = tiny.make_server(tmp_path / "registry", base)
    for seed, name in enumerate(("support", "sql")):
        add(server, tmp_path, base, name, seed)
    return server


@pytest.fixture
def http(server: TinyServer) -> Iterator[TestClient]:
    with TestClient(server.app) as client:
        yield client


@pytest.mark.parametrize("field", ["model", "adapter"])
@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_name_is_no_model(http: TestClient, server: TinyServer, field: str, empty: str) -> None:
    body = {"messages": [HELLO], field: empty}
    answer = http.post("/v1/chat/completions", json=body, headers=server.headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", field)
    for name in (server.app.state.settings.base.name, "support", "sql"):
        assert name in error["message"]


def test_an_empty_name_tells_no_names_that_a_key_does_not_reach(http: TestClient, server: TinyServer) -> None:
    secret = server.registry.storage.keys.create("one", ["chat"], adapters=["sql"])
    headers = {"authorization": f"Bearer {secret}"}
    answer = http.post("/v1/chat/completions", json={"messages": [HELLO], "model": ""}, headers=headers)
    assert answer.status_code == 400
    assert "sql" in answer.text
    assert "support" not in answer.text


def test_a_name_that_is_near_is_still_told(http: TestClient, server: TinyServer) -> None:
    body = {"messages": [HELLO], "model": "suport"}
    answer = http.post("/v1/chat/completions", json=body, headers=server.headers)
    assert answer.status_code == 404
    assert "support" in answer.json()["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses",
        "/v1/responses/resp_1/cancel",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/chat/completions",
        "/v1/v1/chat/completions",
        "/openai/deployments/gpt/chat/completions",
        "/api/chat",
        "/api/generate",
        "/completion",
        "/v1/audio/speech",
    ],
)
def test_another_apis_path_says_where_chat_completions_is(http: TestClient, method: str, path: str) -> None:
    answer = http.request(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (404, "not_found", "invalid_request_error")
    assert "POST /v1/chat/completions" in error["message"]


@pytest.mark.parametrize("path", ["/nothing", "/v1/adapters/a/b/responses", "/" + "v1/" * 5000 + "x"])
def test_other_paths_do_not(http: TestClient, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert "/openapi.json" in answer.json()["error"]["message"]


def test_the_right_path_with_another_method_says_which(http: TestClient) -> None:
    answer = http.get("/v1/chat/completions")
    assert answer.status_code == 405
    assert "send a POST" in answer.json()["error"]["message"]


# A member in a message of another role says nothing there, and would be lost.

CALL = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("name", "value", "roles"),
    [
        ("tool_calls", [CALL], ("user", "system", "developer")),
        ("prefix", True, ("user", "system", "tool")),
        ("refusal", "I cannot.", ("user", "developer", "tool")),
    ],
)
def test_an_answers_members_are_answers_alone(name: str, value: Any, roles: tuple[str, ...]) -> None:
    for role in roles:
        message = {"role": role, "content": "x", "tool_call_id": "1", name: value}
        error = refused(messages=[HELLO, message])
        assert (error.code, error.param) == ("unknown_field", f"messages[1].{name}")
        assert "only messages of role assistant have it" in str(error)
        read(messages=[HELLO, message | {name: type(value)()}])
    read(messages=[HELLO, {"role": "assistant", "content": "x", name: value}])


@pytest.mark.parametrize(
    ("message", "step"),
    [
        ({"role": "human", "content": "x"}, "which is role user here."),
        ({"role": "model", "content": "x"}, "which is role assistant here."),
        ({"role": "ipython", "content": "x"}, "which is role tool here, with the call's tool_call_id."),
        ({"role": "user", "content": [{"type": "input_text", "text": "x"}]}, "which is type text here."),
        (
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "look", "input": {}}]},
            "which is one of the message's tool_calls here.",
        ),
        (
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "x"}]},
            "which is a message of role tool here.",
        ),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, "reads text alone."),
    ],
)
def test_other_apis_words_are_translated(message: dict[str, Any], step: str) -> None:
    assert str(refused(messages=[HELLO, message])).endswith(step)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {}},
        {"name": "a", "$schema": "x", "required": []},
        {"name": "a", "schema_definition": {"type": "object"}},
    ],
)
def test_a_schema_one_level_too_high_is_sent_one_lower(schema: dict[str, Any]) -> None:
    error = refused(response_format={"type": "json_schema", "json_schema": schema})
    assert "(send it in json_schema.schema)" in str(error) or "(send it as json_schema.schema)" in str(error)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is empty; send one JSON object in UTF-8."),
        ('{"messages":"é"}'.encode("latin-1"), "it is not in UTF-8, from byte 13 on; send"),
        ('{"messages":[]}'.encode("utf-16"), "it is not in UTF-8, from byte 0 on; send"),
        (b"model=x&messages=y", "it is no JSON from line 1, column 1 on"),
        (b"{'messages': []}", "it is no JSON from line 1, column 2 on"),
    ],
)
def test_a_body_that_is_no_json_is_told_in_plain_words(server: TinyServer, body: bytes, why: str) -> None:
    with TestClient(server.app, headers=server.headers) as client:
        error = client.post("/v1/chat/completions", content=body).json()["error"]
    assert error["code"] == "invalid_json" and why in error["message"]


def test_a_byte_order_mark_says_nothing(server: TinyServer) -> None:
    body = b'{"messages":[{"role":"user","content":"x"}]}'
    with TestClient(server.app, headers=server.headers) as client:
        for before in (b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n"):
            assert client.post("/v1/chat/completions", content=before + body).status_code == 200
        assert client.post("/v1/chat/completions", content=b"\xef\xbb\xbf" * 2 + body).status_code == 400


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_says_which_bounds_it_was_not_held_to(server: TinyServer, stream: bool) -> None:
    def asked(longest: int) -> str | None:
        schema = {"type": "object", "properties": {"note": {"type": "string", "maxLength": longest}}}
        form = {"type": "json_schema", "json_schema": {"name": "note", "schema": schema}}
        body = {"messages": [HELLO], "response_format": form, "stream": stream}
        answer = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200
        return answer.headers.get("x-schema-unheld")

    with TestClient(server.app, headers=server.headers) as client:
        assert asked(500) == "response_format.json_schema.schema maxLength*1"
        assert asked(20) is None
