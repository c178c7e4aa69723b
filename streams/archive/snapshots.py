"""archive: after a pass, the rows of each customer that it changed go to the archive, as they are in the source then.

Detect queues the customers (`streams.detect.archive_queue`); here they are archived, one at a time. An archive that is
away, or a
crash in between, puts a snapshot off and stops nothing.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors import errors
from connectors.archive import parquet
from connectors.archive.snapshots import Entry
from mappings import columns, hashing, sizes
from mappings.loading import Mappings
from schemas.base import Cell
from streams.detect import archive_queue, holds
from streams.detect import events as detect_events

# While the window holds back more of a customer's changes, its snapshot waits for the last of them, at most so long.
PATIENCE = timedelta(minutes=10)


class Source(Protocol):
    """The order table (connectors.tables.orders.Orders)."""

    def columns(self) -> list[tuple[str, str]]: ...
    def customer_names(self) -> list[str | None]: ...


class Customers(Protocol):
    """The same by customer (connectors.tables.customers.Customers)."""

    def rows(
        self, columns: Sequence[str], raw_customers: Sequence[str]
    ) -> Iterator[tuple[str, int | None, str | None, str]]: ...


class SnapshotArchive(Protocol):
    """snapshot_archive (connectors.archive.snapshots.Archive)."""

    def prepare(self) -> list[str]: ...
    def has(self, customer: str, version: int) -> bool: ...
    def store(self, customer: str, version: int, taken_at: datetime, file: parquet.File) -> None: ...
    def entries(self, customer: str | None = None) -> list[Entry]: ...
    def remove(self, ids: Collection[int]) -> None: ...


class Store(holds.Store, archive_queue.Store, Protocol):
    """Named facts that outlive the process (connectors.tables.state.State)."""

    def set(self, name: str, value: Any) -> None: ...


@dataclass(frozen=True)
class Retention:
    """What is kept of a customer: every moment of the last `days`, as far as `most` snapshots can tell of it."""

    days: int
    most: int

    def superfluous(self, entries: Sequence[Entry], pinned: Collection[int], now: datetime) -> list[Entry]:
        """What has to go, of one customer's snapshots, the oldest first.

        The newest one from before the horizon stays: it says how things stood there. Of more than `most`, those go
        whose neighbours tell nearly the same, so that snapshots are dense of late and sparse long ago.
        """
        horizon = now - timedelta(days=self.days)
        before = sum(entry.taken_at < horizon for entry in entries)
        left = [entry for at, entry in enumerate(entries) if at >= before - 1 or entry.id in pinned]
        ages = [(now - entry.taken_at).total_seconds() for entry in left]
        while len(left) > self.most:
            spare = [at for at in range(len(left) - 1) if left[at].id not in pinned]
            if not spare:
                break
            # The gap that would be left, measured by how long ago it was; the oldest goes when nothing else can.
            at = min(spare, key=lambda at: (ages[at - 1] - ages[at + 1]) / (1.0 + ages[at]) if at else math.inf)
            del left[at], ages[at]
        kept = {entry.id for entry in left}
        return [entry for entry in entries if entry.id not in kept]


@dataclass(frozen=True)
class Archiver:
    """The poller's, between its passes; never while one runs."""

    source: Source
    customers: Customers
    snapshots: SnapshotArchive
    store: Store
    mappings: Mappings
    retention: Retention
    now: Callable[[], datetime]

    def ready(self) -> list[str]:
        """The customers to archive now, those that wait longest first."""
        latest = self.now() - PATIENCE
        waiting = archive_queue.read(self.store)
        ready = [name for name, one in waiting.items() if not one.more or one.since < latest]
        return sorted(ready, key=lambda name: waiting[name].since)

    def archive(self, customer: str) -> None:
        """Archives a customer that is due, and takes out what need not be kept of it any longer.

        Raises Transient while the archive is away: the customer stays due. Its other errors are of this snapshot.
        """
        queued = archive_queue.read(self.store).get(customer)
        if queued is None:
            return  # Another process, `detect` beside the poller, archived it since `ready` was called.
        version = queued.version
        if not self.snapshots.has(customer, version):
            taken_at = self.now()
            self.snapshots.store(customer, version, taken_at, self.snapshot(customer))
        self.prune(customer)
        archive_queue.done(self.store, customer)

    def snapshot(self, customer: str) -> parquet.File:
        """A customer's rows in the source at this moment. Rows without an identity are nobody's to go back to."""
        live = self.source.columns()
        types = dict(live)
        watched = columns.watched(self.mappings, sizes.size_columns(live, self.mappings.board.sizes))
        raw = detect_events.raw_names(self.source.customer_names(), lambda name: name == customer, self.mappings)
        rows = self.customers.rows(watched, raw) if raw else iter(())
        return parquet.write(map(_cells, rows), [(name, types[name]) for name in watched])

    def prune(self, customer: str | None = None) -> int:
        """Takes out what need not be kept, of one customer or of all. Returns how many. Never what a hold stands on."""
        pinned = {one.snapshot for one in holds.holds(self.store).values() if one.snapshot is not None}
        by_customer: dict[str, list[Entry]] = {}
        for entry in self.snapshots.entries(customer):
            by_customer.setdefault(entry.customer, []).append(entry)
        gone = [
            entry.id for some in by_customer.values() for entry in self.retention.superfluous(some, pinned, self.now())
        ]
        if gone:
            self.snapshots.remove(gone)
        return len(gone)


def _cells(row: tuple[str, int | None, str | None, str]) -> list[Cell]:
    record_uuid, version, state, text = row
    return [record_uuid, version, hashing.row_hash(text), state, *hashing.cells(text)]


def at(entries: Sequence[Entry], customer: str, moment: datetime) -> Entry:
    """The newest of a customer's snapshots at or before a moment. Raises Misconfigured with what there is instead."""
    found = [entry for entry in entries if entry.taken_at <= moment]
    if found:
        return found[-1]
    if not entries:
        raise errors.Misconfigured(f"the archive has nothing of {customer}: `ordersync archive list` shows what it has")
    raise errors.Misconfigured(
        f"the archive has nothing of {customer} at or before {moment:%Y-%m-%d %H:%M:%S} UTC: its first snapshot is of "
        f"{entries[0].taken_at:%Y-%m-%d %H:%M:%S} UTC"
    )
