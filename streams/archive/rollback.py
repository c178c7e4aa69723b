"""roll back: a customer goes to an archived snapshot by the ordinary way, and is held there until it is released.

What differs between the snapshot and what was emitted last becomes events of a new version, let in as the window
allows, just like a pass of detection whose source is the archive. The hold is written first and says whether all was
let in, so a crash anywhere is mended by going on. What is on its way already needs no waiting for: the new version
comes after it on the same partition and replaces it.
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
from schemas import detection, events
from streams.detect import admission, emit, guard, holds
from streams.detect import events as detect_events
from streams.detect import step as detect

STARTED_BY = "ordersync rollback"


class Source(Protocol):
    """The order table and its snapshot (connectors.tables.orders.Orders)."""

    def columns(self) -> list[tuple[str, str]]: ...
    def customer_names(self) -> list[str | None]: ...
    def unsettled_mutations(self) -> int: ...
    def duplicates(self) -> dict[str, int]: ...


class Customers(Protocol):
    """The same by customer (connectors.tables.customers.Customers)."""

    def rows(
        self, columns: Sequence[str], raw_customers: Sequence[str]
    ) -> Iterator[tuple[str, int | None, str | None, str]]: ...
    def known(self, record_uuids: Sequence[str]) -> dict[str, Known]: ...
    def known_of(self, customer: str) -> dict[str, Known]: ...
    def forgotten(self, customer: str) -> int: ...
    def forget(self, record_uuids: Sequence[str], mark: Callable[[Any], None]) -> None: ...


class SnapshotArchive(Protocol):
    """snapshot_archive (connectors.archive.snapshots.Archive)."""

    def entry(self, entry_id: int) -> Entry | None: ...
    def payload(self, entry: Entry) -> bytes: ...


class Store(holds.Store, Protocol):
    """Named facts that outlive the process (connectors.tables.state.State)."""

    def get(self, name: str) -> Any: ...
    def next_number(self, name: str) -> int: ...


@dataclass
class Differences:
    """What has to be emitted so that a customer stands where its snapshot did.

    Left alone are identities that several rows claimed then, and orders that another customer has now.
    """

    changes: list[admission.Candidate] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """Of one step: orders whose events were emitted, and orders that the window still holds back."""

    emitted: int
    left: int


@dataclass(frozen=True)
class Target:
    """A snapshot, read as the rows of today's watched columns."""

    payload: bytes
    watched: tuple[str, ...]
    size_columns: frozenset[str]

    def texts(self) -> Iterator[tuple[str, str]]:
        """Identity and canonical text of every row."""
        for record_uuid, *cells in parquet.read(self.payload, (parquet.IDENTITY, *self.watched)):
            yield str(record_uuid), hashing.canonical_text(cells)

    def rows(self, wanted: Collection[str], known: Mapping[str, Known]) -> detect_events.Rows:
        """The rows of these orders, as `announce` takes them."""
        return {
            uuid: (known[uuid].row_hash, known[uuid].state.value, text) if uuid in known else (None, None, text)
            for uuid, text in self.texts()
            if uuid in wanted
        }

    def quantities(self, text: str) -> int:
        """How many sizes a row has."""
        cells = hashing.cells(text)
        return sum(bool(cell) for name, cell in zip(self.watched, cells, strict=True) if name in self.size_columns)


