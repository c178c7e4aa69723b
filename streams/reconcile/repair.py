"""repair: whatever is to be mended travels as an event on the ordinary way, and the ordinary steps do the work.

An order that differs somewhere is told once more, in the version that is settled, of cause REPLAY: `sync` plans that
against the board itself, and `settle` promotes it anew. An item whose order is not in the source is told to leave. What
is emitted counts in the window like any change, so a large repair comes in portions and live changes go between them.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from connectors.tables.repairs import Settled
from schemas import detection, events, versions
from schemas.batches import SyncState
from streams.detect import step as detect

T = TypeVar("T")

# Orders of one portion: as many as one call of the board tells about.
PORTION = 100
STARTED_BY = "ordersync verify"
# The customer of an item that nobody knows.
NOBODY = "UNKNOWN"

# Returns once Kafka has confirmed every event.
Publish = Callable[[Sequence[events.OrderChanged]], None]
# Waits a moment; False when there is no use in waiting on (streams.commands.stall).
Wait = Callable[[], bool]


class Tables(Protocol):
    """connectors.tables.repairs.Repairs."""

    def settled(self, record_uuids: Sequence[str]) -> dict[str, Settled]: ...
    def wait_again(self, settled: Sequence[versions.Version]) -> None: ...
    def still_waiting(self, record_uuids: Sequence[str]) -> int: ...


class Orders(Protocol):
    """connectors.tables.orders.Orders."""

    def unsettled_mutations(self) -> int: ...
    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None: ...


class Store(Protocol):
    """connectors.tables.state.State."""

    def next_number(self, name: str) -> int: ...


class Batches(Protocol):
    """connectors.tables.batches.Batches."""

    def open(self, batches: Sequence[tuple[str, str, int]], *, version: int, started_by: str) -> None: ...
    def confirm(self, batch_ids: Collection[str]) -> None: ...


@dataclass
class Repairer:
    """`window`: mutations that may be unsettled; `size_columns` of the source as it is now."""

    tables: Tables
    orders: Orders
    store: Store
    batches: Batches
    size_columns: Collection[str]
    key_column: str
    window: int
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    _sent: list[list[str]] = field(default_factory=list, init=False)

    def again(self, record_uuids: Sequence[str]) -> list[events.OrderChanged]:
        """The events that tell what is settled of these orders once more; none for an order of which nothing is."""
        settled = self.tables.settled(record_uuids)
        return [self._again(one) for one in settled.values() if one.staged is not None]

    def leaving(self, items: Mapping[str, str]) -> list[events.OrderChanged]:
        """Identity and customer of items that no order of the source stands behind: the events that take them away.

        One that left before is told so once more; of any other it is news, in a batch of its own for each customer.
        """
        settled = self.tables.settled(list(items))
        known = {uuid: one for uuid, one in settled.items() if one.staged is not None and one.staged.removed}
        news = [uuid for uuid in items if uuid not in known]
        told = [self._again(one) for one in known.values()]
        if not news:
            return told
        version, batches = self.store.next_number(detect.PASS), dict[str, str]()
        for position, uuid in enumerate(news):
            before = settled.get(uuid)
            customer = (before.customer if before is not None else items[uuid]) or NOBODY
            excluded = before is not None and before.state is SyncState.EXCLUDED
            told.append(
                events.OrderChanged(
                    customer=customer,
                    record_uuid=uuid,
                    version=version,
                    row_hash=before.known_hash if before is not None and excluded else detection.DELETED,
                    batch_id=batches.setdefault(customer, self.new_id()),
                    change=events.Change.DELETED,
                    cause=events.Cause.REPLAY,
                    position=position,
                    detected_at=self.now(),
                    row={},
                    sizes={},
                )
            )
        fresh = [event for event in told if event.version == version]
        totals = {batch: sum(event.batch_id == batch for event in fresh) for batch in batches.values()}
        self.batches.open(
            [(batch, customer, totals[batch]) for customer, batch in batches.items()],
            version=version,
            started_by=STARTED_BY,
        )
        return told

    def emit(self, changed: Sequence[events.OrderChanged], publish: Publish, wait: Wait | None = None) -> int:
        """Emits a portion as soon as the window has room for it. How many events were emitted.

        Without `wait`, it ends when the window is full; with it, when there is no use in waiting for room.
        """
        emitted = 0
        while emitted < len(changed):
            some = changed[emitted : emitted + PORTION]
            while not self._room(len(some)):
                if wait is None or not wait():
                    return emitted
            settled = self.tables.settled([event.record_uuid for event in some])
            again = {uuid for uuid, one in settled.items() if one.version > 0}
            news = [
                event
                for event in some
                if event.record_uuid not in again
                or not versions.is_settled(event.version, settled[event.record_uuid].version)
            ]
            # Before they leave: what is lost on the way is then found like anything that waits.
            self.tables.wait_again([versions.Version(e.record_uuid, e.version) for e in some if e not in news])
            publish(some)
            removed = [event for event in news if event.change is events.Change.DELETED]
            self.orders.move_snapshots([_snapshot(event) for event in removed])
            self.batches.confirm({event.batch_id for event in removed})
            self._sent.append([event.record_uuid for event in some])
            emitted += len(some)
        return emitted

    def on_hold(self, record_uuids: Sequence[str], held: Collection[str]) -> set[str]:
        """Those of these orders whose customer is on hold: whatever differs there is nobody's to mend now."""
        settled = self.tables.settled(record_uuids) if held else {}
        return {uuid for uuid, one in settled.items() if one.customer in held}

    def waiting(self) -> int:
        """How many of the orders that were emitted are on their way still."""
        return sum(self.tables.still_waiting(uuids) for uuids in self._sent)

    def _room(self, orders: int) -> bool:
        """At most one portion waits while another is worked: a live change has no more than these before it."""
        mine = sum(self.tables.still_waiting(uuids) for uuids in self._sent[-2:])
        unsettled = self.orders.unsettled_mutations()
        return mine <= PORTION and (unsettled + orders <= self.window or unsettled == 0)

    def _again(self, one: Settled) -> events.OrderChanged:
        assert one.staged is not None
        row = {name: cell for name, cell in one.staged.row.items() if cell is not None and name != self.key_column}
        return events.OrderChanged(
            customer=one.staged.customer,
            record_uuid=one.record_uuid,
            version=one.version,
            row_hash=one.staged.row_hash,
            batch_id=one.staged.batch_id,
            change=events.Change.DELETED if one.staged.removed else events.Change.UPDATED,
            cause=events.Cause.REPLAY,
            position=(one.staged.stg_id >> 11) & (events.POSITIONS - 1),
            detected_at=self.now(),
            row={name: cell for name, cell in row.items() if name not in self.size_columns},
            sizes={name: cell for name, cell in row.items() if name in self.size_columns},
        )


def portions(some: Iterable[T]) -> Iterator[list[T]]:
    """As they are emitted together; no more than one of them is made at a time."""
    rest = iter(some)
    while portion := list(itertools.islice(rest, PORTION)):
        yield portion


def _snapshot(event: events.OrderChanged) -> detection.Snapshot:
    """What is known of an order from now on that was never detected: that it leaves."""
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
