"""archive: stores the source rows of each customer that a pass changed as one archived snapshot.

Reads: SYNC_State (the archive queue), ORDERS_UNIFIED. Writes: snapshot_archive, SYNC_State. Emits: nothing. Runs in:
the poller, or `ordersync detect`. Runs twice: the archive keeps the snapshot that it has of that customer and pass.

An archive that is away, or a crash in between, delays a snapshot and stops nothing: the customer stays in the queue.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors import errors
from connectors.archive import parquet
from connectors.archive.snapshots import Entry
from connectors.tables import row_text
from mappings import columns, hashing, sizes
from mappings.loading import Mappings
from schemas.base import Cell
from streams.detect import archive_queue, holds, unreadable
from streams.detect import events as detect_events

# A snapshot waits while the admission window defers other changes of its customer, but no longer than this.
LONGEST_WAIT = timedelta(minutes=10)


class Source(Protocol):
    """The source (connectors.tables.orders.Orders). Both raise Transient or Misconfigured for the database."""

    def columns(self) -> list[tuple[str, str]]:
        """Name and SQL type of the live columns, in their order."""

    def customer_names(self) -> list[str | None]:
        """The distinct customer names, as the source writes them."""


class Customers(Protocol):
    """The same by customer (connectors.tables.customers.Customers)."""

    def rows(
        self, columns: Sequence[str], raw_customers: Sequence[str]
    ) -> Iterator[tuple[str, int | None, str | None, str]]:
        """Of each source row: record_uuid, version and state of the snapshot row, canonical text. Raises Transient."""


class SnapshotArchive(Protocol):
    """snapshot_archive (connectors.archive.snapshots.Archive). Every method raises Transient while the archive is away,
    Misconfigured when it cannot be used.
    """

    def prepare(self) -> list[str]:
        """Creates the missing tables. Returns one line for each."""

    def has(self, customer: str, version: int) -> bool:
        """Does the archive have the snapshot of this customer and pass?"""

    def store(self, customer: str, version: int, taken_at: datetime, file: parquet.File) -> None:
        """Adds a snapshot with its UTC time; an existing one of the same customer and pass stays as it is."""

    def entries(self, customer: str | None = None) -> list[Entry]:
        """The snapshots of one customer or of all, the oldest first."""

    def remove(self, ids: Collection[int]) -> None:
        """Removes these snapshots in one transaction."""


class Store(holds.Store, archive_queue.Store, Protocol):
    """Named values (connectors.tables.state.State)."""

    def set(self, name: str, value: Any) -> None:
        """Stores a value under that name, in a transaction of its own. Raises Transient or Misconfigured."""


@dataclass(frozen=True)
class Retention:
    """Each customer keeps the snapshots of the last `days`, but at most `most` snapshots."""

    days: int
    most: int

    def superfluous(self, entries: Sequence[Entry], pinned: Collection[int], now: datetime) -> list[Entry]:
        """The snapshots of one customer to remove. `entries` are its snapshots, the oldest first.

        The newest snapshot before the horizon stays, because it shows the state at the horizon. Beyond `most`, the
        snapshots with the closest neighbours go, so recent snapshots are dense and old ones sparse. A snapshot in
        `pinned` always stays.
        """
        horizon = now - timedelta(days=self.days)
        before = sum(entry.taken_at < horizon for entry in entries)
        left = [entry for at, entry in enumerate(entries) if at >= before - 1 or entry.id in pinned]
        ages = [(now - entry.taken_at).total_seconds() for entry in left]
        while len(left) > self.most:
            spare = [at for at in range(len(left) - 1) if left[at].id not in pinned]
            if not spare:
                break
            # The gap that a removal would leave, relative to its age; the oldest goes only when no other can.
            at = min(spare, key=lambda at: (ages[at - 1] - ages[at + 1]) / (1.0 + ages[at]) if at else math.inf)
            del left[at], ages[at]
        kept = {entry.id for entry in left}
        return [entry for entry in entries if entry.id not in kept]


@dataclass(frozen=True)
class Archiver:
    """Archives queued customers between the passes of the poller, never during one."""

    source: Source
    customers: Customers
    snapshots: SnapshotArchive
    store: Store
    mappings: Mappings
    retention: Retention
    now: Callable[[], datetime]

    def ready(self) -> list[str]:
        """The customers to archive now, the longest waiting first."""
        latest = self.now() - LONGEST_WAIT
        waiting = archive_queue.read(self.store)
        ready = [name for name, queued in waiting.items() if not queued.more or queued.since < latest]
        return sorted(ready, key=lambda name: waiting[name].since)

    def archive(self, customer: str) -> None:
        """Archives a queued customer and removes its superfluous snapshots.

        Raises Transient while the archive is away, and then the customer stays queued. Any other error concerns this
        snapshot alone.
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
        """A customer's rows in the source now, as Parquet, without the rows that have no record_uuid."""
        live = self.source.columns()
        types = dict(live)
        watched = columns.watched(self.mappings, sizes.size_columns(live, self.mappings.board.sizes))
        raw = detect_events.raw_names(self.source.customer_names(), lambda name: name == customer, self.mappings)
        rows = self.customers.rows(watched, raw) if raw else iter(())
        row_hash = hashing.RowHasher(watched)
        cells = ([uuid, version, row_hash(text), state, *_cells(text)] for uuid, version, state, text in rows)
        return parquet.write(cells, [(name, types[name]) for name in watched])

    def prune(self, customer: str | None = None) -> int:
        """Removes the superfluous snapshots of one customer or of all. Returns their number.

        The target of a roll back stays.
        """
        pinned = {hold.snapshot for hold in holds.holds(self.store).values() if hold.snapshot is not None}
        by_customer: dict[str, list[Entry]] = {}
        for entry in self.snapshots.entries(customer):
            by_customer.setdefault(entry.customer, []).append(entry)
        superfluous = [
            entry.id
            for entries in by_customer.values()
            for entry in self.retention.superfluous(entries, pinned, self.now())
        ]
        if superfluous:
            self.snapshots.remove(superfluous)
        return len(superfluous)


def _cells(text: str) -> list[Cell]:
    """The archived cells of a row; a cell that cannot be read is blank."""
    return [cell if unreadable.is_readable([cell]) else None for cell in row_text.cells(text)]


def at(entries: Sequence[Entry], customer: str, moment: datetime) -> Entry:
    """The newest snapshot of a customer at or before a UTC moment; `entries` are all of them, the oldest first.

    Raises Misconfigured when there is none, with the time of the first snapshot in the text.
    """
    before = [entry for entry in entries if entry.taken_at <= moment]
    if before:
        return before[-1]
    if not entries:
        raise errors.Misconfigured(
            f"the archive has nothing of {customer}: `ordersync archive list` shows its customers"
        )
    raise errors.Misconfigured(
        f"the archive has nothing of {customer} at or before {moment:%Y-%m-%d %H:%M:%S} UTC: its first snapshot is of "
        f"{entries[0].taken_at:%Y-%m-%d %H:%M:%S} UTC"
    )