@dataclass(frozen=True)
class Rollback:
    """One process's parts. Everything that writes is for one process at a time, and never beside a pass."""

    source: Source
    customers: Customers
    snapshots: SnapshotArchive
    store: Store
    emitter: emit.Emitter
    mappings: Mappings
    window: int
    now: Callable[[], datetime]

    def target(self, entry: Entry) -> Target:
        """A snapshot, checked. Raises Misconfigured when it cannot tell what is watched today.

        A size that the source did not have then is blank; any other column that is missing makes it unusable.
        """
        live = self.source.columns()
        size_columns = sizes.size_columns(live, self.mappings.board.sizes)
        watched = columns.watched(self.mappings, size_columns)
        baseline = self.store.get(detect.BASELINE)
        today = detection.Baseline(scheme=hashing.SCHEME, columns=watched)
        if baseline is not None and detection.Baseline.model_validate(baseline) != today:
            raise errors.Misconfigured("the watched columns changed: let one pass run first, it adopts the new list")
        payload = self.snapshots.payload(entry)
        there = {*parquet.columns(payload), *size_columns}
        if missing := [name for name in watched if name not in there]:
            raise errors.Misconfigured(
                f"snapshot {entry.id} of {entry.customer} does not have {guard.listed(missing)}, which board.yaml "
                "reads today: choose a later one, or take them out of board.yaml"
            )
        return Target(payload, watched, frozenset(size_columns))

    def differences(self, customer: str, target: Target) -> Differences:
        """Where the snapshot and what was emitted last differ, order by order. Nothing is written."""
        ours = self.customers.known_of(customer)
        hashes: dict[str, tuple[str, int]] = {}
        shared: set[str] = set()
        for uuid, text in target.texts():
            if uuid in hashes:
                shared.add(uuid)
            hashes[uuid] = hashing.row_hash(text), target.quantities(text)
        elsewhere = self.customers.known([uuid for uuid in hashes if uuid not in ours])
        found = Differences(shared=sorted(shared))
        for uuid, (row_hash, quantities) in hashes.items():
            known = ours.get(uuid) or elsewhere.get(uuid)
            gone = known is None or known.row_hash == detection.DELETED
            if uuid in shared or (known is not None and known.row_hash == row_hash):
                continue
            if uuid not in ours and not gone:
                found.others.append(uuid)
                continue
            change = events.Change.CREATED if gone else events.Change.UPDATED
            found.changes.append(admission.Candidate(uuid, change, admission.cost(change, quantities)))
        for uuid, left in ours.items():
            if uuid not in hashes:
                found.changes.append(admission.Candidate(uuid, events.Change.DELETED, 1, left.state))
        return found

    def preview(self, entry: Entry) -> tuple[Differences, list[events.OrderChanged]]:
        """What a roll back to this snapshot would emit now. Nothing is emitted, held or moved."""
        target = self.target(entry)
        found = self.differences(entry.customer, target)
        admitted = [(entry.customer, candidate) for candidate in found.changes]
        return found, self._announced(admitted, target, int(self.store.get(detect.PASS) or 0) + 1).events

    def begin(self, entry: Entry, by: str) -> holds.Hold:
        """Puts the customer on hold, on its way to this snapshot; `step` takes it there."""
        self.target(entry)
        told = {"snapshot": entry.id, "taken_at": entry.taken_at, "complete": False}
        begun = holds.Hold(customer=entry.customer, by=by, at=self.now(), **told)
        holds.keep(self.store, begun)
        return begun

    def step(self, held: holds.Hold) -> Progress:
        """Emits as much as the window has room for; to be called again while something is left."""
        entry = None if held.snapshot is None else self.snapshots.entry(held.snapshot)
        if entry is None:
            raise errors.Misconfigured(f"the snapshot that {held.customer} goes back to is in the archive no more")
        target = self.target(entry)
        number = self.store.next_number(detect.PASS)
        found = self.differences(held.customer, target)
        tally = admission.Tally(self.window)
        for candidate in found.changes:
            tally.add(held.customer, candidate)
        admitted = tally.admit(self.window - self.source.unsettled_mutations())
        told = self._announced(admitted, target, number)
        self.emitter.emit(told, version=number, started_by=STARTED_BY)
        left = len(found.changes) - len(admitted)
        if (left == 0) != held.complete:
            holds.keep(self.store, held.model_copy(update={"complete": left == 0}))
        return Progress(len(admitted), left)

    def unfinished(self) -> list[holds.Hold]:
        """Roll backs of which something is left to emit: for the first time, or again because its event was lost."""
        return [
            held
            for held in holds.holds(self.store).values()
            if held.snapshot is not None and (not held.complete or self.customers.forgotten(held.customer))
        ]

    def release(self, customer: str) -> int:
        """Ends a hold. Returns how many known orders differ from the source: detection sees them again, and new ones.

        They are told like what was lost with the log, so the guard does not take them for an accident.
        """
        differing = self.differing(customer)
        self.customers.forget(differing, holds.end(self.store, customer))
        return len(differing)

    def differing(self, customer: str) -> list[str]:
        """Orders of a customer that the source and what was emitted last do not agree on."""
        size_columns = sizes.size_columns(self.source.columns(), self.mappings.board.sizes)
        watched = columns.watched(self.mappings, size_columns)
        raw = detect_events.raw_names(self.source.customer_names(), lambda name: name == customer, self.mappings)
        rows = self.customers.rows(watched, raw) if raw else iter(())
        hashes = {uuid: hashing.row_hash(text) for uuid, _, _, text in rows}
        ours = self.customers.known_of(customer)
        known = self.customers.known([uuid for uuid in hashes if uuid not in ours]) | ours
        doubled = self.source.duplicates()
        return [
            uuid
            for uuid, one in known.items()
            if uuid not in doubled and one.row_hash != hashes.get(uuid, detection.DELETED)
        ]

    def _announced(
        self, admitted: Sequence[tuple[str, admission.Candidate]], target: Target, number: int
    ) -> emit.PassOutput:
        wanted = {c.record_uuid for _, c in admitted if c.change is not events.Change.DELETED}
        return self.emitter.announced(
            admitted,
            target.rows(wanted, self.customers.known(sorted(wanted))),
            columns=target.watched,
            size_columns=target.size_columns,
            version=number,
        )
