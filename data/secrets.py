"""Probable secrets and payment data in text: what training would teach the model to repeat.

Each shape is a literal that a fast substring search finds first, and an anchored pattern that is only
tried where the literal stands. A finding is named and measured, never shown.
Shapes are those that the issuers document for secret scanning; long random strings without a known shape
are left alone, because ids and digests in tool results look the same.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Secret:
    """`kind` as a person would call it, with its article; the place is `text[start:end]`."""

    kind: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.kind} ({self.end - self.start} characters)"


@dataclass(frozen=True)
class _Shape:
    kind: str
    literals: tuple[str, ...]
    pattern: re.Pattern[str]
    """Its group 1, where it has one, is the secret itself."""
    accept: Callable[[str], bool] = lambda text: "EXAMPLE" not in text.upper()


_PLACEHOLDER = re.compile(
    r"[<\[{$%*].*|x+|\.+|(?:your|my|the)?[_-]?(?:password|passwd|pass|pwd|secret|token)s?|changeme|example",
    re.IGNORECASE,
)


def _shape(kind: str, literals: str, pattern: str) -> _Shape:
    return _Shape(kind, tuple(literals.split()), re.compile(rf"(?<![\w-])(?:{pattern})"))


_SHAPES = (
    _shape("an AWS access key id", "AKIA ASIA", r"(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])"),
    _shape("a GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"gh[pousr]_[A-Za-z0-9]{36,251}(?!\w)"),
    _shape("a GitHub token", "github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}(?!\w)"),
    _shape("a GitLab token", "glpat-", r"glpat-[\w.-]{20,}"),
    _shape("a Slack token", "xoxb- xoxp- xoxa- xoxr- xoxs- xoxe-", r"xox[abeprs]-[0-9][\w-]{16,}"),
    _shape(
        "a Slack webhook", "hooks.slack.com", r"https://hooks\.slack\.com/services/T\w{8,}/B\w{8,}/\w{20,}"
    ),
    _shape("an OpenAI key", "sk-proj- sk-svcacct- sk-admin-", r"sk-(?:proj|svcacct|admin)-[\w-]{40,}"),
    _shape("an OpenAI key", "T3BlbkFJ", r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}(?!\w)"),
    _shape("an Anthropic key", "sk-ant-", r"sk-ant-[a-z]+[0-9]{2}-[\w-]{80,}"),
    _shape("a Hugging Face token", "hf_", r"hf_[A-Za-z0-9]{34}(?!\w)"),
    _shape("a Stripe key", "sk_live_ rk_live_", r"[rs]k_live_[A-Za-z0-9]{20,247}(?!\w)"),
    _shape("a Google API key", "AIza", r"AIza[\w-]{35}(?![\w-])"),
    _shape("a SendGrid key", "SG.", r"SG\.[\w-]{22}\.[\w-]{43}(?![\w-])"),
    _shape("an npm token", "npm_", r"npm_[A-Za-z0-9]{36}(?!\w)"),
    _shape("a PyPI token", "pypi-AgEI", r"pypi-AgEI[\w-]{50,}"),
    _shape("a JSON web token", "eyJ", r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
    _Shape(
        "a private key",
        ("PRIVATE KEY",),
        re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\\n|[\s\w+/=:.,-]){64,}"),
    ),
    _Shape(
        "a password in a connection string",
        ("://",),
        re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"'<>]{1,64}:([^\s/@\"'<>]{3,128})@[\w.\[-]"),
        lambda text: not _PLACEHOLDER.fullmatch(text),
    ),
)

# First digits of the card networks, in groups or in one piece.
_CARD = re.compile(r"(?<![\w.,+#/-])[2-6][0-9]{3}([ -]?)[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}(?![\w-]|[.,][0-9])")
_AMEX = re.compile(r"(?<![\w.,+#/-])3[47][0-9]{2}([ -]?)[0-9]{6}\1[0-9]{5}(?![\w-]|[.,][0-9])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")

# Numbers that payment providers publish for tests.
_TEST_CARDS = {
    *("4111111111111111", "4242424242424242", "4000056655665556", "4012888888881881", "2223003122003222"),
    *("5555555555554444", "5105105105105100", "378282246310005", "371449635398431", "6011111111111117"),
    *("6011000990139424", "3530111333300000", "3566002020360505"),
}


def suspicious(text: str) -> bool:
    """Whether `find` could find something: quick, and never wrong when it says no."""
    return (
        any(literal in text for literal in _LITERALS)
        or _CARDS_HAVE.search(text) is not None
        or _IBANS_HAVE.search(text) is not None
    )


def find(text: str) -> Iterator[Secret]:
    """Every probable secret of `text`."""
    for shape in _SHAPES:
        if any(literal in text for literal in shape.literals):
            for match in shape.pattern.finditer(text):
                group = match.re.groups
                if shape.accept(match[group]):
                    yield Secret(shape.kind, *match.span(group))
    for pattern in (_CARD, _AMEX):
        for match in pattern.finditer(text):
            number = re.sub(r"\D", "", match[0])
            if len(set(number)) > 1 and number not in _TEST_CARDS and _luhn(number):
                yield Secret("a payment card number", *match.span())
    for match in _IBAN.finditer(text):
        if _iban(match[0].replace(" ", "")):
            yield Secret("a bank account number (IBAN)", *match.span())


_LITERALS = tuple(dict.fromkeys(literal for shape in _SHAPES for literal in shape.literals))
# What the patterns for numbers have in common, in forms that are searched fast.
_CARDS_HAVE = re.compile(r"[0-9]{4}[ -]?[0-9]{4}(?:[0-9]{2}|[ -][0-9]{4})")
_IBANS_HAVE = re.compile(r"[A-Z][A-Z][0-9][0-9] ?[A-Z0-9]{4}")


def _luhn(number: str) -> bool:
    """ISO/IEC 7812's check digit, of 13 to 19 digits."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[1::2]]
    return 13 <= len(digits) <= 19 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """ISO 13616's check: the number read as digits, moved by four, leaves 1 by 97."""
    moved = text[4:] + text[:4]
    return 15 <= len(text) <= 34 and int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1
