"""verify checks that every source row is in exactly one of five states, and that the tables prove it.

Reads: ORDERS_UNIFIED, snapshot rows, MON_* and ERR tables, customer holds, the baseline. Writes: nothing. Emits:
nothing. Runs in: the worker's verify timer and `ordersync verify`. Runs twice: the second run reports the same rows.

Invariant: one read transaction counts all rows, so the five states add up at any moment, also while the processes run.
A row that is marked as in sync must be in production with the version and hash that were settled; a failed row needs an
ERR row. A row without this proof is reported as a finding. A thorough check also hashes the source once more, and
compares production with the settled versions cell by cell.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from connectors.tables.row_states import RowState, RowStatesReading
from mappings import hashing
from mappings.loading import Mappings
from schemas import detection
from schemas.base import Model
from schemas.batches import SyncState
from streams.detect import baseline, holds
from streams.detect import step as detect

STATES = {
    RowState.IN_SYNC: SyncState.IN_SYNC,
    RowState.WAITING: SyncState.WAITING,
    RowState.FAILED: SyncState.FAILED,
    RowState.HELD: SyncState.HELD,
    RowState.EXCLUDED: SyncState.EXCLUDED,
    RowState.UNDETECTED: SyncState.WAITING,
    RowState.REFUSED: SyncState.FAILED,
    RowState.NEVER_SENT: SyncState.WAITING,
    RowState.NOT_IN_PRODUCTION: SyncState.WAITING,
    RowState.STILL_IN_PRODUCTION: SyncState.WAITING,
    RowState.UNEXPLAINED: SyncState.FAILED,
}
# A row in one of these states becomes UNDETECTED when it differs from its snapshot row.
ENDED = frozenset({RowState.IN_SYNC, RowState.FAILED, RowState.EXCLUDED})


class Kind(StrEnum):
    """The kinds of findings, each with its text for the operator."""

    NEVER_SENT = "marked as in sync, but its newest version was never settled"
    NOT_IN_PRODUCTION = "marked as in sync, but production does not have the settled version"
    STILL_IN_PRODUCTION = "excluded, but production still has it"
    PRODUCTION_EDITED = "production differs from the settled version"
    UNEXPLAINED = "failed, but no ERR row gives the reason"
    SUM = "the states do not add up to the rows of the source"


WRONG = {
    RowState.NEVER_SENT: Kind.NEVER_SENT,
    RowState.NOT_IN_PRODUCTION: Kind.NOT_IN_PRODUCTION,
    RowState.STILL_IN_PRODUCTION: Kind.STILL_IN_PRODUCTION,
    RowState.UNEXPLAINED: Kind.UNEXPLAINED,
}


class Finding(Model):
    """One order whose snapshot row the other tables contradict. For Kind.SUM, `customer` holds the two numbers."""

    kind: Kind
    record_uuid: str
    customer: str

    def __str__(self) -> str:
        subject = f"{self.customer} {self.record_uuid}".strip()
        return f"{subject}: {self.kind.value}"


class TablesReport(Model):
    """The result of one check. The states of all customers add up to `source_rows`.

    `undetected` of the waiting rows changed after the last pass; `refused` of the failed rows have no identity of their
    own. `at` is UTC, `seconds` the duration of the check.
    """

    at: datetime
    seconds: float
    thorough: bool
    source_rows: int
    customers: dict[str, dict[SyncState, int]]
    undetected: int
    refused: int
    wrong: tuple[Finding, ...]

    @property
    def total(self) -> dict[SyncState, int]:
        """The rows of all customers by state."""
        return {state: sum(one.get(state, 0) for one in self.customers.values()) for state in SyncState}

    @property
    def summary(self) -> dict[str, Any]:
        """The part that `ordersync status` shows, as JSON values."""
        states = {state.value: n for state, n in self.total.items()}
        return {"at": self.at.isoformat(), "rows": self.source_rows, "wrong": len(self.wrong), "states": states}


class RowStates(Protocol):
    """connectors.tables.row_states.RowStates."""

    def read(self, family: str) -> AbstractContextManager[RowStatesReading]:
        """All rows as of one moment; `family` names the customer holds in SYNC_State. Raises Transient."""

    def edited(self) -> set[str]:
        """Orders whose production rows differ from their settled version. Raises Transient."""


class Source(Protocol):
    """connectors.tables.orders.Orders."""

    def columns(self) -> list[tuple[str, str]]:
        """Name and type of the source's columns. Raises Transient."""

    def scan(self, columns: Sequence[str]) -> Iterator[tuple[str, str | None, str, str | None]]:
        """Every row: identity, hash of its snapshot row, canonical text, former text. Raises Transient."""


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any:
        """The named value; None if it was never stored. Raises Transient."""


