"""Which web pages may call this server from a browser: none, unless it is started with their origins."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

SHOWN = ("x-adapter", "x-adapter-version", "x-adapter-digest", "x-schema-unheld", "retry-after")
"""Headers of answers that a page may read."""


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins ask with a key of theirs; no cookies, which this server has none of."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type"],
        expose_headers=list(SHOWN),
    )
