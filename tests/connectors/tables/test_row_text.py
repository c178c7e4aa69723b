"""JSON arrays of the engine and cells joined in Python give the same canonical text."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import database
from connectors.database.sqlite import SqliteDatabase
from connectors.tables import customers, orders, row_text
from mappings import columns, hashing, sizes
from schemas.base import Cell
from tests.support import factories
from tests.support.factories import World, identity, row


class Joined(SqliteDatabase):
    """SQLite that is asked as SQL Server is: for cells."""

    def columns(self, table: str) -> list[database.Column]:
        with SqliteDatabase.read(self) as session:
            return [
                database.Column(row["name"], row["type"], True) for row in session.query(f"PRAGMA table_info({table})")
            ]

    @property
    def engine(self) -> str:
        return "sqlserver"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


@pytest.fixture
def joined(world: World) -> Iterator[SqliteDatabase]:
    made = Joined(world.path)
    yield made
    made.close()


CELLS: list[Cell] = [
    None,
    "",
    "NULL",
    " ",
    "a b\t\n",
    "1|2",
    '"',
    "\\",
    "é",
    "\N{SPOOL OF THREAD}",
    "\x1f\x7f\u2028",
    "x" * 9000,
]


def test_scan_rows_and_customers_give_the_same_texts(world: World, joined: SqliteDatabase) -> None:
    names = columns.watched(world.mappings, sizes.size_columns(world.orders.columns(), world.mappings.board.sizes))
    world.add(*(row(n, NOTES=cell, XXXS=-n, M=None) for n, cell in enumerate(CELLS, 1)), row(99, record_uuid=None))
    former = ["NOTES", None, "M"]
    other = orders.Orders(joined, world.clock)
    assert list(other.scan(names, former=former)) == list(world.orders.scan(names, former=former))
    uuids = [identity(n) for n in range(1, len(CELLS) + 1)]
    assert other.rows(uuids, names) == world.orders.rows(uuids, names)
    assert other.without_identity(names) == world.orders.without_identity(names)
    greyson = ["GREYSON CLOTHIERS"]
    told = list(customers.Customers(world.db).rows(names, greyson))
    assert list(customers.Customers(joined).rows(names, greyson)) == told
    assert len(told) == len(CELLS)


@pytest.mark.parametrize("cell", CELLS, ids=repr)
def test_a_joined_text_is_the_one_that_is_hashed(cell: Cell) -> None:
    assert row_text.SourceReading("sqlserver", {}).joined((cell, 7, None)) == hashing.canonical_text([cell, 7, None])


def test_a_lost_column_is_read_as_null() -> None:
    assert row_text.SourceReading("sqlserver", {}).selected(["NOTES", None]) == ["s.[NOTES]", "NULL"]
