"""The promises of every engine: the same tests run on SQLite and on SQL Server (engines.py)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import database
from tests.contracts import engines
from tests.support.factories import World


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with engines.given_server() as text:
        yield text


@pytest.fixture(scope="session")
def server_database(server: str) -> Iterator[str]:
    """A database of this run's own; its tests empty it."""
    with engines.own_database(server) as text:
        yield text


@pytest.fixture
def sqlserver(request: pytest.FixtureRequest) -> Iterator[str]:
    """The connection string of an empty database of this test's own, dropped at the end."""
    if reason := engines.why_not("sqlserver"):
        pytest.skip(reason)
    with engines.own_database(request.getfixturevalue("server")) as text:
        yield text


@pytest.fixture(scope="session", params=engines.params())
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def db(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[database.Database]:
    with engines.opened(engine, tmp_path, request) as made:
        yield made


@pytest.fixture
def world(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    with engines.world(engine, tmp_path, request) as made:
        yield made
