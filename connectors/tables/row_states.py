"""How every row of the source stands, in one consistent look; and what production shows that was not settled so."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sql
from connectors import database
from connectors.tables import chunks, orders, state
from schemas.base import Cell

STATEMENTS = sql.load("row_states")


class RowState(StrEnum):
    """The states of a source row (schemas.batches.SyncState), and what keeps a row from being in one of them."""

    IN_SYNC = "IN_SYNC"
    WAITING = "WAITING"
    FAILED = "FAILED"
    HELD = "HELD"
    EXCLUDED = "EXCLUDED"
    # No pass has looked at it as it is now.
    UNDETECTED = "UNDETECTED"
    # It has no identity, or shares it.
    REFUSED = "REFUSED"
    # What the snapshot says is not true.
    NEVER_SENT = "NEVER_SENT"
    NOT_IN_PRODUCTION = "NOT_IN_PRODUCTION"
    STILL_IN_PRODUCTION = "STILL_IN_PRODUCTION"
    UNEXPLAINED = "UNEXPLAINED"


@dataclass(frozen=True)
class RowStatesReading:
    """One moment of the tables. `rows`: identity, raw customer name, known customer and standing of each source row.

    `holds` are the names of the customers on hold.
    """

    holds: frozenset[str]
    source_rows: int
    rows: Iterator[tuple[str | None, str | None, str | None, RowState]]


class RowStates:
    """Reads only. `columns` are the promoted columns that staging and production share."""

    def __init__(self, db: database.Database, columns: Sequence[str]) -> None:
        self._db = db
        self._columns = sorted(set(columns) - {"Item ID"})

    @contextmanager
    def read(self, family: str) -> Iterator[RowStatesReading]:
        """Everything in it is of one moment. `family` names the facts of holds. Streams: memory does not grow."""
        with self._db.read() as session:
            held = frozenset(state.family_of(session, family))
            total = orders.count_source(session)
            rows = session.stream(STATEMENTS["standings"])
            yield RowStatesReading(
                held,
                total,
                ((uuid, name, customer, RowState(standing)) for uuid, name, customer, standing in rows),
            )

    def edited(self) -> set[str]:
        """Orders that production shows otherwise than they were staged and settled: somebody wrote there."""
        statement = sql.expand(STATEMENTS["edited_orders"], columns=self._columns)
        with self._db.read() as session:
            found = session.query(statement)
            for name in ("edited_sizes", "missing_sizes"):
                found += session.query(STATEMENTS[name])
        return {str(row["record_uuid"]) for row in found}

    def production_items(self) -> dict[str, tuple[str, int]]:
        """Item id and version of each order in production."""
        with self._db.read() as session:
            rows = session.stream(STATEMENTS["production_items"])
            return {str(uuid): (str(item_id), int(version)) for uuid, item_id, version in rows}

    def production(self, record_uuids: Sequence[str]) -> tuple[list[dict[str, Cell]], list[dict[str, Cell]]]:
        """Orders (the promoted columns and `source_uuid`) and sizes of these, for a comparison."""
        masters: list[dict[str, Any]] = []
        sizes: list[dict[str, Any]] = []
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                statement = sql.expand(STATEMENTS["some_orders"], columns=self._columns, marks=len(some))
                masters += session.query(statement, tuple(some))
                sizes += session.query(sql.expand(STATEMENTS["some_sizes"], marks=len(some)), tuple(some))
        return masters, sizes
