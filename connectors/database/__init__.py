"""One interface to every database: transactions, statements and values, the same on each engine.

    sqlite.py        the embedded default           sqlserver.py     SQL Server and Azure SQL over ODBC
    odbc_address.py  address to connection          odbc_driver.py   the driver, installed or from a wheel
    odbc_session.py  one transaction over ODBC      odbc_errors.py   the table of error numbers

    with database.write() as session:        # or read()
        session.execute(statement, (uuid, version))

Values are text, whole numbers, bytes and None. A UUID is upper-case text, a time is text from `to_db_time`, a decimal
is text of fixed scale; a value that an engine would change in silence is refused. Every call may raise Transient (busy
or away), Rejected (a row that the database does not take) or Misconfigured (schema, login, rights).

Imports: connectors.errors, sql; imported by: connectors.tables, connectors.archive, streams.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

import sql
from connectors import errors
from sql import ddl, identifiers, script, tables

Value = str | int | bytes | None
# The schema decides the type of a column: one of the above, and the type checker cannot know which.
Row = dict[str, Any]
Fields = tuple[Any, ...]
Column = ddl.LiveColumn

# SQL Server takes 2,100 parameters in a statement; the limit is checked on SQLite too, so that its tests find it.
MAX_PARAMETERS = 2_000

_TIME_LENGTH = len("2026-11-21T10:00:00.123456")
_BINDABLE = frozenset({str, int, bytes, bool, type(None)})


class Session(Protocol):
    """One transaction. Statements are texts from `sql`, parameters are `?`. It is of no use after its end."""

    def execute(self, statement: str, params: Sequence[Value] = ()) -> int:
        """Runs one statement and returns the number of rows that it wrote."""

    def execute_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """Runs one statement for each row of parameters; no row is fine."""

    def query(self, statement: str, params: Sequence[Value] = ()) -> list[Row]:
        """All rows, each by column name."""

    def value(self, statement: str, params: Sequence[Value] = ()) -> Any:
        """The first column of the first row, or None when there is no row."""

    def stream(self, statement: str, params: Sequence[Value] = (), size: int = 1000) -> Iterator[Fields]:
        """Rows one by one, fetched `size` at a time, until the transaction ends."""


class Database(Protocol):
    """A database that threads and processes share. Transactions are short, but for a long `stream`."""

    @property
    def engine(self) -> str:
        """`sqlite` or `sqlserver`: what `sql.load` and `sql.ddl` call it."""

    def read(self) -> AbstractContextManager[Session]:
        """A transaction that sees one state and writes nothing. Another `read` or a `write` may be opened inside."""

    def write(self) -> AbstractContextManager[Session]:
        """A transaction that commits at its end and rolls back on any exception; one inside raises RuntimeError."""

    def columns(self, table: str) -> list[Column]:
        """The live columns of a table or view, in order. Raises Misconfigured when there is none of that name."""

    def apply_schema(self, now: datetime, *, with_source: bool = True) -> list[str]:
        """Creates the missing tables, columns and indexes (the source table if `with_source`) and drops no table.

        Returns the names of what it created, in words. `now` is UTC.
        """

    def close(self) -> None:
        """Closes the idle connections, and each other one at the end of its transaction; no new one begins.

        A driver whose connection is closed under a thread that uses it can end the whole process (SIGSEGV).
        """


def to_db_time(time: datetime) -> str:
    """A time as UTC text of fixed width, without offset: it sorts as text and compares with DATETIME2.

    Raises ValueError for a time without a zone.
    """
    if time.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone, so it is not an exact time")
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def from_db_time(text: str) -> datetime:
    """The time (UTC) that `to_db_time` wrote. Raises ValueError for any other text."""
    if len(text) != _TIME_LENGTH:
        raise ValueError(f"{text!r} is not a time as ordersync writes it")
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def check_values(params: Sequence[Value]) -> None:
    """Raises ValueError or TypeError for parameters that an engine would change: a mistake of ours ends the process."""
    if len(params) > MAX_PARAMETERS:
        raise ValueError(f"{len(params)} parameters in one statement: SQL Server takes {MAX_PARAMETERS}")
    if not _BINDABLE.issuperset(map(type, params)):
        for position, value in enumerate(params, 1):
            if not isinstance(value, (str, int, bytes, type(None))):
                raise TypeError(
                    f"parameter {position} is {value!r}: bind decimals as text of fixed scale, "
                    "times by to_db_time, a UUID as upper-case text, and never a float"
                )


def checked_columns(table: str, found: list[Column]) -> list[Column]:
    """The live columns of `table`. Raises Misconfigured when there are none, or when a statement cannot name one."""
    if not found:
        raise errors.Misconfigured(f"there is no table {table}: run `ordersync setup`", code="SCHEMA")
    try:
        identifiers.check(column.name for column in found)
    except identifiers.Unusable as error:
        raise errors.Misconfigured(f"{table}: {error}", code="SCHEMA") from error
    return found


def complete_schema(session: Session, engine: str, live: ddl.Live, now: datetime, *, with_source: bool) -> list[str]:
    """`Database.apply_schema` for any engine that can read its `live` schema; the transaction is the caller's."""
    catalog = sql.load("catalog", engine)
    known = session.query(catalog["last_schema"]) if tables.SCHEMA_VERSION in live.columns else []
    checksum = script.checksum(engine)
    outdated = not known or known[0]["checksum"] != checksum
    steps = list(ddl.missing(engine, live, with_source=with_source, outdated=outdated))
    for step in steps:
        session.execute(step.statement)
    if outdated:
        version = session.value(catalog["next_schema"])
        session.execute(catalog["record_schema"], (version, to_db_time(now), checksum))
    return [step.creates for step in steps if step.creates]