@dataclass
class _Tally:
    """Counts the rows of one check. `edited`: orders that differ in production; `changed`: rows that differ from their
    snapshot row. Both are empty unless the check is thorough.
    """

    edited: Collection[str]
    changed: Collection[str]
    rows: int = 0
    undetected: int = 0
    refused: int = 0
    customers: dict[str, dict[SyncState, int]] = field(default_factory=dict)
    wrong: list[Finding] = field(default_factory=list)

    def add(self, record_uuid: str | None, customer: str, row_state: RowState) -> None:
        """Counts one row."""
        self.rows += 1
        if row_state in ENDED and record_uuid in self.changed:
            row_state = RowState.UNDETECTED
        kind, state = WRONG.get(row_state), STATES[row_state]
        if row_state is RowState.UNDETECTED:
            self.undetected += 1
        elif row_state is RowState.REFUSED:
            self.refused += 1
        elif row_state is RowState.IN_SYNC and record_uuid in self.edited:
            kind, state = Kind.PRODUCTION_EDITED, SyncState.WAITING
        if kind is not None:
            self.wrong.append(Finding(kind=kind, record_uuid=record_uuid or "", customer=customer))
        counts = self.customers.setdefault(customer, {})
        counts[state] = counts.get(state, 0) + 1


@dataclass(frozen=True)
class Verifier:
    """Reads the tables; writes nothing. `now` is UTC."""

    states: RowStates
    source: Source
    store: Store
    mappings: Mappings
    now: Callable[[], datetime]

    def check(self, *, thorough: bool) -> TablesReport:
        """Counts every source row once. Raises Transient.

        A check costs one join of three tables; a thorough one costs more than a detection pass on top of that.
        """
        began, at = time.monotonic(), self.now()
        tally = _Tally(self.states.edited(), self._changed()) if thorough else _Tally((), ())
        canonicals: dict[str | None, str] = {}
        with self.states.read(holds.FAMILY) as reading:
            for record_uuid, name, known, row_state in reading.rows:
                if name not in canonicals:
                    canonicals[name] = self.mappings.customers.canonical(name)
                customer = known or canonicals[name]
                held = {known, canonicals[name]} & reading.holds
                if held and row_state is not RowState.REFUSED:
                    tally.add(record_uuid, next(iter(held)) or "", RowState.HELD)
                else:
                    tally.add(record_uuid, customer, row_state)
            source_rows = reading.source_rows
        if tally.rows != source_rows:
            numbers = f"{tally.rows} of {source_rows} rows have a state"
            tally.wrong.append(Finding(kind=Kind.SUM, record_uuid="", customer=numbers))
        return TablesReport(
            at=at,
            seconds=round(time.monotonic() - began, 3),
            thorough=thorough,
            source_rows=source_rows,
            customers=tally.customers,
            undetected=tally.undetected,
            refused=tally.refused,
            wrong=tuple(tally.wrong),
        )

    def _changed(self) -> set[str]:
        """Orders whose source row differs from their snapshot row. Empty while a new baseline waits for its pass."""
        stored = self.store.get(detect.BASELINE)
        today = baseline.today(self.source.columns(), self.mappings)
        if stored is None or detection.Baseline.model_validate(stored) != today:
            return set()
        row_hash = hashing.RowHasher(today.columns)
        return {uuid for uuid, known, text, _ in self.source.scan(today.columns) if known != row_hash(text)}
