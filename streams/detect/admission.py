"""The admission window: which candidates of a pass are emitted now, and which are deferred to a later pass.

Customers take turns, from pass to pass, until the window is full, so a small customer never waits for a season-wide
edit of a large one. The snapshot row of a deferred candidate does not move, so the next pass finds it again, with its
newest values.
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
    """One change and its planned mutations. `state` is set for a deletion: the state in the snapshot row.

    `row_hash` is the new hash of the row. `accepted`: an operator accepted a plan with this change.
    """

    record_uuid: str
    change: events.Change
    mutations: int
    state: SyncState | None = None
    row_hash: str = ""
    cause: events.Cause = events.Cause.LIVE
    accepted: bool = False


def cost(change: events.Change, quantities: int) -> int:
    """Planned mutations of a change: a new order creates an item and its sizes; an edit takes one or two of them."""
    return 2 if change is events.Change.UPDATED else 1 + quantities


class Tally:
    """Candidates by customer. It keeps no more of a customer than the window can admit, which bounds its memory."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._queues: dict[str, deque[Candidate]] = {}
        self._kept: dict[str, int] = {}
        self.total = 0

    def add(self, customer: str, candidate: Candidate) -> None:
        """Counts a candidate, and keeps it while the window could admit that many mutations of its customer."""
        self.total += 1
        if self._kept.get(customer, 0) >= self._window:
            return
        self._kept[customer] = self._kept.get(customer, 0) + candidate.mutations
        self._queues.setdefault(customer, deque()).append(candidate)

    @property
    def deferred_customers(self) -> frozenset[str]:
        """The customers with at least one candidate that is not admitted yet."""
        return frozenset(customer for customer, queue in self._queues.items() if queue)

    def admit(
        self, free: int, limit: int | None = None, turns: Mapping[str, int] = NO_TURNS
    ) -> list[tuple[str, Candidate]]:
        """Customer and candidate, one a turn, while the `free` mutations of the window last. `limit` counts orders.

        `turns` gives the pass that admitted each customer last: the customer that waited longest is first, and of two
        that waited as long the one with the cheaper change. The first candidate that does not fit ends the admission,
        so smaller ones cannot overtake it forever. When the whole window is free, at least one candidate is admitted,
        however large. The result is in customer order, so that it batches well, and keeps the order within a customer.
        """
        admitted: list[tuple[str, Candidate]] = []
        idle = free >= self._window
        most = events.POSITIONS if limit is None else min(limit, events.POSITIONS)
        queued = [(0, turns.get(name, 0), queue[0].mutations, name) for name, queue in self._queues.items() if queue]
        heapq.heapify(queued)
        while queued and len(admitted) < most:
            served, last, cost, customer = heapq.heappop(queued)
            if cost > free and not (idle and not admitted):
                break
            queue = self._queues[customer]
            admitted.append((customer, queue.popleft()))
            free -= cost
            if queue:
                heapq.heappush(queued, (served + 1, last, queue[0].mutations, customer))
        return sorted(admitted, key=lambda pair: pair[0])
