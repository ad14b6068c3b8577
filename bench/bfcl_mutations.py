"""Right and wrong answers to BFCL's questions, made from its possible answers."""

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

Call = dict[str, dict[str, Any]]
"""As BFCL writes an answer: {function: {argument: value}}."""
Case = dict[str, Any]
Change = Callable[[Any, random.Random], Any]
Pick = Callable[[list[Any]], Any]
Mutation = Callable[[list[Call], Case, random.Random], "list[Call] | None"]
"""Changes the calls in place, or returns others; NothingToChangeError where it does not apply."""


class NothingToChangeError(Exception):
    """The mutation does not apply to this answer."""


def answers(case: Case, rng: random.Random) -> Iterator[tuple[str, list[Call]]]:
    """(kind, calls): three official answers, then one of every mutation that applies."""
    yield "official: first values", _answer(case, rng, lambda options: options[0], optional=False)
    yield "official: last values", _answer(case, rng, lambda options: options[-1], optional=True)
    yield "official: any values", _answer(case, rng, rng.choice, optional=True)
    start = _answer(case, rng, rng.choice, optional=True)
    for kind, mutate in _MUTATIONS.items():
        calls = copy.deepcopy(start)
        try:
            changed = mutate(calls, case, rng)
        except NothingToChangeError:
            continue
        yield kind, calls if changed is None else changed


def _answer(case: Case, rng: random.Random, pick: Pick, optional: bool) -> list[Call]:
    """An answer that the possible answers describe; `optional`: with arguments that may be left out."""
    return [
        {name.replace(".", "_"): _filled(options, pick, optional) for name, options in call.items()}
        for call in case["truth"]
    ]


def _filled(options: dict[str, list[Any]], pick: Pick, optional: bool) -> dict[str, Any]:
    filled = {}
    for name, possible in options.items():
        values = [value for value in possible if value != ""]
        if values and (optional or "" not in possible):
            filled[name] = _value(pick(values), pick, optional)
    return filled


def _value(value: Any, pick: Pick, optional: bool) -> Any:
    if isinstance(value, dict) and all(isinstance(possible, list) for possible in value.values()):
        return _filled(value, pick, optional)
    if isinstance(value, list):
        return [_value(item, pick, optional) for item in value]
    return value


def _places(value: Any, nested: bool) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value; `nested`: those inside lists and dictionaries alone."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if not nested:
            yield value, key
        if isinstance(item, dict | list):
            yield from _places(item, nested=False)


def _change(fits: Callable[[Any], bool], change: Change, nested: bool = False) -> Mutation:
    """Changes one value that `fits`, anywhere in the answer, or `nested` inside another value."""

    def mutate(calls: list[Call], case: Case, rng: random.Random) -> None:
        found = [
            (container, key)
            for call in calls
            for arguments in call.values()
            for container, key in _places(arguments, nested)
            if fits(container[key])
        ]
        if not found:
            raise NothingToChangeError
        container, key = rng.choice(found)
        container[key] = change(container[key], rng)

    return mutate


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _filled_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _whole(value: Any) -> bool:
    return type(value) is float and value.is_integer()


def _one(calls: list[Call], rng: random.Random) -> tuple[Call, str]:
    call = rng.choice(calls)
    return call, next(iter(call))


def _drop_argument(calls: list[Call], case: Case, rng: random.Random) -> None:
    call, name = _one(calls, rng)
    if not call[name]:
        raise NothingToChangeError
    del call[name][rng.choice(list(call[name]))]


def _invent_argument(calls: list[Call], case: Case, rng: random.Random) -> None:
    call, name = _one(calls, rng)
    call[name]["invented"] = rng.choice(["", 1, None, "x"])


def _undeclared_default(calls: list[Call], case: Case, rng: random.Random) -> None:
    """An argument that the answer leaves out, with a value of its declared type."""
    call, name = _one(calls, rng)
    [function] = [one for one in case["functions"] if one["name"].replace(".", "_") == name]
    spare = [
        (argument, declared)
        for argument, declared in function["parameters"]["properties"].items()
        if argument not in call[name]
    ]
    if not spare:
        raise NothingToChangeError
    argument, declared = rng.choice(spare)
    plain = {"string": "x", "integer": 1, "float": 1.5, "boolean": True, "array": [], "dict": {}}
    call[name][argument] = declared.get("default", plain.get(declared["type"], "x"))


def _set_optional(value: Any) -> Mutation:
    """An argument that may be left out is given as `value`."""

    def mutate(calls: list[Call], case: Case, rng: random.Random) -> None:
        spare = [
            (call, argument)
            for call, truth in zip(calls, case["truth"], strict=True)
            for argument, possible in next(iter(truth.values())).items()
            if "" in possible
        ]
        if not spare:
            raise NothingToChangeError
        call, argument = rng.choice(spare)
        call[next(iter(call))][argument] = copy.deepcopy(value)

    return mutate


def _rename(
    new: Callable[[str, Case, random.Random], str],
) -> Mutation:
    def mutate(calls: list[Call], case: Case, rng: random.Random) -> None:
        call, name = _one(calls, rng)
        changed = new(name, case, rng)
        if changed == name:
            raise NothingToChangeError
        call[changed] = call.pop(name)

    return mutate


