"""detect: compare every row of the source with its snapshot and emit what changed.

The order of effects is the promise: events are produced and confirmed by Kafka first, then the snapshot moves. A
crash between the two emits a change twice and loses none. `version` is the number of the pass, committed before the
pass begins, so no two detections of a row ever share one.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors import errors
from mappings import columns, hashing, sizes
from mappings.loading import Mappings
from schemas import detection, events
from schemas.base import Cell
from schemas.batches import SyncState
from streams import admission, announce, guard
from streams.detect_ports import Batches, Facts, Refusals, Source

PASS, BASELINE, LAST, HELD = "detect.pass", "detect.baseline", "detect.last", "detect.held"
CHUNK = 500


Publish = Callable[[Sequence[events.OrderChanged]], None]


@dataclass(frozen=True)
class Detector:
    """One poller's parts. `publish` returns once Kafka has confirmed every event, in order."""

    source: Source
    facts: Facts
    batches: Batches
    refusals: Refusals
    publish: Publish
    mappings: Mappings
    limits: guard.Limits
    window: int
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def run(self, chosen: detection.Filters | None = None, *, accept: bool = False) -> detection.PassReport:
        """One pass. A pass that the guard stops emits nothing and says why in `held`."""
        number = self.facts.next_number(PASS)
        started = self.now()
        waiting = self.facts.get(HELD)
        if waiting is not None and not accept:
            return self._report(number, started, None, held=str(waiting))
        self.batches.close_unconfirmed(number)
        with tempfile.TemporaryFile("w+") as unchanged:
            return self._pass(number, started, chosen, unchanged, accept=accept, waiting=waiting)

    def _pass(
        self,
        number: int,
        started: datetime,
        chosen: detection.Filters | None,
        unchanged: Any,
        *,
        accept: bool,
        waiting: Any,
    ) -> detection.PassReport:
        found: _Found | None = None
        try:
            found = self._look(number, chosen, unchanged)
            reason = None if accept else guard.reason(self.limits, self.source.known_rows(), found.counts)
        except guard.Stop as stop:
            found, reason = None, str(stop)
        if found is None or reason is not None:
            self.facts.set(HELD, reason)
            return self._report(number, started, found, held=reason)
        if waiting is not None:
            self.facts.set(HELD, None)
        emitted, excluded = self._emit(number, found)
        rebaselined = self._rebaseline(found)
        return self._report(
            number, started, found, emitted=emitted, excluded=excluded, rebaselined=rebaselined
        )

    def _look(self, number: int, chosen: detection.Filters | None, unchanged: Any) -> "_Found":
        live = self.source.columns()
        size_columns = sizes.size_columns(live, self.mappings.board.sizes)
        watched = columns.watched(self.mappings, size_columns)
        vanished = [name for name in watched if name not in {name for name, _ in live}]
        if vanished:
            raise guard.Stop(f"ORDERS_UNIFIED has lost {', '.join(f'[{name}]' for name in vanished)}")
        found = _Found(number, chosen, watched, frozenset(size_columns), unchanged)
        if chosen is None and self.source.source_rows() == 0 and self.source.known_rows() > 0:
            raise guard.Stop("ORDERS_UNIFIED is empty")
        duplicates = self.source.duplicates()
        self._refuse(found, duplicates)
        former = self._former(found)
        raw = self._raw_customers(chosen)
        tally = admission.Tally(self.window)
        customer_at = watched.index("CUSTOMER NAME")
        for record_uuid, known, text, former_text in self.source.scan(
            watched, former=former, chosen=chosen, raw_customers=raw
        ):
            found.scanned += 1
            if record_uuid in duplicates:
                continue
            row_hash = hashing.row_hash(text)
            if former_text is None:
                if row_hash == known:
                    continue
            elif known == hashing.row_hash(former_text):
                found.unchanged.write(f"{row_hash} {record_uuid} {known}\n")
                continue
            change = events.Change.UPDATED if known and known != "DELETED" else events.Change.CREATED
            found.count(change)
            cells = hashing.cells(text)
            customer = self.mappings.customers.canonical(_text(cells[customer_at]))
            tally.add(
                customer, admission.Candidate(record_uuid, change, _cost(change, cells, found, watched))
            )
        if chosen is None:
            for record_uuid, customer, state in self.source.deleted():
                if record_uuid in duplicates:
                    continue
                found.count(events.Change.DELETED)
                tally.add(customer, admission.Candidate(record_uuid, events.Change.DELETED, 1, state))
        limit = chosen.limit if chosen is not None else None
        found.admitted = tally.admit(self.window - self.source.unsettled_mutations(), limit)
        found.deferred = tally.total - len(found.admitted)
        return found

    def _refuse(self, found: "_Found", duplicates: dict[str, int]) -> None:
        texts = self.source.without_identity(found.watched)
        rows = [dict(zip(found.watched, hashing.cells(text), strict=True)) for text in texts]
        refusals = [
            guard.no_identity(row, hashing.row_hash(text)) for row, text in zip(rows, texts, strict=True)
        ]
        refusals += [guard.shared_identity(uuid, copies) for uuid, copies in duplicates.items()]
        self.refusals.refuse(refusals, found.number)
        found.refused = len(texts) + sum(duplicates.values())

    def _former(self, found: "_Found") -> Sequence[str] | None:
        """The column list that the snapshot's hashes were made with, when it is not today's."""
        stored = self.facts.get(BASELINE)
        today = detection.Baseline(scheme=hashing.SCHEME, columns=found.watched)
        if stored is None:
            self.facts.set(BASELINE, today.model_dump())
            return None
        baseline = detection.Baseline.model_validate(stored)
        if baseline == today:
            return None
        if found.chosen is not None:
            raise errors.Misconfigured(
                "the watched columns changed: run one pass without filters first, it adopts the new list"
            )
        live = {name for name, _ in self.source.columns()}
        gone = [name for name in baseline.columns if name not in live]
        if gone:
            raise guard.Stop(
                f"ORDERS_UNIFIED has lost {', '.join(f'[{name}]' for name in gone)}, which its hashes were made with"
            )
        found.former = baseline.columns
        return baseline.columns

    def _raw_customers(self, chosen: detection.Filters | None) -> list[str]:
        if chosen is None or chosen.customer is None:
            return []
        wanted = self.mappings.customers.canonical(chosen.customer)
        names = [name for name in self.source.customer_names() if name is not None]
        raw = [name for name in names if self.mappings.customers.canonical(name) == wanted]
        if not raw:
            raise errors.Misconfigured(
                f"no order of customer {wanted!r}: `ordersync status` lists the customers"
            )
        return raw

    def _emit(self, number: int, found: "_Found") -> tuple[int, int]:
        wanted = [c.record_uuid for _, c in found.admitted if c.change is not events.Change.DELETED]
        changed, moved = announce.announce(
            found.admitted,
            self.source.rows(wanted, found.watched),
            columns=found.watched,
            size_columns=found.size_columns,
            version=number,
            mappings=self.mappings,
            now=self.now(),
            new_id=self.new_id,
        )
        totals: dict[tuple[str, str], int] = {}
        for event in changed:
            totals[event.batch_id, event.customer] = totals.get((event.batch_id, event.customer), 0) + 1
        self.batches.open(
            [(batch, customer, total) for (batch, customer), total in totals.items()],
            version=number,
            started_by="ordersync detect",
        )
        for start in range(0, len(changed), CHUNK):
            some = changed[start : start + CHUNK]
            self.publish(some)
            self.source.move_snapshots([moved[event.record_uuid] for event in some])
        silent = [moved[uuid] for uuid in moved.keys() - {event.record_uuid for event in changed}]
        if silent:
            self.source.move_snapshots(silent)
        self.batches.confirm({batch for batch, _ in totals})
        return len(changed), sum(snapshot.state is SyncState.EXCLUDED for snapshot in moved.values())

    def _rebaseline(self, found: "_Found") -> int:
        if found.former is None:
            return 0
        found.unchanged.seek(0)
        lines = (line.split() for line in found.unchanged)
        today = detection.Baseline(scheme=hashing.SCHEME, columns=found.watched)
        self.source.rebaseline(
            ((new, uuid, old) for new, uuid, old in lines), self.facts.mark(BASELINE, today.model_dump())
        )
        return found.scanned - sum(found.counts.values())

    def _report(
        self,
        number: int,
        started: datetime,
        found: "_Found | None",
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
            filtered=found is not None and found.chosen is not None,
            held=held,
            **counts,
        )
        self.facts.set(LAST, report.model_dump(mode="json"))
        return report


@dataclass
class _Found:
    """What a pass has seen so far. Rows that are unchanged under a former column list wait in a file, not in memory."""

    number: int
    chosen: detection.Filters | None
    watched: tuple[str, ...]
    size_columns: frozenset[str]
    unchanged: Any
    scanned: int = 0
    refused: int = 0
    deferred: int = 0
    former: Sequence[str] | None = None
    counts: dict[events.Change, int] = field(default_factory=dict)
    admitted: list[tuple[str, admission.Candidate]] = field(default_factory=list)

    def count(self, change: events.Change) -> None:
        self.counts[change] = self.counts.get(change, 0) + 1


def _cost(change: events.Change, cells: Sequence[Cell], found: _Found, watched: Sequence[str]) -> int:
    """Planned mutations of a change: a new order makes an item and its sizes; an edit is one or two of them."""
    if change is events.Change.UPDATED:
        return 2
    return 1 + sum(
        1 for name, cell in zip(watched, cells, strict=True) if name in found.size_columns and cell
    )


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)
