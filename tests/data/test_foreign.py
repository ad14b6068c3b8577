"""Records as other trainers, logs and well known data sets write them, by hand and after their pages."""

import json
from typing import Any

import pytest

from data.chat import AssistantMessage, ToolMessage, text_of
from data.formats import preference, record
from data.formats.keys import Fields
from data.formats.record import Raw, Record
from data.rules import problems

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "Now", "parameters": SCHEMA}
TOOL = {"type": "function", "function": FUNCTION}
OTHER = {"type": "function", "function": {"name": "tides", "parameters": SCHEMA}}
QUESTION = {"role": "user", "content": "Weather in Porto?"}
PORTO, FARO = {"city": "Porto"}, {"city": "Faro"}


def read(given: Fields, format: str | None = None) -> Record:
    return record(Raw("here", given), format)


def told(found: Record) -> list[Any]:
    """Who says what, and calls what; each result stands with the place of its call."""
    made: list[Any] = []
    ids: list[str] = []
    for message in found.taken().messages:
        said: list[Any] = [message.role]
        if isinstance(message, ToolMessage):
            said.append(ids.index(message.tool_call_id))
        if message.content is not None:
            said.append(text_of(message.content))
        if isinstance(message, AssistantMessage):
            ids += [call.id for call in message.tool_calls]
            said += [{call.function.name: call.function.parsed()} for call in message.tool_calls]
        made.append(said)
    assert len(set(ids)) == len(ids)
    return made


def trl_call(name: str, arguments: Any) -> Fields:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


TRL = [
    QUESTION,
    {"role": "assistant", "tool_calls": [trl_call("weather", PORTO), trl_call("tides", FARO)]},
    {"role": "tool", "name": "tides", "content": "low"},
    {"role": "tool", "name": "weather", "content": "rain"},
    {"role": "assistant", "content": "Rain, low tide."},
]
EXPECTED = [
    ["user", "Weather in Porto?"],
    ["assistant", {"weather": PORTO}, {"tides": FARO}],
    ["tool", 1, "low"],
    ["tool", 0, "rain"],
    ["assistant", "Rain, low tide."],
]


def test_trls_calls_without_ids_are_answered_by_name() -> None:
    found = read(
        {"messages": TRL, "tools": [TOOL | {"function": FUNCTION | {"return": {"type": "string"}}}, OTHER]}
    )
    assert told(found) == EXPECTED
    assert found.unused == ("tools[].function.return",)
    assert told(read({"prompt": TRL[:1], "completion": TRL[1:], "tools": [TOOL, OTHER]})) == EXPECTED
    assert told(read({"prompt": TRL[:3], "completion": TRL[3:], "tools": [TOOL, OTHER]})) == EXPECTED


def test_the_same_record_is_the_same_for_sft_and_for_dpo() -> None:
    pair = preference.record(
        Raw("here", {"chosen": TRL, "rejected": [*TRL[:-1], {"role": "assistant", "content": "No."}]})
    ).taken()
    conversation = read({"messages": TRL}).taken()
    assert [*pair.prompt, pair.chosen] == conversation.messages


def test_results_of_no_call_are_refused() -> None:
    wrong = [TRL[0], TRL[1], {"role": "tool", "name": "stocks", "content": "x"}]
    assert "is a result of 'stocks', but 'weather', 'tides' waits" in (
        read({"messages": wrong}).problem or ""
    )
    late = [*TRL[:2], QUESTION, TRL[2]]
    assert "no call waits for one" in (read({"messages": late}).problem or "")


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_id_is_none(empty: str | None) -> None:
    calls = [trl_call("weather", "{}") | {"id": empty}]
    result = {"role": "tool", "tool_call_id": empty, "content": "rain"}
    found = read(
        {"messages": [QUESTION, {"role": "assistant", "content": None, "tool_calls": calls}, result]}
    )
    assert told(found)[1:] == [["assistant", {"weather": {}}], ["tool", 0, "rain"]]