def _shuffle(calls: list[Call], case: Case, rng: random.Random) -> None:
    if len(calls) < 2:
        raise NothingToChangeError
    calls.reverse()


def _swap_values(calls: list[Call], case: Case, rng: random.Random) -> None:
    """Two arguments of one call change places."""
    call, name = _one(calls, rng)
    if len(call[name]) < 2:
        raise NothingToChangeError
    one, other = rng.sample(list(call[name]), 2)
    call[name][one], call[name][other] = call[name][other], call[name][one]


def _swap_between(calls: list[Call], case: Case, rng: random.Random) -> None:
    """An argument that two calls share changes places."""
    if len(calls) < 2:
        raise NothingToChangeError
    one, other = (next(iter(call.values())) for call in rng.sample(calls, 2))
    shared = sorted(one.keys() & other.keys())
    if not shared:
        raise NothingToChangeError
    name = rng.choice(shared)
    one[name], other[name] = other[name], one[name]


def _drop_key(value: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    gone = rng.choice(list(value))
    return {key: item for key, item in value.items() if key != gone}


def _reworded(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + rng.choice("xé7") + text[place + 1 :]


def _spaced(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice([" ", "  ", "\t"]) + text[place:]


def _punctuated(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(",./-_*^;:!?()") + text[place:]


def _other_function(name: str, case: Case, rng: random.Random) -> str:
    return str(rng.choice(case["functions"])["name"]).replace(".", "_")


_MUTATIONS: dict[str, Mutation] = {
    "call: dropped": lambda calls, case, rng: calls[:-1],
    "call: twice": lambda calls, case, rng: [*calls, calls[0]],
    "call: none": lambda calls, case, rng: [],
    "order of calls": _shuffle,
    "values swapped within a call": _swap_values,
    "values swapped between calls": _swap_between,
    "name: another function's": _rename(_other_function),
    "name: invented": _rename(lambda name, case, rng: name + "_v2"),
    "name: case": _rename(lambda name, case, rng: name.swapcase()),
    "name: dots for underscores": _rename(lambda name, case, rng: name.replace("_", ".")),
    "argument: dropped": _drop_argument,
    "argument: invented": _invent_argument,
    "argument: default": _undeclared_default,
    "optional: empty string": _set_optional(""),
    "optional: null": _set_optional(None),
    "optional: empty list": _set_optional([]),
    "optional: list": _set_optional(["x"]),
    "optional: empty dictionary": _set_optional({}),
    "type: number to string": _change(_is(int, float), lambda value, rng: str(value)),
    "type: integer to float": _change(_is(int), lambda value, rng: float(value)),
    "type: float to integer": _change(_whole, lambda value, rng: int(value)),
    "type: boolean to string": _change(_is(bool), lambda value, rng: str(value).lower()),
    "type: boolean to integer": _change(_is(bool), lambda value, rng: int(value)),
    "type: one and zero to boolean": _change(
        lambda value: type(value) in (int, float) and value in (0, 1), lambda value, rng: bool(value)
    ),
    "type: value to list": _change(_is(str, int, float), lambda value, rng: [value]),
    "type: list to value": _change(_filled_list, lambda value, rng: value[0]),
    "type: value to null": _change(_is(str, int, float, bool), lambda value, rng: None),
    "type: dictionary to list": _change(_is(dict), lambda value, rng: [value]),
    "number: one more": _change(_is(int, float), lambda value, rng: value + 1),
    "number: a little more": _change(_is(float), lambda value, rng: value + 1e-6),
    "string: case": _change(_text, lambda value, rng: value.swapcase()),
    "string: space": _change(_text, _spaced),
    "string: punctuation": _change(_text, _punctuated),
    "string: quotes": _change(
        lambda value: isinstance(value, str) and "'" in value, lambda value, rng: value.replace("'", '"')
    ),
    "string: other letter": _change(_text, _reworded),
    "string: empty": _change(_text, lambda value, rng: ""),
    "nested: string case": _change(_text, lambda value, rng: value.swapcase(), nested=True),
    "nested: string space": _change(_text, _spaced, nested=True),
    "nested: string other letter": _change(_text, _reworded, nested=True),
    "nested: integer to float": _change(_is(int), lambda value, rng: float(value), nested=True),
    "nested: float to integer": _change(_whole, lambda value, rng: int(value), nested=True),
    "nested: number to string": _change(_is(int, float), lambda value, rng: str(value), nested=True),
    "nested: number to boolean": _change(_is(int, float), lambda value, rng: bool(value), nested=True),
    "nested: boolean to integer": _change(_is(bool), lambda value, rng: int(value), nested=True),
    "list: reversed": _change(
        lambda value: isinstance(value, list) and len(value) > 1, lambda value, rng: value[::-1]
    ),
    "list: shorter": _change(_filled_list, lambda value, rng: value[:-1]),
    "list: longer": _change(_filled_list, lambda value, rng: [*value, value[0]]),
    "list: empty": _change(_is(list), lambda value, rng: []),
    "dictionary: key dropped": _change(lambda value: isinstance(value, dict) and bool(value), _drop_key),
    "dictionary: key invented": _change(_is(dict), lambda value, rng: {**value, "invented": 1}),
    "dictionary: empty": _change(_is(dict), lambda value, rng: {}),
}
