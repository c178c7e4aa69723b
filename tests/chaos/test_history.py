"""What the board carried out tells of a writer that woke up too late."""

from datetime import timedelta
from pathlib import Path

from connectors import database
from connectors.database.sqlite import SqliteDatabase
from connectors.simulator import store
from streams.resources import utcnow
from tests.chaos import history
from tests.chaos.real.trouble import not_of_the_new_writer

OLD, NEW = 3, 4


def test_the_board_tells_what_it_carried_out_and_when(tmp_path: Path) -> None:
    began, path = utcnow() - timedelta(milliseconds=1), tmp_path / "board.db"
    board = store.Store(path)
    history.watch(path)
    with board.transaction():
        board.remember("a key", "digest", "{}", 0.0, 60.0)
    [one] = history.executions(path)
    board.close()
    assert one.key == "a key"
    assert began <= one.at <= utcnow()


def test_what_the_old_writer_sent_late_is_told_apart(tmp_path: Path) -> None:
    now = utcnow()
    before, after = now - timedelta(seconds=1), now + timedelta(seconds=1)
    db = SqliteDatabase(tmp_path / "orders.db")
    db.apply_schema(now)
    closed = {"old": (OLD, None), "of the new one": (NEW, after), "open": (NEW, None), "taken over": (NEW, before)}
    with db.write() as session:
        for key, (epoch, finished) in closed.items():
            at = None if finished is None else database.to_db_time(finished)
            session.execute(
                "INSERT INTO SYNC_Requests (request_key, lease_token, body, mutations, created_at, first_sent_at,"
                " attempts, finished_at) VALUES (?, ?, '', '', ?, ?, 1, ?)",
                (key, epoch, database.to_db_time(before), database.to_db_time(before), at),
            )
    executed = [history.Execution(key, now) for key in (*closed, "nobody's")]
    assert [key for key, _ in not_of_the_new_writer(db, OLD, executed)] == ["old", "taken over", "nobody's"]
    db.close()
