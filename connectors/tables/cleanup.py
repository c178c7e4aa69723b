"""What nobody needs any more: settled staged versions and answered requests of long ago. And how the tables grow."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice

import sql
from connectors import database
from schemas.batches import StagingStatus
from sql import tables

STATEMENTS = sql.load("cleanup")
# The tables that grow with every change and not only with every order.
GROWING = (tables.STAGING, tables.STAGING_SUBITEMS, tables.ERRORS, tables.ERRORS_SUBITEMS, tables.BATCHES,
           tables.REQUESTS, tables.ARCHIVE)  # fmt: skip
ENDED = (StagingStatus.PROMOTED.value, StagingStatus.SUPERSEDED.value)


class Cleanup:
    """Removes in small transactions, so that nobody waits for it. Times are UTC.

    What failed stays, and so does the newest version of every order that the source has.
    """

    def __init__(self, db: database.Database, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def orders(self, before: datetime, most: int, status: str, after: int = 0) -> tuple[int, int]:
        """Removes at most so many staged versions of that status, with their sizes, that ended before that moment.

        Looks at keys above `after`. Returns how many went, and the key to go on after.
        """
        params = (status, after, database.to_db_time(before))
        with self._db.read() as session:
            found = list(islice(session.stream(STATEMENTS["settled_orders"], params, size=most), most))
        if not found:
            return 0, after
        keys = tuple(int(key) for key, _ in found)
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            session.execute_many(STATEMENTS["keep_counters"], [(at, batch) for batch in {str(b) for _, b in found}])
            session.execute(sql.expand(STATEMENTS["remove_sizes"], marks=len(keys)), keys)
            session.execute(sql.expand(STATEMENTS["remove_orders"], marks=len(keys)), keys)
        return len(keys), keys[-1]

    def requests(self, before: datetime, most: int) -> int:
        """Removes at most so many requests that were sent and answered before that moment. Returns how many."""
        at = database.to_db_time(before)
        with self._db.read() as session:
            found = list(islice(session.stream(STATEMENTS["closed_requests"], (at, at), size=most), most))
        if found:
            with self._db.write() as session:
                keys = tuple(str(key) for (key,) in found)
                session.execute(sql.expand(STATEMENTS["remove_requests"], marks=len(keys)), keys)
        return len(found)

    def rows(self) -> dict[str, int]:
        """How many rows each growing table has that this database holds."""
        own: Sequence[str] = [table.name for table in tables.of_engine(self._db.engine)]
        with self._db.read() as session:
            return {
                name: int(session.value(sql.expand(STATEMENTS["rows"], table=name))) for name in GROWING if name in own
            }
