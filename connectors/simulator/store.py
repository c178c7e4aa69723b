"""The state in one SQLite file: a committed change is there after kill -9.

A mutation request and its idempotency record are one commit: a killed server has executed the whole request and stored
the key, or nothing. (Each alias can still fail alone, see `step`.) Where aliases take time, each is one commit, and the
record is the last one. No transaction lasts beyond an await: other requests would write in it.

The outline of the board (boards, groups, columns, labels) is also in memory, because every value is checked against it.
"""

import contextlib
import dataclasses
import random
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib import resources
from pathlib import Path

FIRST_ITEM_ID = 9_300_000_001
# Entries of the activity log that the file keeps, of both boards together.
ACTIVITY_KEPT = 20_000


@dataclasses.dataclass(frozen=True)
class Board:
    """The board of the items, or the board of its subitems, which has a `parent_board_id`."""

    id: int
    name: str
    parent_board_id: int | None


@dataclasses.dataclass(frozen=True)
class Column:
    """A column; `type` is the API's word."""

    board_id: int
    id: str
    title: str
    type: str


@dataclasses.dataclass(frozen=True)
class Group:
    """A group of one board."""

    board_id: int
    id: str
    title: str


@dataclasses.dataclass(frozen=True)
class Item:
    """An item, or a subitem, which has a `parent_id`. Times are in UTC seconds."""

    id: int
    board_id: int
    group_id: str
    parent_id: int | None
    name: str
    state: str
    created: float
    updated: float


@dataclasses.dataclass(frozen=True)
class Cell:
    """A value as it was sent, as the API returns it, as text, and casefolded for searches (None: not searchable)."""

    written: str
    value: str
    text: str
    folded: str | None


@dataclasses.dataclass(frozen=True)
class Activity:
    """One entry of a board's activity log. `at` is in UTC seconds; `data` is JSON text."""

    id: int
    board_id: int
    item_id: int | None
    user_id: int
    event: str
    entity: str
    data: str
    at: float