@pytest.mark.parametrize("key", ["system", "system_prompt"])
@pytest.mark.parametrize(
    "body",
    [
        {"messages": [QUESTION, {"role": "assistant", "content": "Rain."}]},
        {
            "conversations": [
                {"from": "human", "value": "Weather in Porto?"},
                {"from": "gpt", "value": "Rain."},
            ]
        },
        {"prompt": "Weather in Porto?", "completion": "Rain."},
        {"prompt": [QUESTION], "completion": [{"role": "assistant", "content": "Rain."}]},
        {"instruction": "Weather in Porto?", "output": "Rain."},
        {"chat": "USER: Weather in Porto?\n\nASSISTANT: Rain. <|endoftext|>"},
    ],
)
def test_a_system_prompt_beside_the_messages_stands_in_front(body: Fields, key: str) -> None:
    expected = [["system", "Be brief."], ["user", "Weather in Porto?"], ["assistant", "Rain."]]
    assert told(read(body | {key: "Be brief."})) == expected
    assert told(read(body | {key: ""})) == told(read(body | {key: None})) == expected[1:]
    found = read(body | {key: ["Be brief."]})
    assert found.problem is not None and f"`{key}` is not text but a list" in found.problem


def test_a_system_prompt_that_is_said_twice_stands_once() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        QUESTION,
        {"role": "assistant", "content": "Rain."},
    ]
    assert len(told(read({"messages": messages, "system": "Be brief."}))) == 3
    assert told(read({"messages": messages, "system": "Be kind."}))[:2] == [
        ["system", "Be kind."],
        ["system", "Be brief."],
    ]


def test_a_prompt_that_repeats_the_first_question_is_counted() -> None:
    """As UltraChat has it."""
    messages = [QUESTION, {"role": "assistant", "content": "Rain."}]
    assert read({"messages": messages, "prompt": "Weather in Porto?"}).unused == ("prompt",)
    assert "`prompt`" in (read({"messages": messages, "prompt": "Another one"}).problem or "")


def test_turns_of_either_spelling_stand_under_either_key() -> None:
    calling = json.dumps({"name": "weather", "arguments": PORTO})
    for key in ("messages", "conversations"):
        for who, what in (("role", "content"), ("from", "value"), ("role", "value")):
            for user, assistant, call, result in (
                ("user", "assistant", "tool_call", "tool_response"),
                ("human", "gpt", "function_call", "observation"),
                ("user", "assistant", "tool_call", "tool"),
                ("human", "assistant", "function_call", "function_response"),
            ):
                turns = [(user, "a"), (call, calling), (result, "rain"), (assistant, "It rains.")]
                found = read({key: [{who: speaker, what: text} for speaker, text in turns], "tools": [TOOL]})
                assert told(found) == [
                    ["user", "a"],
                    ["assistant", {"weather": PORTO}],
                    ["tool", 0, "rain"],
                    ["assistant", "It rains."],
                ]


def test_lists_of_calls_and_of_results_in_one_turn() -> None:
    calls = [{"name": "weather", "arguments": PORTO}, {"name": "tides", "arguments": FARO}]
    turns = [
        ("human", "both"),
        ("function_call", json.dumps(calls)),
        ("observation", '[{"sky": "rain"}, "low"]'),
    ]
    given = [{"from": who, "value": value} for who, value in turns]
    assert told(read({"conversations": given}))[1:] == [
        ["assistant", {"weather": PORTO}, {"tides": FARO}],
        ["tool", 0, '{"sky": "rain"}'],
        ["tool", 1, "low"],
    ]
    # One result that is a list answers one call, and a list of another length is one result.
    alone = [given[0], given[1] | {"value": json.dumps(calls[:1])}, given[2]]
    assert told(read({"conversations": alone}))[2] == ["tool", 0, '[{"sky": "rain"}, "low"]']
    short = read({"conversations": [*given[:2], given[2] | {"value": "[1]"}]})
    assert [problem.kind for problem in problems(short.taken())].count("unanswered_call") == 1
    assert told(short)[2:] == [["tool", 0, "[1]"]]
    long = read({"conversations": [*given[:2], given[2] | {"value": "[1, 2, 3]"}]})
    assert told(long)[2:] == [["tool", 0, "[1, 2, 3]"]]
    # Results of their own turns are not taken apart, whatever they look like.
    apart = [*given[:2], given[2], given[2] | {"value": "low"}]
    assert [one[1:] for one in told(read({"conversations": apart}))[2:]] == [
        [0, given[2]["value"]],
        [1, "low"],
    ]


