"""detect: compares every source row with its snapshot row and emits the changes.

Reads: ORDERS_UNIFIED, ORDERS_UNIFIED_SNAPSHOT. Writes: ORDERS_UNIFIED_SNAPSHOT, MON_BatchProcessing, SYNC_State, ERR
rows of refused rows. Emits: orders.changed. Runs in: the poller, or `ordersync detect`. Runs twice: a change whose
snapshot row did not move is emitted once more, as a newer version.

A snapshot row moves only after Kafka has confirmed its event, so a crash between the two loses no change. `version` is
the number of the pass, committed before the pass begins, so no two detections of a row share a version.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO

from connectors import errors
from mappings.loading import Mappings
from schemas import detection, events
from streams import attention
from streams.detect import (
    admission,
    archive_queue,
    baseline,
    emit,
    findings,
    guard,
    holds,
    plans,
    scan,
    undecided,
    unreadable,
)
from streams.detect import events as detect_events
from streams.detect.ports import Batches, Refusals, Source, Store

PASS, LAST, HELD = "detect.pass", "detect.last", "detect.held"
JUDGED, TURNS = "detect.accepted", "detect.turns"
# The fingerprint of the newest mapping, and the number of the first pass that had it (delivery/mapping_files.py).
MAPPING = "detect.mapping"
BASELINE = baseline.NAME


@dataclass(frozen=True)
class Detector:
    """Runs passes. `publish` returns after Kafka has confirmed every event, in order; `window` counts mutations.

    `differing` finds the orders whose conversion differs from what is settled; `planner` makes the plans of guard
    stops, and `held_plans` stores them.
    """

    source: Source
    store: Store
    batches: Batches
    refusals: Refusals
    publish: emit.Publish
    mappings: Mappings
    limits: guard.Limits
    differing: scan.Differing
    planner: plans.Planner
    held_plans: plans.Store
    window: int
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def run(self, chosen: detection.Filters | None = None) -> detection.PassReport:
        """Runs one pass and reports it. Each pass asks the guard anew.

        A guard stop holds the changes of the pass as a plan; the report gives its id and the reason. Changes of a plan
        that an operator accepted are emitted all the same, as the admission window allows. Raises Misconfigured if the
        filters name an unknown customer, or if a pass with filters meets a new baseline.
        """
        number = self.store.next_number(PASS)
        started = self.now()
        self.batches.close_unconfirmed(number)
        with _spools() as spools:
            try:
                found = self._compare(number, chosen, spools, guarded=True)
            except guard.Stop as stop:
                self._note_held(str(stop), None)
                return self._report(number, started, None, held=str(stop))
            self._note_mapping(number, found.against.today.mapping)
            return self._emit_pass(found, started, self._judge(found))

    def preview(self, chosen: detection.Filters | None = None) -> list[events.OrderChanged]:
        """The events that a pass would emit now, without the guard. It emits, counts and moves nothing."""
        number = int(self.store.get(PASS) or 0) + 1
        with _spools() as spools:
            found = self._compare(number, chosen, spools, guarded=False)
            self._admit(found, found.tally)
            return self._build(found).events

    def _compare(
        self, number: int, chosen: detection.Filters | None, spools: tuple[IO[str], IO[str]], *, guarded: bool
    ) -> findings.PassFindings:
        against = self._comparison(chosen)
        held = holds.holds(self.store)
        unchanged, drafted = spools
        found = findings.PassFindings(
            number,
            chosen,
            against,
            self._accepted() if guarded else plans.Accepted(),
            admission.Tally(self.window),
            admission.Tally(self.window),
            plans.Draft(drafted),
            unchanged,
            frozenset(held),
            self.source.identities_of(list(held)) if held else frozenset(),
        )
        duplicates = self.source.duplicates()
        scan.Scan(self.source, self.mappings, self.differing, found).run(duplicates, self._raw_customers(chosen))
        return found

    def _comparison(self, chosen: detection.Filters | None) -> findings.Comparison:
        live = self.source.columns()
        today = baseline.today(live, self.mappings)
        if chosen is None:
            self._note_undecided(undecided.find(self.source, live, today, self.mappings))
        stored = self.store.get(BASELINE)
        former = None if stored is None else detection.Baseline.model_validate(stored)
        if former is None or former == today:
            return findings.Comparison(today, None, None)
        if chosen is not None:
            raise errors.Misconfigured(
                "the watched columns or the mapping changed: run one pass without filters first, which adopts them"
            )
        names = {name for name, _ in live}
        return findings.Comparison(
            today,
            former,
            [name if name in names else None for name in former.columns],
            tuple(baseline.lost(former, today, live, self.mappings)),
            tuple(baseline.retyped(former, today)),
        )

    def _note_mapping(self, number: int, mapping: str) -> None:
        """Before the first event of a new mapping: a worker with an older one then knows that it is outdated."""
        newest = self.store.get(MAPPING)
        if newest is None or newest["fingerprint"] != mapping:
            self.store.set(MAPPING, {"fingerprint": mapping, "since": number})

    def _note_undecided(self, names: Sequence[str]) -> None:
        if names:
            attention.ask(self.store, undecided.NAME, undecided.asked(names))
        else:
            attention.done(self.store, undecided.NAME)

    def _accepted(self) -> plans.Accepted:
        accepted = self.held_plans.accepted()
        rows = {uuid: (events.Change(change), h) for _, changes in accepted for uuid, change, h in changes}
        lost = frozenset(sentence for plan, _ in accepted for sentence in plan.lost)
        return plans.Accepted(tuple(plan.id for plan, _ in accepted), rows, lost)

    def _judge(self, found: findings.PassFindings) -> detection.Plan | None:
        """The plan of a guard stop; None if the guard lets the pass go on."""
        known = self.source.known_rows()
        judged = {events.Change(name): n for name, n in (self.store.get(JUDGED) or {}).items()}
        reasons = guard.reasons(self.limits, known, found.draft.counts, judged)
        emptied = found.chosen is None and found.scanned == 0 and not found.refused and known > 0
        if emptied and found.draft.counts[events.Change.DELETED]:
            reasons = ["ORDERS_UNIFIED is empty", *reasons]
        if not reasons and not found.lost:
            return None
        held = self.store.get(plans.NAME)
        same = self.held_plans.get(str(held)) if held == found.draft.id(found.lost) else None
        if same is not None:
            return same
        plan = self.planner.plan(
            found.draft, found.watched, reasons=reasons, lost=found.lost, notes=found.against.retyped
        )
        self.held_plans.hold(plan, ((row.record_uuid, row.change.value, row.row_hash) for row in found.draft.rows()))
        return plan

    def _emit_pass(
        self, found: findings.PassFindings, started: datetime, plan: detection.Plan | None
    ) -> detection.PassReport:
        """Emits what the guard lets pass: everything, or what an operator has accepted."""
        if plan is not None:
            self._note_held(plan.reason, plan.id)
        elif found.chosen is None:
            self._note_held(None, None)
        self._admit(found, found.tally if plan is None else found.accepted_tally)
        output = self._build(found)
        if plan is None:
            self._store_state(found)
            self._refuse(found, output)
        emitted, excluded = self._emit(found, output)
        rebaselined = 0
        if plan is None:
            self._store_judged(found, found.deferred_changes)
            rebaselined = self._rebaseline(found)
            self.source.note_unchanged()
            if found.chosen is None and found.accepted.ids and found.all_accepted_admitted:
                self.held_plans.finish(found.accepted.ids)
        return self._report(
            found.number,
            started,
            found,
            held=None if plan is None else plan.reason,
            plan=None if plan is None else plan.id,
            emitted=emitted,
            excluded=excluded,
            rebaselined=rebaselined,
            accepted=found.accepted_tally.total,
        )

    def _admit(self, found: findings.PassFindings, tally: admission.Tally) -> None:
        limit = found.chosen.limit if found.chosen is not None else None
        free = self.window - self.source.unsettled_mutations()
        found.admit(tally, tally.admit(free, limit, self.store.get(TURNS) or {}))

    def _note_held(self, reason: str | None, plan_id: str | None) -> None:
        for name, value in ((HELD, reason), (plans.NAME, plan_id)):
            if self.store.get(name) != value:
                self.store.set(name, value)

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
        """Stores the baseline of the first pass, the turns of the customers, and what the guard has let pass."""
        if self.store.get(BASELINE) is None:
            self.store.set(BASELINE, found.against.today.model_dump())
        turns = self.store.get(TURNS) or {}
        after = turns | {customer: found.number for customer, _ in found.admitted} if found.deferred else {}
        if after != turns:
            self.store.set(TURNS, after)
        # Before the first event: a pass that is cut off leaves the rest to the next one, which must not ask for it.
        self._store_judged(found, found.draft.counts)

    def _store_judged(self, found: findings.PassFindings, changes: Mapping[events.Change, int]) -> None:
        judged = {change.value: n for change, n in changes.items() if n}
        if found.chosen is None and judged != (self.store.get(JUDGED) or {}):
            self.store.set(JUDGED, judged)

    def _rebaseline(self, found: findings.PassFindings) -> int:
        """Stores the new baseline and the new hashes of rows that did not change. Returns how many rows these are."""
        if found.against.former is None:
            return 0
        today = found.against.today.model_dump()
        self.source.rebaseline(found.replaced_hashes(), self.store.mark(BASELINE, today))
        return found.unchanged_rows

    def _report(
        self,
        number: int,
        started: datetime,
        found: findings.PassFindings | None,
        *,
        held: str | None = None,
        plan: str | None = None,
        **counts: int,
    ) -> detection.PassReport:
        report = detection.PassReport(
            number=number,
            started_at=started,
            finished_at=self.now(),
            scanned=found.scanned if found else 0,
            changes=dict(found.counts) if found else {},
            refused=found.refused if found else 0,
            deferred=found.deferred if found else 0,
            on_hold=found.on_hold if found else 0,
            filtered=found is not None and found.chosen is not None,
            held=held,
            plan=plan,
            **counts,
        )
        self.store.set(LAST, report.model_dump(mode="json"))
        return report


@contextmanager
def _spools() -> Iterator[tuple[IO[str], IO[str]]]:
    """Two temporary files, for what a pass finds of a table of any size."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as one, tempfile.TemporaryFile("w+", encoding="utf-8") as other:
        yield one, other
