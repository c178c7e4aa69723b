"""PostgreSQL, for the archive: the statements of `sql` in its dialect.

Every transaction has a connection of its own: the archive is used now and then, and may be away in between.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

import psycopg
from psycopg import conninfo

import sql
from connectors import database, errors
from sql import ddl

STATEMENTS = sql.load("postgresql")

# Seconds to connect, and milliseconds that one statement may take.
CONNECT = 10
STATEMENT = 120_000
_BRACKETS = re.compile(r"\[([^\]]*)\]")


class PostgresDatabase:
    """A `database.Database` at a postgresql:// address, which may contain the password.

    Errors show only host, port and database. Raises Misconfigured for an unusable address.
    """

    def __init__(self, url: str, password: str = "") -> None:
        given = _parts(url)
        if password:
            given["password"] = password
        self._conninfo = conninfo.make_conninfo("", **({"connect_timeout": CONNECT} | given))
        self.address = f"{given.get('host', 'localhost')}:{given.get('port', 5432)}/{given.get('dbname', '')}"

    @property
    def engine(self) -> str:
        return "postgresql"

    @contextmanager
    def read(self) -> Iterator[database.Session]:
        with self._transaction(read_only=True) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[database.Session]:
        with self._transaction(read_only=False) as session:
            yield session

    def columns(self, table: str) -> list[database.Column]:
        with self.read() as session:
            return database.checked_columns(table, _live(session).get(table, []))

    def apply_schema(self, now: datetime, *, with_source: bool = False) -> list[str]:
        with self.write() as session:
            others = [str(row["name"]) for row in session.query(STATEMENTS["live_others"])]
            live = ddl.Live(_live(session), others)
            return database.complete_schema(session, self.engine, live, now, with_source=with_source)

    def close(self) -> None:
        """Does nothing: no connection stays open."""

    @contextmanager
    def _transaction(self, *, read_only: bool) -> Iterator[database.Session]:
        with self._translated():
            connection = psycopg.connect(self._conninfo)
        with self._translated(), connection:
            connection.read_only = read_only
            connection.execute(f"SET LOCAL statement_timeout = {STATEMENT:d}")
            yield _Session(connection)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translates driver errors into ours; a mistake in a statement stays as it is and ends the process."""
        try:
            yield
        except psycopg.errors.UniqueViolation as error:
            raise errors.Rejected(f"{self.address}: {_first_line(error)}", code="DUPLICATE") from error
        except (psycopg.errors.InvalidPassword, psycopg.errors.InsufficientPrivilege) as error:
            raise errors.Misconfigured(
                f"the archive at {self.address} refuses ordersync: {_first_line(error)}. Check its login and rights"
            ) from error
        except psycopg.errors.UndefinedTable as error:
            raise errors.Misconfigured(
                f"the archive at {self.address} has no tables yet: the first snapshot creates them", code="SCHEMA"
            ) from error
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise errors.Rejected(f"{self.address}: {_first_line(error)}", code="WRONG_VALUE") from error
        except (psycopg.OperationalError, psycopg.InternalError) as error:
            raise errors.Transient(f"the archive at {self.address} does not answer: {_first_line(error)}") from error


class _Session:
    """A `database.Session` on one connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, params: Sequence[database.Value] = ()) -> int:
        return self._run(statement, params).rowcount

    def execute_many(self, statement: str, rows: Iterable[Sequence[database.Value]]) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_dialect(statement), map(_checked, rows))

    def query(self, statement: str, params: Sequence[database.Value] = ()) -> list[database.Row]:
        cursor = self._run(statement, params)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, map(_plain, row), strict=True)) for row in cursor]

    def value(self, statement: str, params: Sequence[database.Value] = ()) -> Any:
        row = self._run(statement, params).fetchone()
        return _plain(row[0]) if row else None

    def stream(
        self, statement: str, params: Sequence[database.Value] = (), size: int = 1000
    ) -> Iterator[database.Fields]:
        cursor = self._run(statement, params)
        while rows := cursor.fetchmany(size):
            yield from (tuple(map(_plain, row)) for row in rows)

    def _run(self, statement: str, params: Sequence[database.Value]) -> psycopg.Cursor[Any]:
        return self._connection.execute(_dialect(statement), _checked(params) or None)


def _parts(url: str) -> dict[str, str | int | None]:
    # The error repeats nothing of an address that cannot be read, because any part of it may be the password.
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = {}
    # The parser takes a part of a password with an unescaped slash for the port.
    if not parts.get("dbname") or "@" in f"{parts['dbname']}" or not f"{parts.get('port', 5432)}".isdigit():
        raise errors.Misconfigured(
            "the address of the archive cannot be read: write postgresql://user:password@host:5432/database, with %2F "
            "for a slash in the password and %40 for an @"
        )
    return parts


def _dialect(statement: str) -> LiteralString:
    """The statement for psycopg. No text in our statements contains a bracket, a question mark or a percent sign."""
    return _BRACKETS.sub(r'"\1"', statement).replace("?", "%s")


def _checked(params: Sequence[database.Value]) -> Sequence[database.Value]:
    database.check_values(params)
    return params


def _plain(value: Any) -> Any:
    """The value as the other engines return it: a time as our text, a decimal as text."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, Decimal):
        return str(value)
    return value


def _live(session: database.Session) -> dict[str, list[database.Column]]:
    columns: dict[str, list[database.Column]] = {}
    for row in session.query(STATEMENTS["live_columns"]):
        column = database.Column(name=str(row["name"]), type=str(row["type"]).upper(), nullable=not row["not_null"])
        columns.setdefault(str(row["table_name"]), []).append(column)
    return columns


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
