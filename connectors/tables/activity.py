"""What the writer has done so far, for people: read only, out of its journal."""

import json
from collections import Counter

import sql
from connectors import database

STATEMENTS = sql.load("activity")


class Activity:
    """Reads SYNC_Requests as a whole: for a demo or a report, not for every second."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def carried_out(self) -> Counter[str]:
        """How many mutations of each kind were sent in requests that the API answered."""
        kinds: Counter[str] = Counter()
        with self._db.read() as session:
            for (stored,) in session.stream(STATEMENTS["carried_out"]):
                kinds.update(mutation["kind"] for mutation in json.loads(stored)["mutations"])
        return kinds
