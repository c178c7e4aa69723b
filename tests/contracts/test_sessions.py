"""Transactions, threads and values, on every engine."""

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors import database, errors
from connectors.database import odbc_driver, sqlite
from schemas import batches
from tests.contracts import engines

NOW = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
SET = "UPDATE [SYNC_State] SET [value] = ? WHERE [name] = ?"
ADD = "INSERT INTO [SYNC_State] ([name], [value], [updated_at]) VALUES (?, ?, ?)"
GET = "SELECT [value] FROM [SYNC_State] WHERE [name] = ?"
ALL = "SELECT [name], [value] FROM [SYNC_State] ORDER BY [name]"
AT = database.to_db_time(NOW)


@pytest.fixture
def db(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[database.Database]:
    with engines.opened(engine, tmp_path, request) as made:
        with made.write() as session:
            session.execute_many(ADD, [(name, f"{name}1", AT) for name in "abc"])
        yield made


@pytest.fixture
def tells_why(engine: str) -> None:
    if engine == "odbc":
        pytest.skip("SQLite's ODBC driver reports no SQLSTATE")


def value(db: database.Database, name: str) -> object:
    with db.read() as session:
        return session.value(GET, (name,))


def test_write_commits_and_counts_rows(db: database.Database) -> None:
    with db.write() as session:
        assert session.execute(SET, ("a2", "a")) == 1
        assert session.execute(SET, ("x", "nobody")) == 0
    assert value(db, "a") == "a2"


@pytest.mark.parametrize("trouble", [ValueError, KeyboardInterrupt])
def test_write_rolls_back_on_any_exception(db: database.Database, trouble: type[BaseException]) -> None:
    with pytest.raises(trouble), db.write() as session:
        session.execute(SET, ("a2", "a"))
        raise trouble
    assert value(db, "a") == "a1"
    with db.write() as session:
        session.execute(SET, ("a3", "a"))
    assert value(db, "a") == "a3"


def test_a_transaction_that_is_open_outlives_the_close(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with engines.opened(engine, tmp_path, request) as db:
        with db.read() as reader:
            with db.write() as writer:
                db.close()
                writer.execute(ADD, ("late", "kept", AT))
                assert writer.value(GET, ("late",)) == "kept"
            assert reader.value("SELECT 1 AS n") == 1
        with pytest.raises(RuntimeError, match="closed"), db.read():
            pass
        if engine != "sqlserver":
            assert value(sqlite.SqliteDatabase(tmp_path / "orders.db"), "late") == "kept"


def test_failed_statement_undoes_the_ones_before_it(db: database.Database, engine: str) -> None:
    refused = odbc_driver.load().Error if engine == "odbc" else errors.Rejected
    with pytest.raises(refused), db.write() as session:
        session.execute(SET, ("a2", "a"))
        session.execute_many(ADD, [("d", "d1", AT), ("a", "again", AT)])
    assert value(db, "a") == "a1"
    assert value(db, "d") is None


def test_a_thread_may_write_while_it_streams(db: database.Database) -> None:
    seen = []
    with db.read() as reader:
        for name, text in reader.stream(ALL, size=1):
            seen.append(text)
            with db.write() as writer:
                writer.execute(SET, (f"{name}2", "c"))
    assert seen == ["a1", "b1", "c1"]
    assert value(db, "c") == "c2"


def test_a_stream_goes_on_after_another_statement_of_its_transaction(db: database.Database) -> None:
    with db.read() as session:
        rows = session.stream(ALL, size=1)
        seen = [next(rows)[1]]
        assert session.value(GET, ("b",)) == "b1"
        seen += [text for _, text in rows]
    assert seen == ["a1", "b1", "c1"]


def test_a_stream_takes_its_rows_in_pieces(db: database.Database) -> None:
    with db.write() as session:
        session.execute_many(ADD, [(f"n{n:04}", str(n), AT) for n in range(2500)])
    with db.read() as session:
        rows = session.stream("SELECT [value] FROM [SYNC_State] WHERE [name] > ? ORDER BY [name]", ("n",), size=100)
        assert [int(text) for (text,) in rows] == list(range(2500))


def test_reads_nest(db: database.Database) -> None:
    with db.read() as outer, db.read() as inner:
        assert outer.value(GET, ("a",)) == inner.value(GET, ("a",))


def test_nothing_nests_in_a_write(db: database.Database) -> None:
    with db.write() as session:
        with pytest.raises(RuntimeError, match="pass its session on"), db.write():
            pass
        with pytest.raises(RuntimeError, match="pass its session on"), db.read():
            pass
        session.execute(SET, ("a2", "a"))
    assert value(db, "a") == "a2"


def test_read_transaction_writes_nothing(db: database.Database) -> None:
    with pytest.raises(errors.Misconfigured, match="a read transaction never writes"), db.read() as session:
        session.execute(SET, ("a2", "a"))
    assert value(db, "a") == "a1"


def test_session_is_of_no_use_after_its_transaction(db: database.Database) -> None:
    with db.read() as session:
        rows = session.stream(ALL, size=1)
        assert next(rows) == ("a", "a1")
    with pytest.raises(RuntimeError, match="has ended"):
        next(rows)
    with pytest.raises(RuntimeError, match="has ended"):
        session.value(GET, ("a",))
    with pytest.raises(RuntimeError, match="has ended"):
        session.execute_many(SET, [])


def test_write_transactions_of_many_threads_stand_in_line(db: database.Database) -> None:
    with db.write() as session:
        session.execute(ADD, ("n", "0", AT))

    def add_one(_: int) -> None:
        with db.write() as session:
            number = session.value(GET, ("n",))
            session.execute(SET, (str(int(number) + 1), "n"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_one, range(60)))
    assert value(db, "n") == "60"


def test_a_reader_does_not_see_uncommitted_rows(db: database.Database) -> None:
    written, seen = threading.Event(), threading.Event()

    def write() -> None:
        with db.write() as session:
            session.execute(SET, ("a2", "a"))
            written.set()
            assert seen.wait(60)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        assert written.wait(60)
        try:
            assert value(db, "a") == "a1"
        finally:
            seen.set()
        writer.result(60)
    assert value(db, "a") == "a2"


def test_read_sees_one_state_while_others_write(db: database.Database) -> None:
    def write() -> None:
        with db.write() as session:
            session.execute(SET, ("a2", "a"))

    with db.read() as session, ThreadPoolExecutor(1) as pool:
        assert session.value(GET, ("a",)) == "a1"
        pool.submit(write).result(60)
        assert session.value(GET, ("a",)) == "a1"
    assert value(db, "a") == "a2"


def test_close_ends_it_all(db: database.Database) -> None:
    db.close()
    with pytest.raises(RuntimeError, match="closed"), db.read():
        pass
    db.close()


# Values


def test_query_gives_rows_by_name(db: database.Database) -> None:
    with db.read() as session:
        assert session.query(ALL)[0] == {"name": "a", "value": "a1"}
        assert session.query("SELECT [name] FROM [SYNC_State] WHERE [name] = ?", ("nobody",)) == []
        assert session.value("SELECT COUNT(*) AS n FROM [SYNC_State]") == 3


def test_execute_many_takes_none_and_generators(db: database.Database) -> None:
    with db.write() as session:
        session.execute_many(ADD, [])
        session.execute_many(ADD, ((name, None, AT) for name in "de"))
        assert session.value("SELECT COUNT(*) AS n FROM [SYNC_State]") == 5


def test_many_rows_of_every_width_arrive_whole(db: database.Database) -> None:
    texts = [None, "", "é", "\N{SPOOL OF THREAD}" * 64, "x" * 129, "y" * 5000, "z" * 20_001, None, " blank "]
    with db.write() as session:
        session.execute_many(ADD, [(f"w{n}", text, AT) for n, text in enumerate(texts)])
    assert [value(db, f"w{n}") for n in range(len(texts))] == texts


def test_times_decimals_bits_and_identities_are_read_as_they_were_bound(db: database.Database) -> None:
    record = str(uuid.UUID(int=0xABCDEF)).upper()
    with db.write() as session:
        session.execute(
            "INSERT INTO ERR_MON_CustMasterSchedule (err_id, record_uuid, retryable, next_retry_at, "
            "error_key, created_date) VALUES (?, ?, ?, ?, ?, ?)",
            (2**62, record, True, AT, "K", database.to_db_time(NOW.replace(microsecond=0))),
        )
        session.execute_many(
            "INSERT INTO MON_CustMasterSchedule ([Item ID], [source_uuid], [FREIGHT], [ORDER DATE PO RECEIVED]) "
            "VALUES (?, ?, ?, ?)",
            [(7, record, "12345678901234.5678", "2026-02-28"), (8, None, None, None)],
        )
    with db.read() as session:
        (row,) = session.query(
            "SELECT err_id, record_uuid, retryable, next_retry_at, created_date, resolved_date FROM "
            "ERR_MON_CustMasterSchedule"
        )
        assert row == {
            "err_id": 2**62,
            "record_uuid": record,
            "retryable": 1,
            "next_retry_at": AT,
            "created_date": "2026-11-21T10:00:00.000000",
            "resolved_date": None,
        }
        found = session.query(
            "SELECT [Item ID], [source_uuid], [FREIGHT], [ORDER DATE PO RECEIVED] FROM MON_CustMasterSchedule "
            "ORDER BY [Item ID]"
        )
        assert [tuple(one.values()) for one in found] == [
            (7, record, "12345678901234.5678", "2026-02-28"),
            (8, None, None, None),
        ]
        assert (
            session.value("SELECT COUNT(*) AS n FROM ERR_MON_CustMasterSchedule WHERE next_retry_at <= ?", (AT,)) == 1
        )


@pytest.mark.parametrize(
    "wrong", [1.5, Decimal("1.50"), uuid.UUID(int=1), NOW, [1], float("nan")], ids=lambda wrong: type(wrong).__name__
)
def test_value_that_an_engine_would_reshape_is_refused(db: database.Database, wrong: object) -> None:
    with pytest.raises(TypeError, match=r"parameter 1 is .*decimals as text"), db.write() as session:
        session.execute(SET, (wrong, "a"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="parameter 1 is"), db.write() as session:
        session.execute_many(SET, [("a2", "a"), (wrong, "a")])  # type: ignore[list-item]
    assert value(db, "a") == "a1"


def test_states_are_text(db: database.Database) -> None:
    with db.write() as session:
        session.execute(SET, (batches.StagingStatus.PENDING, "a"))
        session.execute_many(SET, [(batches.StagingStatus.INFLIGHT, "b")])
    assert (value(db, "a"), value(db, "b")) == ("PENDING", "INFLIGHT")


@pytest.mark.parametrize("wrong", ["\ud800", 2**63])
def test_value_that_no_column_holds_is_rejected(db: database.Database, wrong: str | int) -> None:
    with pytest.raises(errors.Rejected) as caught, db.write() as session:
        session.execute(SET, (wrong, "a"))
    assert caught.value.code == "WRONG_VALUE"


@pytest.mark.usefixtures("tells_why")
@pytest.mark.parametrize(
    ("statement", "params", "code"),
    [(ADD, ("a", "again", AT), "DUPLICATE"), (ADD, ("d", "d1", None), "NULL_REFUSED")],
)
def test_a_refused_row_says_why(
    db: database.Database, statement: str, params: tuple[str | None, ...], code: str
) -> None:
    with pytest.raises(errors.Rejected) as caught, db.write() as session:
        session.execute(statement, params)
    assert caught.value.code == code


@pytest.mark.usefixtures("tells_why")
@pytest.mark.parametrize("statement", ["SELECT [x] FROM [NO_TABLE]", "SELECT s.[no column] FROM [SYNC_State] AS s"])
def test_a_missing_schema_asks_for_setup(db: database.Database, statement: str) -> None:
    with pytest.raises(errors.Misconfigured, match="ordersync setup") as caught, db.read() as session:
        session.query(statement)
    assert caught.value.code == "SCHEMA"
    assert value(db, "a") == "a1"


def test_columns_are_in_order_and_a_missing_table_is_reported(db: database.Database) -> None:
    assert [column.name for column in db.columns("SYNC_State")] == ["name", "value", "updated_at"]
    with pytest.raises(errors.Misconfigured, match="there is no table NO_TABLE"):
        db.columns("NO_TABLE")
