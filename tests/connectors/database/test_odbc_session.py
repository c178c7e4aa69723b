"""Connections and values between us and pyodbc. The driver is played here; the contract suite runs on real ones."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from connectors import errors
from connectors.database import odbc_driver, odbc_session, sqlserver
from connectors.database.sqlserver import SqlServerDatabase

LOST = ("08S01", "[08S01] Communication link failure (0) (SQLExecDirectW)")


class Trouble(Exception):
    """pyodbc.Error."""


class Driver:
    """pyodbc as the database calls it, with every connection that was made."""

    Error = Trouble

    def __init__(self) -> None:
        self.made: list[Connection] = []
        self.snapshots = 0

    def connect(self) -> "Connection":
        self.made.append(Connection(self))
        return self.made[-1]


class Connection:
    """Keeps what it was told; says what `answers` has for a statement, else one row of 1."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.told: list[str] = []
        self.answers: dict[str, Callable[[], list[tuple[Any, ...]]]] = {}
        self.dead = False
        self.closed = False
        self.autocommit = True

    def cursor(self) -> "Cursor":
        return Cursor(self)

    def execute(self, statement: str) -> "Cursor":
        return self.cursor().execute(statement)

    def commit(self) -> None:
        self.tell("COMMIT")

    def rollback(self) -> None:
        self.tell("ROLLBACK")

    def close(self) -> None:
        self.closed = True

    def tell(self, statement: str) -> None:
        if self.dead:
            raise Trouble(*LOST)
        self.told.append(statement)


class Cursor:
    rowcount = 1
    description = (("n",),)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.rows: list[tuple[Any, ...]] = []
        self.sizes: list[Any] = []
        self.fast_executemany = False

    def execute(self, statement: str, *params: Any) -> "Cursor":
        self.connection.tell(statement)
        if "snapshot_isolation_state" in statement:
            self.rows = [(self.connection.driver.snapshots,)]
        else:
            self.rows = self.connection.answers.get(statement, lambda: [(1,)])()
        return self

    def setinputsizes(self, sizes: list[Any]) -> None:
        self.sizes = sizes

    def executemany(self, statement: str, rows: Sequence[Any]) -> None:
        self.connection.tell(f"{statement} x {len(rows)} fast={self.fast_executemany} {self.sizes}")

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows, self.rows = self.rows, []
        return rows

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        rows, self.rows = self.rows[:size], self.rows[size:]
        return rows

    def fetchval(self) -> Any:
        return self.rows[0][0]

    def close(self) -> None:
        self.connection.tell("CLOSE")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    played = Driver()
    monkeypatch.setattr(odbc_driver, "load", lambda: played)
    return played


@pytest.fixture
def db(driver: Driver) -> Iterator[SqlServerDatabase]:
    made = SqlServerDatabase(driver.connect, "h/d", lock_timeout=2.5)
    yield made
    made.close()


def test_readers_see_snapshots_where_the_database_allows_them_and_writers_never_do(
    db: SqlServerDatabase, driver: Driver
) -> None:
    driver.snapshots = 1
    with db.read() as session:
        assert session.value("SELECT 1 AS n") == 1
    with db.write():
        pass
    reader, writer = driver.made
    assert reader.told[:2] == writer.told[:2] == ["SET NOCOUNT OFF", "SET LOCK_TIMEOUT 2500"]
    assert "SET TRANSACTION ISOLATION LEVEL SNAPSHOT" in reader.told
    assert not any("ISOLATION" in told for told in writer.told)
    assert (reader.told[-1], writer.told[-1]) == ("ROLLBACK", "COMMIT")
    assert not reader.autocommit
    assert not writer.autocommit


def test_without_snapshots_a_reader_stays_read_committed(db: SqlServerDatabase, driver: Driver) -> None:
    with db.read():
        pass
    assert not any("SNAPSHOT" in told for told in driver.made[0].told)


@pytest.mark.parametrize(("state", "notes"), [(0, 1), (1, 0)])
def test_a_database_that_allows_no_snapshots_is_told(
    db: SqlServerDatabase, driver: Driver, state: int, notes: int
) -> None:
    driver.snapshots = state
    assert len(db.notes()) == notes


def test_connections_are_kept_one_for_each_open_transaction(db: SqlServerDatabase, driver: Driver) -> None:
    for _ in range(3):
        with db.read(), db.read(), db.write():
            pass
    assert len(driver.made) == 3


def test_a_writer_stands_in_line_first(db: SqlServerDatabase, driver: Driver) -> None:
    with db.write() as session:
        session.execute("UPDATE T")
    told = [one.split()[0:2] for one in driver.made[0].told if one.startswith("UPDATE")]
    assert told == [["UPDATE", "[SYNC_Lease]"], ["UPDATE", "T"]]


