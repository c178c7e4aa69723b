"""The state of every source row, read at one moment, and the orders that production shows otherwise than settled."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

import sql
from connectors import database
from connectors.tables import chunks, orders, row_text, state
from schemas.base import Cell

STATEMENTS = sql.load("row_states")


class RowState(StrEnum):
    """The states of a source row (schemas.batches.SyncState), and the reasons why a row is in none of them."""

    IN_SYNC = "IN_SYNC"
    WAITING = "WAITING"
    FAILED = "FAILED"
    HELD = "HELD"
    EXCLUDED = "EXCLUDED"
    # No pass has read the row as it is now.
    UNDETECTED = "UNDETECTED"
    # The row has no identity, or shares it with another row.
    REFUSED = "REFUSED"
    # The other tables do not prove the state that the snapshot row claims.
    NEVER_SENT = "NEVER_SENT"
    NOT_IN_PRODUCTION = "NOT_IN_PRODUCTION"
    STILL_IN_PRODUCTION = "STILL_IN_PRODUCTION"
    UNEXPLAINED = "UNEXPLAINED"


@dataclass(frozen=True)
class RowStatesReading:
    """The tables at one moment. `holds` are the names of the customers on hold.

    `rows`: identity, raw customer name, customer of the snapshot row, and state of each source row.
    """

    holds: frozenset[str]
    source_rows: int
    rows: Iterator[tuple[str | None, str | None, str | None, RowState]]


class RowStates:
    """Reads states and production. `columns` are the promoted columns that staging and production share."""

    def __init__(self, db: database.Database, columns: Sequence[str]) -> None:
        self._db = db
        self._columns = sorted(set(columns) - {"Item ID"})

    @contextmanager
    def read(self, family: str) -> Iterator[RowStatesReading]:
        """Reads everything in one transaction. `family` is that of the named values of customer holds. Streams."""
        reading = row_text.reading(self._db)
        statement = sql.expand(STATEMENTS["standings"], uuid_text=reading.uuid_text, name_text=reading.name_text)
        with self._db.read() as session:
            holds = frozenset(state.family_of(session, family))
            source_rows = orders.count_source(session)
            rows = session.stream(statement)
            states = (
                (uuid, row_text.text_of(name), customer, RowState(row_state))
                for uuid, name, customer, row_state in rows
            )
            yield RowStatesReading(holds, source_rows, states)

    def edited(self) -> set[str]:
        """Orders that production shows otherwise than they were staged and settled: another program wrote there."""
        statement = sql.expand(STATEMENTS["edited_orders"], columns=self._columns)
        with self._db.read() as session:
            rows = session.query(statement)
            for name in ("edited_sizes", "missing_sizes"):
                rows += session.query(STATEMENTS[name])
        return {str(row["record_uuid"]) for row in rows}

    def production_items(self) -> dict[str, tuple[str, int]]:
        """Item id and version of each order in production, by identity."""
        with self._db.read() as session:
            rows = session.stream(STATEMENTS["production_items"])
            return {str(uuid): (str(item_id), int(version)) for uuid, item_id, version in rows}

    def production(self, record_uuids: Sequence[str]) -> tuple[list[dict[str, Cell]], list[dict[str, Cell]]]:
        """These orders in production (the promoted columns and `source_uuid`), and their sizes."""
        with self._db.read() as session:
            masters = chunks.query(session, STATEMENTS["some_orders"], record_uuids, columns=self._columns)
            return masters, chunks.query(session, STATEMENTS["some_sizes"], record_uuids)
