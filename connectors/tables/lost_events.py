"""Orders, retries and batches that wait in SQL for an event that the log may have lost."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import sql
from connectors import database
from connectors.tables import batches, orders, staging, state

STATEMENTS = sql.load("lost_events")
LOST = "Kafka lost events of this batch; orders that did not arrive were detected once more"
FOUND = "sweep.found"
# The writer parks the OrderStaged of an order that waits for an in-doubt request: one named value of this family for
# each order, and the number of times that it has parked any (streams.sync.in_doubt).
PARKED = "parked"
PARKINGS = "sync.parkings"
# A re-emitted order waits in SQL before its event leaves; this is longer than the producer may take to send it.
LEAVES_WITHIN = timedelta(seconds=45)


class Emitted(NamedTuple):
    """An upper bound of the events emitted by a time (UTC): all up to `version`, and re-emitted older versions."""

    version: int
    at: datetime


class LostEvents:
    """Counts orders, retries and batches that wait, and reschedules them when their events are lost.

    `numbers` is the name of the pass counter in SYNC_State, `again` the pause before a retry whose due time was lost.
    """

    def __init__(self, db: database.Database, *, numbers: str, again: timedelta, now: Callable[[], datetime]) -> None:
        self._db = db
        self._numbers = numbers
        self._retry_pause = again
        self._now = now

    def newest(self) -> Emitted:
        """An upper bound of the events emitted by now."""
        at = self._now()
        with self._db.read() as session:
            return Emitted(int(state.read(session, self._numbers) or 0), at)

    def parkings(self) -> int | None:
        """The number of times that the writer has parked orders; None while any order is parked."""
        values = state.State(self._db, self._now)
        # This read is the first: an order that is parked between the two reads shows in the second one.
        number = int(values.get(PARKINGS) or 0)
        return None if values.all_of(PARKED) else number

    def waiting(self, emitted: Emitted) -> int:
        """The number of emitted orders without a result, failures without a due time, and batches without an end."""
        with self._db.read() as session:
            return sum(int(session.value(STATEMENTS[name], (emitted.version,)) or 0) for name in _WAITING)

    def reschedule(self, emitted: Emitted) -> int:
        """Has waiting orders detected once more, gives retries a due time, and ends the wait of batches.

        Returns the number of orders. It is one transaction, and harmless for an order that needed none of it, but for a
        re-emitted one, whose repair would be lost: such an order counts only if its event had surely left by then.
        """
        now, version = self._now(), emitted.version
        with self._db.write() as session:
            had_left = database.to_db_time(emitted.at - LEAVES_WITHIN)
            orders_again = session.execute(STATEMENTS["forget_orders"], (version, had_left))
            orders_again += self._detect_unknown(session, version, now)
            due = database.to_db_time(now + self._retry_pause)
            retries = sum(session.execute(STATEMENTS[name], (due, version)) for name in _RETRIES)
            open_batches = [str(row["batch_id"]) for row in session.query(STATEMENTS["open_batches"], (version,))]
            self._end_passed_over(session, version, database.to_db_time(now))
            batches.shrink(session, open_batches, LOST)
            batches.recount(session, open_batches, now)
            if rescheduled := orders_again + retries:
                state.write(session, FOUND, int(state.read(session, FOUND) or 0) + rescheduled, now)
        return orders_again

    @staticmethod
    def _detect_unknown(session: database.Session, version: int, now: datetime) -> int:
        """Has orders detected whose staged version is newer than their snapshot row. Returns their number."""
        ahead = session.query(STATEMENTS["ahead"], (version,))
        for row in ahead:
            uuid = row["record_uuid"]
            orders.ensure(session, [(uuid, row["customer"])], now)
            session.execute(STATEMENTS["forget_order"], (uuid,))
        return len(ahead)

    @staticmethod
    def _end_passed_over(session: database.Session, version: int, at: str) -> None:
        """Supersedes older versions of orders whose newest one failed: their events are lost, no arrival ends them."""
        failed = session.query(STATEMENTS["passed_over"], (version,))
        staging.supersede_open(session, [(at, row["record_uuid"], row["version"]) for row in failed])


_WAITING = ("waiting_orders", "waiting_order_retries", "waiting_size_retries", "waiting_batches")
_RETRIES = ("schedule_lost_orders", "schedule_lost_sizes")