def test_without_its_line_the_schema_is_not_whole(
    db: SqlServerDatabase, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cursor, "rowcount", 0)
    with pytest.raises(errors.Misconfigured, match="ordersync setup"), db.write():
        pass
    assert driver.made[0].told[-1] == "ROLLBACK"


def test_a_lost_connection_is_transient_and_is_replaced(db: SqlServerDatabase, driver: Driver) -> None:
    with pytest.raises(errors.Transient, match=r"h/d: .*link failure"), db.read() as session:
        driver.made[0].dead = True
        session.query("SELECT 1 AS n")
    assert driver.made[0].closed
    with db.read() as session:
        assert session.value("SELECT 1 AS n") == 1
    assert len(driver.made) == 2


def test_one_that_died_while_it_rested_is_replaced_before_it_is_used(
    db: SqlServerDatabase, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with db.read():
        pass
    monkeypatch.setattr(sqlserver, "REST", 0.0)
    with db.read():
        pass
    assert len(driver.made) == 1
    driver.made[0].dead = True
    with db.read() as session:
        assert session.value("SELECT 1 AS n") == 1
    assert driver.made[0].closed
    assert len(driver.made) == 2


def test_a_commit_that_was_not_answered_is_transient(db: SqlServerDatabase, driver: Driver) -> None:
    with pytest.raises(errors.Transient), db.write():
        driver.made[0].dead = True
    assert driver.made[0].closed


def test_a_mistake_in_a_statement_stays_what_it_is_and_is_rolled_back(db: SqlServerDatabase, driver: Driver) -> None:
    def refuse() -> list[tuple[Any, ...]]:
        raise Trouble("42000", "[42000] Incorrect syntax near 'x'. (102) (SQLExecDirectW)")

    with pytest.raises(Trouble), db.read() as session:
        driver.made[0].answers["SELECT x"] = refuse
        session.query("SELECT x")
    assert driver.made[0].told[-1] == "ROLLBACK"


def test_rows_travel_together_with_the_widths_they_need(db: SqlServerDatabase, driver: Driver) -> None:
    with db.write() as session:
        session.execute_many("INSERT", [(n, "ab", None, "x" * 129 if n else None) for n in range(1001)])
    many = [told for told in driver.made[0].told if told.startswith("INSERT")]
    assert many == [
        "INSERT x 1000 fast=True [None, (-9, 2, 0), None, (-9, 0, 0)]",
        "INSERT x 1 fast=True [None, (-9, 2, 0), None, (-9, 0, 0)]",
    ]


def test_a_long_write_with_a_null_is_refused_before_it_could_go_wrong(db: SqlServerDatabase) -> None:
    long = "UPDATE T".ljust(odbc_session.LONGEST)
    with db.write() as session:
        assert session.execute(long, ("x",)) == 1
        with pytest.raises(ValueError, match="is given a NULL"):
            session.execute(long, (None,))
        with pytest.raises(ValueError, match="is given a NULL"):
            session.execute_many(long, [("x",), (None,)])


def test_widths_are_counted_as_the_server_counts_them() -> None:
    assert odbc_session.input_sizes([("\N{SPOOL OF THREAD}" * 3, "")]) == [(-9, 6, 0), (-9, 1, 0)]


def test_what_a_driver_gives_as_objects_crosses_as_text_and_numbers() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).replace(tzinfo=None)
    row = (True, Decimal("1.5000"), at, date(2026, 1, 2), UUID(int=0xABC), bytearray(b"x"), "t", None, 7)
    assert list(odbc_session.plain([row])) == [
        (
            1,
            "1.5000",
            "2026-01-02T03:04:05.000000",
            "2026-01-02",
            "00000000-0000-0000-0000-000000000ABC",
            b"x",
            "t",
            None,
            7,
        )
    ]
    assert type(next(odbc_session.plain([(True,)]))[0]) is int
    with pytest.raises(errors.Misconfigured, match="FLOAT"):
        list(odbc_session.plain([(1.5,)]))


def test_live_types_are_told_as_our_tables_tell_them() -> None:
    def told(kind: str, length: int | None = None, digits: int | None = None, scale: int | None = None) -> str:
        row = {"name": "n", "type": kind, "not_null": 0, "collation": None}
        return sqlserver.column(row | {"length": length, "digits": digits, "scale": scale}).type

    assert told("nvarchar", 200) == "NVARCHAR(200)"
    assert told("nvarchar", -1) == "NVARCHAR(MAX)"
    assert told("decimal", None, 18, 4) == told("numeric", None, 18, 4) == "DECIMAL(18,4)"
    assert told("int", None, 10, 0) == "INT"
    assert told("datetime2") == "DATETIME2"
