"""Named facts of the set-up, as JSON: the pass counter, the hash baseline, the guard, the last pass, the budget."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import sql
from connectors import database

STATEMENTS = sql.load("state")


class State:
    """A small table of name and JSON value. Every write is one transaction of its own."""

    def __init__(self, db: database.Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def get(self, name: str) -> Any:
        """The value, or None when nobody has named it yet."""
        with self._db.read() as session:
            return read(session, name)

    def all_of(self, family: str) -> dict[str, Any]:
        """The facts named `family.…`, by the rest of their names."""
        with self._db.read() as session:
            return family_of(session, family)

    def set(self, name: str, value: Any) -> None:
        """Names or changes a fact."""
        self.set_all({name: value})

    def set_all(self, values: Mapping[str, Any]) -> None:
        """Several facts, in one transaction."""
        now = self._now()
        with self._db.write() as session:
            for name, value in values.items():
                write(session, name, value, now)

    def erase_all(self, names: Iterable[str]) -> None:
        """Takes several facts away, in one transaction."""
        with self._db.write() as session:
            for name in names:
                erase(session, name)

    def mark(self, name: str, value: Any) -> Callable[[database.Session], None]:
        """The same, to be carried out inside another's transaction."""
        return lambda session: write(session, name, value, self._now())

    def erase(self, name: str) -> Callable[[database.Session], None]:
        """Takes a fact away, inside another's transaction; none is fine."""
        return lambda session: erase(session, name)

    def next_number(self, name: str) -> int:
        """A number that never comes twice: it is committed before anyone sees it."""
        with self._db.write() as session:
            number = int(read(session, name) or 0) + 1
            write(session, name, number, self._now())
        return number


def read(session: database.Session, name: str) -> Any:
    """A fact inside a transaction that is open already."""
    text = session.value(STATEMENTS["get"], (name,))
    return None if text is None else json.loads(str(text))


def family_of(session: database.Session, family: str) -> dict[str, Any]:
    """The values named `family.…`, by the rest of their names."""
    rows = session.query(STATEMENTS["between"], (f"{family}.", f"{family}/"))
    return {str(row["name"]).partition(".")[2]: json.loads(str(row["value"])) for row in rows}


def write(session: database.Session, name: str, value: Any, now: datetime) -> None:
    """The same inside a transaction that is open already."""
    text = json.dumps(value, ensure_ascii=False)
    at = database.to_db_time(now)
    if session.execute(STATEMENTS["set"], (text, at, name)) == 0:
        session.execute(STATEMENTS["add"], (name, text, at, name))


def erase(session: database.Session, name: str) -> None:
    """The same inside a transaction that is open already."""
    session.execute(STATEMENTS["erase"], (name,))
