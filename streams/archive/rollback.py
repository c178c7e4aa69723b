"""roll back: emits the differences between an archived snapshot and the versions emitted last, and holds the customer.

Reads: snapshot_archive, ORDERS_UNIFIED_SNAPSHOT. Writes: SYNC_State, ORDERS_UNIFIED_SNAPSHOT, MON_BatchProcessing.
Emits: orders.changed. Runs in: the poller, or `ordersync rollback`. Runs twice: a step emits only what still differs.

A roll back works like a pass whose source is the archive, and the admission window admits its changes. The customer
hold is stored first and says whether all changes are emitted, so after a crash the next step continues. The roll back
does not wait for events on their way: its version follows them on the same partition and supersedes them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from connectors import errors
from connectors.archive import parquet
from connectors.archive.snapshots import Entry
from connectors.tables.customers import Known
from mappings import columns, hashing, sizes
from mappings.loading import Mappings
from schemas import detection, events, identity
from streams.detect import admission, baseline, emit, guard, holds
from streams.detect import events as detect_events
from streams.detect import step as detect

STARTED_BY = "ordersync rollback"


class Source(Protocol):
    """Source and snapshot rows (connectors.tables.orders.Orders). Every method raises Transient or Misconfigured."""

    def columns(self) -> list[tuple[str, str]]:
        """Name and SQL type of the live columns, in their order; Misconfigured without the table."""

    def customer_names(self) -> list[str | None]:
        """The distinct customer names, as the source writes them."""

    def unsettled_mutations(self) -> int:
        """The planned mutations of all orders that are WAITING."""

    def duplicates(self) -> dict[str, int]:
        """The number of rows of each record_uuid that more than one row has."""


class Customers(Protocol):
    """The same by customer (connectors.tables.customers.Customers). Every method raises Transient or Misconfigured."""

    def rows(
        self, columns: Sequence[str], raw_customers: Sequence[str]
    ) -> Iterator[tuple[str, int | None, str | None, str]]:
        """Of each source row: record_uuid, version and state of the snapshot row, canonical text of `columns`."""

    def known(self, record_uuids: Sequence[str]) -> dict[str, Known]:
        """The snapshot rows of these orders, by record_uuid; an order without one is absent."""

    def known_of(self, customer: str) -> dict[str, Known]:
        """The snapshot rows of a customer's orders that are on the board or WAITING, by record_uuid."""

    def forgotten(self, customer: str) -> int:
        """The number of a customer's orders with an empty hash, which wait for their next detection."""

    def forget(self, record_uuids: Sequence[str], mark: Callable[[Any], None]) -> None:
        """Empties the hashes of these orders, so that the next pass detects them, and runs `mark`: one transaction."""


class SnapshotArchive(Protocol):
    """snapshot_archive (connectors.archive.snapshots.Archive)."""

    def entry(self, entry_id: int) -> Entry | None:
        """The archived snapshot of that id, None when the archive no longer has it. Raises Transient."""

    def payload(self, entry: Entry) -> bytes:
        """The Parquet file of a snapshot. Raises Misconfigured when it is damaged or missing, else Transient."""


class Store(holds.Store, Protocol):
    """Named values (connectors.tables.state.State). Every method raises Transient or Misconfigured for the database."""

    def get(self, name: str) -> Any:
        """The value of that name, None when there is none."""

    def next_number(self, name: str) -> int:
        """The next number of a counter, committed before it returns, so no other call gets it."""


@dataclass
class Differences:
    """The changes that bring a customer to an archived snapshot.

    A roll back skips two kinds of orders: `shared`, a record_uuid of several rows of the snapshot, and `others`, an
    order that belongs to another customer now.
    """

    changes: list[admission.Candidate] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """Of one step: the number of orders that it emitted, and of orders that the admission window has deferred."""

    emitted: int
    left: int


