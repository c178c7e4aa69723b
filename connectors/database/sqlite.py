"""SQLite, the embedded default: poller, worker and command line share one file."""

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import sql
from connectors import database, errors
from sql import ddl

# Primary result codes (sqlite.org/rescode.html); below, the advice to the operator.
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_REFUSED = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: "DUPLICATE",
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: "DUPLICATE",
    sqlite3.SQLITE_CONSTRAINT_ROWID: "DUPLICATE",
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: "NULL_REFUSED",
}
_ADVICE = {
    sqlite3.SQLITE_CANTOPEN: "check that its folder exists and may be written, then run `ordersync setup`",
    sqlite3.SQLITE_PERM: "let this user write the file and its folder",
    sqlite3.SQLITE_READONLY: "let this user write the file and its folder; a read transaction never writes",
    sqlite3.SQLITE_FULL: "free space on its disk",
    sqlite3.SQLITE_IOERR: "check its disk",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: set another path",
    sqlite3.SQLITE_CORRUPT: "restore it from a copy",
}
# The prepared statements that a connection keeps: more than ordersync has.
STATEMENTS = 512
_TRY_EVERY = 0.01  # seconds
# What the driver says of a text that is no UTF-8; it has no code.
_UNDECODABLE = "Could not decode to UTF-8"
_NO_SUCH_NAME = ("no such table", "no such column", "no such view", "has no column named")


