"""What every table remembers of one order: for `ordersync trace`. Only ever reads."""

import json
import uuid
from typing import Any

import sql
from connectors import database

STATEMENTS = sql.load("history")

Row = dict[str, Any]


class History:
    """Asked by a person, now and then: the source has no index of ours and is read from end to end."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def find(self, text: str) -> list[Row]:
        """Orders with this record_uuid, order number or PO number, now or in a version that is still kept.

        Each is told as the source has it now, else as it was staged or seen last.
        """
        wanted = text.strip()
        identity = _identity(wanted)
        ways = "by_number" if identity is None else "by_uuid"
        params = (wanted, wanted) if identity is None else (identity,)
        found: dict[str, Row] = {}
        with self._db.read() as session:
            for place in ("known", "staged", "source"):
                for row in session.query(STATEMENTS[f"{place}_{ways}"], params):
                    told = {name: value for name, value in row.items() if value}
                    found.setdefault(str(row["record_uuid"]), dict.fromkeys(row)).update(told)
        return list(found.values())

    def snapshot(self, record_uuid: str) -> Row | None:
        """The newest version and where it stands; None before the order was detected."""
        return next(iter(self._of("snapshot", record_uuid)), None)

    def staged(self, record_uuid: str) -> list[Row]:
        """Its staged versions, the oldest first; `sizes` counts theirs, `batch` is the one they came in."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["staged"], (record_uuid,))
            sizes = {row["version"]: row["sizes"] for row in session.query(STATEMENTS["staged_sizes"], (record_uuid,))}
            for row in rows:
                batch = session.query(STATEMENTS["batch"], (row["batch_id"],))
                row |= {"sizes": sizes.get(row["version"], 0), "batch": batch[0] if batch else None}
        return rows

    def requests(self, record_uuid: str, version: int, since: str, until: str) -> list[Row]:
        """The journalled requests of that time which carried this version out; `mutations` are its own alone."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["requests"], (since, until, record_uuid))
        found = []
        for row in rows:
            held = json.loads(row["mutations"])
            if held["versions"].get(record_uuid) == version:
                own = [one for one in held["mutations"] if one.get("record_uuid") == record_uuid]
                found.append(row | {"mutations": own})
        return found

    def errors(self, record_uuid: str) -> list[Row]:
        """Every failure of the order and of its sizes."""
        with self._db.read() as session:
            return session.query(STATEMENTS["errors"], (record_uuid, record_uuid))

    def production(self, record_uuid: str) -> Row | None:
        """What people query; None when the order is not there."""
        return next(iter(self._of("production", record_uuid)), None)

    def _of(self, name: str, record_uuid: str) -> list[Row]:
        with self._db.read() as session:
            return session.query(STATEMENTS[name], (record_uuid,))


def _identity(text: str) -> str | None:
    """The text as the tables write an identity, if it is one."""
    try:
        return str(uuid.UUID(text)).upper()
    except ValueError:
        return None