GLAIVE = (
    "SYSTEM: You are a helpful assistant with access to the following functions. Use them if required -\n"
    + json.dumps(FUNCTION, indent=4)
    + "\n\n"
    + json.dumps(OTHER["function"], indent=4)
)


def test_raw_glaive() -> None:
    chat = (
        "USER: Weather in Porto?\n\n\n"
        """ASSISTANT: <functioncall> {"name": "weather", "arguments": '{"city": "Porto"}'} <|endoftext|>\n"""
        'FUNCTION RESPONSE: {"sky": "rain"}\n\n\nASSISTANT: It rains.\nTake a coat. <|endoftext|>\n\n\n'
        "USER: Thanks, USER: is my name\n\n\nASSISTANT: Welcome! <|endoftext|>"
    )
    found = read({"system": GLAIVE, "chat": chat})
    assert told(found) == [
        ["user", "Weather in Porto?"],
        ["assistant", {"weather": PORTO}],
        ["tool", 0, '{"sky": "rain"}'],
        ["assistant", "It rains.\nTake a coat."],
        ["user", "Thanks, USER: is my name"],
        ["assistant", "Welcome!"],
    ]
    assert [tool.function.name for tool in found.taken().tools] == ["weather", "tides"]
    assert problems(found.taken()) == [] and found.unused == ()


def test_raw_glaive_without_functions_keeps_its_system_text() -> None:
    system = "SYSTEM: You are a helpful assistant, with no access to external functions."
    found = read({"system": system, "chat": "USER: hi\n\n\nASSISTANT: Hello! <|endoftext|>"}, "glaive")
    assert told(found)[0] == ["system", system.removeprefix("SYSTEM: ")]


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("""{"name": "weather", "arguments": '{"city": "Porto"}'}""", PORTO),
        ("""{"name": "weather", "arguments": '{"city": "Vila d\\'Este"}'}""", {"city": "Vila d'Este"}),
        ("""{"name": "weather", "arguments": '{"city": "a\\nb"}'}""", {"city": "a\nb"}),
        ("""{"name": "weather", "arguments": {"city": "Porto"}}""", PORTO),
        ("""{"name": "weather", "arguments": "{\\"city\\": \\"Porto\\"}"}""", PORTO),
        ("""{"name": "weather"}""", {}),
    ],
)
def test_functioncalls_of_sharegpt_and_of_messages(written: str, arguments: Fields) -> None:
    turns = [
        ("system", GLAIVE.removeprefix("SYSTEM: ")),
        ("human", "a"),
        ("gpt", f"Well. <functioncall> {written}"),
    ]
    for key, who, what in (("conversations", "from", "value"), ("messages", "role", "content")):
        found = read({key: [{who: speaker, what: text} for speaker, text in turns]})
        assert told(found) == [["user", "a"], ["assistant", "Well.", {"weather": arguments}]]
        assert [tool.function.name for tool in found.taken().tools] == ["weather", "tides"]


def test_functioncalls_that_are_not_exact_are_refused() -> None:
    for written in ("weather(city)", '{"name": "weather", "arguments": \'{"city": \'}', "[1]"):
        turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": f"<functioncall> {written}"}]
        problem = read({"conversations": turns}).problem
        assert problem is not None and ("message 2" in problem or "not JSON" in problem)


