"""What the registry's tests run against: SQLite, a real PostgreSQL, a real S3 server."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from serve.registry.database import sqlite_url
from tests.serve import services, tiny
from tests.serve.leasing import Make, maker
from tests.serve.tiny import Base, TinyServer


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return tiny.make_base(tmp_path / "base")


@pytest.fixture
def server(tmp_path: Path, base: Base) -> TinyServer:
    """The real app over an engine without a model."""
    return tiny.make_server(tmp_path / "registry", base)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL of this session alone; the URL to put a database's name behind."""
    with services.postgres() as url:
        yield url


@pytest.fixture
def new_postgres(postgres: str) -> Callable[[], str]:
    """Makes a database; returns its URL."""
    return lambda: services.new_database(postgres)


@pytest.fixture
def postgres_url(new_postgres: Callable[[], str]) -> str:
    """A new database."""
    return new_postgres()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of each kind in turn."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "index.sqlite")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    with services.s3() as endpoint:
        yield endpoint


@pytest.fixture
def s3_url(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, as a registry names it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket = f"bucket-{secrets.token_hex(4)}"
    httpx.put(f"{s3}/{bucket}").raise_for_status()
    return f"s3://{bucket}/registry?endpoint={s3}"


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return maker(tmp_path)