@dataclass(frozen=True)
class Target:
    """An archived snapshot, as rows of today's watched columns. `payload` is its Parquet file."""

    payload: bytes
    watched: tuple[str, ...]
    size_columns: frozenset[str]

    def texts(self) -> Iterator[tuple[str, str]]:
        """record_uuid and canonical text of every row."""
        for record_uuid, *cells in parquet.read(self.payload, (parquet.IDENTITY, *self.watched)):
            yield identity.same(str(record_uuid)), hashing.canonical_text(cells)

    def rows(self, wanted: Collection[str], known: Mapping[str, Known]) -> detect_events.Rows:
        """The rows of the orders `wanted`, in the form that `Emitter.build` takes."""
        return {
            uuid: (known[uuid].row_hash, known[uuid].state.value, text) if uuid in known else (None, None, text)
            for uuid, text in self.texts()
            if uuid in wanted
        }

    def quantities(self, text: str) -> int:
        """The number of sizes of a row that have a quantity."""
        cells = hashing.cells(text)
        return sum(bool(cell) for name, cell in zip(self.watched, cells, strict=True) if name in self.size_columns)


@dataclass(frozen=True)
class Rollback:
    """Runs roll backs. `window` counts mutations. Only one process may call `begin`, `step` or `release` at a time, and
    no pass may run meanwhile.
    """

    source: Source
    customers: Customers
    snapshots: SnapshotArchive
    store: Store
    emitter: emit.Emitter
    mappings: Mappings
    window: int
    now: Callable[[], datetime]

    def target(self, entry: Entry) -> Target:
        """The archived snapshot, checked. Raises Misconfigured when it lacks a column that is watched today.

        A missing size column is blank; any other missing column makes the snapshot unusable.
        """
        live = self.source.columns()
        size_columns = sizes.size_columns(live, self.mappings.board.sizes)
        watched = columns.watched(self.mappings, size_columns)
        stored = self.store.get(detect.BASELINE)
        if stored is not None and detection.Baseline.model_validate(stored) != baseline.today(live, self.mappings):
            raise errors.Misconfigured(
                "the watched columns or the mapping changed: let one pass run first, which adopts them"
            )
        payload = self.snapshots.payload(entry)
        available = {*parquet.columns(payload), *size_columns}
        if missing := [name for name in watched if name not in available]:
            raise errors.Misconfigured(
                f"snapshot {entry.id} of {entry.customer} does not have {guard.listed(missing)}, which board.yaml "
                "reads today: choose a later snapshot, or remove these columns from board.yaml"
            )
        return Target(payload, watched, frozenset(size_columns))

    def differences(self, customer: str, target: Target) -> Differences:
        """The differences between the snapshot and the versions emitted last, order by order. It writes nothing."""
        ours = self.customers.known_of(customer)
        hashes: dict[str, tuple[str, int]] = {}
        shared: set[str] = set()
        row_hash_of = hashing.RowHasher(target.watched)
        for uuid, text in target.texts():
            if uuid in hashes:
                shared.add(uuid)
            hashes[uuid] = row_hash_of(text), target.quantities(text)
        elsewhere = self.customers.known([uuid for uuid in hashes if uuid not in ours])
        found = Differences(shared=sorted(shared))
        for uuid, (row_hash, quantities) in hashes.items():
            known = ours.get(uuid) or elsewhere.get(uuid)
            absent = known is None or known.row_hash == detection.DELETED
            if uuid in shared or (known is not None and known.row_hash == row_hash):
                continue
            if uuid not in ours and not absent:
                found.others.append(uuid)
                continue
            change = events.Change.CREATED if absent else events.Change.UPDATED
            found.changes.append(admission.Candidate(uuid, change, admission.cost(change, quantities)))
        for uuid, snapshot in ours.items():
            if uuid not in hashes:
                found.changes.append(admission.Candidate(uuid, events.Change.DELETED, 1, snapshot.state))
        return found

    def preview(self, entry: Entry) -> tuple[Differences, list[events.OrderChanged]]:
        """The events that a roll back to this snapshot would emit now. It emits, holds and moves nothing."""
        target = self.target(entry)
        found = self.differences(entry.customer, target)
        admitted = [(entry.customer, candidate) for candidate in found.changes]
        return found, self._build(admitted, target, int(self.store.get(detect.PASS) or 0) + 1).events

    def begin(self, entry: Entry, by: str) -> holds.Hold:
        """Puts the customer on hold, with this snapshot as the target of `step`. Raises what `target` raises."""
        self.target(entry)
        target = {"snapshot": entry.id, "taken_at": entry.taken_at, "complete": False}
        hold = holds.Hold(customer=entry.customer, by=by, at=self.now(), **target)
        holds.keep(self.store, hold)
        return hold

    def step(self, held: holds.Hold) -> Progress:
        """Emits as many changes as the admission window admits. The caller repeats it while `left` is not 0.

        Raises Misconfigured when the archive no longer has the snapshot, or it is unusable.
        """
        entry = None if held.snapshot is None else self.snapshots.entry(held.snapshot)
        if entry is None:
            raise errors.Misconfigured(f"the archive no longer has the snapshot that {held.customer} is rolled back to")
        target = self.target(entry)
        number = self.store.next_number(detect.PASS)
        found = self.differences(held.customer, target)
        tally = admission.Tally(self.window)
        for candidate in found.changes:
            tally.add(held.customer, candidate)
        admitted = tally.admit(self.window - self.source.unsettled_mutations())
        output = self._build(admitted, target, number)
        self.emitter.emit(output, version=number, started_by=STARTED_BY)
        left = len(found.changes) - len(admitted)
        if (left == 0) != held.complete:
            holds.keep(self.store, held.model_copy(update={"complete": left == 0}))
        return Progress(len(admitted), left)

    def unfinished(self) -> list[holds.Hold]:
        """The roll backs with changes left to emit, for the first time or once more after a lost event."""
        return [
            held
            for held in holds.holds(self.store).values()
            if held.snapshot is not None and (not held.complete or self.customers.forgotten(held.customer))
        ]

    def release(self, customer: str) -> int:
        """Ends the customer hold. Returns the number of known orders that differ from the source.

        The next pass detects these orders, and new ones. Their hashes are emptied like those of lost events, so the
        guard does not count them.
        """
        differing = self.differing(customer)
        self.customers.forget(differing, holds.release(self.store, customer))
        return len(differing)

    def differing(self, customer: str) -> list[str]:
        """The record_uuids of a customer's orders whose source row differs from the version emitted last."""
        size_columns = sizes.size_columns(self.source.columns(), self.mappings.board.sizes)
        watched = columns.watched(self.mappings, size_columns)
        raw = detect_events.raw_names(self.source.customer_names(), lambda name: name == customer, self.mappings)
        rows = self.customers.rows(watched, raw) if raw else iter(())
        row_hash = hashing.RowHasher(watched)
        hashes = {uuid: row_hash(text) for uuid, _, _, text in rows}
        ours = self.customers.known_of(customer)
        known = self.customers.known([uuid for uuid in hashes if uuid not in ours]) | ours
        duplicates = self.source.duplicates()
        return [
            uuid
            for uuid, snapshot in known.items()
            if uuid not in duplicates and snapshot.row_hash != hashes.get(uuid, detection.DELETED)
        ]

    def _build(
        self, admitted: Sequence[tuple[str, admission.Candidate]], target: Target, number: int
    ) -> emit.PassOutput:
        wanted = {c.record_uuid for _, c in admitted if c.change is not events.Change.DELETED}
        return self.emitter.build(
            admitted,
            target.rows(wanted, self.customers.known(sorted(wanted))),
            columns=target.watched,
            size_columns=target.size_columns,
            version=number,
        )
