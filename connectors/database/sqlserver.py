"""SQL Server and Azure SQL over ODBC.

Where the database allows snapshot isolation, a read transaction sees one state and waits for no writer; elsewhere it is
read committed. Write transactions wait for each other, as on SQLite: the statements are proven for one at a time.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import sql
from connectors import database, errors
from connectors.database import odbc_driver, odbc_errors
from connectors.database.odbc_session import OdbcSession
from sql import ddl, live_checks, tables

if TYPE_CHECKING:
    import pyodbc

# A write transaction keeps the lock of this row until it ends.
LINE = tables.WRITE_LINE
# A connection that was idle for so many seconds is tested before use: routers and Azure drop idle ones.
REST = 30.0

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL SNAPSHOT"
_NO_SNAPSHOTS = (
    "ALLOW_SNAPSHOT_ISOLATION is off: a pass waits while another program loads ORDERS_UNIFIED, and may read rows of "
    "different moments; an owner turns it on: ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON"
)


@dataclass
class _Connection:
    raw: "pyodbc.Connection"
    # Inside a transaction of its thread.
    busy: bool = True
    rested_since: float = 0.0


class SqlServerDatabase:
    """One database. `connect` opens a connection in autocommit mode; `where` names the database in messages.

    Each open transaction of a thread has a connection of its own, which the thread keeps. A wait for a lock that takes
    longer than `lock_timeout` seconds raises Transient.
    """

    def __init__(
        self,
        connect: Callable[[], "pyodbc.Connection"],
        where: str,
        *,
        lock_timeout: float = 30.0,
        engine: str = "sqlserver",
    ) -> None:
        self._connect = connect
        self._where = where
        self._lock_timeout = lock_timeout
        self._engine = engine
        self._fast = engine == "sqlserver"
        self._thread = _Thread()
        self._lock = threading.Lock()
        self._connections: list[_Connection] = []
        self._closed = False
        self._pyodbc = odbc_driver.load()

    @property
    def engine(self) -> str:
        return self._engine

    @contextmanager
    def read(self) -> Iterator[database.Session]:
        with self._transaction(read_only=True) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[database.Session]:
        with self._transaction(read_only=False) as session:
            if not session.execute(sql.load("catalog", self.engine)["stand_in_line"], (LINE,)):
                raise errors.Misconfigured(
                    f"{self._where}: the schema is incomplete: run `ordersync setup`", code="SCHEMA"
                )
            self._thread.writing = True
            try:
                yield session
            finally:
                self._thread.writing = False

    def columns(self, table: str) -> list[database.Column]:
        with self.read() as session:
            rows = session.query(sql.load("catalog", self.engine)["live_table"], (table,))
        return database.checked_columns(table, [column(row) for row in rows])

    def apply_schema(self, now: datetime, *, with_source: bool = True) -> list[str]:
        catalog = sql.load("catalog", self.engine)
        with self._transaction(read_only=False) as session:
            live = self._live(session)
            created = database.complete_schema(session, self.engine, live, now, with_source=with_source)
            session.execute(catalog["make_line"], (LINE, database.to_db_time(now), LINE))
        return created

    def mistakes(self) -> list[str]:
        """The differences, in words, between our tables and those that `apply_schema` would create."""
        with self.read() as session:
            return list(live_checks.mistakes(self._live(session)))

    def notes(self) -> list[str]:
        """Advice on settings of the server that work and could be better."""
        with self.read() as session:
            if session.value(sql.load("catalog", "sqlserver")["allows_snapshots"]) == 1:
                return []
        return [_NO_SNAPSHOTS]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle = [connection for connection in self._connections if not connection.busy]
        for connection in idle:
            self._drop(connection)

    def _live(self, session: database.Session) -> ddl.Live:
        catalog = sql.load("catalog", self.engine)

        def named(block: str) -> set[tuple[str, str]]:
            return {(str(row["table_name"]), str(row["name"])) for row in session.query(catalog[block])}

        indexed, generated = named("indexed_columns"), named("made_columns")
        columns: dict[str, list[database.Column]] = {}
        for row in session.query(catalog["live_columns"]):
            table, name = str(row["table_name"]), str(row["name"])
            live = replace(column(row), indexed=(table, name) in indexed, generated=(table, name) in generated)
            columns.setdefault(table, []).append(live)
        return ddl.Live(columns, [str(row["name"]) for row in session.query(catalog["live_others"])])

    @contextmanager
    def _transaction(self, *, read_only: bool) -> Iterator[OdbcSession]:
        if self._thread.writing:
            raise RuntimeError("this thread is inside a write transaction: pass its session on instead")
        connection = self._take(read_only)
        session = OdbcSession(connection.raw, self._translated, read_only=read_only, fast=self._fast)
        try:
            yield session
            session.end()
            with self._translated():
                # A read has nothing to keep.
                (connection.raw.rollback if read_only else connection.raw.commit)()
        except BaseException:
            self._undo(connection, session)
            raise
        self._give_back(connection, read_only)

    def _undo(self, connection: _Connection, session: OdbcSession) -> None:
        """Rolls back, because an error leaves the transaction open; a connection that cannot is not reused."""
        try:
            session.end()
            connection.raw.rollback()
        except self._pyodbc.Error:
            self._drop(connection)
        else:
            self._give_back(connection, session.read_only)

    def _take(self, read_only: bool) -> _Connection:
        idle = self._thread.reading_idle if read_only else self._thread.writing_idle
        while connection := self._claim(idle):
            if time.monotonic() - connection.rested_since < REST or self._alive(connection):
                return connection
            self._drop(connection)
        return self._open(read_only)

    def _claim(self, idle: list[_Connection]) -> _Connection | None:
        with self._lock:
            if self._closed:
                raise RuntimeError("this database was closed")
            if not idle:
                return None
            connection = idle.pop()
            connection.busy = True
            return connection

    def _open(self, read_only: bool) -> _Connection:
        connection = _Connection(self._connect())
        with self._lock:
            self._connections.append(connection)
        try:
            with self._translated():
                self._prepare(connection.raw, read_only)
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _prepare(self, raw: "pyodbc.Connection", read_only: bool) -> None:
        if self._engine == "sqlserver":
            # A server may be set to count no rows; the fence of the lease needs the count of each statement.
            raw.execute("SET NOCOUNT OFF")
            raw.execute(f"SET LOCK_TIMEOUT {int(self._lock_timeout * 1000)}")
            if read_only and self._allows_snapshots(raw):
                raw.execute(_SNAPSHOT)
        raw.autocommit = False

    def _allows_snapshots(self, raw: "pyodbc.Connection") -> bool:
        return bool(raw.execute(sql.load("catalog", "sqlserver")["allows_snapshots"]).fetchval() == 1)

    def _alive(self, connection: _Connection) -> bool:
        try:
            connection.raw.execute("SELECT 1 AS n").fetchall()
            connection.raw.rollback()
        except self._pyodbc.Error:
            return False
        return True

    def _give_back(self, connection: _Connection, read_only: bool) -> None:
        with self._lock:
            if not self._closed:
                connection.rested_since = time.monotonic()
                connection.busy = False
                (self._thread.reading_idle if read_only else self._thread.writing_idle).append(connection)
                return
        self._drop(connection)

    def _drop(self, connection: _Connection) -> None:
        with self._lock:
            if connection in self._connections:
                self._connections.remove(connection)
        # The connection is not used any more, so its error does not matter: the server may have closed it before.
        with suppress(self._pyodbc.Error):
            connection.raw.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Translates driver errors into ours; a mistake in a statement stays as it is and ends the process."""
        try:
            yield
        except self._pyodbc.Error as error:
            named = odbc_errors.named(error.args, self._where)
            if named is None:
                raise
            raise named from error


class _Thread(threading.local):
    """The idle connections of one thread, and whether a write transaction is open in it."""

    def __init__(self) -> None:
        self.reading_idle: list[_Connection] = []
        self.writing_idle: list[_Connection] = []
        self.writing = False


def column(row: database.Row) -> database.Column:
    """A live column from a catalog row, with its type and size as our tables write them."""
    kind = str(row["type"]).upper()
    if row.get("length") is not None:
        kind += "(MAX)" if row["length"] == -1 else f"({row['length']})"
    elif kind in ("DECIMAL", "NUMERIC"):
        kind = f"DECIMAL({row['digits']},{row['scale']})"
    return database.Column(name=str(row["name"]), type=kind, nullable=not row["not_null"], collation=row["collation"])
