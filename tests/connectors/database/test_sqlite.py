"""SQLite behind the database interface: transactions, threads and values."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from connectors import database, errors
from connectors.database import sqlite
from schemas import batches

NOW = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
SET = "UPDATE [SYNC_State] SET [value] = ? WHERE [name] = ?"
ADD = "INSERT INTO [SYNC_State] ([name], [value], [updated_at]) VALUES (?, ?, ?)"
GET = "SELECT [value] FROM [SYNC_State] WHERE [name] = ?"
ALL = "SELECT [name], [value] FROM [SYNC_State] ORDER BY [name]"
AT = database.to_db_time(NOW)

Open = Callable[..., sqlite.SqliteDatabase]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the file of this test as another process would; closes them all at the end."""
    all_opened: list[sqlite.SqliteDatabase] = []

    def another(name: str = "orders.db", busy_timeout: float = 30.0) -> sqlite.SqliteDatabase:
        all_opened.append(sqlite.SqliteDatabase(tmp_path / name, busy_timeout))
        return all_opened[-1]

    yield another
    for one in all_opened:
        one.close()


@pytest.fixture
def db(opened: Open) -> database.Database:
    made = opened()
    made.apply_schema(NOW)
    with made.write() as session:
        session.execute_many(ADD, [(name, f"{name}1", AT) for name in "abc"])
    return made


def value(db: database.Database, name: str) -> object:
    with db.read() as session:
        return session.value(GET, (name,))


# Transactions


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


def test_failed_statement_undoes_the_ones_before_it(db: database.Database) -> None:
    with pytest.raises(errors.Rejected), db.write() as session:
        session.execute(SET, ("a2", "a"))
        session.execute_many(ADD, [("d", "d1", AT), ("a", "again", AT)])
    assert value(db, "a") == "a1"
    assert value(db, "d") is None


def test_read_sees_one_state_while_others_write(db: database.Database, opened: Open) -> None:
    other = opened()
    with db.read() as session:
        assert session.value(GET, ("a",)) == "a1"
        with other.write() as writer:
            writer.execute(SET, ("a2", "a"))
        assert session.value(GET, ("a",)) == "a1"
    assert value(db, "a") == "a2"


def test_a_thread_may_write_while_it_streams(db: database.Database) -> None:
    seen = []
    with db.read() as reader:
        for name, text in reader.stream(ALL, size=1):
            seen.append(text)
            with db.write() as writer:
                writer.execute(SET, (f"{name}2", "c"))
    assert seen == ["a1", "b1", "c1"]
    assert value(db, "c") == "c2"


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


def test_abandoned_stream_does_not_pin_its_old_state(db: database.Database, opened: Open) -> None:
    with db.read() as session:
        left = session.stream(ALL, size=1)
        next(left)
    with opened().write() as session:
        session.execute(SET, ("a2", "a"))
    assert value(db, "a") == "a2"


def test_close_ends_it_all(db: database.Database) -> None:
    db.close()
    with pytest.raises(RuntimeError, match="closed"), db.read():
        pass
    db.close()


# Threads and processes


def test_threads_share_one_database(db: database.Database) -> None:
    with db.write() as session:
        session.execute(ADD, ("n", "0", AT))

    def add_one(_: int) -> None:
        with db.write() as session:
            number = session.value(GET, ("n",))
            session.execute(SET, (str(int(number) + 1), "n"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add_one, range(200)))
    assert value(db, "n") == "200"


def test_many_may_set_up_one_fresh_file_at_once(opened: Open) -> None:
    everyone = [opened() for _ in range(6)]
    together = threading.Barrier(len(everyone))

    def set_up(one: database.Database) -> list[str]:
        together.wait(timeout=60)
        return one.apply_schema(NOW)

    with ThreadPoolExecutor(len(everyone)) as pool:
        made = sorted(pool.map(set_up, everyone), key=len)
    assert made[:-1] == [[]] * 5
    assert "table SYNC_Lease" in made[-1]


def test_second_writer_that_waits_too_long_is_transient(db: database.Database, opened: Open) -> None:
    impatient = opened(busy_timeout=0.01)
    with db.write(), pytest.raises(errors.Transient, match="busy"), impatient.write():
        pass
    with impatient.write() as session:
        assert session.execute(SET, ("a2", "a")) == 1


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


@pytest.mark.parametrize(
    "wrong", [1.5, Decimal("1.50"), uuid.UUID(int=1), NOW, [1], float("nan")], ids=lambda wrong: type(wrong).__name__
)
def test_value_that_an_engine_would_reshape_is_refused(db: database.Database, wrong: object) -> None:
    with pytest.raises(TypeError, match=r"parameter 1 is .*decimals as text"), db.write() as session:
        session.execute(SET, (wrong, "a"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="parameter 1 is"), db.write() as session:
        session.execute_many(SET, [("a2", "a"), (wrong, "a")])  # type: ignore[list-item]
    assert value(db, "a") == "a1"


def test_states_are_text_and_bits_are_numbers(db: database.Database) -> None:
    with db.write() as session:
        session.execute(SET, (batches.StagingStatus.PENDING, "a"))
        assert session.value("SELECT CAST(? AS INT) AS n", (True,)) == 1
    assert value(db, "a") == "PENDING"


def test_more_parameters_than_a_server_takes_are_refused(db: database.Database) -> None:
    marks = ", ".join("?" * 2001)
    with pytest.raises(ValueError, match="2001 parameters"), db.read() as session:
        session.query(f"SELECT [name] FROM [SYNC_State] WHERE [name] IN ({marks})", ["x"] * 2001)


@pytest.mark.parametrize("wrong", ["\ud800", 2**63])
def test_value_that_no_column_holds_is_rejected(db: database.Database, wrong: str | int) -> None:
    with pytest.raises(errors.Rejected) as caught, db.write() as session:
        session.execute(SET, (wrong, "a"))
    assert caught.value.code == "WRONG_VALUE"


def test_times_are_utc_text_of_fixed_width_that_sorts() -> None:
    assert database.to_db_time(NOW) == "2026-11-21T10:00:00.123456"
    whole = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=2)))
    assert database.to_db_time(whole) == "2026-11-21T10:00:00.000000"
    assert database.from_db_time(database.to_db_time(whole)) == whole
    assert database.to_db_time(whole) < database.to_db_time(NOW)
    with pytest.raises(ValueError, match="no time zone"):
        database.to_db_time(NOW.replace(tzinfo=None))
    for text in ("2026-11-21T10:00:00", "2026-11-21T10:00:00.123+00:00", "2026-11-21"):
        with pytest.raises(ValueError, match="not a time"):
            database.from_db_time(text)
