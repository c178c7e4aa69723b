"""SQLite files for the tests of this folder."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.database import sqlite

Open = Callable[..., sqlite.SqliteDatabase]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the file of this test as another process would; closes them all at the end."""
    all_opened: list[sqlite.SqliteDatabase] = []

    def another(name: str = "orders.db", busy_timeout: float = 30.0) -> sqlite.SqliteDatabase:
        all_opened.append(sqlite.SqliteDatabase(tmp_path / name, busy_timeout))
        return all_opened[-1]

    yield another
    for one in all_opened:
        one.close()
