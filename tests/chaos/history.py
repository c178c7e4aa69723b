"""What a board's database remembers of its past: every value that a cell ever had, and every request it carried out."""

import contextlib
import json
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from connectors import database
from mappings.loading import Mappings
from tests.chaos import judge

# The board remembers the answer of what it carried out under a key, and of nothing else: what it refused or answered
# from memory adds no row. (Nor does an answer beyond its `remembered_bytes`, a megabyte, which none of ours reaches.)
TRIGGERS = (
    "CREATE TABLE history (n INTEGER PRIMARY KEY, item_id INTEGER, column_id TEXT, written TEXT);"
    "CREATE TRIGGER told AFTER INSERT ON cells BEGIN INSERT INTO history (item_id, column_id, written)"
    " VALUES (NEW.item_id, NEW.column_id, NEW.written); END;"
    "CREATE TABLE executions (n INTEGER PRIMARY KEY, request_key TEXT, at TEXT);"
    "CREATE TRIGGER executed AFTER INSERT ON answers_by_key BEGIN INSERT INTO executions (request_key, at)"
    " VALUES (NEW.key, strftime('%Y-%m-%dT%H:%M:%f000', 'now')); END;"
)


class Execution(NamedTuple):
    """A request that the board carried out, and when, in UTC and to the millisecond before."""

    key: str
    at: datetime


def watch(board: Path) -> None:
    """From now on the board's database writes it down. What came before is not known: call it on an empty board."""
    with contextlib.closing(sqlite3.connect(board)) as db:
        db.executescript(TRIGGERS)


def read(board: Path, mappings: Mappings) -> list[judge.Written]:
    """What was ever written to the columns that tell a version, oldest first."""
    key, subitem = mappings.board.key.id, mappings.board.subitem
    wanted = (key, subitem.size.id, subitem.quantity.id, judge.STAMP)
    with _reading(board) as db:
        told = db.execute(
            "SELECT item_id, column_id, written FROM history WHERE column_id IN (?, ?, ?, ?) ORDER BY n", wanted
        ).fetchall()
        parents = dict(db.execute("SELECT id, parent_id FROM items").fetchall())
    uuids = {item: json.loads(written) for item, column, written in told if column == key}
    sizes = {item: judge.label(json.loads(written)) for item, column, written in told if column == subitem.size.id}
    found: list[judge.Written] = []
    for item, column, written in told:
        if column == judge.STAMP:
            found.append(judge.Written(uuids.get(item, "?"), "", str(json.loads(written))))
        elif column == subitem.quantity.id:
            uuid = uuids.get(parents[item], "?")
            found.append(judge.Written(uuid, sizes.get(item, "?"), str(json.loads(written))))
    return found


def executions(board: Path) -> list[Execution]:
    """Every request that was carried out, oldest first."""
    with _reading(board) as db:
        rows = db.execute("SELECT request_key, at FROM executions ORDER BY n").fetchall()
    return [Execution(key, database.from_db_time(at)) for key, at in rows]


def _reading(board: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(f"file:{board}?mode=ro", uri=True))
