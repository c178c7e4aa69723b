"""Parked orders: their OrderStaged events wait in SYNC_State until no request is in doubt."""

from collections.abc import Callable, Sequence
from datetime import datetime

from connectors import database, state
from schemas import events

# SYNC_State holds one fact of this family for each parked event, and how often the writer has parked orders.
FAMILY = "parked"
PARKINGS = "sync.parkings"


class Parked:
    """A parked order has no event on the topic; the watermark (streams.sweep) must not take it for lost."""

    def __init__(self, db: database.Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now
        self._facts = state.State(db, now)

    def park(self, staged: Sequence[events.OrderStaged]) -> None:
        """Keeps these events, in one transaction. The last event of a version replaces earlier ones."""
        now = self._now()
        with self._db.write() as session:
            for event in staged:
                state.write(session, _name(event), event.model_dump(mode="json"), now)
            state.write(session, PARKINGS, int(state.read(session, PARKINGS) or 0) + 1, now)

    def waiting(self) -> list[events.OrderStaged]:
        """All parked events, in the order of their detection."""
        found = map(events.OrderStaged.model_validate, self._facts.all_of(FAMILY).values())
        return sorted(found, key=lambda event: event.version)

    def remove(self, staged: Sequence[events.OrderStaged]) -> None:
        """Takes the marks away, after Kafka has confirmed the events."""
        with self._db.write() as session:
            for event in staged:
                state.erase(session, _name(event))

    def parkings(self) -> int | None:
        """How often the writer has parked orders; None while any order is parked."""
        # This read comes first: orders that the writer parks between the two reads show in the second one.
        number = int(self._facts.get(PARKINGS) or 0)
        return None if self._facts.all_of(FAMILY) else number


def _name(event: events.OrderStaged) -> str:
    return f"{FAMILY}.{event.record_uuid}.{event.version}"
