"""Calls of a public data set: rendered, learnt, decoded, and read again by vLLM's own tool parsers."""

import json
from pathlib import Path

import pytest

from data.chat import AssistantMessage, Conversation
from data.formats import read
from finetune.render import open_renderer
from tests.finetune.mistral_files import write_tokenizer
from tests.finetune.serving import parsed_calls

FILE = Path(__file__).parents[3] / "shared/data/glaive_toolcall_en_demo.json"


@pytest.fixture(scope="module")
def calling() -> list[Conversation]:
    if not FILE.is_file():
        pytest.skip(f"{FILE.name} is not beside this checkout")
    chats = [chat for chat in read(FILE) if any(calls_of(chat))]
    assert sum(len(calls) for chat in chats for calls in calls_of(chat)) == 211
    return chats


def calls_of(chat: Conversation) -> list[list[tuple[str, object]]]:
    """Names and arguments of each answer that calls."""
    answers = [m for m in chat.messages if isinstance(m, AssistantMessage) and m.tool_calls]
    return [[(c.function.name, json.loads(c.function.arguments)) for c in m.tool_calls] for m in answers]


@pytest.mark.parametrize("parser", ["hermes", "mistral"])
def test_the_same_calls_come_back(
    parser: str, calling: list[Conversation], base: Path, tmp_path: Path
) -> None:
    folder = base
    if parser == "mistral":
        folder = write_tokenizer("V7 Tekken", tmp_path).parent
    renderer, read_back = open_renderer(folder), parsed_calls(parser, folder)
    for chat in calling:
        found = []
        for row in renderer.samples(chat, "tool_calls"):
            learnt: list[int] = []
            for token, inside in zip([*row.input_ids, 0], [*row.completion_mask, 0], strict=True):
                if inside:
                    learnt.append(token)
                elif learnt:
                    found.append(read_back(learnt[:-1], chat))
                    learnt = []
        assert found == calls_of(chat)
