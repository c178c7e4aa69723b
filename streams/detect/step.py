"""detect: compare every row of the source with its snapshot and emit what changed.

The order of effects is the promise: events are produced and confirmed by Kafka first, then the snapshot moves. A
crash between the two emits a change twice and loses none. `version` is the number of the pass, committed before the
pass begins, so no two detections of a row ever share one.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from connectors import errors
from mappings import columns, hashing, sizes
from mappings.loading import Mappings
from schemas import detection, events
from schemas import mappings as shapes
from streams.detect import admission, archive_queue, emit, findings, guard, holds, identities
from streams.detect import events as detect_events
from streams.detect.ports import Batches, Refusals, Source, Store

PASS, BASELINE, LAST, HELD = "detect.pass", "detect.baseline", "detect.last", "detect.held"
ACCEPTED, TURNS = "detect.accepted", "detect.turns"


@dataclass(frozen=True)
class Detector:
    """One poller's parts. `publish` returns once Kafka has confirmed every event, in order."""

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
        """One pass. A pass that the guard stops emits nothing and says why in `held`, until a person accepts.

        What is accepted once stays accepted while the window holds it back from this pass.
        """
        number = self.store.next_number(PASS)
        started = self.now()
        waiting = self.store.get(HELD)
        if waiting is not None and not accept:
            return self._report(number, started, None, held=str(waiting))
        self.batches.close_unconfirmed(number)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as unchanged:
            return self._pass(number, started, chosen, unchanged, accept=accept)

    def preview(self, chosen: detection.Filters | None = None) -> list[events.OrderChanged]:
        """What a pass would emit now. Nothing is emitted, counted or moved; the guard is not asked."""
        number = int(self.store.get(PASS) or 0) + 1
        with tempfile.TemporaryFile("w+", encoding="utf-8") as unchanged:
            return self._announced(self._look(number, chosen, unchanged, accept=True)).events

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
            found = self._look(number, chosen, unchanged, accept=accept)
            reason = None if accept else guard.reason(self.limits, self.source.known_rows(), found.news, accepted)
        except guard.Stop as stop:
            reason = str(stop)
        if found is None or reason is not None:
            self.store.set(HELD, reason)
            return self._report(number, started, found, held=reason)
        if accept:
            self.store.set(HELD, None)
        if chosen is None and (accept or accepted):
            left = found.left if accept else {c: min(n, found.left.get(c, 0)) for c, n in accepted.items()}
            self.store.set(ACCEPTED, {change.value: n for change, n in left.items() if n})
        self._remember(found)
        self.refusals.refuse(found.refusals, number)
        emitted, excluded = self._emit(found)
        self._rebaseline(found)
        self.source.note_unchanged()
        rebaselined = found.unchanged_rows
        return self._report(number, started, found, emitted=emitted, excluded=excluded, rebaselined=rebaselined)

    def _look(
        self, number: int, chosen: detection.Filters | None, unchanged: IO[str], *, accept: bool
    ) -> findings.PassFindings:
        live = self.source.columns()
        try:
            size_columns = sizes.size_columns(live, self.mappings.board.sizes)
        except shapes.MappingError as error:
            raise guard.Stop(f"ORDERS_UNIFIED has lost its sizes: {error}") from error
        watched = columns.watched(self.mappings, size_columns)
        names = {name for name, _ in live}
        if vanished := [name for name in watched if name not in names]:
            raise guard.Stop(f"ORDERS_UNIFIED has lost {guard.listed(vanished)}, which board.yaml reads")
        held = holds.holds(self.store)
        found = findings.PassFindings(number, chosen, watched, frozenset(size_columns), unchanged, frozenset(held))
        found.held_orders = self.source.identities_of(list(held)) if held else frozenset()
        found.former = self._former(found, names, accept=accept)
        duplicates = self.source.duplicates()
        found.refusals = identities.refusals(self.source.without_identity(watched), watched, duplicates)
        found.refused = len(found.refusals) - len(duplicates) + sum(duplicates.values())
        tally = admission.Tally(self.window)
        self._changes(found, tally, duplicates)
        found.scanned += self.source.left_out()
        if chosen is None and found.scanned == 0 and not found.refused and not accept and self.source.known_rows():
            raise guard.Stop(f"ORDERS_UNIFIED is empty. {guard.ACCEPT}")
        # As many rows met their snapshot as there are snapshots: then none is missed, and nobody has to look for it.
        if chosen is None and found.met != self.source.known_rows():
            for record_uuid, customer, state, first in self.source.deleted():
                if record_uuid in found.held_orders:
                    found.on_hold += 1
                    continue
                found.count(events.Change.DELETED)
                found.deleted_again += not first
                tally.add(customer, admission.Candidate(record_uuid, events.Change.DELETED, 1, state))
        limit = chosen.limit if chosen is not None else None
        room = self.window - self.source.unsettled_mutations()
        found.admitted = tally.admit(room, limit, self.store.get(TURNS) or {})
        found.deferred = tally.total - len(found.admitted)
        found.behind = tally.behind
        return found

    def _changes(self, found: findings.PassFindings, tally: admission.Tally, duplicates: dict[str, int]) -> None:
        """Every row whose text has not the hash of its snapshot; what only the former column list explains is kept."""
        new_sizes = found.new_sizes()
        customer_at = found.watched.index("CUSTOMER NAME")
        for record_uuid, known, text, former_text in self.source.scan(
            found.watched, former=found.former, chosen=found.chosen, raw_customers=self._raw_customers(found.chosen)
        ):
            found.scanned += 1
            if record_uuid in duplicates:
                continue
            found.met += known is not None and known != detection.DELETED
            row_hash = hashing.row_hash(text)
            if row_hash == known:
                continue
            cells = hashing.cells(text)
            # A quantity in a new size column is news for the board; any other new column is not.
            explained = former_text is not None and known == hashing.row_hash(former_text)
            if explained and not any(cells[at] for at in new_sizes):
                found.keep(row_hash, str(known), record_uuid)
                continue
            change = events.Change.UPDATED if known and known != detection.DELETED else events.Change.CREATED
            customer = self.mappings.customers.canonical(detect_events.cell_text(cells[customer_at]))
            if customer in found.held or record_uuid in found.held_orders:
                found.on_hold += 1
                continue
            found.count(change)
            quantities = sum(1 for at in found.sizes_at if cells[at])
            tally.add(customer, admission.Candidate(record_uuid, change, admission.cost(change, quantities)))

    def _former(self, found: findings.PassFindings, live: set[str], *, accept: bool) -> list[str | None] | None:
        """The column list that the snapshot's hashes were made with, when it is not today's; None for a lost column."""
        stored = self.store.get(BASELINE)
        today = detection.Baseline(scheme=hashing.SCHEME, columns=found.watched)
        if stored is None:
            return None
        baseline = detection.Baseline.model_validate(stored)
        if baseline == today:
            return None
        if found.chosen is not None:
            raise errors.Misconfigured(
                "the watched columns changed: run one pass without filters first, it adopts the new list"
            )
        gone = [name for name in baseline.columns if name not in live]
        if gone and not accept:
            raise guard.Stop(f"ORDERS_UNIFIED has lost {guard.listed(gone)}. {guard.ACCEPT}")
        return [None if name in gone else name for name in baseline.columns]

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
    def _emission(self) -> emit.Emitter:
        return emit.Emitter(self.batches, self.publish, self.source, self.mappings, self.now, self.new_id)

    def _announced(self, found: findings.PassFindings) -> emit.PassOutput:
        wanted = [c.record_uuid for _, c in found.admitted if c.change is not events.Change.DELETED]
        return self._emission.announced(
            found.admitted,
            self.source.rows(wanted, found.watched),
            columns=found.watched,
            size_columns=found.size_columns,
            version=found.number,
        )

    def _emit(self, found: findings.PassFindings) -> tuple[int, int]:
        told = self._announced(found)
        # An order that goes from one customer to another changes both.
        customers = {snapshot.customer for snapshot in told.snapshots.values()}
        customers |= self.source.customers_of(list(told.snapshots))
        archive_queue.add(self.store, customers, behind=found.behind, version=found.number, now=self.now())
        self._emission.emit(told, version=found.number, started_by="ordersync detect")
        return len(told.events), detect_events.excluded(told.events, told.silent)

    def _remember(self, found: findings.PassFindings) -> None:
        """The column list of the first hashes; and whose turn it was, while the window holds changes back."""
        if self.store.get(BASELINE) is None:
            self.store.set(BASELINE, detection.Baseline(scheme=hashing.SCHEME, columns=found.watched).model_dump())
        turns = self.store.get(TURNS) or {}
        after = turns | {customer: found.number for customer, _ in found.admitted} if found.deferred else {}
        if after != turns:
            self.store.set(TURNS, after)

    def _rebaseline(self, found: findings.PassFindings) -> None:
        if found.former is not None:
            today = detection.Baseline(scheme=hashing.SCHEME, columns=found.watched)
            self.source.rebaseline(found.kept(), self.store.mark(BASELINE, today.model_dump()))

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
