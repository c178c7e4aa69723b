"""One transaction on an ODBC connection, as a `database.Session`."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from connectors import database, errors

if TYPE_CHECKING:
    import pyodbc

# pyodbc asks the server about a statement with a NULL among its parameters; beyond this length one server failed, and
# pyodbc swallowed the error together with all that the transaction had written before.
LONGEST = 4000
MANY = 1000
_SQL_WVARCHAR = -9
# Every row of a batch reserves the whole width, so longer texts are sent piece by piece (size 0).
_WIDTH = 128

Translated = Callable[[], AbstractContextManager[None]]


class OdbcSession:
    """A `database.Session`, of no use once its transaction has ended. A connection has one open result: see `stream`.

    `fast` sends the rows of `execute_many` together, which not every driver can.
    """

    def __init__(self, connection: "pyodbc.Connection", translated: Translated, *, read_only: bool, fast: bool) -> None:
        self._connection = connection
        self._translated = translated
        self.read_only = read_only
        self._fast = fast
        self._stream: _Stream | None = None
        self._ended = False

    def execute(self, statement: str, params: Sequence[database.Value] = ()) -> int:
        self._refuse_if_read_only()
        refuse_long(statement, params)
        with closing(self._run(statement, params)) as cursor:
            return int(cursor.rowcount)

    def execute_many(self, statement: str, rows: Iterable[Sequence[database.Value]]) -> None:
        self._refuse_if_read_only()
        self._ready()
        source = iter(rows)
        # An empty list is an error to pyodbc.
        while some := list(islice(source, MANY)):
            for row in some:
                check(row)
                refuse_long(statement, row)
            with self._translated(), closing(self._connection.cursor()) as cursor:
                if self._fast:
                    cursor.fast_executemany = True
                    cursor.setinputsizes(input_sizes(some))
                cursor.executemany(statement, some)

    def query(self, statement: str, params: Sequence[database.Value] = ()) -> list[database.Row]:
        with closing(self._run(statement, params)) as cursor:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in self._fetched(cursor, None)]

    def value(self, statement: str, params: Sequence[database.Value] = ()) -> Any:
        with closing(self._run(statement, params)) as cursor:
            rows = self._fetched(cursor, 1)
        return rows[0][0] if rows else None

    def stream(
        self, statement: str, params: Sequence[database.Value] = (), size: int = 1000
    ) -> Iterator[database.Fields]:
        """As `Session.stream`. The next statement of the session first reads the other rows of this one into memory."""
        cursor = self._run(statement, params)
        self._stream = _Stream(lambda many: self._fetched(cursor, many), size, cursor.close)
        return self._rows(self._stream)

    def end(self) -> None:
        """Closes the open result, if there is one, and refuses every later call."""
        self._ended = True
        if self._stream is not None:
            self._stream.close()

    def _rows(self, stream: "_Stream") -> Iterator[database.Fields]:
        while True:
            self._refuse_if_ended()
            rows = stream.next()
            if not rows:
                return
            yield from rows

    def _run(self, statement: str, params: Sequence[database.Value]) -> "pyodbc.Cursor":
        self._ready()
        check(params)
        with self._translated():
            cursor = self._connection.cursor()
            return cursor.execute(statement, *params)

    def _fetched(self, cursor: "pyodbc.Cursor", many: int | None) -> list[database.Fields]:
        with self._translated():
            rows = cursor.fetchall() if many is None else cursor.fetchmany(many)
        return list(plain(rows))

    def _ready(self) -> None:
        self._refuse_if_ended()
        if self._stream is not None:
            self._stream.drain()
            self._stream = None

    def _refuse_if_ended(self) -> None:
        if self._ended:
            raise RuntimeError("this transaction has ended")

    def _refuse_if_read_only(self) -> None:
        self._refuse_if_ended()
        if self.read_only:
            raise errors.Misconfigured("a read transaction never writes", code="READ_ONLY")


class _Stream:
    """The rows of one open result, `size` at a time, or all the rest when another statement needs the connection."""

    def __init__(
        self, fetch: Callable[[int | None], list[database.Fields]], size: int, close: Callable[[], None]
    ) -> None:
        self._fetch = fetch
        self._size = size
        self._close = close
        self._left: list[database.Fields] = []
        self._open = True

    def next(self) -> list[database.Fields]:
        """The next rows; none at the end."""
        if self._open:
            rows = self._fetch(self._size)
            if not rows:
                self.close()
            return rows
        rows, self._left = self._left, []
        return rows

    def drain(self) -> None:
        """Reads the rest into memory and closes the result."""
        if self._open:
            self._left = self._fetch(None)
            self.close()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._close()


def refuse_long(statement: str, params: Sequence[database.Value]) -> None:
    """Raises ValueError for a write that would fail in silence; a mistake of ours, so it ends the process."""
    if len(statement) >= LONGEST and None in params:
        raise ValueError(f"a statement of {len(statement)} characters is given a NULL: split it, or leave NULLs out")


def check(params: Sequence[database.Value]) -> None:
    """As `database.check_values`, and raises Rejected for a value that no column takes."""
    database.check_values(params)
    for value in params:
        # No encoding of the wire has half a surrogate pair.
        if isinstance(value, str) and not value.isascii():
            try:
                value.encode("utf-16-le")
            except UnicodeEncodeError as error:
                raise errors.Rejected(f"a value cannot be stored: {error}", code="WRONG_VALUE") from error
        elif isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise errors.Rejected("a value cannot be stored: it is beyond BIGINT", code="WRONG_VALUE")


def input_sizes(rows: Sequence[Sequence[database.Value]]) -> list[tuple[int, int, int] | None]:
    """The type and width of each column of a batch: text as NVARCHAR, wide enough for all rows; None for other values.

    The server then converts the text. The driver would do it otherwise, and it knows no `T` between date and time.
    """
    sizes: list[tuple[int, int, int] | None] = []
    for column in zip(*rows, strict=True):
        texts = [value for value in column if isinstance(value, str)]
        longest = max((len(text.encode("utf-16-le")) // 2 for text in texts), default=0)
        sizes.append((_SQL_WVARCHAR, max(1, longest) if longest <= _WIDTH else 0, 0) if texts else None)
    return sizes


def plain(rows: Sequence[Sequence[Any]]) -> Iterator[database.Fields]:
    """Rows with the values that `database` allows: an object of the driver becomes text or a number.

    Raises Misconfigured for a FLOAT or REAL.
    """
    for row in rows:
        fields = tuple(row)
        if not _PLAIN.issuperset(map(type, fields)):
            fields = tuple(_plain(value) for value in fields)
        yield fields


_PLAIN = frozenset({str, int, bytes, type(None)})


def _plain(value: Any) -> Any:
    match value:
        case bool():
            return int(value)
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(timespec="microseconds")
        case date() | time():
            return value.isoformat()
        case UUID():
            return str(value).upper()
        case bytearray():
            return bytes(value)
        case float():
            raise errors.Misconfigured(
                "a column of type FLOAT or REAL was read: its values have no exact text, change its type to DECIMAL",
                code="SCHEMA",
            )
        case _:
            return value
