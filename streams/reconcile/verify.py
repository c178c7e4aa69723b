"""verify checks that every source row is in exactly one of five states, and that the three tables agree on it.

Reads: ORDERS_UNIFIED, snapshot rows, MON_*, STG and ERR tables, the ledger, customer holds. Writes: nothing. Emits:
nothing. Runs in: the worker's verify timer and `ordersync verify`. Runs twice: the second run reports the same rows.

Invariant: one read transaction counts all rows, so the five states add up at any moment, also while the processes run.
A row that is marked as in sync must be in production with the version and hash that were settled; a failed row needs an
ERR row. A thorough check also converts each row with today's mapping and compares it with production and ledger, cell
by cell (comparison.py). A row that is on its way, is held, or has changed since the last pass is no finding. A row that
differs is read once more before it is reported, because it may have moved between two reads.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from connectors.tables import row_text
from connectors.tables.row_states import RowStatesReading, SourceRow, Stray
from mappings import columns, hashing
from schemas.base import Model
from schemas.batches import SyncState
from schemas.items import Removal
from streams.detect import holds, unreadable
from streams.detect import step as detect
from streams.progress import Progress, silent
from streams.reconcile import comparison, findings, states
from streams.reconcile.comparison import Difference
from streams.reconcile.findings import Finding, Kind, Warned
from streams.reconcile.states import RowState

# Rows that are compared at once.
CHUNK = 500

WRONG = {
    RowState.NEVER_SENT: Kind.NEVER_SENT,
    RowState.NOT_IN_PRODUCTION: Kind.NOT_IN_PRODUCTION,
    RowState.STILL_IN_PRODUCTION: Kind.STILL_IN_PRODUCTION,
    RowState.UNEXPLAINED: Kind.UNEXPLAINED,
}
# A state, and whether its row is excluded now, that contradict each other when the row is the one that was settled.
NO_LONGER = frozenset({(RowState.IN_SYNC, True), (RowState.EXCLUDED, False)})
# Something else than its state is wrong: the row counts as waiting, for its repair.
REPAIRABLE = frozenset(Kind) - {Kind.NEVER_SENT, Kind.UNEXPLAINED, Kind.SUM}


class TablesReport(Model):
    """The result of one check. The states of all customers add up to `source_rows`.

    `undetected` of the waiting rows changed after the last pass; `refused` of the failed rows have no identity of their
    own. `legacy`: rows of production that another program wrote, by table; they are left alone. `at` is UTC, `seconds`
    the duration of the check. A check that is not thorough reports no warnings and no cells.
    """

    at: datetime
    seconds: float
    thorough: bool
    source_rows: int
    customers: dict[str, dict[SyncState, int]]
    undetected: int
    refused: int
    wrong: tuple[Finding, ...]
    warnings: tuple[Warned, ...] = ()
    legacy: dict[str, int] = {}

    @property
    def total(self) -> dict[SyncState, int]:
        """The rows of all customers by state."""
        return {state: sum(one.get(state, 0) for one in self.customers.values()) for state in SyncState}

    @property
    def summary(self) -> dict[str, Any]:
        """The part that `ordersync status` shows, as JSON values."""
        counts = {state.value: n for state, n in self.total.items()}
        known = {"at": self.at.isoformat(), "rows": self.source_rows, "wrong": len(self.wrong), "states": counts}
        return {**known, "warnings": len(self.warnings)} if self.thorough else known


class RowStates(Protocol):
    """connectors.tables.row_states.RowStates. Every method raises Transient."""

    def read(self, family: str, columns: Sequence[str] = ()) -> AbstractContextManager[RowStatesReading]:
        """All rows as of one moment; `family` names the customer holds in SYNC_State."""

    def some(self, record_uuids: Sequence[str], columns: Sequence[str]) -> list[SourceRow]:
        """The rows of these identities."""

    def identities_after(self, record_uuid: str, count: int) -> list[str]:
        """The next detected orders of the source after this identity."""

    def explained(self, record_uuids: Sequence[str]) -> dict[str, int]:
        """The newest version of each of these orders that has an ERR row."""

    def alone(self) -> dict[str, list[Stray]]:
        """What no source row explains: orders and sizes of production, items."""

    def forged(self, newest: int) -> dict[str, list[Stray]]:
        """Staged hashes that were not settled, and versions above `newest`."""


class Sources(Protocol):
    """connectors.tables.repairs.Repairs."""

    def in_source(self, record_uuids: Sequence[str]) -> set[str]:
        """Those of these orders that the source has now. Raises Transient."""


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any:
        """The named value; None if it was never stored. Raises Transient."""

    def all_of(self, family: str) -> dict[str, Any]:
        """The values named `family.…`, by the rest of their names. Raises Transient."""


@dataclass
class _Tally:
    """Counts the rows of one check."""

    rows: int = 0
    undetected: int = 0
    refused: int = 0
    customers: dict[str, dict[SyncState, int]] = field(default_factory=dict)
    wrong: list[Finding] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)

    def add(self, judged: "_Judged") -> None:
        """Counts one row."""
        self.rows += 1
        finding, state = judged.finding, states.COUNTED[judged.state]
        self.undetected += judged.state is RowState.UNDETECTED
        self.refused += judged.state is RowState.REFUSED
        if finding is not None:
            self.wrong.append(finding)
            if judged.state is RowState.IN_SYNC and finding.kind in REPAIRABLE:
                state = SyncState.WAITING
        if judged.warning is not None:
            self.warnings.append(judged.warning)
        counts = self.customers.setdefault(judged.customer, {})
        counts[state] = counts.get(state, 0) + 1


@dataclass
class _Judged:
    """One row with its customer, its state and what is wrong with it."""

    row: SourceRow
    customer: str
    state: RowState
    finding: Finding | None = None
    warning: Warned | None = None

    @property
    def uuid(self) -> str:
        return self.row.record_uuid or ""

    def find(self, kind: Kind, differences: Sequence[Difference] = ()) -> None:
        """Notes the first thing that is wrong."""
        if self.finding is None:
            self.finding = Finding(
                kind=kind, record_uuid=self.uuid, customer=self.customer, differences=tuple(differences)
            )


@dataclass(frozen=True)
class _Facts:
    """What one check knows of all rows: holds, the newest pass, and how rows are hashed."""

    holds: frozenset[str]
    newest_pass: int
    row_hash: hashing.RowHasher


@dataclass(frozen=True)
class Slice:
    """The result of one slice: the number of orders that it compared, and the last of them; "" after the last of all.

    `strays` are orders that no source row explains; only the last slice looks for them.
    """

    rows: int
    last: str
    wrong: tuple[Finding, ...]
    strays: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Verifier:
    """Reads the tables; writes nothing. `now` is UTC."""

    states: RowStates
    sources: Sources
    store: Store
    comparison: comparison.Comparison
    now: Callable[[], datetime]

    def check(self, *, thorough: bool, progress: Progress = silent) -> TablesReport:
        """Counts every source row once. Raises Transient.

        A check costs one join of three tables. A thorough one also reads and converts every row, and reads production
        and ledger: about three times as much as reading the source.
        """
        began, at = time.monotonic(), self.now()
        tally = _Tally()
        suspects: list[_Judged] = []
        with self.states.read(holds.FAMILY, self._watched if thorough else ()) as reading:
            facts = self._facts(reading.holds)
            for rows in _chunks(reading.rows):
                for judged in self._judge(rows, facts, thorough=thorough):
                    if thorough and judged.finding is not None:
                        suspects.append(judged)
                    else:
                        tally.add(judged)
                progress("comparing the tables", tally.rows + len(suspects), reading.source_rows)
        for judged in self._confirmed(suspects, facts):
            tally.add(judged)
        legacy: dict[str, int] = {}
        if thorough:
            self._add_strays(tally, legacy, facts)
        if tally.rows != reading.source_rows:
            numbers = f"{tally.rows} of {reading.source_rows} rows have a state"
            tally.wrong.append(Finding(kind=Kind.SUM, record_uuid="", customer=numbers))
        return TablesReport(
            at=at,
            seconds=round(time.monotonic() - began, 3),
            thorough=thorough,
            source_rows=reading.source_rows,
            customers=tally.customers,
            undetected=tally.undetected,
            refused=tally.refused,
            wrong=tuple(tally.wrong),
            warnings=tuple(tally.warnings),
            legacy=legacy,
        )

    def look(self, after: str, count: int, also: Collection[str] = ()) -> Slice:
        """Compares the next orders after this identity, "" for the first ones, and `also` these. Raises Transient."""
        facts = self._facts(frozenset(self.store.all_of(holds.FAMILY)))
        uuids = self.states.identities_after(after, count)
        rows = self.states.some(sorted({*uuids, *also}), self._watched)
        tally, ended = _Tally(), len(uuids) < count
        for one in self._confirmed([one for one in self._judge(rows, facts, thorough=True) if one.finding], facts):
            tally.add(one)
        wrong = tuple(tally.wrong)
        if ended:
            self._add_strays(tally, {}, facts)
        return Slice(len(uuids), "" if ended else uuids[-1], wrong, tuple(tally.wrong[len(wrong) :]))

    @property
    def _watched(self) -> tuple[str, ...]:
        expectations = self.comparison.expectations
        return columns.watched(expectations.mappings, expectations.size_columns)

    def _facts(self, held: frozenset[str]) -> _Facts:
        # Read after the rows' transaction has begun: no version in it can be above.
        return _Facts(held, int(self.store.get(detect.PASS) or 0), hashing.RowHasher(self._watched))

    def _judge(self, rows: Sequence[SourceRow], facts: _Facts, *, thorough: bool) -> list[_Judged]:
        """The state of each row and what is wrong with it; cells only if it is thorough."""
        failed = [str(row.record_uuid) for row in rows if row.sync_state == SyncState.FAILED and row.record_uuid]
        explained = self.states.explained(failed) if failed else {}
        judged = [self._judge_state(row, states.of_row(row, explained), facts) for row in rows]
        if thorough:
            self._compare([one for one in judged if one.state in states.ENDED], facts)
            self._name_cells([one for one in judged if one.state is RowState.NOT_IN_PRODUCTION], facts)
        for one in judged:
            if one.state is not RowState.REFUSED:
                self._judge_versions(one, facts)
        return judged

    def _judge_state(self, row: SourceRow, state: RowState, facts: _Facts) -> _Judged:
        canonical = self.comparison.expectations.mappings.customers.canonical(row.name)
        held = {row.customer or "", canonical} & facts.holds
        if held and state is not RowState.REFUSED:
            return _Judged(row, next(iter(held)), RowState.HELD)
        judged = _Judged(row, row.customer if row.customer and isinstance(row.customer, str) else canonical, state)
        if state in WRONG:
            judged.find(WRONG[state])
        return judged

    def _judge_versions(self, judged: _Judged, facts: _Facts) -> None:
        if states.has_future(judged.row, facts.newest_pass):
            judged.find(Kind.FUTURE)
        elif states.is_ahead(judged.row):
            judged.find(Kind.AHEAD)
        elif states.has_other_hash(judged.row):
            judged.find(Kind.OTHER_HASH)

    def _compare(self, ended: Sequence[_Judged], facts: _Facts) -> None:
        """Compares these rows with production and ledger, and notes the ones that no pass has read as they are now."""
        watched, engine = self._watched, self.comparison
        recorded = engine.tables.recorded([one.uuid for one in ended])
        for one in ended:
            cells = row_text.cells(one.row.text)
            if not unreadable.is_readable(cells):
                one.state = RowState.UNDETECTED  # The next pass refuses it.
                continue
            expected = engine.expectations.of(one.uuid, dict(zip(watched, cells, strict=True)))
            if expected.problems:
                one.warning = findings.warned(expected, one.customer)
            if one.state is RowState.IN_SYNC:
                differences = engine.differences(expected, recorded, one.customer) if not expected.excluded else []
                moved = expected.order is None or any(cell.expected != cell.production for cell in differences)
            else:
                comparable = expected.excluded
                if one.state is RowState.FAILED:
                    ledger = recorded.ledger.get(one.uuid, ())
                    comparable = expected.refused and findings.has_last_good(one.row, ledger)
                differences = engine.differences(expected, recorded, one.customer) if comparable else []
                moved = True
            # Then the next pass reads it.
            if moved and facts.row_hash(one.row.text) != one.row.row_hash:
                one.state = RowState.UNDETECTED
            elif differences:
                one.find(findings.kind_of(differences), differences)
            elif not expected.refused and (one.state, expected.excluded) in NO_LONGER:
                one.find(Kind.CONVERTED_OTHERWISE)

    def _name_cells(self, judged: Sequence[_Judged], facts: _Facts) -> None:
        """Adds to the findings of rows of which production has another version the cells that differ."""
        recorded = self.comparison.tables.recorded([one.uuid for one in judged]) if judged else None
        for one in judged:
            cells = row_text.cells(one.row.text)
            is_settled = unreadable.is_readable(cells) and facts.row_hash(one.row.text) == one.row.row_hash
            if recorded is None or one.finding is None or not is_settled:
                continue
            expected = self.comparison.expectations.of(one.uuid, dict(zip(self._watched, cells, strict=True)))
            differences = self.comparison.differences(expected, recorded, one.customer)
            one.finding = one.finding.model_copy(update={"differences": tuple(differences)})

    def _confirmed(self, suspects: Sequence[_Judged], facts: _Facts) -> Iterator[_Judged]:
        """These rows, without the findings of those that moved while they were read."""
        for some in _chunks(iter(suspects)):
            uuids = [one.uuid for one in some]
            before = self.states.some(uuids, self._watched)
            again = {one.uuid: one for one in self._judge(before, self._facts(facts.holds), thorough=True)}
            after = {row.record_uuid: row for row in self.states.some(uuids, self._watched)}
            for one in some:
                judged = again.get(one.uuid)
                stands = judged is not None and judged.row == after.get(one.uuid)
                one.finding = judged.finding if stands and judged is not None else None
                yield one

    def _add_strays(self, tally: _Tally, legacy: dict[str, int], facts: _Facts) -> None:
        """Adds what no source row explains, and forged versions and hashes in staging and ledger."""
        known = {one.record_uuid for one in tally.wrong}
        removes = self.comparison.expectations.mappings.board.board.removal is not Removal.KEEP
        alone = self.states.alone()
        uuids = {str(one.record_uuid) for found in alone.values() for one in found if one.record_uuid is not None}
        undetected = self.sources.in_source(sorted(uuids)) if uuids else set()
        found: list[tuple[Kind, Stray]] = []
        for name, strays in alone.items():
            for stray in strays:
                if stray.record_uuid is None or (stray.version is None and stray.sync_state is None):
                    legacy[findings.TABLES[name]] = legacy.get(findings.TABLES[name], 0) + 1
                elif findings.stays(stray, undetected) and (removes or name != "items_alone" or not stray.sync_state):
                    found.append((findings.OF_STRAYS[name], stray))
        for name, strays in self.states.forged(self._facts(facts.holds).newest_pass).items():
            found += [(findings.OF_STRAYS[name], stray) for stray in strays]
        for kind, stray in found:
            customer = stray.customer or ""
            if str(stray.record_uuid) not in known and customer not in facts.holds:
                known.add(str(stray.record_uuid))
                tally.wrong.append(Finding(kind=kind, record_uuid=str(stray.record_uuid), customer=customer))


def _chunks(rows: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(rows)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk
