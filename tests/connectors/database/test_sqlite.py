"""SQLite behind the database interface: transactions, threads and values."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest

from connectors import database, errors
from schemas import batches
from tests.connectors.database.conftest import Open

NOW = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
SET = "UPDATE [SYNC_State] SET [value] = ? WHERE [name] = ?"
ADD = "INSERT INTO [SYNC_State] ([name], [value], [updated_at]) VALUES (?, ?, ?)"
GET = "SELECT [value] FROM [SYNC_State] WHERE [name] = ?"
ALL = "SELECT [name], [value] FROM [SYNC_State] ORDER BY [name]"
AT = database.to_db_time(NOW)


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


def test_read_sees_one_state_while_others_write(db: database.Database, opened: Open) -> None:
    other = opened()
    with db.read() as session:
        assert session.value(GET, ("a",)) == "a1"
        with other.write() as writer:
            writer.execute(SET, ("a2", "a"))
        assert session.value(GET, ("a",)) == "a1"
    assert value(db, "a") == "a2"


def test_abandoned_stream_does_not_pin_its_old_state(db: database.Database, opened: Open) -> None:
    with db.read() as session:
        left = session.stream(ALL, size=1)
        next(left)
    with opened().write() as session:
        session.execute(SET, ("a2", "a"))
    assert value(db, "a") == "a2"


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


def test_states_are_text_and_bits_are_numbers(db: database.Database) -> None:
    with db.write() as session:
        session.execute(SET, (batches.StagingStatus.PENDING, "a"))
        assert session.value("SELECT CAST(? AS INT) AS n", (True,)) == 1
    assert value(db, "a") == "PENDING"


def test_more_parameters_than_a_server_takes_are_refused(db: database.Database) -> None:
    marks = ", ".join("?" * 2001)
    with pytest.raises(ValueError, match="2001 parameters"), db.read() as session:
        session.query(f"SELECT [name] FROM [SYNC_State] WHERE [name] IN ({marks})", ["x"] * 2001)


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


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_text_that_is_no_utf_8_is_escaped_and_no_row_is_lost_or_read_twice(db: database.Database, size: int) -> None:
    texts = ["'a'", "'b'", "CAST(X'63FF' AS TEXT)", "'d\u00e9'", "CAST(X'FE' AS TEXT)", "'f'"]
    shown = ["a", "b", "c\\xff", "d\u00e9", "\\xfe", "f"]
    statement = " UNION ALL ".join(f"SELECT {n} AS n, {text} AS t" for n, text in enumerate(texts))
    # The second read begins on a connection that has met such a text.
    for _ in range(2):
        with db.read() as session:
            assert list(session.stream(statement, (), size)) == list(enumerate(shown))
            assert [row["t"] for row in session.query(statement)] == shown
            assert session.value(f"SELECT {texts[2]}") == shown[2]
