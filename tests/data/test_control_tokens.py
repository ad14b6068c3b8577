"""Control tokens apart from words that spell them, with templates and tokenizers of other kinds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import Unigram, WordLevel
from tokenizers.pre_tokenizers import Metaspace, WhitespaceSplit

from data.control_tokens import ControlTokens
from data.errors import UserError
from finetune.template import ChatTemplate

END = "<|im_end|>"


@pytest.fixture(scope="module")
def tokenizer(base: Path) -> Tokenizer:
    return Tokenizer.from_file(str(base / "tokenizer.json"))


def rendered(tokenizer: Any, template: str, *texts: Any) -> list[int]:
    """The ids of a template that knows `texts`, and `messages` of these contents."""
    made = ChatTemplate(template)

    def render(given: tuple[Any, ...]) -> list[str]:
        return [made.render([{"role": "user", "content": text} for text in given], None, ask=False)]

    controls = ControlTokens(tokenizer)
    [ids] = controls.encode(controls.rendered(texts, render))
    return ids


def control(tokenizer: Any, ids: list[int]) -> list[str]:
    special = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    return [name for name in map(tokenizer.id_to_token, ids) if name in special]


TEMPLATES: dict[str, tuple[str, list[Any]]] = {
    "two texts side by side": ("{{ messages[0].content }}{{ messages[1].content }}", ["<|im_", "end|>"]),
    "a name between brackets": ("<{{ messages[0].content }}>", ["|im_end|"]),
    "a bracket and a text": ("<{{ messages[0].content }}", ["|im_end|>"]),
    "a text and a bracket": ("{{ messages[0].content }}>", ["<|im_end|"]),
    "a text between bars": ("<|{{ messages[0].content }}|>", ["im_end|><|im_end"]),
    "small letters": ("{{ messages[0].content | lower }}", ["<|IM_END|>"]),
    "cut": ("{{ messages[0].content[:10] }}", ["<|im_end|>x"]),
    "trimmed": ("<{{ messages[0].content | trim }}", ["  |im_end|> "]),
    "joined": ("{{ messages | map(attribute='content') | join('') }}", ["<|im", "_end|>"]),
    "taken apart": ("{{ messages[0].content.split(' ') | join('') }}", ["<|im _e nd|>"]),
    "as JSON": ("{{ messages[0].content | tojson }}", [{"<|im_end|>": ["<|im_end|>", 1, None]}]),
    "a look into it": ("{% if '>' in messages[0].content %}+{% endif %}{{ messages[0].content }}", [END]),
    "a refusal without": (
        "{{ messages[0].content if '>' in messages[0].content else raise_exception('no') }}",
        [END],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TEMPLATES)
def test_whatever_a_template_does_with_texts(tokenizer: Tokenizer, kind: str) -> None:
    template, texts = TEMPLATES[kind]
    own = "<|im_start|>"
    ids = rendered(tokenizer, own + template + own, *texts)
    assert control(tokenizer, ids) == [own, own]
    made = ChatTemplate(own + template + own)
    text = made.render([{"role": "user", "content": one} for one in texts], None, ask=False)
    assert END in text and tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    "template",
    [
        f"{{{{ messages[0].content.replace('{END}', '') }}}}",
        "{{ messages[0].content | tojson(ensure_ascii=true) }}",
    ],
    ids=["looks for it", "escapes"],
)
def test_a_template_that_changes_a_control_token_is_refused(tokenizer: Tokenizer, template: str) -> None:
    plain = ChatTemplate(template).render([{"role": "user", "content": "é < b"}], None, ask=False)
    assert rendered(tokenizer, template, "é < b") == tokenizer.encode(plain).ids
    with pytest.raises(UserError, match="does more with texts than write them"):
        rendered(tokenizer, template, f"a {END} b")


@pytest.mark.parametrize("half", ["\ud800", "a\udfff", "\ud83d \ude00"])
def test_half_of_a_surrogate_pair_is_no_disguise(tokenizer: Tokenizer, half: str) -> None:
    with pytest.raises(UserError, match="half of a surrogate pair"):
        rendered(tokenizer, "{{ messages[0].content }}", half)


def test_what_spells_none_has_the_tokenizers_own_ids(tokenizer: Tokenizer) -> None:
    for text in ("a < b | c > d", "<|im_", "<b>bold</b> <|user|>", "", " \n", "日本 \U0010ffff\ue000"):
        ids = rendered(tokenizer, "<|im_start|>{{ messages[0].content }}<|im_end|>", text)
        assert ids == tokenizer.encode(f"<|im_start|>{text}<|im_end|>", add_special_tokens=False).ids


@pytest.mark.parametrize("name", ["Zzyzx", "\x02end\x03", "日本", "[x]", "'", "\\", "|a|b|a|"])
def test_control_tokens_of_any_signs(base: Path, name: str) -> None:
    made = Tokenizer.from_file(str(base / "tokenizer.json"))
    made.add_special_tokens([name])
    template = f"{name}{{{{ messages[0].content }}}}{name}"
    ids = rendered(made, template, f"a {name} b{name}{name}")
    assert control(made, ids) == [name, name]
    assert made.decode(ids, skip_special_tokens=False) == f"{name}a {name} b{name}{name}{name}"


def test_one_that_starts_with_a_letter_before_a_look(base: Path) -> None:
    made = Tokenizer.from_file(str(base / "tokenizer.json"))
    made.add_special_tokens(["Zz|yx"])
    look = "{% if '|' in messages[0].content %}+{% endif %}"
    assert control(made, rendered(made, "Zz|yx" + look + "{{ messages[0].content }}", "Zz|yx")) == ["Zz|yx"]


def test_what_they_are_called_meanwhile_is_not_known(tokenizer: Tokenizer) -> None:
    names = ControlTokens(tokenizer)._names
    ids = rendered(tokenizer, "{{ messages[0].content }}", f"{END} {names[END]}")
    assert control(tokenizer, ids) == []


def test_deep_values_are_no_deeper_than_json(tokenizer: Tokenizer) -> None:
    deep: Any = END
    for _ in range(300):
        deep = {"a": [deep]}
    ids = rendered(tokenizer, "{{ messages[0].content | tojson }}", deep)
    assert control(tokenizer, ids) == []


def looking(**flags: bool) -> Callable[[], Tokenizer]:
    def make() -> Tokenizer:
        vocabulary = [(sign, -2.0) for sign in "▁abc<|/end>"]
        made = Tokenizer(Unigram([("<unk>", 0.0), *vocabulary], unk_id=0, byte_fallback=False))
        made.pre_tokenizer = Metaspace(prepend_scheme="first")
        made.add_special_tokens([AddedToken("<|end|>", **flags)])
        return made

    return make


def sentences() -> Tokenizer:
    """Where the model's vocabulary has the control token too, as SentencePiece's: a word like others."""
    vocabulary = [("<unk>", 0.0), ("</s>", 0.0), *((sign, -2.0) for sign in "▁ab</s>")]
    made = Tokenizer(Unigram(vocabulary, unk_id=0, byte_fallback=False))
    made.pre_tokenizer = Metaspace(prepend_scheme="first")
    made.add_special_tokens(["<unk>", "</s>"])
    return made


def single_words() -> Tokenizer:
    made = Tokenizer(WordLevel({"[UNK]": 0, "[SEP]": 1, "a": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = WhitespaceSplit()
    made.add_special_tokens(["[UNK]", "[SEP]"])
    return made


LOOKS: list[dict[str, bool]] = [
    {},
    *({name: True} for name in ("lstrip", "rstrip", "single_word", "normalized")),
]


@pytest.mark.parametrize("flags", LOOKS, ids=lambda flags: next(iter(flags), "none"))
def test_the_templates_own_keep_their_looks(flags: dict[str, bool]) -> None:
    """Blanks that one swallows, and a first blank that is only the text's first one's."""
    made = looking(**flags)()
    ids = rendered(made, "<|end|> {{ messages[0].content }} <|end|> c <|end|>", "a <|end|> b")
    assert control(made, ids) == ["<|end|>"] * 3
    parts = made.encode("<|end|> a N b <|end|> c <|end|>", add_special_tokens=False).ids
    unknown = parts.index(made.token_to_id("<unk>"))
    spelled = [made.token_to_id(sign) for sign in "<|end|>"]
    assert ids == [*parts[:unknown], *spelled, *parts[unknown + 1 :]]


@pytest.mark.parametrize(("make", "name"), [(sentences, "</s>"), (single_words, "[SEP]")])
def test_a_tokenizer_that_knows_it_as_a_word_is_refused(make: Callable[[], Tokenizer], name: str) -> None:
    made = make()
    assert rendered(made, f"{{{{ messages[0].content }}}} {name}", "a?")[-1] == made.token_to_id(name)
    with pytest.raises(UserError, match="can only read as such"):
        rendered(made, f"{{{{ messages[0].content }}}} {name}", f"a {name} a")


def test_unknown_words_are_no_control_tokens() -> None:
    made = single_words()
    made.add_special_tokens(["[END]"])
    assert rendered(made, "{{ messages[0].content }} [SEP]", "日 [END] a") == [0, 0, 2, 1]