class SqliteDatabase:
    """A file in WAL mode: readers never wait, a writer waits for another one up to `busy_timeout` seconds.

    Each open transaction has a connection of its own; any thread may take an idle one.
    """

    def __init__(self, path: Path, busy_timeout: float = 30.0) -> None:
        self._path = path
        self._busy_timeout = busy_timeout
        self._thread = _Thread()
        self._translated = _Translated(path)
        self._lock = threading.Lock()
        self._readers: list[sqlite3.Connection] = []
        self._writers: list[sqlite3.Connection] = []
        self._closed = False

    @property
    def engine(self) -> str:
        return "sqlite"

    def read(self) -> AbstractContextManager[database.Session]:
        return self._transaction(writes=False)

    def write(self) -> AbstractContextManager[database.Session]:
        return self._transaction(writes=True)

    def columns(self, table: str) -> list[database.Column]:
        with self.read() as session:
            rows = session.query(sql.load("catalog", self.engine)["live_table"], (table,))
        return database.checked_columns(table, [_column(row) for row in rows])

    def apply_schema(self, now: datetime, *, with_source: bool = True) -> list[str]:
        with self._translated:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        catalog = sql.load("catalog", self.engine)
        with self.write() as session:
            columns: dict[str, list[database.Column]] = {}
            for row in session.query(catalog["live_columns"]):
                columns.setdefault(str(row["table_name"]), []).append(_column(row))
            others = [str(row["name"]) for row in session.query(catalog["live_others"])]
            live = ddl.Live(columns, others)
            return database.complete_schema(session, self.engine, live, now, with_source=with_source)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for idle in (self._readers, self._writers):
                while idle:
                    idle.pop().close()

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[database.Session]:
        if self._thread.writing:
            raise RuntimeError("this thread is inside a write transaction: pass its session on instead")
        idle = self._writers if writes else self._readers
        connection = self._take(idle, writes=writes)
        session = _SqliteSession(connection, self._translated)
        try:
            with self._translated:
                connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN DEFERRED")
            self._thread.writing = writes
            yield session
            self._thread.writing = False
            session.end()
            with self._translated:
                connection.execute("COMMIT")
        except BaseException:
            self._thread.writing = False
            session.end()
            # The first error matters; a connection that cannot roll back is not reused.
            with suppress(sqlite3.Error):
                connection.rollback()
            raise
        finally:
            self._give_back(connection, idle)

    def _take(self, idle: list[sqlite3.Connection], *, writes: bool) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise RuntimeError("this database was closed")
            if idle:
                # The connection that was used last has the statements prepared.
                return idle.pop()
        with self._translated:
            # Threads take turns with a connection.
            connection = sqlite3.connect(
                self._path,
                timeout=self._busy_timeout,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=STATEMENTS,
            )
            try:
                self._use_wal(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(f"PRAGMA query_only = {not writes:d}")
            except BaseException:
                connection.close()
                raise
        return connection

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """Sets WAL mode, which SQLite refuses at once, whatever the busy timeout, while another one sets it."""
        deadline = time.monotonic() + self._busy_timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(_TRY_EVERY)

    def _give_back(self, connection: sqlite3.Connection, idle: list[sqlite3.Connection]) -> None:
        with self._lock:
            if not self._closed and not connection.in_transaction:
                idle.append(connection)
                return
        connection.close()


class _Thread(threading.local):
    """Whether a write transaction is open in this thread."""

    writing = False


class _SqliteSession:
    """A `database.Session` on one connection, of no use once its transaction has ended."""

    def __init__(self, connection: sqlite3.Connection, translated: "_Translated") -> None:
        self._connection = connection
        self._translated = translated
        self._streams: list[sqlite3.Cursor] = []
        self._ended = False

    def execute(self, statement: str, params: Sequence[database.Value] = ()) -> int:
        return self._run(statement, params).rowcount

    def execute_many(self, statement: str, rows: Iterable[Sequence[database.Value]]) -> None:
        self._refuse_if_ended()
        with self._translated:
            self._connection.executemany(statement, map(_checked, rows))

    def query(self, statement: str, params: Sequence[database.Value] = ()) -> list[database.Row]:
        cursor = self._run(statement, params)
        names = [column[0] for column in cursor.description]
        with self._translated:
            return [dict(zip(names, row, strict=True)) for row in self._fetched(cursor)]

    def value(self, statement: str, params: Sequence[database.Value] = ()) -> Any:
        with closing(self._run(statement, params)) as cursor, self._translated:
            rows = self._fetched(cursor, 1)
        return rows[0][0] if rows else None

    def stream(
        self, statement: str, params: Sequence[database.Value] = (), size: int = 1000
    ) -> Iterator[database.Fields]:
        cursor = self._run(statement, params)
        self._streams.append(cursor)
        return self._rows(cursor, size)

    def end(self) -> None:
        """Closes every stream: an open cursor would pin its old state in the next transaction."""
        self._ended = True
        while self._streams:
            self._streams.pop().close()

    def _rows(self, cursor: sqlite3.Cursor, size: int) -> Iterator[database.Fields]:
        while True:
            self._refuse_if_ended()
            with self._translated:
                rows = self._fetched(cursor, size)
            if not rows:
                return
            yield from rows

    def _fetched(self, cursor: sqlite3.Cursor, most: int | None = None) -> list[database.Fields]:
        """The next rows, at most so many. In a table that we did not make, a text may be no UTF-8: it is escaped.

        The driver refuses the row of such a text and stays at it. Only a connection that has met one escapes, because
        that takes longer for every text.
        """
        rows: list[database.Fields] = []
        try:
            rows.extend(islice(cursor, most))
        except sqlite3.OperationalError as error:
            if _UNDECODABLE not in str(error):
                raise
            self._connection.text_factory = _escaped
            rows.extend(islice(cursor, None if most is None else most - len(rows)))
        return rows

    def _run(self, statement: str, params: Sequence[database.Value]) -> sqlite3.Cursor:
        self._refuse_if_ended()
        with self._translated:
            return self._connection.execute(statement, _checked(params))

    def _refuse_if_ended(self) -> None:
        if self._ended:
            raise RuntimeError("this transaction has ended")


def _escaped(text: bytes) -> str:
    return text.decode(errors="backslashreplace")


def _checked(params: Sequence[database.Value]) -> Sequence[database.Value]:
    database.check_values(params)
    return params


def _column(row: database.Row) -> database.Column:
    return database.Column(name=str(row["name"]), type=str(row["type"]), nullable=not row["not_null"])


class _Translated:
    """Translates driver errors into ours; a mistake in a statement stays as it is and ends the process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, sqlite3.Error):
            named = _named(error, self._path)
            if named is not None:
                raise named from error
        elif isinstance(error, UnicodeEncodeError | OverflowError):
            raise errors.Rejected(f"a value cannot be stored: {error}", code="WRONG_VALUE") from error
        elif isinstance(error, OSError):
            raise errors.Misconfigured(f"{self._path}: {error.strerror}: check its folder", code="FOLDER") from error


def _named(error: sqlite3.Error, path: Path) -> errors.OrdersyncError | None:
    extended = getattr(error, "sqlite_errorcode", None)
    if extended is None:
        return None
    primary = extended & 0xFF
    if primary in _BUSY:
        return errors.Transient(f"{path} is busy: another process is writing it ({error})")
    if primary in _ADVICE:
        return errors.Misconfigured(f"{path}: {error}: {_ADVICE[primary]}", code=error.sqlite_errorname)
    if primary in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG):
        return errors.Rejected(f"the database refused a row: {error}", code=_REFUSED.get(extended, "WRONG_VALUE"))
    if "BLOB" in str(error) and "JSON" in str(error):
        return errors.Unreadable(f"{path}: {error}", code="UNREADABLE")
    if any(words in str(error) for words in _NO_SUCH_NAME):
        return errors.Misconfigured(f"{path}: {error}: run `ordersync setup`", code="SCHEMA")
    return None