TOOLACE = (
    "You are an expert in composing functions. You are given a question and a set of possible functions."
    " Based on the question, you will need to make one or more function/tool calls to achieve the purpose.\n"
    "Here is a list of functions in JSON format that you can invoke:\n{}. \nShould you decide to return the"
    " function call(s). \nPut it in the format of [func1(params_name=params_value), func2(params)]\n\n"
    "NO other text MUST be included. Today is Monday."
)
ACE_FUNCTIONS = [
    {
        "name": "Get City/Weather",
        "description": "Now",
        "parameters": {
            "type": "dict",
            "properties": {
                "city": {"type": "str"},
                "days": {"type": "int", "default": 3},
                "type": {"type": "list", "items": {"type": "float"}},
                "more": {"type": "dict", "properties": {"x": {"type": "bool"}}},
            },
            "required": ["city"],
        },
        "required": None,
    },
    {"name": "tides", "description": "Now", "parameters": {"type": "dict", "properties": {}}},
]


def toolace(*turns: tuple[str, str]) -> Record:
    given = [{"from": who, "value": value} for who, value in turns]
    return read({"system": TOOLACE.replace("{}", json.dumps(ACE_FUNCTIONS)), "conversations": given})


@pytest.mark.parametrize(
    ("written", "calls"),
    [
        ('[Get City/Weather(city="Porto")]', [{"Get_City_Weather": PORTO}]),
        (
            "[Get City/Weather(city='Porto', days=3), tides()]",
            [{"Get_City_Weather": PORTO | {"days": 3}}, {"tides": {}}],
        ),
        (
            '[Get City/Weather(city="a, b) = [\\"c\\"]", more={"x": true, "y": null}, type=[1.5, -2])]',
            [
                {
                    "Get_City_Weather": {
                        "city": 'a, b) = ["c"]',
                        "more": {"x": True, "y": None},
                        "type": [1.5, -2],
                    }
                }
            ],
        ),
        (
            "[Get City/Weather(city='it\\'s', days=None)]",
            [{"Get_City_Weather": {"city": "it's", "days": None}}],
        ),
        (
            '[Get City/Weather(city="Porto", class={"a": [True, {"b": 1}]})]',
            [{"Get_City_Weather": PORTO | {"class": {"a": [True, {"b": 1}]}}}],
        ),
    ],
)  # fmt: skip
def test_toolaces_calls_in_brackets(written: str, calls: list[Fields]) -> None:
    found = toolace(("user", "a"), ("assistant", written))
    assert told(found) == [["system", "Today is Monday."], ["user", "a"], ["assistant", *calls]]
    weather, tides = found.taken().tools
    assert weather.function.parameters == {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer", "default": 3},
            "type": {"type": "array", "items": {"type": "number"}},
            "more": {"type": "object", "properties": {"x": {"type": "boolean"}}},
        },
        "required": ["city"],
    }
    assert tides.function.name == "tides"
    assert {problem.kind for problem in problems(found.taken())} <= {"invalid_arguments"}


def test_toolaces_results_and_words() -> None:
    found = toolace(
        ("user", "a"),
        ("assistant", '[Get City/Weather(city="Porto"), tides()]'),
        ("tool", '[{"name": "Get City/Weather", "results": 1}, {"name": "tides", "results": 2}]'),
        ("assistant", "Rain."),
        ("user", "Sing."),
        ("assistant", "None of the functions sings."),
    )
    assert [one[0] for one in told(found)][2:] == [
        "assistant",
        "tool",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]
    words = toolace(("user", "Sing."), ("assistant", "None of the functions sings."))
    assert len(words.taken().tools) == 2 and told(words)[0] == ["system", "Today is Monday."]


@pytest.mark.parametrize(
    "written",
    [
        "[Get City/Weather(city=Porto)]",
        '[Get City/Weather("Porto")]',
        '[Get City/Weather(city="Porto"]',
        "[stocks(name='x')]",
        '[tides(a=1, a=2)]',
        "[tides(a=open('x'))]",
        "[tides(a=1) and more]",
    ],
)  # fmt: skip
def test_calls_in_brackets_that_are_not_exact_are_never_learned(written: str) -> None:
    found = toolace(("user", "a"), ("assistant", written))
    if found.problem is None:
        assert "call_as_text" in {problem.kind for problem in problems(found.taken())}
    else:
        assert "message 2" in found.problem


