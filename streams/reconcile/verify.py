"""verify: every row of the source is exactly one of in sync, waiting, failed, held, excluded; and what says so is true.

Counted in one look at the tables, so the five add up at every moment, also while everything runs. A row that claims to
be in sync has to be in production, in the version and with the hash that were settled; one that failed needs an ERR
row. What is not so is counted as waiting (for its repair) and named. A thorough look also hashes the source once more,
and compares production with what was settled, cell by cell.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from connectors.tables.row_states import RowState, RowStatesReading
from mappings import columns, hashing, sizes
from mappings.loading import Mappings
from schemas import detection
from schemas.base import Model
from schemas.batches import SyncState
from streams.detect import holds
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


class Kind(StrEnum):
    """What can be wrong, each with what to say of it."""

    NEVER_SENT = "marked as in sync, and its newest version was never settled"
    NOT_IN_PRODUCTION = "marked as in sync, and production has not the version that was settled"
    STILL_IN_PRODUCTION = "excluded, and production still has it"
    PRODUCTION_EDITED = "production differs from what was settled"
    UNEXPLAINED = "failed, and no ERR row says why"
    SUM = "are in the source: the states do not add up"


WRONG = {
    RowState.NEVER_SENT: Kind.NEVER_SENT,
    RowState.NOT_IN_PRODUCTION: Kind.NOT_IN_PRODUCTION,
    RowState.STILL_IN_PRODUCTION: Kind.STILL_IN_PRODUCTION,
    RowState.UNEXPLAINED: Kind.UNEXPLAINED,
}


class Finding(Model):
    """One order of which the tables do not tell the truth."""

    kind: Kind
    record_uuid: str
    customer: str

    def __str__(self) -> str:
        return f"{self.customer} {self.record_uuid}: {self.kind.value}".strip()


class TablesReport(Model):
    """One look. The states of all customers add up to `source_rows`, in every customer to its rows.

    Of those that wait, `undetected` were not looked at by a pass as they are now; of those that failed, `refused` have
    no identity of their own. `seconds` is how long the look took.
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
        """All customers together."""
        return {state: sum(one.get(state, 0) for one in self.customers.values()) for state in SyncState}

    @property
    def summary(self) -> dict[str, Any]:
        """What status shows of it."""
        states = {state.value: n for state, n in self.total.items()}
        return {"at": self.at.isoformat(), "rows": self.source_rows, "wrong": len(self.wrong), "states": states}


class RowStates(Protocol):
    """connectors.tables.row_states.RowStates."""

    def read(self, family: str) -> AbstractContextManager[RowStatesReading]: ...
    def edited(self) -> set[str]: ...


class Source(Protocol):
    """connectors.tables.orders.Orders."""

    def columns(self) -> list[tuple[str, str]]: ...
    def scan(self, columns: Sequence[str]) -> Iterator[tuple[str, str | None, str, str | None]]: ...


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any: ...


@dataclass(frozen=True)
class Verifier:
    """Reads the tables; writes nothing."""

    states: RowStates
    source: Source
    store: Store
    mappings: Mappings
    now: Callable[[], datetime]

    def look(self, *, thorough: bool) -> TablesReport:
        """Counts. Costs one join of three tables; a thorough look as much again as a detection pass, and more."""
        began, at = time.monotonic(), self.now()
        edited = self.states.edited() if thorough else set()
        changed = self._changed() if thorough else set()
        customers: dict[str, dict[SyncState, int]] = {}
        wrong: list[Finding] = []
        special = {RowState.UNDETECTED: 0, RowState.REFUSED: 0}
        rows = 0
        canonicals: dict[str | None, str] = {}
        with self.states.read(holds.FAMILY) as seen:
            for record_uuid, name, known, standing in seen.rows:
                rows += 1
                if name not in canonicals:
                    canonicals[name] = self.mappings.customers.canonical(name)
                canonical = canonicals[name]
                customer = known or canonical
                if standing is RowState.REFUSED:
                    special[standing] += 1
                elif {known, canonical} & seen.holds:
                    customer, standing = next(iter({known, canonical} & seen.holds)) or "", RowState.HELD
                elif standing in (RowState.IN_SYNC, RowState.FAILED, RowState.EXCLUDED) and record_uuid in changed:
                    standing = RowState.UNDETECTED
                kind = WRONG.get(standing)
                state = STATES[standing]
                if standing is RowState.UNDETECTED:
                    special[standing] += 1
                elif standing is RowState.IN_SYNC and record_uuid in edited:
                    kind, state = Kind.PRODUCTION_EDITED, SyncState.WAITING
                if kind is not None:
                    wrong.append(Finding(kind=kind, record_uuid=record_uuid or "", customer=customer))
                counts = customers.setdefault(customer, {})
                counts[state] = counts.get(state, 0) + 1
            source_rows = seen.source_rows
        if rows != source_rows:
            wrong.append(Finding(kind=Kind.SUM, record_uuid="", customer=f"{rows} rows stand somewhere, {source_rows}"))
        return TablesReport(
            at=at,
            seconds=round(time.monotonic() - began, 3),
            thorough=thorough,
            source_rows=source_rows,
            customers=customers,
            undetected=special[RowState.UNDETECTED],
            refused=special[RowState.REFUSED],
            wrong=tuple(wrong),
        )

    def _changed(self) -> set[str]:
        """Orders whose row is not what a pass last saw of it. Empty while a new list of columns waits for its pass."""
        size_columns = sizes.size_columns(self.source.columns(), self.mappings.board.sizes)
        watched = columns.watched(self.mappings, size_columns)
        today = detection.Baseline(scheme=hashing.SCHEME, columns=watched)
        if self.store.get(detect.BASELINE) != today.model_dump(mode="json"):
            return set()
        return {uuid for uuid, known, text, _ in self.source.scan(watched) if known != hashing.row_hash(text)}
