"""What is wrong before any file is looked at: names, announcements, bytes that are not those, no HTTP."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from data.manifest import ADAPTER_FILES
from tests.serve.hostile.attack import MANIFEST, NAME, Act, Files, announce, announcement, opened, push, wire
from tests.serve.hostile.forge import Cases, beside
from tests.serve.tiny import CONFIG, WEIGHTS


def named(name: str) -> Act:
    """Push under this name, written as in a URL."""
    return lambda http, files: push(http, files, name=name)


def announced(change: Callable[[dict[str, Any]], object]) -> Act:
    """Announce what `change` makes of the truth, and send the truth."""

    def act(http: httpx.Client, files: Files) -> httpx.Response:
        body = announcement(files)
        change(body)
        return push(http, files, body)

    return act


def config_entry(**changes: Any) -> Act:
    """Announce the config with these fields in its entry."""
    return announced(lambda body: body["files"][CONFIG].update(changes))


def file_named(name: str) -> Act:
    """Announce a further file of this name."""
    return announced(lambda body: body["files"].update({name: body["files"][CONFIG]}))


def body(text: bytes) -> Act:
    """Announce with these bytes for JSON."""
    return lambda http, _: announce(http, text)


def put(path: str, content: Callable[[bytes], bytes | Iterator[bytes]], **more: Any) -> Act:
    """Announce rightly, and put to this path what `content` makes of the config."""

    def act(http: httpx.Client, files: Files) -> httpx.Response:
        return http.put(opened(http, files) + path, content=content(files[CONFIG]), **more)

    return act


def raw(line: str, *headers: str, content: bytes = b"") -> Act:
    """These lines of HTTP with a key that may push.

    `{upload}` is the path of an open upload, `{size}` what its config was announced with.
    """

    def act(http: httpx.Client, files: Files) -> httpx.Response:
        head = "\r\n".join([line, *headers, f"authorization: {http.headers['authorization']}"])
        head = head.replace("{size}", str(len(files[CONFIG])))
        if "{upload}" in head:
            head = head.replace("{upload}", opened(http, files))
        return wire(http, head.encode("latin-1") + b"\r\n\r\n" + content)

    return act


def chunks(*parts: bytes) -> Callable[[bytes], Iterator[bytes]]:
    return lambda _: iter(parts)


PUT = f"PUT {{upload}}/{CONFIG} HTTP/1.1"
POST = f"POST /v1/adapters/{NAME}/uploads HTTP/1.1"
HOST, SOME, CHUNKED = "host: x", "content-length: 4", "transfer-encoding: chunked"

NAMES: Cases = {
    "name that leads out": (named("%2e%2e"), "adapter name '..' is not allowed"),
    "name with a path": (named("a%2f..%2f..%2fb"), "is no route"),
    "name with a Windows path": (named("..%5cwin"), r"adapter name '..\\win' is not allowed"),
    "name with NUL": (named("victim%00.zip"), r"'victim\x00.zip' is not allowed"),
    "name with a line end": (named("victim%0a"), r"'victim\n' is not allowed"),
    "name with turned text": (named("%E2%80%AEvictim"), "is not allowed"),
    "name with another alphabet's letter": (named("v%D1%96ctim"), "is not allowed"),
    "name that is no UTF-8": (named("%ff%fe"), "is not allowed"),
    "name in capitals": (named("VICTIM"), "is not allowed"),
    "name of 64 letters": (named("v" * 64), "is not allowed"),
    "name of 10 000 letters": (named("v" * 10_000), "is not allowed"),
    "name that is an option": (named("-rf"), "is not allowed"),
    "name of a version": (named("victim@1"), "is not allowed"),
    "name of an alias": (named("victim:default"), "is not allowed"),
    "name of the base": (named("tiny-awq"), "is the base's name"),
    "name that clients send for the base": (
        named("casperhansen-mistral-small-24b-instruct-2501-awq"),
        "is the base's name",
    ),
    "alias that leads out": (announced(lambda b: b.update(aliases=["../x"])), "alias '../x' is not allowed"),
    "alias of nothing": (announced(lambda b: b.update(aliases=[""])), "alias '' is not allowed"),
    "alias with NUL": (announced(lambda b: b.update(aliases=["a\0"])), r"alias 'a\x00' is not allowed"),
    "alias with half a character": (announced(lambda b: b.update(aliases=["\ud800"])), r"alias '\ud800'"),
    "17 aliases": (announced(lambda b: b.update(aliases=["a"] * 17)), "at most 16 items"),
    "1000 aliases": (announced(lambda b: b.update(aliases=[1] * 1000)), "aliases"),
    "file that leads out": (file_named("../../etc/cron.d/x"), "given was ../../etc/cron.d/x"),
    "file from the root": (file_named("/etc/passwd"), "given was /etc/passwd"),
    "file with NUL": (file_named(f"{CONFIG}\0.py"), r"adapter_config.json\x00.py"),
    "file with a terminal's orders": (file_named("\x1b[2J"), r"\x1b[2J"),
    "file with half a character": (file_named("\ud800"), r"\ud800"),
    "pickle beside": (file_named("adapter_model.bin"), "adapter_model.bin"),
    "code beside": (file_named("modeling_enxerto.py"), "modeling_enxerto.py"),
    "tokenizer beside": (beside("tokenizer.json", b"{}"), "tokenizer.json"),
    "file of the engine's": (file_named("engine/adapter_config.json"), "engine/adapter_config.json"),
    "capital letters": (file_named("ADAPTER_CONFIG.JSON"), "ADAPTER_CONFIG.JSON"),
    "without a manifest": (announced(lambda b: b["files"].pop(MANIFEST)), "An adapter is"),
    "without weights": (announced(lambda b: b["files"].pop(WEIGHTS)), "An adapter is"),
    "no file": (announced(lambda b: b["files"].clear()), "given was nothing"),
    "100 files": (
        announced(lambda b: b["files"].update({f"f{n}": b["files"][CONFIG] for n in range(100)})),
        "at most 16 items",
    ),
}

ANNOUNCEMENTS: Cases = {
    "size below zero": (config_entry(size=-1), "at least 0"),
    "size of 2^70": (config_entry(size=2**70), "at most"),
    "size of 4000 digits": (config_entry(size=10**4000), "at most"),
    "size infinite": (config_entry(size=float("inf")), "finite number"),
    "size NaN": (config_entry(size=float("nan")), "finite number"),
    "size of half a byte": (config_entry(size=1.5), "must be a whole number"),
    "size null": (config_entry(size=None), "must be a whole number"),
    "size one less": (announced(lambda b: b["files"][CONFIG].update(size=1)), "1 of adapter_config.json are"),
    "4 GB and a byte of weights": (
        announced(lambda b: b["files"][WEIGHTS].update(size=4 * 2**30 + 1)),
        "at most 4294967296 go",
    ),
    "digest that is a path": (config_entry(sha256="../../../etc/passwd"), "is not of the form sha256:"),
    "digest with a path behind": (config_entry(sha256="sha256:" + "0" * 64 + "/../x"), "is not of the form"),
    "digest in capitals": (config_entry(sha256="sha256:" + "A" * 64), "is not of the form sha256:"),
    "digest with a line end": (config_entry(sha256="sha256:" + "0" * 64 + "\n"), "control character"),
    "digest of another kind": (config_entry(sha256="sha512:" + "0" * 128), "is not of the form sha256:"),
    "digest of other bytes": (config_entry(sha256="sha256:" + "0" * 64), "announced were"),
    "digest that is a list": (config_entry(sha256=[]), "must be text"),
    "entry with a path": (config_entry(path="/etc/passwd"), "path: unknown key"),
    "entry that is a number": (announced(lambda b: b["files"].update({CONFIG: 1})), CONFIG),
    "files that are a list": (
        announced(lambda b: b.update(files=list(ADAPTER_FILES))),
        "must hold `key: value` pairs",
    ),
    "unknown field": (announced(lambda b: b.update(url="http://169.254.169.254/")), "url: unknown key"),
    "unknown field, 10 000 letters": (
        announced(lambda b: b.update({"u" * 10_000: 1})),
        "uuu: unknown key",
    ),
    "unknown field, half a character": (announced(lambda b: b.update({"\udfff": 1})), "Unicode text"),
    "100 000 unknown fields": (
        announced(lambda b: b.update({f"u{n}": 1 for n in range(100_000)})),
        "larger than",
    ),
    "no-op, maybe": (announced(lambda b: b.update(allow_noop="maybe")), "allow_noop"),
    "no JSON": (body(b"PK\3\4"), "JSON"),
    "nothing": (body(b""), "missing"),
    "list": (body(b"[]"), "must hold `key: value` pairs"),
    "nested deep": (body(b'{"files": ' + b"[" * 50_000), "parsing the body"),
    "no UTF-8": (body(b'{"files": "\xff"}'), "parsing the body"),
    "number of 5000 digits": (body(b'{"files": ' + b"9" * 5000 + b"}"), "parsing the body"),
    "two announcements": (body(b"{}{}"), "JSON"),
    "5 MB": (body(b'{"files": "' + b"x" * 5 * 2**20 + b'"}'), "larger than"),
    "archive of it all": (body(gzip.compress(json.dumps({"files": {}}).encode())), "parsing the body"),
}

BODIES: Cases = {
    "file that was not announced": (put("/tokenizer.json", bytes), "'tokenizer.json' was not announced"),
    "the upload's own record": (put("/upload.json", bytes), "'upload.json' was not announced"),
    "path in a path": (put("/..%2fupload.json", bytes), "is no route"),
    "dots for a file": (put("/%2e%2e", bytes), "'..' was not announced"),
    "NUL in a file's name": (put(f"/{CONFIG}%00", bytes), "was not announced"),
    "other bytes": (put(f"/{CONFIG}", lambda data: b"x" * len(data)), "announced were"),
    "a byte too many": (put(f"/{CONFIG}", lambda data: data + b" "), "send exactly those"),
    "a byte too few": (put(f"/{CONFIG}", lambda data: data[:-1]), "send exactly those"),
    "no bytes": (put(f"/{CONFIG}", lambda _: b""), "send exactly those"),
    "too many in chunks": (put(f"/{CONFIG}", chunks(b"x" * 300, b"x" * 300)), "is longer than the"),
    "too few in chunks": (put(f"/{CONFIG}", chunks(b"x", b"y")), "came as 2 bytes"),
    "compressed on the way": (
        put(f"/{CONFIG}", gzip.compress, headers={"content-encoding": "gzip"}),
        "send exactly those",
    ),
    "from an offset that is not here": (put(f"/{CONFIG}?offset=5", bytes), "stands at byte 0, not 5"),
    "from below zero": (put(f"/{CONFIG}?offset=-1", bytes), "offset: "),
    "from infinity": (put(f"/{CONFIG}?offset=1e999", bytes), "offset: "),
    "from beyond all": (put(f"/{CONFIG}?offset={2**41}", bytes), "offset: "),
    "to nobody's upload": (lambda http, _: http.put(f"/v1/uploads/{'0' * 32}/x", content=b"x"), "no upload"),
    "to an upload that leads out": (
        lambda http, _: http.put("/v1/uploads/%2e%2e/x", content=b"x"),
        "no upload",
    ),
    "to an id with NUL": (lambda http, _: http.put("/v1/uploads/%00/x", content=b"x"), "no upload"),
    "commit of nothing": (lambda http, files: http.post(f"{opened(http, files)}/commit"), "did not come yet"),
    "commit of what leads out": (lambda http, _: http.post("/v1/uploads/%2e%2e/commit"), "no upload"),
}

LINES: Cases = {
    "length that is too small": (raw(PUT, HOST, "content-length: 1", content=b"{"), "The body has 1 bytes"),
    "length that is too large": (raw(PUT, HOST, "content-length: 1000000"), "The body has 1000000 bytes"),
    "length of 2^63": (raw(PUT, HOST, f"content-length: {2**63}"), f"The body has {2**63} bytes"),
    "length of 30 digits": (raw(PUT, HOST, "content-length: " + "9" * 30), "Invalid HTTP"),
    "length below zero": (raw(PUT, HOST, "content-length: -1"), "Invalid HTTP"),
    "two lengths": (raw(PUT, HOST, SOME, "content-length: 5", content=b"abcde"), "Invalid HTTP"),
    "length and chunks": (
        raw(PUT, HOST, SOME, CHUNKED, content=b"0\r\n\r\n"),
        "Invalid HTTP",
    ),
    "chunk of no size": (raw(POST, HOST, CHUNKED, content=b"zz\r\n"), "Invalid HTTP"),
    "file at a trickle": (raw(PUT, HOST, "content-length: {size}", content=b"{"), "bytes came within 5 s"),
    "announcement at a trickle": (raw(POST, HOST, SOME, content=b"{"), "Only 1 bytes of the request's body"),
    "announcement that never begins": (raw(POST, HOST, SOME), "Only 0 bytes of the request's body"),
    "NUL in a header": (raw(POST, HOST, "x: a\0b", SOME, content=b"null"), "Invalid HTTP"),
    "no HTTP": (lambda http, _: wire(http, b"PK\3\4" * 100 + b"\r\n\r\n"), "Invalid HTTP"),
    "host that is none": (raw("POST /v1/up HTTP/1.1", "host: [", SOME, content=b"null"), "is no route"),
    "query that is no UTF-8": (raw("GET /v1/up?\xff HTTP/1.1", HOST), "Invalid HTTP"),
}