@pytest.mark.parametrize(
    "text",
    [
        "<functioncall> {}", "<tool_call>{}</tool_call>", "[TOOL_CALLS] [{}]",
        '{"name": "f", "arguments": {}}',
        '[{"name": "f", "parameters": {}}]', '```json\n{"name": "f", "arguments": {}}\n```', "[f(x=1)]",
        "[f.g(x='a'), h()]", "Thought: hm\nAction: f\nAction Input: {}", "<function=f>{}</function>",
        "<|python_tag|>f()",
    ],
)  # fmt: skip
def test_calls_as_words_are_warned_of(text: str) -> None:
    said = {"messages": [QUESTION, {"role": "assistant", "content": text}]}
    found = read(said, "openai")
    kinds = [problem.kind for problem in problems(found.taken())] if found.conversation else ["refused"]
    assert kinds in (["call_as_text"], ["refused"])
    said["messages"][1]["weight"] = 0
    if (shown := read(said, "openai").conversation) is not None:
        assert "call_as_text" not in {problem.kind for problem in problems(shown)}


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2, 3]",
        "[see above (page 3)]",
        "Use [text](url).",
        '{"name": "Ana", "age": 3}',
        "f(x=1)",
        "[TODO]",
        "a < b",
    ],
)
def test_other_words_are_not(text: str) -> None:
    found = read({"messages": [QUESTION, {"role": "assistant", "content": text}]})
    assert problems(found.taken()) == [] and told(found)[1] == ["assistant", text]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", {}), ("null", {}), (None, {}), ("  ", {}), ({}, {}), ("{}", {}),
        (json.dumps(json.dumps(PORTO)), PORTO), (json.dumps(PORTO), PORTO), (PORTO, PORTO),
    ],
)  # fmt: skip
def test_arguments_that_are_empty_or_encoded_twice(written: Any, expected: Fields) -> None:
    found = read(
        {"messages": [QUESTION, {"role": "assistant", "tool_calls": [trl_call("weather", written)]}]}
    )
    assert told(found)[1] == ["assistant", {"weather": expected}]


@pytest.mark.parametrize("written", ['"Porto"', '"[1]"', "[1]", "3", '"{"', [1], 3, True])
def test_arguments_that_are_no_object_are_refused(written: Any) -> None:
    found = read(
        {"messages": [QUESTION, {"role": "assistant", "tool_calls": [trl_call("weather", written)]}]}
    )
    assert found.problem is not None and "message 2, call 1: arguments of 'weather' are" in found.problem


def test_columns_of_json_text() -> None:
    messages = [QUESTION, {"role": "assistant", "content": "Rain."}]
    assert told(read({"messages": json.dumps(messages), "tools": json.dumps([FUNCTION])})) == [
        ["user", "Weather in Porto?"],
        ["assistant", "Rain."],
    ]
    pair = {
        name: json.dumps([QUESTION, {"role": "assistant", "content": name}])
        for name in ("chosen", "rejected")
    }
    assert preference.record(Raw("here", pair)).taken().chosen.content == "chosen"
    tool = TOOL | {"function": FUNCTION | {"parameters": json.dumps(SCHEMA)}}
    assert read({"messages": messages, "tools": [tool]}).taken().tools[0].function.parameters == SCHEMA


