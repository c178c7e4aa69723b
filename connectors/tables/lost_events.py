"""What waits in SQL for events that the log may have lost: orders, retries, batches."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import sql
from connectors import database
from connectors.tables import batches, orders, staging, state

STATEMENTS = sql.load("lost_events")
LOST = "Kafka lost events of this batch: what did not arrive was detected again"
FOUND = "sweep.found"
# The writer parks the OrderStaged of an order that waits for a request in doubt: one fact of this family each, and how
# often it has parked any (streams.sync.in_doubt).
PARKED = "parked"
PARKINGS = "sync.parkings"
# What is told once more waits from before its event leaves: longer than the producer may take for it.
LEAVES_WITHIN = timedelta(seconds=45)


class Emitted(NamedTuple):
    """All that is emitted by a moment (UTC), at most: up to a version, and of older versions what is told once more."""

    version: int
    at: datetime


class LostEvents:
    """Counts what waits, and gives back to detection what waits in vain.

    `numbers` is the name of the pass counter in SYNC_State, `again` the pause before a retry whose time was lost.
    """

    def __init__(self, db: database.Database, *, numbers: str, again: timedelta, now: Callable[[], datetime]) -> None:
        self._db = db
        self._numbers = numbers
        self._again = again
        self._now = now

    def newest(self) -> Emitted:
        """Everything that is emitted by now, at most."""
        at = self._now()
        with self._db.read() as session:
            return Emitted(int(state.read(session, self._numbers) or 0), at)

    def parkings(self) -> int | None:
        """How often the writer has parked orders; None while any order is parked."""
        facts = state.State(self._db, self._now)
        # This read comes first: an order that is parked between the two reads shows in the second one.
        number = int(facts.get(PARKINGS) or 0)
        return None if facts.all_of(PARKED) else number

    def waiting(self, emitted: Emitted) -> int:
        """How many orders wait for an event, failures for their time, batches for their end, all of what is emitted."""
        with self._db.read() as session:
            return sum(int(session.value(STATEMENTS[name], (emitted.version,)) or 0) for name in _WAITING)

    def reschedule(self, emitted: Emitted) -> int:
        """Orders that still wait will be detected again, retries become due, batches count what arrived.

        Returns how many orders there were. All of it in one transaction. Harmless where it was not needed, but for
        what is told once more: its repair would be left out. So that is forgotten only if it surely had left by then.
        """
        now, version = self._now(), emitted.version
        with self._db.write() as session:
            had_left = database.to_db_time(emitted.at - LEAVES_WITHIN)
            found = session.execute(STATEMENTS["forget_orders"], (version, had_left))
            found += self._detect_unknown(session, version, now)
            due = database.to_db_time(now + self._again)
            retries = sum(session.execute(STATEMENTS[name], (due, version)) for name in _RETRIES)
            open_batches = [str(row["batch_id"]) for row in session.query(STATEMENTS["open_batches"], (version,))]
            self._end_passed_over(session, version, database.to_db_time(now))
            batches.shrink(session, open_batches, LOST)
            batches.recount(session, open_batches, now)
            if found or retries:
                state.write(session, FOUND, int(state.read(session, FOUND) or 0) + found + retries, now)
        return found

    @staticmethod
    def _detect_unknown(session: database.Session, version: int, now: datetime) -> int:
        """Orders with a version on its way of which their snapshot does not know. Returns how many there were."""
        ahead = session.query(STATEMENTS["ahead"], (version,))
        for row in ahead:
            uuid = row["record_uuid"]
            orders.ensure(session, [(uuid, row["customer"])], now)
            session.execute(STATEMENTS["forget_order"], (uuid,))
        return len(ahead)

    @staticmethod
    def _end_passed_over(session: database.Session, version: int, at: str) -> None:
        """Older versions whose events are lost, of orders whose newest one failed: no arrival will ever end them."""
        found = session.query(STATEMENTS["passed_over"], (version,))
        staging.supersede_open(session, [(at, row["record_uuid"], row["version"]) for row in found])


_WAITING = ("waiting_orders", "waiting_order_retries", "waiting_size_retries", "waiting_batches")
_RETRIES = ("schedule_lost_orders", "schedule_lost_sizes")
