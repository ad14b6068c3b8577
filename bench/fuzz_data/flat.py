"""Records without turns: xLAM's, Alpaca's, ms-swift's query and response.

After the card of xlam-function-calling-60k, Alpaca's README, LLaMA-Factory's `data/README.md` and ms-swift's
"Custom dataset".
"""

from dataclasses import replace
from typing import Any

from bench.fuzz_data.case import Case, bare
from bench.fuzz_data.marks import AsText, Mint
from bench.fuzz_data.talk import Draw, Talk, Tool, Turn, slots

Fields = dict[str, Any]

_PYTHON = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


def xlam(mint: Mint) -> Case:
    """One query, the tools on offer and the calls that answer it; parameters by name, or a JSON schema."""
    draw = Draw(mint)
    schemas = mint.chance(0.3)
    pairs = [_xlam_tool(mint) for _ in range(mint.random.randint(1, 3))]
    tools = tuple(tool for _, tool in pairs)
    offered = [bare(tool) for tool in tools] if schemas else [given for given, _ in pairs]
    calls = draw.calling(tools).calls
    answers: list[Fields] = [{"name": call.name, "arguments": call.arguments} for call in calls]
    asked = Turn("user", mint.text())
    number = mint.number() if mint.chance(0.5) else None
    as_text = mint.chance(0.7)
    record: Fields = {
        "query": asked.text,
        "tools": AsText(offered) if as_text else offered,
        "answers": AsText(answers) if as_text else answers,
    }
    labels = {} if number is None else {"id": str(number)}
    if number is not None:
        record["id"] = number
    return Case(record, slots(Talk((asked, Turn("assistant", calls=calls)), tools, labels=labels)))


def _xlam_tool(mint: Mint) -> tuple[Fields, Tool]:
    """xLAM's own form of a tool, and the JSON schema that it means."""
    name, description = mint.word(), mint.text()
    parameters: Fields = {}
    properties: Fields = {}
    required = []
    for _ in range(mint.random.randint(1, 3)):
        key, python = mint.word(), mint.random.choice(list(_PYTHON))
        said = mint.text()
        parameters[key] = {"type": python, "description": said}
        properties[key] = {"type": _PYTHON[python], "description": said}
        if mint.chance(0.3):
            parameters[key]["type"] = f"{python}, optional"
        elif python in ("str", "int") and mint.chance(0.3):
            parameters[key]["default"] = properties[key]["default"] = (
                mint.word() if python == "str" else mint.number()
            )
        else:
            required.append(key)
    schema = {"type": "object", "properties": properties, "required": required}
    given = {"name": name, "description": description, "parameters": parameters}
    return given, Tool(name, description, schema)


def alpaca(mint: Mint) -> Case:
    """Instruction, input and output; LLaMA-Factory adds `system` and `history`."""
    instruction, about, output = mint.text(), mint.text(), mint.text()
    given = mint.random.choice(("without", "empty", "with"))
    question = f"{instruction}\n\n{about}" if given == "with" else instruction
    turns = [Turn("user", question), Turn("assistant", output)]
    record: Fields = {"instruction": instruction, "output": output}
    if given != "without":
        record["input"] = about if given == "with" else ""
    if mint.chance(0.3):
        pairs = [[mint.text(), mint.text()] for _ in range(mint.random.randint(1, 2))]
        record["history"] = pairs
        before = [turn for asked, said in pairs for turn in (Turn("user", asked), Turn("assistant", said))]
        turns = before + turns
    system = mint.text() if mint.chance(0.3) else None
    if system is not None:
        record["system"] = system
    return Case(record, slots(Talk(tuple(turns), system=system)))


def tagged(mint: Mint) -> Case:
    """LLaMA-Factory's KTO records: Alpaca's with `kto_tag`."""
    case = alpaca(mint)
    liked = mint.chance(0.5)
    return replace(
        case, record=case.record | {"kto_tag": liked}, spoiled="" if liked else "kto_tag", supported=False
    )


def alpaca_text(mint: Mint) -> Case:
    """Alpaca's records with `text`, the frame that its authors trained on: the same words once more."""
    case = alpaca(mint)
    return replace(case, record=case.record | {"text": mint.text()}, supported=False)


def no_answer(mint: Mint) -> Case:
    """Records of other tasks: documents, prompts alone, graded steps. There is no answer to learn in them."""
    record: Fields = mint.random.choice(
        (
            {"text": mint.text()},
            {"prompt": mint.text()},
            {"prompt": [{"role": "user", "content": mint.text()}]},
            {"prompt": mint.text(), "completions": [mint.text(), mint.text()], "labels": [True, False]},
            {"anchor": mint.text(), "positive": mint.text(), "negative": mint.text()},
        )
    )
    return Case(record, [], spoiled=list(record)[-1], supported=False)


def query_response(mint: Mint) -> Case:
    """ms-swift's query and response, with a history."""
    asked, said = mint.text(), mint.text()
    turns = [Turn("user", asked), Turn("assistant", said)]
    record: Fields = {"query": asked, "response": said}
    if mint.chance(0.5):
        before = [mint.text(), mint.text()]
        record["history"] = [before]
        turns = [Turn("user", before[0]), Turn("assistant", before[1]), *turns]
    return Case(record, slots(Talk(tuple(turns))), supported=False)


def human_assistant(mint: Mint) -> Case:
    """ms-swift's `conversation`: objects with a `human` and an `assistant` text."""
    talk = Draw(mint, calls=False, labels=False).talk()
    words = [turn.text for turn in talk.turns]
    pairs = [{"human": asked, "assistant": said} for asked, said in zip(words[::2], words[1::2], strict=True)]
    record: Fields = {"conversation": pairs}
    if talk.system is not None:
        record = {"system": talk.system, **record}
    return Case(record, slots(talk), supported=False)
