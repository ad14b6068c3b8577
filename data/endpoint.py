"""The address of an endpoint, as people write it."""

from urllib.parse import urlsplit

from data.errors import UserError


def root_of(url: str) -> str:
    """Return the root of an endpoint: `127.0.0.1:8321`, `http://host/v1/` and `http://host` all have one.

    UserError for what is no address of HTTP.
    """
    written = url.strip()
    whole = written if "://" in written else f"http://{written}"
    whole = whole.rstrip("/").removesuffix("/v1").rstrip("/")
    try:
        parts = urlsplit(whole)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, half an IPv6 address
        usable = False
    if not usable or any(sign.isspace() for sign in whole):
        raise UserError(f"{url!r} is no address of a server; write it as http://HOST:PORT.")
    return whole