def test_empty_questions_are_warned_of() -> None:
    for given in (
        {"prompt": "", "completion": "b"},
        {"instruction": " ", "output": "b"},
        {"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "b"}]},
    ):
        (problem,) = problems(read(given).taken())
        assert (problem.kind, problem.where) == ("empty_question", "message 2")


def test_logs_of_requests_and_answers() -> None:
    answer = {
        "role": "assistant", "content": "Rain.", "reasoning_content": "\n", "annotations": [], "audio": None,
        "refusal": None, "function_call": None, "tool_calls": [],
    }  # fmt: skip
    found = read(
        {"messages": [QUESTION | {"name": "ana"}, answer], "temperature": 0, "max_tokens": 5, "model": "m"}
    )
    assert told(found)[1] == ["assistant", "Rain."]
    assert found.unused == (
        "max_tokens", "messages[].annotations", "messages[].name", "messages[].reasoning_content", "model",
        "temperature",
    )  # fmt: skip


RANKINGS: dict[str, Fields] = {
    "llama-factory": {
        "conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "a"}],
        "chosen": {"from": "gpt", "value": "b"},
        "rejected": {"from": "gpt", "value": "c"},
    },
    "llama-factory's openai": {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}],
        "chosen": {"role": "assistant", "content": "b"},
        "rejected": {"role": "assistant", "content": "c"},
    },
    "llama-factory's alpaca": {
        "instruction": "a",
        "input": "",
        "system": "s",
        "chosen": "b",
        "rejected": "c",
    },
    "ms-swift": {
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
        ],
        "rejected_response": "c",
    },
    "ms-swift query": {"system": "s", "query": "a", "response": "b", "rejected_response": "c"},
    "orca": {"system": "s", "question": "a", "chosen": "b", "rejected": "c"},
    "trl with a system prompt": {"system": "s", "prompt": "a", "chosen": "b", "rejected": "c"},
    "ultrafeedback": {
        "system": "s",
        "prompt": "a",
        "chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        "rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "c"}],
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
    },
}


@pytest.mark.parametrize("name", RANKINGS)
def test_rankings(name: str) -> None:
    pair = preference.record(Raw("here", RANKINGS[name])).taken()
    assert [(one.role, one.content) for one in pair.prompt] == [("system", "s"), ("user", "a")]
    assert (pair.chosen.content, pair.rejected.content) == ("b", "c")


def test_a_ranking_of_calls() -> None:
    call = {"from": "function_call", "value": json.dumps({"name": "weather", "arguments": PORTO})}
    given = RANKINGS["llama-factory"] | {"chosen": call, "tools": json.dumps([FUNCTION])}
    pair = preference.record(Raw("here", given)).taken()
    assert pair.chosen.tool_calls[0].function.parsed() == PORTO and len(pair.tools) == 1


def test_a_ranking_with_history() -> None:
    given = RANKINGS["ms-swift query"] | {"history": [["x", "y"]]}
    pair = preference.record(Raw("here", given)).taken()
    assert [one.content for one in pair.prompt] == ["s", "x", "y", "a"]


@pytest.mark.parametrize("name", RANKINGS)
@pytest.mark.parametrize(("better", "worse"), [(1, 9), (0.0, 0.5), (-2, -1), (2, 2), (9, 1), (None, 1)])
def test_scores_that_prefer_the_other_answer(name: str, better: float | None, worse: float) -> None:
    given = RANKINGS[name] | {"score_chosen": better, "score_rejected": worse}
    found = preference.record(Raw("here", given))
    if better is not None and better < worse:
        assert found.problem is not None and f"`score_chosen` ({better}) is below" in found.problem
        ignored = preference.record(Raw("here", given), ignore=frozenset({"score_chosen", "score_rejected"}))
        assert ignored.problem is None
    else:
        assert found.problem is None and "score_rejected" in found.unused


def test_a_preference_that_asks_twice_is_refused() -> None:
    found = preference.record(Raw("here", RANKINGS["orca"] | {"prompt": "another"}))
    assert found.problem is not None and "it asks twice, under `prompt` and `question`" in found.problem


_INVOKE = "Here is a list of functions in JSON format that you can invoke:\n"


def described(text: str) -> Record:
    turns = [{"from": "user", "value": "Weather in Porto?"}, {"from": "assistant", "value": "It rains."}]
    return read({"system": f"{_INVOKE}{text}\n", "conversations": turns})


