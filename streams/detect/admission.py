"""The window: which of the changes found in a pass are let in.

Customers take turns, from pass to pass, until the window is full: so a small customer never waits behind a
season-wide edit of a large one. What is not admitted is not snapshotted: the next pass finds it again, with its newest
values.
"""

import heapq
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from schemas import events
from schemas.batches import SyncState

NO_TURNS: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One change, and how many mutations it is expected to cost. `state` is what a vanished row's snapshot said."""

    record_uuid: str
    change: events.Change
    mutations: int
    state: SyncState | None = None


def cost(change: events.Change, quantities: int) -> int:
    """Planned mutations of a change: a new order makes an item and its sizes; an edit is one or two of them."""
    return 2 if change is events.Change.UPDATED else 1 + quantities


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

    @property
    def behind(self) -> frozenset[str]:
        """The customers of whom some candidate was not admitted yet."""
        return frozenset(customer for customer, queue in self._queues.items() if queue)

    def admit(
        self, room: int, limit: int | None = None, turns: Mapping[str, int] = NO_TURNS
    ) -> list[tuple[str, Candidate]]:
        """Customer and candidate, taken off one a turn while `room` mutations last. `limit` counts orders.

        `turns` is when each customer was served last: who waited longest is first, and a cheap change goes before a
        large one that waited as long. The first that does not fit ends it, so that nobody overtakes it for good. An
        idle pipeline (the whole window free) takes at least one change, however large. The result is in customer
        order, so that it batches well; within a customer the order of arrival is kept.
        """
        admitted: list[tuple[str, Candidate]] = []
        idle = room >= self._window
        most = events.POSITIONS if limit is None else min(limit, events.POSITIONS)
        queued = [(0, turns.get(name, 0), queue[0].mutations, name) for name, queue in self._queues.items() if queue]
        heapq.heapify(queued)
        while queued and len(admitted) < most:
            served, last, cost, customer = heapq.heappop(queued)
            if cost > room and not (idle and not admitted):
                break
            queue = self._queues[customer]
            admitted.append((customer, queue.popleft()))
            room -= cost
            if queue:
                heapq.heappush(queued, (served + 1, last, queue[0].mutations, customer))
        return sorted(admitted, key=lambda pair: pair[0])
