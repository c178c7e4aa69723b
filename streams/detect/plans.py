"""A plan: the changes that the guard holds, so that what an operator accepts is exactly what is emitted.

Its id is a digest of the identities, kinds and new hashes of all changes. The rows of a plan are stored with it; once
it is accepted, a change passes the guard if the plan has it in this form. An order that has changed since is judged
anew, like any change of a later pass.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, NamedTuple, Protocol

from connectors import errors
from mappings import hashing, items
from mappings.loading import Mappings
from schemas import detection, events
from schemas.base import Cell
from streams.detect import events as detect_events

# The named value of the id of the plan that is held now.
NAME = "detect.plan"
# Updated orders of a plan that are compared with their last version, for its columns and samples.
COMPARED = 2_000
SAMPLES, NAMES = 10, 100
AT_ONCE = 500


class Row(NamedTuple):
    """One change of a plan. `row_hash` is the new hash; `cause` is REMAP if the row itself did not change."""

    record_uuid: str
    change: events.Change
    row_hash: str
    cause: events.Cause


class Known(NamedTuple):
    """The last version of an order: its customer, its order number, and its source row, None if it is not kept."""

    customer: str
    order_number: str
    row: Mapping[str, Cell] | None


@dataclass(frozen=True)
class Accepted:
    """Plans that an operator accepted and that are not emitted in full: their changes and their lost columns."""

    ids: tuple[str, ...] = ()
    rows: Mapping[str, tuple[events.Change, str]] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()

    def has(self, record_uuid: str, change: events.Change, row_hash: str) -> bool:
        """Whether an operator accepted exactly this change."""
        return self.rows.get(record_uuid) == (change, row_hash)


class Store(Protocol):
    """SYNC_Plans and SYNC_PlanRows (connectors.tables.plans.Plans). Every method raises Transient or Misconfigured."""

    def get(self, plan_id: str) -> detection.Plan | None:
        """The plan with this id."""

    def hold(self, plan: detection.Plan, rows: Iterator[tuple[str, str, str]]) -> None:
        """Stores a plan with its changes: record_uuid, change, new hash. Forgets all but the newest few."""

    def accepted(self) -> list[tuple[detection.Plan, list[tuple[str, str, str]]]]:
        """The accepted plans with their changes."""

    def finish(self, plan_ids: Sequence[str]) -> None:
        """Removes the changes of plans that are emitted in full."""


class Source(Protocol):
    """connectors.tables.orders.Orders."""

    def rows(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> Mapping[str, tuple[str | None, str | None, str]]:
        """Hash and state of the snapshot row, and canonical text now, of the rows that are still in the source."""


class Draft:
    """The changes of a pass that no operator has accepted. Memory does not grow with them: they are in `file`."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._sum = 0
        self.counts: Counter[events.Change] = Counter()
        self.remapped = 0
        self.mutations = 0

    def add(self, row: Row, mutations: int) -> None:
        """Adds one change and its planned mutations."""
        # A sum does not depend on the order in which the database returns the rows.
        text = f"{row.record_uuid} {row.change} {row.row_hash}"
        self._sum += int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
        self.counts[row.change] += 1
        self.remapped += row.cause is events.Cause.REMAP
        self.mutations += mutations
        self._file.write(json.dumps(row) + "\n")

    def id(self, lost: Collection[str]) -> str:
        """The id of the plan of these changes and lost columns: 10 hex digits."""
        text = f"{self._sum:x} {self.counts.total()} {sorted(lost)}"
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def rows(self) -> Iterator[Row]:
        """The changes added so far."""
        self._file.seek(0)
        for line in self._file:
            uuid, change, row_hash, cause = json.loads(line)
            yield Row(uuid, events.Change(change), row_hash, events.Cause(cause))
        self._file.seek(0, 2)


@dataclass(frozen=True)
class Pace:
    """What the API accepts: mutations a minute, and mutations a call."""

    per_minute: float
    batch_size: int

    def cost(self, mutations: int) -> detection.Cost:
        """The cost of so many mutations, sizes and items in full batches."""
        calls = math.ceil(mutations / self.batch_size)
        return detection.Cost(mutations=mutations, calls=calls, minutes=mutations / self.per_minute)