class Store:
    """Reads and writes of the file; board.py decides what is allowed. Methods raise sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.create_function("casefold", 1, str.casefold, deterministic=True)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("PRAGMA busy_timeout = 5000")
        self._db.executescript(resources.files(__package__).joinpath("tables.sql").read_text("utf-8"))
        self.account_id = self._account()
        self._load_outline()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction: all changes of the block, or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            self._undo_outline()
            raise
        self._db.execute("COMMIT")
        self._outline_changed = False

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """A savepoint: if the block fails, its changes alone are undone."""
        self._db.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO step")
            self._db.execute("RELEASE step")
            self._undo_outline()
            raise
        self._db.execute("RELEASE step")

    def _account(self) -> int:
        """The id of the account that this file stands for, chosen when the file is first opened."""
        row = (random.SystemRandom().randrange(10**7, 10**8),)
        self._db.execute("INSERT INTO account SELECT ? WHERE NOT EXISTS (SELECT 1 FROM account)", row)
        return int(self._db.execute("SELECT id FROM account").fetchone()[0])

    # The outline.

    def _undo_outline(self) -> None:
        if self._outline_changed:
            self._load_outline()

    def _load_outline(self) -> None:
        self._outline_changed = False
        rows = self._db.execute("SELECT id, name, parent_board_id FROM boards")
        self.boards = {row[0]: Board(*row) for row in rows}
        self.columns: dict[int, dict[str, Column]] = {board: {} for board in self.boards}
        self.groups: dict[int, dict[str, Group]] = {board: {} for board in self.boards}
        # (board, column) -> {label: id}
        self.labels: dict[tuple[int, str], dict[str, int]] = {}
        for row in self._db.execute("SELECT board_id, id, title, type FROM board_columns ORDER BY position"):
            self.columns[row[0]][row[1]] = Column(*row)
        for row in self._db.execute(
            "SELECT board_id, id, title FROM board_groups WHERE position >= 0 ORDER BY position"
        ):
            self.groups[row[0]][row[1]] = Group(*row)
        for board_id, column_id, label_id, label in self._db.execute("SELECT * FROM labels"):
            self.labels.setdefault((board_id, column_id), {})[label] = label_id

    def add_board(self, board: Board) -> None:
        """Add a board without columns and groups."""
        self._db.execute(
            "INSERT INTO boards (id, name, parent_board_id) VALUES (?, ?, ?)",
            (board.id, board.name, board.parent_board_id),
        )
        self._outline_changed = True
        self.boards[board.id] = board
        self.columns[board.id] = {}
        self.groups[board.id] = {}

    def add_column(self, column: Column) -> None:
        """Add a column as the last one of its board."""
        columns = self.columns[column.board_id]
        row = (column.board_id, column.id, column.title, column.type, len(columns))
        self._db.execute("INSERT INTO board_columns VALUES (?, ?, ?, ?, ?)", row)
        self._outline_changed = True
        columns[column.id] = column

    def remove_column(self, column: Column) -> None:
        """Remove a column; its cells stay, so that it can be restored."""
        self._db.execute("DELETE FROM board_columns WHERE board_id = ? AND id = ?", (column.board_id, column.id))
        self._outline_changed = True
        del self.columns[column.board_id][column.id]

    def add_group(self, group: Group) -> None:
        """Add a group as the last one of its board."""
        groups = self.groups[group.board_id]
        row = (group.board_id, group.id, group.title, len(groups))
        self._db.execute("INSERT INTO board_groups VALUES (?, ?, ?, ?)", row)
        self._outline_changed = True
        groups[group.id] = group

    def groups_ever(self, board_id: int) -> int:
        """The number of groups that a board ever had."""
        row = self._db.execute("SELECT COUNT(*) FROM board_groups WHERE board_id = ?", (board_id,)).fetchone()
        return int(row[0])

    def rename_group(self, group: Group, title: str) -> Group:
        """Change the title of a group; it keeps its place."""
        self._db.execute(
            "UPDATE board_groups SET title = ? WHERE board_id = ? AND id = ?", (title, group.board_id, group.id)
        )
        self._outline_changed = True
        self.groups[group.board_id][group.id] = renamed = dataclasses.replace(group, title=title)
        return renamed

    def remove_group(self, group: Group) -> None:
        """Remove a group; its items keep its id."""
        # The row stays, so that no later group gets this id.
        self._db.execute(
            "UPDATE board_groups SET position = -1 WHERE board_id = ? AND id = ?", (group.board_id, group.id)
        )
        self._outline_changed = True
        del self.groups[group.board_id][group.id]

    def add_label(self, column: Column, label: str) -> int:
        """Add a label to a column; returns its id."""
        labels = self.labels.setdefault((column.board_id, column.id), {})
        label_id = max(labels.values(), default=0) + 1
        self._db.execute("INSERT INTO labels VALUES (?, ?, ?, ?)", (column.board_id, column.id, label_id, label))
        self._outline_changed = True
        labels[label] = label_id
        return label_id

    def items_count(self, board_id: int) -> int:
        """The number of active items of a board."""
        row = self._db.execute("SELECT items_count FROM boards WHERE id = ?", (board_id,)).fetchone()
        return int(row[0])

    # Items and their cells.

    def add_item(self, board_id: int, group_id: str, parent_id: int | None, name: str, now: float) -> int:
        """Add an active item without cells; returns its id."""
        row = (board_id, group_id, parent_id, name, now, now)
        cursor = self._db.execute(
            "INSERT INTO items (board_id, group_id, parent_id, name, created, updated) VALUES (?, ?, ?, ?, ?, ?)",
            row,
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def first_item_id(self, item_id: int) -> None:
        """Set the first item id of a new file."""
        self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('items', ?)", (item_id - 1,))

    def item(self, item_id: int) -> Item | None:
        """The item or subitem of this id, of any state, or None."""
        row = self._db.execute("SELECT * FROM items WHERE id = ?", (item_id,)).fetchone()
        return Item(*row) if row else None

    def items(self, where: str, parameters: Sequence[object]) -> list[Item]:
        """The items that match `where`, which is SQL of our own code, never of a request."""
        return [Item(*row) for row in self._db.execute(f"SELECT * FROM items WHERE {where}", parameters)]

    def subitems(self, parent_id: int) -> list[Item]:
        """The subitems of an item, of every state, by id."""
        return self.items("parent_id = ? ORDER BY id", (parent_id,))

    def set_item(self, item_id: int, now: float, **changes: str | int) -> None:
        """Change name, board_id, group_id or state, and the time of the update (UTC seconds)."""
        sets = "".join(f"{column} = ?, " for column in changes)
        self._db.execute(f"UPDATE items SET {sets}updated = ? WHERE id = ?", (*changes.values(), now, item_id))

    def cells(self, item_id: int) -> dict[str, Cell]:
        """The filled cells of an item by column id."""
        rows = self._db.execute(
            "SELECT column_id, written, value, text, folded FROM cells WHERE item_id = ?", (item_id,)
        )
        return {row[0]: Cell(*row[1:]) for row in rows}

    def write_cells(self, item_id: int, cells: Mapping[str, Cell | None]) -> None:
        """Write cells by column id; None clears a cell."""
        cleared = [(item_id, column_id) for column_id, cell in cells.items() if cell is None]
        kept = [
            (item_id, column_id, cell.written, cell.value, cell.text, cell.folded)
            for column_id, cell in cells.items()
            if cell is not None
        ]
        if cleared:
            self._db.executemany("DELETE FROM cells WHERE item_id = ? AND column_id = ?", cleared)
        if kept:
            self._db.executemany("REPLACE INTO cells VALUES (?, ?, ?, ?, ?, ?)", kept)

    # The activity log.

    def add_activity(
        self, board_id: int, item_id: int | None, user_id: int, event: str, entity: str, data: str, at: float
    ) -> None:
        """Add an entry to the log of a board, and delete the entries that are too old to be kept."""
        row = (board_id, item_id, user_id, event, entity, data, at)
        added = self._db.execute(
            "INSERT INTO activity (board_id, item_id, user_id, event, entity, data, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            row,
        ).lastrowid
        self._db.execute("DELETE FROM activity WHERE id <= ?", ((added or 0) - ACTIVITY_KEPT,))

    def activity(self, where: str, parameters: Sequence[object]) -> list[Activity]:
        """The entries that match `where`, which is SQL of our own code, never of a request."""
        return [Activity(*row) for row in self._db.execute(f"SELECT * FROM activity WHERE {where}", parameters)]

    # Answers by key, and calls by day.

    def replay(self, key: str, now: float) -> tuple[str, str] | None:
        """(digest of the body, answer) of a key that has not expired, or None."""
        row = self._db.execute(
            "SELECT body_digest, answer FROM answers_by_key WHERE key = ? AND expires > ?", (key, now)
        ).fetchone()
        return (row[0], row[1]) if row else None

    def remember(self, key: str, digest: str, answer: str, now: float, expires: float) -> None:
        """Store an answer under its key until `expires`, and delete expired ones (UTC seconds)."""
        self._db.execute("DELETE FROM answers_by_key WHERE expires <= ?", (now,))
        self._db.execute("REPLACE INTO answers_by_key VALUES (?, ?, ?, ?)", (key, digest, answer, expires))

    def calls_of(self, day: date) -> int:
        """The calls of a UTC day, in tenths of a call."""
        row = self._db.execute("SELECT tenths FROM calls_by_day WHERE day = ?", (day.isoformat(),)).fetchone()
        return int(row[0]) if row else 0

    def add_calls(self, day: date, tenths: int) -> None:
        """Add to the calls of a UTC day, in tenths of a call."""
        self._db.execute(
            "INSERT INTO calls_by_day VALUES (?, ?) ON CONFLICT (day) DO UPDATE SET tenths = tenths + excluded.tenths",
            (day.isoformat(), tenths),
        )


def number(sent: str) -> int:
    """An id of the API as a number; 0, which no object has, for any other text."""
    return int(sent) if sent.isascii() and sent.isdigit() and len(sent) < 19 else 0
