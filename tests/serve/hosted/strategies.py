"""Requests that the hosted endpoint's JSON schema accepts, made up within the bounds of `docs/chat.md`."""

import json
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import strategies as st

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))
"""The endpoint's own, as its page shows it."""

VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

# JSON has no half characters; a file of UTF-8 neither.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ITEMS = st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}), max_size=3)
CONTENT = TEXT | ITEMS
NAMES = st.from_regex("[a-zA-Z0-9_-]{1,64}", fullmatch=True)

CALLS = st.fixed_dictionaries(
    {
        "id": TEXT,
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {"name": TEXT, "arguments": TEXT | st.sampled_from(["", "{}", '{"city": "Lisboa"}', "[1]", "{"])}
        ),
    }
)
MESSAGES = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": CONTENT}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "tool_calls": st.lists(CALLS, max_size=2)},
        optional={"content": CONTENT | st.none()},
    ),
    st.fixed_dictionaries({"role": st.just("tool"), "content": TEXT, "tool_call_id": TEXT}),
)

VALUES = st.sampled_from(
    [
        {},
        {"type": "string"},
        {"type": "integer", "minimum": 0},
        {"type": "array", "items": {"type": "number"}},
        {"enum": ["celsius", "fahrenheit", None]},
        {"type": ["string", "null"], "description": "A city."},
        {"type": "object", "properties": {"inner": {"type": "boolean"}}, "required": ["inner"]},
        {"anyOf": [{"type": "string", "pattern": "^[a-z]+$"}, {"$ref": "#/$defs/other"}]},
    ]
)
PARAMETERS = st.builds(
    lambda properties, some: {
        "type": "object",
        "properties": properties,
        "required": sorted(properties)[:some],
        "$defs": {"other": {"type": "null"}},
    },
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.integers(0, 2),
)
TOOLS = st.fixed_dictionaries(
    {
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {"name": NAMES},
            optional={
                "description": TEXT,
                "parameters": PARAMETERS | st.just({}),
                "strict": st.booleans(),
            },
        ),
    }
)


def requests(max_tokens: st.SearchStrategy[int], most_choices: int) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies; `model` is one that the schema knows nothing of and the endpoint's examples send."""
    penalties = st.floats(-2, 2) | st.integers(-2, 2)
    return st.fixed_dictionaries(
        {"messages": st.lists(MESSAGES, min_size=1, max_size=4), "max_tokens": max_tokens},
        optional={
            "model": st.just("casperhansen-mistral-small-24b-instruct-2501-awq"),
            "temperature": st.floats(0, 2) | st.sampled_from([0, 1, 2]),
            "top_p": st.floats(0, 1) | st.sampled_from([0, 1]),
            "n": st.integers(1, most_choices),
            "stream": st.booleans(),
            "presence_penalty": penalties,
            "frequency_penalty": penalties,
            "tools": st.lists(TOOLS, max_size=2),
        },
    )
