"""Regular expressions by their size with the repetitions written out."""

import pytest

from serve.routes.patterns import MAX_CHARACTERS, MAX_EXPANDED, MAX_NESTED, MAX_REPEATS, too_large

ISO_TIME = (
    r"^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]|"
    r"1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))T(?:(?:[01]"
    r"\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z))$"
)
"""What a widely used schema library writes for a time."""

_HEX = "[0-9a-fA-F]{1,4}"
IPV6 = (
    f"^(({_HEX}:){{7}}{_HEX}|({_HEX}:){{1,7}}:|({_HEX}:){{1,6}}:{_HEX}|({_HEX}:){{1,5}}(:{_HEX}){{1,2}}|"
    f"({_HEX}:){{1,4}}(:{_HEX}){{1,3}}|({_HEX}:){{1,3}}(:{_HEX}){{1,4}}|({_HEX}:){{1,2}}(:{_HEX}){{1,5}}|"
    f"{_HEX}:((:{_HEX}){{1,6}})|:((:{_HEX}){{1,7}}|:))$"
)
"""What several of them write for an address."""


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        r"^\d{3}\.\d{3}\.\d{3}-\d{2}$",
        r"^[^@\]]+@[a-z]+\.(com|org)$",
        "a" * MAX_CHARACTERS,
        f"a{{{MAX_REPEATS}}}",
        f"^.{{0,{MAX_REPEATS}}}$",
        "((a{1,4}){1,4}){1,4}",
        "^[A-Z]{1,3}(-[A-Z0-9]{1,8}){0,8}$",
        r"\{9999\}",
        r"\\p{3}",
        "(?i)^yes|no$",
        ISO_TIME,
        IPV6,
        "^arn:aws:[a-z0-9-]{1,63}:[a-z0-9-]{0,63}:[0-9]{12}:[a-zA-Z0-9/_.-]{1,255}$",
        "[{9999}]",
        ")))",
        "(((",
    ],
)
def test_what_people_write_is_taken(pattern: str) -> None:
    assert too_large(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("a" * (MAX_CHARACTERS + 1), f"{MAX_CHARACTERS + 1} characters"),
        (f"a{{{MAX_REPEATS + 1}}}", f"repeats {MAX_REPEATS + 1} times"),
        (f"a{{1,{MAX_REPEATS + 1}}}", f"repeats {MAX_REPEATS + 1} times"),
        (f"a{{{MAX_REPEATS + 1},}}", f"repeats {MAX_REPEATS + 1} times"),
        ("a{99999999999999999999}", "repeats 99999999999999999999 times"),
        ("(abc){200}", f"of 600 characters with its repetitions, where at most {MAX_EXPANDED} go"),
        ("(a|[b-z]x)y{99}((ab)(cd)){150}", "of 702 characters"),
        ("(ab{100}){2}", f"repeats repetitions to 202 characters, where at most {MAX_NESTED} go"),
        ("((a{1,32}){1,32}){1,32}", "repetitions to 1024 characters"),
        ("([a-z]+){1,100}", "repetitions to 100 characters"),
        ("((a?b){30}){3}", "repetitions to 180 characters"),
        (r"^\p{L}+$", "class of Unicode"),
        (r"a\\\P{Lu}", "class of Unicode"),
        ("a{100}{100}", "repetitions to 10000 characters"),
    ],
)
def test_what_would_be_large_is_not(pattern: str, said: str) -> None:
    assert said in (too_large(pattern) or "")
