"""The window: which of the changes found in a pass are let in.

Customers take turns, from pass to pass, until the window is full: so a small customer never waits behind a
season-wide edit of a large one. What is not admitted is not snapshotted: the next pass finds it again, with its newest
values.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import IO

from schemas import detection, events
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


@dataclass
class Found:
    """What a pass has seen so far: `counts` of all, `admitted` what the window lets in, `deferred` the others.

    `held` are customers, `held_orders` the orders known as theirs; `behind` are customers of whom more is to come.
    Memory does not grow with the table: rows whose hash only has to be made anew wait in the file `unchanged`.
    """

    number: int
    chosen: detection.Filters | None
    watched: tuple[str, ...]
    size_columns: frozenset[str]
    unchanged: IO[str]
    held: frozenset[str] = frozenset()
    held_orders: frozenset[str] = frozenset()
    former: Sequence[str | None] | None = None
    scanned: int = 0
    met: int = 0
    refused: int = 0
    deferred: int = 0
    unchanged_rows: int = 0
    deleted_again: int = 0
    on_hold: int = 0
    behind: frozenset[str] = frozenset()
    counts: dict[events.Change, int] = field(default_factory=dict)
    admitted: list[tuple[str, Candidate]] = field(default_factory=list)
    refusals: list[detection.Refusal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sizes_at = [at for at, name in enumerate(self.watched) if name in self.size_columns]

    def count(self, change: events.Change) -> None:
        """One more of a kind."""
        self.counts[change] = self.counts.get(change, 0) + 1

    @property
    def news(self) -> dict[events.Change, int]:
        """How many of each kind nobody has let pass before. What was lost with the log is no accident upstream."""
        return self.counts | {events.Change.DELETED: self.counts.get(events.Change.DELETED, 0) - self.deleted_again}

    @property
    def left(self) -> dict[events.Change, int]:
        """How many of each kind the window did not let in."""
        left = dict(self.counts)
        for _, candidate in self.admitted:
            left[candidate.change] -= 1
        return left

    def new_sizes(self) -> list[int]:
        """Where in a row the sizes stand that the former column list did not have."""
        former = None if self.former is None else set(self.former)
        return [at for at in self.sizes_at if former is not None and self.watched[at] not in former]

    def keep(self, new: str, old: str, record_uuid: str) -> None:
        """A row that changed in nothing but the column list."""
        self.unchanged.write(f"{new} {old} {record_uuid}\n")
        self.unchanged_rows += 1

    def kept(self) -> Iterator[tuple[str, str, str]]:
        """New hash, identity and old hash of those rows."""
        self.unchanged.seek(0)
        for line in self.unchanged:
            new, old, record_uuid = line.rstrip("\n").split(" ", 2)
            yield new, record_uuid, old
