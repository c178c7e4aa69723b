"""What every database here can do, whichever engine it is: `database_sqlite`, `database_sqlserver`.

    with database.write() as session:        # or read()
        session.execute(statement, (uuid, version))

Values that cross: text, whole numbers, bytes and None. A UUID is upper-case text, a time is text from
`to_db_time`, a decimal is text of fixed scale; what an engine would reshape in silence is refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

import sql
from connectors import errors
from sql import ddl, identifiers, script, tables

Value = str | int | bytes | None
# What a column holds is the schema's to say: one of the above, and the type checker cannot know which.
Row = dict[str, Any]
Fields = tuple[Any, ...]
Column = ddl.LiveColumn

# SQL Server takes 2,100 parameters a statement; held to on both engines, so that SQLite finds it out first.
MAX_PARAMETERS = 2_000

_TIME_LENGTH = len("2026-11-21T10:00:00.123456")
_BINDABLE = frozenset({str, int, bytes, bool, type(None)})


class Session(Protocol):
    """One transaction. Statements are texts from `sql`, parameters are `?`."""

    def execute(self, statement: str, params: Sequence[Value] = ()) -> int:
        """Run one statement; the number of rows it wrote."""

    def execute_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one statement for each row of parameters; none is fine."""

    def query(self, statement: str, params: Sequence[Value] = ()) -> list[Row]:
        """All rows, by column name."""

    def value(self, statement: str, params: Sequence[Value] = ()) -> Any:
        """The first column of the first row, or None when there is no row."""

    def stream(self, statement: str, params: Sequence[Value] = (), size: int = 1000) -> Iterator[Fields]:
        """Rows one by one, fetched `size` at a time; good until the transaction ends."""


class Database(Protocol):
    """A database that many threads and processes share. Transactions are short, but for a long `stream`."""

    @property
    def engine(self) -> str:
        """`sqlite` or `sqlserver`: what `sql.load` and `sql.ddl` call it."""

    def read(self) -> AbstractContextManager[Session]:
        """A transaction that sees one state and changes nothing. It may nest, and hold a `write` inside."""

    def write(self) -> AbstractContextManager[Session]:
        """A transaction that commits at its end and rolls back on any exception. It holds no other inside."""

    def columns(self, table: str) -> list[Column]:
        """The live columns of a table or view, in order; Misconfigured when there is none of that name."""

    def apply_schema(self, now: datetime, *, with_source: bool = True) -> list[str]:
        """Create what is missing (the source table if `with_source`), drop nothing, say what was made."""

    def close(self) -> None:
        """Close every connection; no thread may be inside a transaction."""


def to_db_time(time: datetime) -> str:
    """UTC as text of fixed width, without offset: it sorts as text and compares with DATETIME2."""
    if time.tzinfo is None:
        raise ValueError(f"{time!r} has no time zone: nobody knows which moment it is")
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def from_db_time(text: str) -> datetime:
    """The moment that `to_db_time` wrote."""
    if len(text) != _TIME_LENGTH:
        raise ValueError(f"{text!r} is not a time as ordersync writes it")
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def check_values(params: Sequence[Value]) -> None:
    """Refuse what an engine would round or reshape; a mistake of ours, so it ends the process."""
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
    """The live columns of `table`, if there are any and every statement can name them."""
    if not found:
        raise errors.Misconfigured(f"there is no table {table}: run `ordersync setup`", code="SCHEMA")
    try:
        identifiers.check(column.name for column in found)
    except identifiers.Unusable as error:
        raise errors.Misconfigured(f"{table}: {error}", code="SCHEMA") from error
    return found


def complete_schema(session: Session, engine: str, live: ddl.Live, now: datetime, *, with_source: bool) -> list[str]:
    """`Database.apply_schema` for any engine that can say what is `live`; the transaction is the caller's."""
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
    return [step.makes for step in steps if step.makes]
