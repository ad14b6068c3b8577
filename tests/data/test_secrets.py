"""Shapes of secrets, and near misses that are none. Every sample is put together here and opens nothing."""

import pytest

from data.secrets import find, suspicious

LETTERS = "aB3dE5gH7jK9mN1pQ2sT4vW6yZ8bC0fG"
LONG = LETTERS * 4

SECRETS = {
    "AKIA" + "Q3EGRZ7PLMWX5T2B": "an AWS access key id",
    "ASIA" + "Q3EGRZ7PLMWX5T2B": "an AWS access key id",
    "ghp_" + LONG[:36]: "a GitHub token",
    "gho_" + LONG[:36]: "a GitHub token",
    "github_pat_" + LONG[:22] + "_" + LONG[:59]: "a GitHub token",
    "glpat-" + LONG[:20]: "a GitLab token",
    "xoxb-" + "123456789012-" + LONG[:24]: "a Slack token",
    "https://hooks.slack.com/services/" + "T0123ABCD/B0123ABCD/" + LONG[:24]: "a Slack webhook",
    "sk-proj-" + LONG[:64]: "an OpenAI key",
    "sk-" + LONG[:20] + "T3BlbkFJ" + LONG[:20]: "an OpenAI key",
    "sk-ant-" + "api03-" + LONG[:95]: "an Anthropic key",
    "hf_" + LONG[:34]: "a Hugging Face token",
    "sk_live_" + LONG[:24]: "a Stripe key",
    "AIza" + LONG[:35]: "a Google API key",
    "SG." + LONG[:22] + "." + LONG[:43]: "a SendGrid key",
    "npm_" + LONG[:36]: "an npm token",
    "pypi-AgEI" + LONG[:60]: "a PyPI token",
    "eyJ" + LONG[:20] + ".eyJ" + LONG[:40] + "." + LONG[:43]: "a JSON web token",
    "-----BEGIN RSA PRIVATE KEY-----\n" + LONG[:64] + "\n" + LONG[:64]: "a private key",
    "-----BEGIN PRIVATE KEY-----\\n" + LONG: "a private key",
    "5500 0055 5555 5559": "a payment card number",
    "4539578763621486": "a payment card number",
    "3782-822463-10013": None,
    "GB82 WEST 1234 5698 7654 32": "a bank account number (IBAN)",
    "DE89370400440532013000": "a bank account number (IBAN)",
}  # fmt: skip


@pytest.mark.parametrize(("secret", "kind"), [item for item in SECRETS.items() if item[1]])
@pytest.mark.parametrize("around", ["{}", "my key is {}.", '{{"key": "{}"}}', "a={}\nb"])
def test_secrets_are_found_whole(secret: str, kind: str, around: str) -> None:
    text = around.format(secret)
    assert suspicious(text)
    (found,) = find(text)
    assert found.kind == kind
    assert text[found.start : found.end].startswith(secret[: len(secret) // 2])


@pytest.mark.parametrize("secret", [secret for secret, kind in SECRETS.items() if kind])
def test_a_finding_never_shows_the_secret(secret: str) -> None:
    for found in find(secret):
        said = f"{found} {found!r}"
        assert not any(secret[start : start + 6] in said for start in range(len(secret) - 5))


def test_passwords_in_connection_strings_are_found_alone() -> None:
    text = "postgresql://app:q7Tz!pw9@db.internal:5432/shop"
    (found,) = find(text)
    assert text[found.start : found.end] == "q7Tz!pw9"


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "AKIA" + "Q3EGRZ7PLMWX5T2",
        "AKIA" + "Q3EGRZ7PLMWX5T2BX",
        "XAKIA" + "Q3EGRZ7PLMWX5T2B",
        "ghp_" + LONG[:35],
        "ghp_is the prefix of a token",
        "glpat-short",
        "xoxb-your-token",
        "sk-learn and sk-proj-short",
        "disk-project-planning-for-the-new-office-in-lisbon-and-porto",
        "hf_" + LONG[:33],
        "hf_hub_download_of_a_very_long_function_name",
        "sk_test_" + LONG[:24],
        "AIza" + LONG[:34],
        "npm_config_registry",
        "eyJhbGciOiJIUzI1NiJ9 alone",
        "-----BEGIN PUBLIC KEY-----\n" + LONG,
        "-----BEGIN PRIVATE KEY----- is how it starts",
        "postgresql://app:password@localhost/shop",
        "postgresql://app:<password>@localhost/shop",
        "postgresql://app:${DB_PASSWORD}@localhost/shop",
        "https://example.com:8080/a@b",
        "https://example.com/path",
        "mailto:ana@example.com",
        "4242 4242 4242 4242",
        "5500 0055 5555 5558",
        "order 1234567890123456",
        "0000 0000 0000 0000",
        "4539578763621486.75",
        "id-4539578763621486",
        "GB82 WEST 1234 5698 7654 33",
        "2026-11-23 05:12:44, call 555-0100, ISBN 978-3-16-148410-0",
        '{"order_id": "C-1773", "total": 4821.50, "sha": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"}',
    ],
)  # fmt: skip
def test_near_misses(text: str) -> None:
    assert list(find(text)) == []


def test_the_quick_look_misses_nothing() -> None:
    for secret, kind in SECRETS.items():
        assert suspicious(secret) or kind is None
    assert not suspicious("Nothing to see here, on 2026-11-23, for 12 people.")