@dataclass(frozen=True)
class Planner:
    """Makes plans. `known` gives the last versions of orders, by identity."""

    source: Source
    known: Callable[[Sequence[str]], Mapping[str, Known]]
    mappings: Mappings
    pace: Pace
    now: Callable[[], datetime]

    def plan(
        self,
        draft: Draft,
        watched: Sequence[str],
        *,
        reasons: Sequence[str],
        lost: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> detection.Plan:
        """The plan of a draft, with what differs column by column. Raises Transient."""
        updates = [row for row, _ in zip(_of(draft, events.Change.UPDATED), range(COMPARED), strict=False)]
        differing: dict[str, tuple[str, ...]] = {}
        samples: list[detection.PlannedChange] = []
        compared = 0
        for some in _portions([row.record_uuid for row in updates]):
            known, rows = self.known(some), self.source.rows(some, watched)
            for uuid in some:
                before, now = known.get(uuid), rows.get(uuid)
                cells = {} if now is None else _cells(watched, now[2])
                if before is not None and before.row is not None and now is not None:
                    compared += 1
                    differing[uuid] = _differing(watched, before.row, cells)
                if len(samples) < SAMPLES:
                    samples.append(self._sample(uuid, events.Change.UPDATED, before, cells, differing.get(uuid, ())))
        columns = Counter(name for names in differing.values() for name in names)
        alike = _alike(columns, differing, compared, draft.counts[events.Change.UPDATED])
        deletes = self._names(draft, samples)
        samples += self._created(draft, watched)
        text = "; ".join([*lost, *reasons])
        return detection.Plan(
            id=draft.id(lost),
            made_at=self.now(),
            reason=f"{text}: {alike}" if alike else text,
            counts=dict(draft.counts),
            remapped=draft.remapped,
            columns=dict(columns.most_common()),
            compared=compared,
            lost=tuple(lost),
            samples=tuple(samples),
            deletes=tuple(deletes),
            notes=tuple(notes),
            cost=self.pace.cost(draft.mutations),
        )

    def _names(self, draft: Draft, samples: list[detection.PlannedChange]) -> list[str]:
        """The names of orders that leave, the first hundred; some of them become samples too."""
        leaving = [row.record_uuid for row, _ in zip(_of(draft, events.Change.DELETED), range(NAMES), strict=False)]
        known = self.known(leaving)
        made = [self._sample(uuid, events.Change.DELETED, known.get(uuid), {}, ()) for uuid in leaving]
        samples += made[:SAMPLES]
        return [f"{one.title} ({one.customer})" for one in made]

    def _created(self, draft: Draft, watched: Sequence[str]) -> list[detection.PlannedChange]:
        new = [row.record_uuid for row, _ in zip(_of(draft, events.Change.CREATED), range(SAMPLES), strict=False)]
        rows = self.source.rows(new, watched)
        return [
            self._sample(uuid, events.Change.CREATED, None, _cells(watched, rows[uuid][2]), ())
            for uuid in new
            if uuid in rows
        ]

    def _sample(
        self,
        uuid: str,
        change: events.Change,
        before: Known | None,
        cells: Mapping[str, Cell],
        columns: tuple[str, ...],
    ) -> detection.PlannedChange:
        row = cells or (before.row if before is not None and before.row is not None else {})
        number = before.order_number if before is not None else ""
        customer = self.mappings.customers.canonical(detect_events.cell_text(row.get("CUSTOMER NAME")))
        return detection.PlannedChange(
            record_uuid=uuid,
            change=change,
            customer=customer or (before.customer if before is not None else ""),
            title=items.item_name(row, self.mappings) or number or uuid,
            columns=columns,
        )


def digest(rows: Iterable[str]) -> str:
    """The id of a plan of these rows, in whatever order they come: 10 hex digits."""
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()[:10]


def require_same(plan_id: str, now: str) -> None:
    """Raises Misconfigured if a plan that was shown is not the one of now."""
    if plan_id != now:
        raise errors.Misconfigured(
            f"the world has moved on since plan {plan_id}: the changes are those of plan {now} by now, which --dry-run "
            "shows"
        )


def way_out(plan_id: str | None) -> str:
    """What an operator can do about a guard stop. Without a plan, the source or the mapping has to be corrected."""
    if plan_id is None:
        return "correct ORDERS_UNIFIED or board.yaml: the next pass goes on by itself"
    return f"`ordersync plan` shows the changes; if they are right: `ordersync accept {plan_id}`"


def _of(draft: Draft, change: events.Change) -> Iterator[Row]:
    return (row for row in draft.rows() if row.change is change)


def _cells(watched: Sequence[str], text: str) -> dict[str, Cell]:
    return dict(zip(watched, hashing.cells(text), strict=True))


def _differing(watched: Sequence[str], before: Mapping[str, Cell], now: Mapping[str, Cell]) -> tuple[str, ...]:
    """The names of the columns whose cells differ; columns that are watched no more are among them."""
    names = dict.fromkeys([*watched, *before])
    # The key column never changes, and the stored row has it beside the watched ones.
    return tuple(
        name for name in names if (name in now and before.get(name) != now.get(name)) or _gone(name, before, now)
    )


def _gone(name: str, before: Mapping[str, Cell], now: Mapping[str, Cell]) -> bool:
    return name not in now and name != "record_uuid" and before.get(name) is not None


def _alike(columns: Mapping[str, int], differing: Mapping[str, Sequence[str]], compared: int, updated: int) -> str:
    """That all compared rows differ in the same one column, and in no other; "" if they do not."""
    if compared < 2 or len(columns) != 1 or any(len(names) != 1 for names in differing.values()):
        return ""
    of = f"{compared} of {updated} rows" if compared == updated else f"the {compared} of {updated} rows that were read"
    return f"{of} differ only in [{next(iter(columns))}]"


def _portions(uuids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(uuids), AT_ONCE):
        yield uuids[start : start + AT_ONCE]
