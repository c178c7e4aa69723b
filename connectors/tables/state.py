"""SYNC_State: named values that outlive the process, as JSON, such as the pass counter, the baseline and the guard."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import sql
from connectors import database

STATEMENTS = sql.load("state")


class State:
    """Reads and writes named values. Every write is one transaction, but for `mark` and `erase`. Times are UTC."""

    def __init__(self, db: database.Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def get(self, name: str) -> Any:
        """The value of a name; None for a name that was never set."""
        with self._db.read() as session:
            return read(session, name)

    def all_of(self, family: str) -> dict[str, Any]:
        """The values named `family.…`, by the rest of their names."""
        with self._db.read() as session:
            return family_of(session, family)

    def set(self, name: str, value: Any) -> None:
        """Sets one named value."""
        self.set_all({name: value})

    def set_all(self, values: Mapping[str, Any]) -> None:
        """Sets several named values in one transaction."""
        now = self._now()
        with self._db.write() as session:
            for name, value in values.items():
                write(session, name, value, now)

    def keep(self, name: str, value: Any) -> Any:
        """Sets a named value unless the name has one. Returns the value that it has now."""
        with self._db.write() as session:
            stored = read(session, name)
            if stored is None:
                write(session, name, value, self._now())
        return value if stored is None else stored

    def erase_all(self, names: Iterable[str]) -> None:
        """Removes several named values in one transaction; a name that is not there is fine."""
        with self._db.write() as session:
            for name in names:
                erase(session, name)

    def mark(self, name: str, value: Any) -> Callable[[database.Session], None]:
        """A function that sets one named value inside another transaction."""
        return lambda session: write(session, name, value, self._now())

    def erase(self, name: str) -> Callable[[database.Session], None]:
        """A function that removes one named value inside another transaction."""
        return lambda session: erase(session, name)

    def next_number(self, name: str) -> int:
        """The next number of a counter, from 1; no two calls get the same one, because it is committed first."""
        with self._db.write() as session:
            number = int(read(session, name) or 0) + 1
            write(session, name, number, self._now())
        return number


def read(session: database.Session, name: str) -> Any:
    """`State.get` inside a transaction that is open already."""
    text = session.value(STATEMENTS["get"], (name,))
    return None if text is None else json.loads(str(text))


def family_of(session: database.Session, family: str) -> dict[str, Any]:
    """`State.all_of` inside a transaction that is open already."""
    rows = session.query(STATEMENTS["between"], (f"{family}.", f"{family}/"))
    return {str(row["name"]).partition(".")[2]: json.loads(str(row["value"])) for row in rows}


def write(session: database.Session, name: str, value: Any, now: datetime) -> None:
    """`State.set` inside a transaction that is open already."""
    text = json.dumps(value, ensure_ascii=False)
    at = database.to_db_time(now)
    if session.execute(STATEMENTS["set"], (text, at, name)) == 0:
        session.execute(STATEMENTS["add"], (name, text, at, name))


def erase(session: database.Session, name: str) -> None:
    """Removes one named value inside a transaction that is open already; a name that is not there is fine."""
    session.execute(STATEMENTS["erase"], (name,))
