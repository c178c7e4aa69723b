"""detect: compares every source row with its snapshot row and emits the changes.

Reads: ORDERS_UNIFIED, ORDERS_UNIFIED_SNAPSHOT. Writes: ORDERS_UNIFIED_SNAPSHOT, MON_BatchProcessing, SYNC_State, ERR
rows of refused rows. Emits: orders.changed. Runs in: the poller, or `ordersync detect`. Runs twice: a change whose
snapshot row did not move is emitted once more, as a newer version.

A snapshot row moves only after Kafka has confirmed its event, so a crash between the two loses no change. `version` is
the number of the pass, committed before the pass begins, so no two detections of a row share a version.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from connectors import errors
from connectors.tables import row_text
from mappings import columns, hashing, sizes
from mappings.loading import Mappings
from schemas import detection, events
from schemas import mappings as shapes
from streams.detect import admission, archive_queue, emit, findings, guard, holds, identities, unreadable
from streams.detect import events as detect_events
from streams.detect.ports import Batches, Refusals, Source, Store

PASS, BASELINE, LAST, HELD = "detect.pass", "detect.baseline", "detect.last", "detect.held"
ACCEPTED, TURNS = "detect.accepted", "detect.turns"


@dataclass(frozen=True)
class Detector:
    """Runs passes. `publish` returns after Kafka has confirmed every event, in order; `window` counts mutations."""

    source: Source
    store: Store
    batches: Batches
    refusals: Refusals
    publish: emit.Publish
    mappings: Mappings
    limits: guard.Limits
    window: int
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def run(self, chosen: detection.Filters | None = None, *, accept: bool = False) -> detection.PassReport:
        """Runs one pass and reports it. After a guard stop, passes emit nothing until one runs with `accept`.

        The report gives the reason of the guard stop in `held`. Changes that the operator accepted stay accepted while
        the admission window defers them. Raises Misconfigured if the filters name an unknown customer, or if a
        pass with filters meets a new baseline.
        """
        number = self.store.next_number(PASS)
        started = self.now()
        stopped = self.store.get(HELD)
        if stopped is not None and not accept:
            return self._report(number, started, None, held=str(stopped))
        self.batches.close_unconfirmed(number)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as unchanged:
            return self._pass(number, started, chosen, unchanged, accept=accept)

    def preview(self, chosen: detection.Filters | None = None) -> list[events.OrderChanged]:
        """The events that a pass would emit now, without the guard. It emits, counts and moves nothing."""
        number = int(self.store.get(PASS) or 0) + 1
        with tempfile.TemporaryFile("w+", encoding="utf-8") as unchanged:
            return self._build(self._compare(number, chosen, unchanged, accept=True)).events

    def _pass(
        self,
        number: int,
        started: datetime,
        chosen: detection.Filters | None,
        unchanged: IO[str],
        *,
        accept: bool,
    ) -> detection.PassReport:
        accepted = {events.Change(name): n for name, n in (self.store.get(ACCEPTED) or {}).items()}
        found: findings.PassFindings | None = None
        try:
            found = self._compare(number, chosen, unchanged, accept=accept)
            reason = (
                None if accept else guard.reason(self.limits, self.source.known_rows(), found.new_changes, accepted)
            )
        except guard.Stop as stop:
            reason = str(stop)
        if found is None or reason is not None:
            self.store.set(HELD, reason)
            return self._report(number, started, found, held=reason)
        if accept:
            self.store.set(HELD, None)
        if chosen is None and (accept or accepted):
            deferred = found.deferred_changes
            still = deferred if accept else {c: min(n, deferred.get(c, 0)) for c, n in accepted.items()}
            self.store.set(ACCEPTED, {change.value: n for change, n in still.items() if n})
        self._store_state(found)
        output = self._build(found)
        self._refuse(found, output)
        emitted, excluded = self._emit(found, output)
        self._rebaseline(found)
        self.source.note_unchanged()
        rebaselined = found.unchanged_rows
        return self._report(number, started, found, emitted=emitted, excluded=excluded, rebaselined=rebaselined)

    def _compare(
        self, number: int, chosen: detection.Filters | None, unchanged: IO[str], *, accept: bool
    ) -> findings.PassFindings:
        live = self.source.columns()
        try:
            size_columns = sizes.size_columns(live, self.mappings.board.sizes)
        except shapes.MappingError as error:
            raise guard.Stop(f"ORDERS_UNIFIED has lost its sizes: {error}") from error
        watched = columns.watched(self.mappings, size_columns)
        names = {name for name, _ in live}
        if lost := [name for name in watched if name not in names]:
            raise guard.Stop(f"ORDERS_UNIFIED has lost {guard.listed(lost)}, which board.yaml reads")
        held = holds.holds(self.store)
        found = findings.PassFindings(number, chosen, watched, frozenset(size_columns), unchanged, frozenset(held))
        found.held_orders = self.source.identities_of(list(held)) if held else frozenset()
        found.former_columns = self._former_columns(found, names, accept=accept)
        duplicates = self.source.duplicates()
        tally = admission.Tally(self.window)
        self._changes(found, tally, duplicates)
        nameless = self.source.without_identity(watched) if chosen is not None or self.source.nameless() else []
        spellings = self.source.spellings(list(duplicates)) if duplicates else {}
        found.refusals += identities.refusals(nameless, watched, duplicates, spellings)
        found.refused += len(nameless) + sum(duplicates.values())
        found.scanned += self.source.left_out()
        if chosen is None and found.scanned == 0 and not found.refused and not accept and self.source.known_rows():
            raise guard.Stop(f"ORDERS_UNIFIED is empty. {guard.ACCEPT}")
        # When every snapshot row has its source row, no row is missing, and the query for deletions can be skipped.
        if chosen is None and found.matched != self.source.known_rows():
            # A row that lost nothing but its identity is refused; its order has not left.
            unnamed = {hashing.row_hash(text) for _, text in nameless}
            for record_uuid, customer, state, row_hash in self.source.deleted():
                if row_hash in unnamed:
                    continue
                if record_uuid in found.held_orders:
                    found.on_hold += 1
                    continue
                found.count(events.Change.DELETED)
                found.redetected_deletions += not row_hash
                tally.add(customer, admission.Candidate(record_uuid, events.Change.DELETED, 1, state))
        limit = chosen.limit if chosen is not None else None
        free = self.window - self.source.unsettled_mutations()
        found.admitted = tally.admit(free, limit, self.store.get(TURNS) or {})
        found.deferred = tally.total - len(found.admitted)
        found.deferred_customers = tally.deferred_customers
        return found

    def _changes(self, found: findings.PassFindings, tally: admission.Tally, duplicates: dict[str, int]) -> None:
        """Adds a candidate for each row whose hash differs from its snapshot row.

        A row that still has its former hash under the former column list is unchanged: it only gets a new hash.
        """
        new_sizes = found.new_size_positions()
        customer_at = found.watched.index("CUSTOMER NAME")
        for record_uuid, known, text, former_text in self.source.scan(
            found.watched,
            former=found.former_columns,
            chosen=found.chosen,
            raw_customers=self._raw_customers(found.chosen),
        ):
            found.scanned += 1
            if record_uuid in duplicates:
                continue
            found.matched += known is not None and known != detection.DELETED
            row_hash = hashing.row_hash(text)
            if row_hash == known:
                continue
            cells = row_text.cells(text)
            if refused := unreadable.refusals(record_uuid, found.watched, cells):
                found.refusals += refused
                found.refused += 1
                continue
            # A quantity in a new size column is a change for the board; a value in any other new column is not.
            same_as_before = former_text is not None and known == hashing.row_hash(former_text)
            if same_as_before and not any(cells[at] for at in new_sizes):
                found.keep_unchanged(row_hash, str(known), record_uuid)
                continue
            change = events.Change.UPDATED if known and known != detection.DELETED else events.Change.CREATED
            customer = self.mappings.customers.canonical(detect_events.cell_text(cells[customer_at]))
            if customer in found.held_customers or record_uuid in found.held_orders:
                found.on_hold += 1
                continue
            found.count(change)
            quantities = sum(1 for at in found.size_positions if cells[at])
            tally.add(customer, admission.Candidate(record_uuid, change, admission.cost(change, quantities)))

    def _former_columns(self, found: findings.PassFindings, live: set[str], *, accept: bool) -> list[str | None] | None:
        """The column list of the baseline if it differs from today's, with None for a column that the source lost."""
        stored = self.store.get(BASELINE)
        today = detection.Baseline(scheme=hashing.SCHEME, columns=found.watched)
        if stored is None:
            return None
        baseline = detection.Baseline.model_validate(stored)
        if baseline == today:
            return None
        if found.chosen is not None:
            raise errors.Misconfigured(
                "the watched columns changed: run one pass without filters first, which adopts the new list"
            )
        lost = [name for name in baseline.columns if name not in live]
        if lost and not accept:
            raise guard.Stop(f"ORDERS_UNIFIED has lost {guard.listed(lost)}. {guard.ACCEPT}")
        return [None if name in lost else name for name in baseline.columns]

    def _raw_customers(self, chosen: detection.Filters | None) -> list[str]:
        if chosen is None or chosen.customer is None:
            return []
        wanted = self.mappings.customers.canonical(chosen.customer).casefold()
        names = self.source.customer_names()
        raw = detect_events.raw_names(names, lambda customer: customer.casefold() == wanted, self.mappings)
        if not raw:
            raise errors.Misconfigured(
                f"no order of customer {chosen.customer!r}: `ordersync status` lists the customers"
            )
        return raw

    @property
    def _emitter(self) -> emit.Emitter:
        return emit.Emitter(self.batches, self.publish, self.source, self.mappings, self.now, self.new_id)

    def _build(self, found: findings.PassFindings) -> emit.PassOutput:
        wanted = [c.record_uuid for _, c in found.admitted if c.change is not events.Change.DELETED]
        return self._emitter.build(
            found.admitted,
            self.source.rows(wanted, found.watched),
            columns=found.watched,
            size_columns=found.size_columns,
            version=found.number,
        )

    def _refuse(self, found: findings.PassFindings, output: emit.PassOutput) -> None:
        """Brings the ERR rows to the refusals of this pass, except those of rows that it did not look at."""
        partial = [unreadable.UNUSABLE] if found.chosen is not None or found.deferred else []
        partial += [unreadable.UNREADABLE] if found.chosen is not None else []
        found.refused += len(output.refusals)
        self.refusals.refuse([*found.refusals, *output.refusals], found.number, partial=partial)

    def _emit(self, found: findings.PassFindings, output: emit.PassOutput) -> tuple[int, int]:
        # An order that changes its customer changes the archived snapshots of both customers.
        customers = {snapshot.customer for snapshot in output.snapshots.values()}
        customers |= self.source.customers_of(list(output.snapshots))
        archive_queue.add(
            self.store, customers, deferred=found.deferred_customers, version=found.number, now=self.now()
        )
        self._emitter.emit(output, version=found.number, started_by="ordersync detect")
        return len(output.events), detect_events.excluded(output.events, output.silent)

    def _store_state(self, found: findings.PassFindings) -> None:
        """Stores the baseline of the first pass, and the turns of the customers while candidates are deferred."""
        if self.store.get(BASELINE) is None:
            self.store.set(BASELINE, detection.Baseline(scheme=hashing.SCHEME, columns=found.watched).model_dump())
        turns = self.store.get(TURNS) or {}
        after = turns | {customer: found.number for customer, _ in found.admitted} if found.deferred else {}
        if after != turns:
            self.store.set(TURNS, after)

    def _rebaseline(self, found: findings.PassFindings) -> None:
        if found.former_columns is not None:
            today = detection.Baseline(scheme=hashing.SCHEME, columns=found.watched)
            self.source.rebaseline(found.kept_unchanged(), self.store.mark(BASELINE, today.model_dump()))

    def _report(
        self,
        number: int,
        started: datetime,
        found: findings.PassFindings | None,
        *,
        held: str | None = None,
        **counts: int,
    ) -> detection.PassReport:
        report = detection.PassReport(
            number=number,
            started_at=started,
            finished_at=self.now(),
            scanned=found.scanned if found else 0,
            changes=dict(found.counts) if found else {},
            refused=found.refused if found else 0,
            deferred=found.deferred if found and held is None else 0,
            on_hold=found.on_hold if found else 0,
            filtered=found is not None and found.chosen is not None,
            held=held,
            **counts,
        )
        self.store.set(LAST, report.model_dump(mode="json"))
        return report
