"""repair builds events that bring differing orders back to their settled version, and emits them in portions.

Reads: the source, snapshot rows, STG tables, unsettled mutations. Writes: snapshot rows, batches. Emits: OrderChanged
of cause REPLAY on orders.changed. Runs in: `ordersync verify --fix`; replay uses `emit` too. Runs twice: the second
event of an order finds nothing to do.

An order whose tables are wrong gets a new version from its source row; one that only the board shows otherwise gets an
event at its settled version, and `settle` promotes it once more. `sync` plans both against the board itself. An item
without a source row gets a DELETED event.

Invariant: repairs count in the admission window like any change. So a large repair is emitted in portions, and live
changes pass between them.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from connectors.tables.repairs import Settled
from mappings import hashing
from mappings.loading import Mappings
from schemas import detection, events, versions
from schemas.batches import SyncState
from streams.detect import admission
from streams.detect import events as detect_events
from streams.detect import step as detect

T = TypeVar("T")

# Orders of one portion: as many as one call of the API reads from the board.
PORTION = 100
STARTED_BY = "ordersync verify"
# The customer of an item whose order no table names.
UNKNOWN_CUSTOMER = "UNKNOWN"

# Returns once Kafka has confirmed every event. Raises Transient.
Publish = Callable[[Sequence[events.OrderChanged]], None]
# Waits a moment; False when waiting has become pointless (streams.commands.stall).
Wait = Callable[[], bool]


class Tables(Protocol):
    """connectors.tables.repairs.Repairs."""

    def settled(self, record_uuids: Sequence[str]) -> dict[str, Settled]:
        """By identity, without orders that were never detected. Raises Transient."""

    def wait_again(self, settled: Sequence[versions.Version]) -> None:
        """Marks orders as WAITING at their settled versions. Raises Transient."""

    def still_waiting(self, record_uuids: Sequence[str]) -> int:
        """How many of these orders are WAITING. Raises Transient."""


class Orders(Protocol):
    """connectors.tables.orders.Orders."""

    def unsettled_mutations(self) -> int:
        """The number of planned mutations that are not settled. Raises Transient."""

    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None:
        """Writes these snapshot rows in one transaction. Raises Transient."""

    def rows(self, record_uuids: Sequence[str], columns: Sequence[str]) -> detect_events.Rows:
        """Hash and state of the snapshot row, and canonical text, of those that the source has. Raises Transient."""


class Store(Protocol):
    """connectors.tables.state.State."""

    def next_number(self, name: str) -> int:
        """A number that no other call returns. Raises Transient."""


class Batches(Protocol):
    """connectors.tables.batches.Batches."""

    def open(self, batches: Sequence[tuple[str, str, int]], *, version: int, started_by: str) -> None:
        """Creates batches: id, customer, number of orders. Raises Transient."""

    def confirm(self, batch_ids: Collection[str]) -> None:
        """Records that Kafka has confirmed the events of these batches. Raises Transient."""


@dataclass
class Repairer:
    """Every method raises Transient when SQL does not answer.

    `window`: the mutations that may be unsettled; `watched` and `size_columns`: those of the source now; `now` is UTC.
    """

    tables: Tables
    orders: Orders
    store: Store
    batches: Batches
    mappings: Mappings
    watched: Sequence[str]
    size_columns: Collection[str]
    key_column: str
    window: int
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    _sent: list[list[str]] = field(default_factory=list, init=False)
    # The snapshot rows of new versions, and the number of events of each batch that are not emitted yet.
    _snapshots: dict[versions.Version, detection.Snapshot] = field(default_factory=dict, init=False)
    _left: Counter[str] = field(default_factory=Counter, init=False)

    def resend_events(self, record_uuids: Sequence[str]) -> list[events.OrderChanged]:
        """The events that re-emit the settled versions of these orders; none for an order without a settled version."""
        settled = self.tables.settled(record_uuids)
        return [self._resend_event(order) for order in settled.values() if order.staged is not None]

    def source_events(self, record_uuids: Sequence[str]) -> list[events.OrderChanged]:
        """The events that write source rows as they are now, each as a new version; the batches are created here.

        None for an order whose row has left the source, and none for an excluded row that is settled as excluded.
        """
        rows = self.orders.rows(record_uuids, self.watched)
        if not rows:
            return []
        version = self.store.next_number(detect.PASS)
        update, cost = events.Change.UPDATED, admission.cost(events.Change.UPDATED, 0)
        # A row that became unusable has no event, and the next pass refuses it.
        changed, snapshots, _ = detect_events.build_events(
            [("", admission.Candidate(uuid, update, cost, cause=events.Cause.REPLAY)) for uuid in record_uuids],
            rows,
            columns=self.watched,
            size_columns=self.size_columns,
            version=version,
            mappings=self.mappings,
            row_hash_of=hashing.RowHasher(self.watched),
            now=self.now(),
            new_id=self.new_id,
        )
        self._snapshots |= {versions.Version(uuid, version): snapshot for uuid, snapshot in snapshots.items()}
        self._open(changed, version)
        return changed

    def removal_events(self, items: Mapping[str, str]) -> list[events.OrderChanged]:
        """The events that remove items without a source row. `items`: identity → customer, "" if unknown.

        If the settled version is a removal already, its event is re-emitted. Any other removal is a new version, in one
        batch for each customer; the batches are created here.
        """
        settled = self.tables.settled(list(items))
        removed = {uuid: one for uuid, one in settled.items() if one.staged is not None and one.staged.removed}
        resends = [self._resend_event(order) for order in removed.values()]
        rest = {uuid: customer for uuid, customer in items.items() if uuid not in removed}
        return resends + self._new_removals(rest, settled) if rest else resends

    def emit(self, changed: Sequence[events.OrderChanged], publish: Publish, wait: Wait | None = None) -> int:
        """Emits portion by portion, each as soon as the admission window allows it. Returns how many were emitted.

        Without `wait` it stops when the window is full; with it, when `wait` returns False.
        """
        emitted = 0
        while emitted < len(changed):
            portion = changed[emitted : emitted + PORTION]
            while not self._fits(len(portion)):
                if wait is None or not wait():
                    return emitted
            settled = self.tables.settled([event.record_uuid for event in portion])
            resends = [event for event in portion if _is_resend(event, settled)]
            new = [event for event in portion if not _is_resend(event, settled)]
            # The rows wait before their events leave, so that the sweep finds an event that gets lost on its way.
            self.tables.wait_again([versions.Version(event.record_uuid, event.version) for event in resends])
            publish(portion)
            self.orders.move_snapshots([self._snapshot(event) for event in new])
            self._left.subtract(event.batch_id for event in new)
            self.batches.confirm({event.batch_id for event in new if self._left[event.batch_id] <= 0})
            self._sent.append([event.record_uuid for event in portion])
            emitted += len(portion)
        return emitted

    def on_hold(self, record_uuids: Sequence[str], held: Collection[str]) -> set[str]:
        """Those of these orders whose customer is one of `held`: they are repaired after the release."""
        settled = self.tables.settled(record_uuids) if held else {}
        return {uuid for uuid, order in settled.items() if order.customer in held}

    def waiting(self) -> int:
        """How many of the orders emitted here have not arrived yet."""
        return sum(self.tables.still_waiting(uuids) for uuids in self._sent)

    def _fits(self, orders: int) -> bool:
        """At most one portion waits while another is worked, so a live change waits for these two at most."""
        waiting = sum(self.tables.still_waiting(uuids) for uuids in self._sent[-2:])
        unsettled = self.orders.unsettled_mutations()
        return waiting <= PORTION and (unsettled + orders <= self.window or unsettled == 0)

    def _resend_event(self, order: Settled) -> events.OrderChanged:
        assert order.staged is not None
        row = {name: cell for name, cell in order.staged.row.items() if cell is not None and name != self.key_column}
        return events.OrderChanged(
            customer=order.staged.customer,
            record_uuid=order.record_uuid,
            version=order.version,
            row_hash=order.staged.row_hash,
            batch_id=order.staged.batch_id,
            change=events.Change.DELETED if order.staged.removed else events.Change.UPDATED,
            cause=events.Cause.REPLAY,
            position=(order.staged.stg_id >> 11) & (events.POSITIONS - 1),
            detected_at=self.now(),
            row={name: cell for name, cell in row.items() if name not in self.size_columns},
            sizes={name: cell for name, cell in row.items() if name in self.size_columns},
        )

    def _new_removals(self, items: Mapping[str, str], settled: Mapping[str, Settled]) -> list[events.OrderChanged]:
        version, batches = self.store.next_number(detect.PASS), dict[str, str]()
        removals: list[events.OrderChanged] = []
        for position, (uuid, item_customer) in enumerate(items.items()):
            order = settled.get(uuid)
            customer = (order.customer if order is not None else item_customer) or UNKNOWN_CUSTOMER
            excluded = order is not None and order.state is SyncState.EXCLUDED
            removals.append(
                events.OrderChanged(
                    customer=customer,
                    record_uuid=uuid,
                    version=version,
                    row_hash=order.known_hash if order is not None and excluded else detection.DELETED,
                    batch_id=batches.setdefault(customer, self.new_id()),
                    change=events.Change.DELETED,
                    cause=events.Cause.REPLAY,
                    position=position,
                    detected_at=self.now(),
                    row={},
                    sizes={},
                )
            )
        self._open(removals, version)
        return removals

    def _open(self, changed: Sequence[events.OrderChanged], version: int) -> None:
        """Creates the batches of new versions. One whose events are not all emitted stays unconfirmed."""
        totals = Counter((event.batch_id, event.customer) for event in changed)
        self.batches.open(
            [(batch, customer, total) for (batch, customer), total in totals.items()],
            version=version,
            started_by=STARTED_BY,
        )
        self._left.update(event.batch_id for event in changed)

    def _snapshot(self, event: events.OrderChanged) -> detection.Snapshot:
        known = self._snapshots.get(versions.Version(event.record_uuid, event.version))
        return _removal_snapshot(event) if known is None else known


def portions(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of up to PORTION items; only one of them is in memory at a time."""
    rest = iter(items)
    while portion := list(itertools.islice(rest, PORTION)):
        yield portion


def _is_resend(event: events.OrderChanged, settled: Mapping[str, Settled]) -> bool:
    """Whether the event carries a version that is settled already."""
    order = settled.get(event.record_uuid)
    return order is not None and order.version > 0 and versions.is_settled(event.version, order.version)


def _removal_snapshot(event: events.OrderChanged) -> detection.Snapshot:
    """The snapshot row of an order that is being removed, which no pass may ever have detected."""
    return detection.Snapshot(
        record_uuid=event.record_uuid,
        row_hash=event.row_hash,
        version=event.version,
        customer=event.customer,
        batch_id=event.batch_id,
        planned_mutations=1,
        state=SyncState.WAITING,
        row={},
    )
