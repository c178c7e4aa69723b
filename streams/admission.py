"""The window: which of the changes found in a pass are let in.

Customers take turns until the window is full, so a small customer never waits behind a season-wide edit of a large
one. What is not admitted is not snapshotted: the next pass finds it again, with its newest values.
"""

from collections import deque
from dataclasses import dataclass

from schemas import events
from schemas.batches import SyncState


@dataclass(frozen=True, slots=True)
class Candidate:
    """One change, and how many mutations it is expected to cost. `state` is what a vanished row's snapshot said."""

    record_uuid: str
    change: events.Change
    mutations: int
    state: SyncState | None = None


class Tally:
    """Candidates by customer. No customer keeps more than could ever be admitted: memory is bounded by the window."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._queues: dict[str, deque[Candidate]] = {}
        self._kept: dict[str, int] = {}
        self.total = 0

    def add(self, customer: str, candidate: Candidate) -> None:
        """Counts a change, and keeps it while its customer could still be admitted that far."""
        self.total += 1
        if self._kept.get(customer, 0) >= self._window:
            return
        self._kept[customer] = self._kept.get(customer, 0) + candidate.mutations
        self._queues.setdefault(customer, deque()).append(candidate)

    def admit(self, room: int, limit: int | None = None) -> list[tuple[str, Candidate]]:
        """Customer and candidate, customer by customer in turn, while `room` mutations last.

        An idle pipeline (the whole window free) takes at least one change, however large it is. `limit` counts
        orders. The result is in customer order, as far as the turns allow, so that it batches well.
        """
        admitted: list[tuple[str, Candidate]] = []
        queues = deque(sorted(self._queues.items()))
        most = min(limit if limit is not None else events.POSITIONS, events.POSITIONS)
        idle = room >= self._window
        while queues and len(admitted) < most:
            customer, queue = queues.popleft()
            if queue[0].mutations > room and not (idle and not admitted):
                break
            candidate = queue.popleft()
            room -= candidate.mutations
            admitted.append((customer, candidate))
            if queue:
                queues.append((customer, queue))
        # Stable: within a customer the turns are kept; all of a customer's events then travel together.
        return sorted(admitted, key=lambda pair: pair[0])
