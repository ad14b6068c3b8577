"""The generator's own tables: variety, and halves that share neither values nor wording."""

import random
import re
from collections.abc import Iterator

import pytest

from data.generate import phrases
from data.generate.files import talks
from data.generate.kinds import Flag, Kind, Many, Record
from data.generate.names import other_face, pieces
from data.generate.pools import POOLS, Split
from data.generate.spec import Wording, words
from data.generate.tools import TRAINED, UNSEEN


def test_schemas_are_varied() -> None:
    for specs in (TRAINED, UNSEEN):
        schemas = [
            parameter for spec in specs for parameter in (kind.schema() for kind in spec.kinds.values())
        ]
        forms = {schema.get("items", {}).get("type", "") + " " + schema["type"] for schema in schemas}
        assert {" integer", " number", " boolean", " object", "string array", "object array"} <= forms
        assert any("enum" in schema for schema in schemas)
        assert any(not spec.params for spec in specs)
        assert any(len(spec.required) < len(spec.params) for spec in specs)


@pytest.mark.parametrize("name", POOLS)
def test_pools_are_disjoint_and_without_blanks(name: str) -> None:
    pool = POOLS[name]
    assert not set(pool.train) & set(pool.heldout)
    every = pool.train + pool.heldout
    assert len(set(every)) == len(every)
    assert all(value and value == value.strip() for value in every)


def _records(kind: Kind) -> Iterator[Record]:
    if isinstance(kind, Many):
        yield from _records(kind.item)
    elif isinstance(kind, Record):
        yield kind


def templates(split: Split) -> list[str]:
    """Every piece of wording of a split, from the tables themselves."""
    shapes = [
        record for spec in TRAINED + UNSEEN for kind in spec.kinds.values() for record in _records(kind)
    ]
    unlike: list[Wording] = [phrases.SYSTEM, phrases.TWO_REQUESTS, phrases.NEXT_REQUEST, phrases.NO_TOOL]
    facts = words([fact[0] for fact in phrases.FACTS_TRAIN], [fact[0] for fact in phrases.FACTS_HELDOUT])
    found = [template for wording in (*unlike, facts) for template in wording.of(split)]
    found += [
        template for spec in TRAINED + UNSEEN for wording in spec.wordings() for template in wording.of(split)
    ]
    found += {shape.train if split == "train" else shape.heldout for shape in shapes} - {""}
    return found + [question for question, _ in talks(split)]


def skeleton(template: str) -> str:
    """A template without its placeholders, case and punctuation, so that only its words count."""
    text = re.sub(r"\{[^}]*\}", "_", template.partition(" | ")[0])
    return " ".join(re.findall(r"[\w']+", text.lower()))


def test_splits_share_no_template() -> None:
    train = {skeleton(template) for template in templates("train")}
    heldout = {skeleton(template) for template in templates("heldout")}
    assert len(train) > 400 and len(heldout) > 200
    assert not train & heldout


def test_other_names_keep_tools_and_parameters_apart() -> None:
    rng = random.Random(0)
    for _ in range(50):
        faces = [other_face(spec, rng) for spec in TRAINED]
        assert len({" ".join(pieces(face.name)) for face in faces}) == len(faces)
        for face in faces:
            assert face.names.keys() == face.spec.kinds.keys()
            assert len(set(face.names.values())) == len(face.names), face


def test_trained_tools_have_enough_wording() -> None:
    for spec in TRAINED:
        assert len(set(spec.ask.train)) >= 3 and len(set(spec.ask.heldout)) >= 2, spec.name
    for spec in UNSEEN:
        assert len(spec.ask.heldout) >= 3 and not spec.ask.train, spec.name


def test_flags_are_only_set_by_the_words_of_a_template() -> None:
    for spec in TRAINED + UNSEEN:
        flags = [name for name, kind in spec.kinds.items() if isinstance(kind, Flag)]
        for wording in spec.wordings():
            for template in wording.train + wording.heldout:
                assert not any(f"{{{flag}" in template for flag in flags), template
