"""Removal of settled staged versions and answered requests that are older than `keep_days`; the rows of each table."""

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
    """Removes rows in small transactions, so that no other writer waits long for it. Times are UTC.

    Failed versions stay, and so does the newest version of every order that the source has.
    """

    def __init__(self, db: database.Database, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def orders(self, before: datetime, most: int, status: str, after: int = 0) -> tuple[int, int]:
        """Removes at most `most` staged versions of a status, with their sizes, that ended `before` a time.

        Reads keys above `after` only. Returns the number of removed versions, and the `after` of the next call.
        """
        params = (status, after, database.to_db_time(before))
        with self._db.read() as session:
            ended = list(islice(session.stream(STATEMENTS["settled_orders"], params, size=most), most))
        if not ended:
            return 0, after
        keys = tuple(int(key) for key, _ in ended)
        batch_ids = {str(batch) for _, batch in ended}
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            session.execute_many(STATEMENTS["keep_counters"], [(at, batch) for batch in batch_ids])
            session.execute(sql.expand(STATEMENTS["remove_sizes"], marks=len(keys)), keys)
            session.execute(sql.expand(STATEMENTS["remove_orders"], marks=len(keys)), keys)
        return len(keys), keys[-1]

    def requests(self, before: datetime, most: int) -> int:
        """Removes at most `most` requests that were sent and answered `before` a time. Returns their number."""
        at = database.to_db_time(before)
        with self._db.read() as session:
            keys = tuple(
                str(key) for (key,) in islice(session.stream(STATEMENTS["closed_requests"], (at, at), most), most)
            )
        if keys:
            with self._db.write() as session:
                session.execute(sql.expand(STATEMENTS["remove_requests"], marks=len(keys)), keys)
        return len(keys)

    def rows(self) -> dict[str, int]:
        """The number of rows of each growing table that this database has, by table name."""
        own: Sequence[str] = [table.name for table in tables.of_engine(self._db.engine)]
        with self._db.read() as session:
            return {
                name: int(session.value(sql.expand(STATEMENTS["rows"], table=name))) for name in GROWING if name in own
            }
