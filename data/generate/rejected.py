"""Plausible wrong answers, each made of the right one that ends a generated conversation."""

import json
import random
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from data.chat import AssistantMessage, Conversation, FunctionCall, ToolCall, ToolMessage, text_of
from data.formats import call_id
from data.generate.kinds import Draw, Kind
from data.generate.pools import Split
from data.generate.spec import Spec, words
from data.generate.tools import TRAINED

WORDS_FOR_A_CALL = words(
    [
        "Sure! I will take care of that for you right away.",
        "Of course. Could you please tell me a little more about what you need?",
        "I don't have access to that kind of information, but it is easy to look up online.",
        "All set! Everything has been arranged just as you asked.",
        "To do that, open the app, choose the right entry in the menu and fill in the details.",
        "As an AI language model, I cannot do such things in the real world.",
        "I'd be happy to help with that! Shall I go ahead?",
        "You could use the function {tool} for this.",
    ],
    [
        "Great idea! Consider it done.",
        "Let me know whether I really should run {tool}, and I will.",
        "I am only a text model, so please contact the service itself.",
    ],
)
"""`{tool}` is the name of the tool that should have been called."""

OPENINGS = words(
    [
        "That is a really great question, and I am so glad that you asked it!",
        "Absolutely, I would be more than happy to help you with this today!",
        "Thank you so much for reaching out to me about this!",
        "Well, let me think about that for a moment, because there is a lot to say here.",
    ],
    [
        "What an interesting thing to bring up, thank you!",
        "Certainly, it is my pleasure to assist you with it!",
    ],
)

CLOSINGS = words(
    [
        "I hope that this answers what you wanted to know, and I am always here to help.",
        "It is worth bearing in mind that this may depend on many things and that opinions on it differ.",
        "To say it once more, so that nothing stays unclear: {answer}",
        "There is of course much more to be said about this, and much has been written over the years.",
        "Is there anything else, anything at all, that I can do, explain or look up for you today?",
    ],
    [
        "Should any doubt remain, simply write to me, and I will gladly go through all of it with you again.",
        "Let me repeat that to be on the safe side: {answer}",
        "As always, please remember that things can change and that I may not know everything about them.",
    ],
)
"""`{answer}` is what was said already."""

_SPECS = {spec.name: spec for spec in TRAINED}


@dataclass
class Spoiler:
    """One method for each way to be wrong; a conversation shows its tools under their own names."""

    rng: random.Random
    split: Split

    def argument(self, asked: Conversation) -> AssistantMessage:
        """Two values of one kind changed places, or one value is another, or an optional one is left out."""
        (call,) = _answer(asked).tool_calls
        spec, values = _SPECS[call.function.name], dict(call.function.parsed())
        alike = [
            pair
            for pair in combinations(values, 2)
            if spec.kinds[pair[0]] == spec.kinds[pair[1]] and values[pair[0]] != values[pair[1]]
        ]
        optional = [name for name in values if name not in spec.required]
        if alike:
            one, other = self.rng.choice(alike)
            values[one], values[other] = values[other], values[one]
        elif optional and self.rng.random() < 0.3:
            del values[self.rng.choice(optional)]
        else:
            name = self.rng.choice(list(values))
            values[name] = self._other(spec.kinds[name], values[name])
        return _calling(_call(asked, spec, values))

    def tool(self, asked: Conversation) -> AssistantMessage:
        """Another tool that is shown, with what it can use of the right arguments."""
        (call,) = _answer(asked).tool_calls
        right = _SPECS[call.function.name]
        wrong = self.rng.choice([spec for spec in _shown(asked) if spec is not right])
        known = [(right.kinds[name], value) for name, value in call.function.parsed().items()]
        draw, values = self._draw(), {}
        for name in wrong.required:
            found = next((place for place, (kind, _) in enumerate(known) if kind == wrong.kinds[name]), None)
            values[name] = wrong.kinds[name].draw(draw) if found is None else known.pop(found)[1]
        return _calling(_call(asked, wrong, values))

    def words(self, asked: Conversation) -> AssistantMessage:
        name = _answer(asked).tool_calls[0].function.name
        return _saying(self.rng.choice(WORDS_FOR_A_CALL.of(self.split)).format(tool=name))

    def half(self, asked: Conversation) -> AssistantMessage:
        """One of the two calls that were asked for."""
        return _calling(self.rng.choice(_answer(asked).tool_calls))

    def needless(self, asked: Conversation) -> AssistantMessage:
        """A call that nobody asked for, with values that nobody gave."""
        spec = self.rng.choice(_shown(asked))
        draw = self._draw()
        return _calling(_call(asked, spec, {name: spec.kinds[name].draw(draw) for name in spec.required}))

    def result(self, asked: Conversation) -> AssistantMessage:
        """The same words with another value than the tool gave."""
        said = text_of(_answer(asked).content)
        spec, result = _told(asked)
        name = self.rng.choice([name for name in result if str(result[name]) in said])
        other = self._other((spec.result or {})[name], result[name])
        return _saying(said.replace(str(result[name]), str(other)))

    def rambling(self, asked: Conversation) -> AssistantMessage:
        answer = text_of(_answer(asked).content)
        closings = self.rng.sample(CLOSINGS.of(self.split), 2)
        parts = [self.rng.choice(OPENINGS.of(self.split)), answer, *closings]
        return _saying(" ".join(parts).replace("{answer}", answer))

    def _draw(self) -> Draw:
        return Draw(self.rng, self.split)

    def _other(self, kind: Kind, value: Any) -> Any:
        draw = Draw(self.rng, self.split, used=[value])
        while (other := kind.draw(draw)) == value:  # a flag has one other value, and is drawn without memory
            pass
        return other


def tells_a_result(asked: Conversation) -> bool:
    """Whether the last answer repeats a value that the tool returned."""
    said = text_of(_answer(asked).content)
    return any(str(value) in said for value in _told(asked)[1].values())


def _answer(asked: Conversation) -> AssistantMessage:
    answer = asked.messages[-1]
    assert isinstance(answer, AssistantMessage)
    return answer


def _told(asked: Conversation) -> tuple[Spec, dict[str, Any]]:
    """The tool that was called before the last answer, and what it returned."""
    calling, told = asked.messages[-3:-1]
    assert isinstance(calling, AssistantMessage) and isinstance(told, ToolMessage)
    return _SPECS[calling.tool_calls[0].function.name], json.loads(text_of(told.content))


def _shown(asked: Conversation) -> list[Spec]:
    return [_SPECS[tool.function.name] for tool in asked.tools]


def _call(asked: Conversation, spec: Spec, values: dict[str, Any]) -> ToolCall:
    arguments = json.dumps(values, ensure_ascii=False)
    made = FunctionCall(name=spec.name, arguments=arguments)
    return ToolCall(id=call_id(f"{asked.id} rejected"), function=made)


def _calling(*calls: ToolCall) -> AssistantMessage:
    return AssistantMessage(role="assistant", tool_calls=list(calls))


def _saying(text: str) -> AssistantMessage:
    return AssistantMessage(role="assistant", content=text)