@pytest.mark.parametrize(
    "text",
    [json.dumps([TOOL, OTHER]), f"{json.dumps(TOOL)}\n{json.dumps(OTHER)}", json.dumps([FUNCTION, OTHER])],
)
def test_functions_of_a_system_text_may_stand_in_openais_form(text: str) -> None:
    conversation = described(text).taken()
    assert [tool.function.name for tool in conversation.tools] == ["weather", "tides"]
    assert conversation.messages[0].role == "user", "nothing but the instruction was in the system text"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"functions": [FUNCTION], "mode": "strict"}),
        json.dumps([{"type": "text", "text": FUNCTION}]),
        json.dumps([TOOL | {"cache": True}]),
        json.dumps({"available": {"weather": FUNCTION}}),
    ],
)
def test_functions_inside_other_objects_are_not_taken_without_those(text: str) -> None:
    problem = described(text).problem
    assert problem is not None and "stand inside another object" in problem


PAIRS: dict[str, Fields] = {
    "ms-swift": {"system": "s", "query": "c", "response": "d", "history": [["a", "b"]]},
    "openorca": {"system_prompt": "s", "question": "c", "response": "d", "history": [["a", "b"]]},
    "dolly": {"system": "s", "instruction": "c", "context": "", "response": "d", "history": [["a", "b"]]},
    "ms-swift pairs": {
        "system": "s",
        "conversation": [{"human": "a", "assistant": "b"}, {"human": "c", "assistant": "d"}],
    },
    "xtuner": {"conversation": [{"system": "s", "input": "a", "output": "b"}, {"input": "c", "output": "d"}]},
}


@pytest.mark.parametrize("name", PAIRS)
def test_questions_and_answers_under_other_names(name: str) -> None:
    found = read(PAIRS[name])
    assert told(found) == [
        ["system", "s"],
        ["user", "a"],
        ["assistant", "b"],
        ["user", "c"],
        ["assistant", "d"],
    ]
    assert found.unused == (("context",) if name == "dolly" else ())


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"query": "a", "response": "b", "output": "c"}, "`output` of the record belongs to another format"),
        ({"query": "a", "question": "x", "response": "b"}, "`question` of the record"),
        ({"instruction": "a", "context": "x", "input": "y", "response": "b"}, "`context` of the record"),
        ({"query": "a", "response": "b", "answers": []}, "so it may be either"),
        ({"conversation": [{"role": "user", "content": "a"}]}, "stand under `conversations`"),
        ({"conversation": [{"human": "a", "assistant": "b", "mood": "x"}]}, "`mood` of pair 1"),
        ({"conversation": [{"human": "a", "assistant": "b", "loss": 0.5}]}, "`loss` of pair 1"),
        ({"conversation": [{"human": "a", "assistant": None}]}, "pair 1 has neither"),
        ({"conversation": []}, "`conversation` holds no pair"),
    ],
)
def test_pairs_that_cannot_be_read(given: Fields, reason: str) -> None:
    found = read(given)
    assert found.problem is not None and reason in found.problem


@pytest.mark.parametrize("kind", ["tool_use", "tool_result", "server_tool_use"])
def test_calls_as_parts_are_refused_with_the_way_to_write_them(kind: str) -> None:
    part = {"type": kind, "id": "a", "name": "weather", "input": PORTO}
    found = read({"messages": [QUESTION, {"role": "assistant", "content": [part]}]})
    assert found.problem is not None and found.problem.startswith(f"part 1 of message 2 is {kind!r}")
    assert "`tool_calls`" in found.problem and "role `tool`" in found.problem


@pytest.mark.parametrize("key", ["parameters", "input_schema", "inputSchema"])
def test_a_tools_parameters_under_other_names(key: str) -> None:
    given = {"messages": [QUESTION, {"role": "assistant", "content": "b"}]}
    tool = {"name": "weather", key: SCHEMA}
    assert read(given | {"tools": [tool]}).taken().tools[0].function.parameters == SCHEMA
    twice = read(given | {"tools": [{"name": "weather", "parameters": {}, "input_schema": SCHEMA}]})
    assert twice.problem is not None and "`input_schema` of tool 1" in twice.problem
