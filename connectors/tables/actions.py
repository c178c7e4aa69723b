"""SYNC_Actions: what people told ordersync to do. An action is noted before its effect, so that a crash hides none."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sql
from connectors import database

STATEMENTS = sql.load("actions")


class Actions:
    """Notes and lists actions. Times are UTC."""

    def __init__(self, db: database.Database, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def begin(self, who: str, action: str, *, subject: str = "", reason: str = "") -> int:
        """Notes an action that begins now. Returns its id, for `end`."""
        with self._db.write() as session:
            number = int(session.value(STATEMENTS["next_id"]))
            at = database.to_db_time(self._now())
            params = (number, at, who[:200], action[:100], subject[:400] or None, reason[:1000] or None, None)
            session.execute(STATEMENTS["add"], params)
        return number

    def end(self, action_id: int, effect: str) -> None:
        """Notes what came of an action."""
        with self._db.write() as session:
            session.execute(STATEMENTS["note_effect"], (effect[:1000], action_id))

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """The newest actions first. `effect` is None while an action runs, and if it was cut off."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["newest"])
        return rows[:limit]
