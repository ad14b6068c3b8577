"""Regular expressions by their size with the repetitions written out."""

import pytest

from serve.routes.patterns import MAX_CHARACTERS, MAX_EXPANDED, MAX_NESTED, MAX_REPEATS, too_large


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
        ("a" * (MAX_CHARACTERS + 1), "257 characters"),
        (f"a{{{MAX_REPEATS + 1}}}", "repeats 129 times"),
        (f"a{{1,{MAX_REPEATS + 1}}}", "repeats 129 times"),
        (f"a{{{MAX_REPEATS + 1},}}", "repeats 129 times"),
        ("a{99999999999999999999}", "repeats 99999999999999999999 times"),
        ("(abc){100}", f"of 300 characters with its repetitions, where at most {MAX_EXPANDED} go"),
        ("(a|[b-z]x)y{99}((ab)(cd)){50}", "of 302 characters"),
        ("(ab{100}){2}", f"repeats repetitions to 202 characters, where at most {MAX_NESTED} go"),
        ("((a{1,32}){1,32}){1,32}", "repetitions to 1024 characters"),
        ("([a-z]+){1,100}", "repetitions to 100 characters"),
        ("((a?b){30}){3}", "repetitions to 180 characters"),
        ("a{100}{100}", "repetitions to 10000 characters"),
    ],
)
def test_what_would_be_large_is_not(pattern: str, said: str) -> None:
    assert said in (too_large(pattern) or "")
