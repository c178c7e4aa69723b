"""SQL Server's own statements of detection, carried out by SQLite: what they say is tested, not how fast.

Only what SQLite lacks is replaced in the text: N'', NVARCHAR(MAX), the styles of CONVERT. CONCAT, DATALENGTH and
HASHBYTES are functions that do as SQL Server documents: NULL is nothing, text is UTF-16, a length is in bytes.
"""

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors import database
from connectors.database import sqlite
from connectors.tables import orders_pushdown
from mappings import hashing
from sql import tables
from tests.support import factories

TYPES = {"TEXT": "NVARCHAR(MAX)", "INTEGER": "INT"}


def concat(*values: str | int | None) -> str:
    if not 2 <= len(values) <= 254:
        raise ValueError(f"CONCAT takes 2 to 254 arguments, not {len(values)}")
    return "".join("" if value is None else str(value) for value in values)


def datalength(value: str | int | None) -> int | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"no text: {value!r}")
    return None if value is None else len(value.encode("utf-16-le"))


def hashbytes(algorithm: str, text: str) -> bytes:
    assert algorithm == "SHA2_256"
    return hashlib.sha256(text.encode("utf-16-le")).digest()


def convert_126(value: str | None) -> str | None:
    """ISO 8601, without a fraction where it is 0."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")


def convert_3(value: str | None) -> str | None:
    """17 digits."""
    return None if value is None else f"{float(value):.16e}"


FUNCTIONS = (
    ("CONCAT", -1, concat),
    ("DATALENGTH", 1, datalength),
    ("HASHBYTES", 2, hashbytes),
    ("CONVERT_126", 1, convert_126),
    ("CONVERT_3", 1, convert_3),
)


def to_sqlite(statement: str) -> str:
    """The statement as SQLite reads it. Names in brackets stay as they are."""
    parts = re.split(r"(\[[^\]]*\])", statement)
    text = "".join(part if at % 2 else re.sub(r"\bN'", "'", part) for at, part in enumerate(parts))
    text = text.replace("NVARCHAR(MAX)", "TEXT")
    return re.sub(r"CONVERT\(NVARCHAR\(\d+\), (.*?), (126|3)\)", r"CONVERT_\2(\1)", text)


def add_functions(connection: sqlite3.Connection) -> None:
    for name, arguments, function in FUNCTIONS:
        connection.create_function(name, arguments, function, deterministic=True)


class Session:
    """Translates every statement."""

    def __init__(self, inner: database.Session) -> None:
        self._inner = inner

    def execute(self, statement: str, params: Sequence[database.Value] = ()) -> int:
        return self._inner.execute(to_sqlite(statement), params)

    def execute_many(self, statement: str, rows: Iterable[Sequence[database.Value]]) -> None:
        self._inner.execute_many(to_sqlite(statement), rows)

    def query(self, statement: str, params: Sequence[database.Value] = ()) -> list[database.Row]:
        return self._inner.query(to_sqlite(statement), params)

    def value(self, statement: str, params: Sequence[database.Value] = ()) -> Any:
        return self._inner.value(to_sqlite(statement), params)

    def stream(
        self, statement: str, params: Sequence[database.Value] = (), size: int = 1000
    ) -> Iterator[database.Fields]:
        return self._inner.stream(to_sqlite(statement), params, size)


class _Hashing(sqlite.SqliteDatabase):
    def _take(self, *given: Any, **named: Any) -> sqlite3.Connection:
        connection = super()._take(*given, **named)
        add_functions(connection)
        return connection


class Transpiled:
    """A SQLite file that is asked as SQL Server is, and tells its columns in that one's words."""

    engine = "sqlserver"

    def __init__(self, path: Path) -> None:
        self._inner = _Hashing(path)
        self.apply_schema, self.close = self._inner.apply_schema, self._inner.close
        # Types of columns that are not the contract's, by name.
        self.types: dict[str, str] = {}

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self._inner.read() as session:
            yield Session(session)

    @contextmanager
    def write(self) -> Iterator[Session]:
        with self._inner.write() as session:
            yield Session(session)

    def columns(self, table: str) -> list[database.Column]:
        declared = {column.name: column.type for column in tables.get(table).columns} | self.types
        return [
            replace(column, type=declared.get(column.name) or TYPES[column.type])
            for column in self._inner.columns(table)
        ]


def push_down(world: factories.World) -> factories.World:
    """The same world, whose changes are found by its database."""
    world.orders = orders_pushdown.PushdownOrders(world.db, world.clock, hashing.RowHasher)
    world.detector = replace(world.detector, source=world.orders)
    return world


class World(factories.World):
    """A world whose changes are found by its database."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Transpiled(path))
        push_down(self)

    def reshape(self, columns: Sequence[tuple[str, str]]) -> None:
        super().reshape([(name, "INTEGER" if kind.startswith("INT") else "TEXT") for name, kind in columns])


def database_of(world: factories.World) -> Transpiled:
    """The database of a world that was made here."""
    assert isinstance(world.db, Transpiled)
    return world.db


def orders_of(world: factories.World) -> orders_pushdown.PushdownOrders:
    """The order table of a world whose changes are found by its database."""
    assert isinstance(world.orders, orders_pushdown.PushdownOrders)
    return world.orders


def world(folder: Path) -> AbstractContextManager[factories.World]:
    """A world in `folder`, its tables made."""
    return factories.world(folder, World)
