"""The orders of chosen customers: their rows in the source, and what the snapshots know of them.

For what treats a customer as a whole: the archive, holds and roll back.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import sql
from connectors import database
from connectors.tables import chunks, row_text
from schemas.batches import SyncState

STATEMENTS = sql.load("customers")


class Known(NamedTuple):
    """What an order's snapshot says. `row_hash` is that of the newest version that was emitted."""

    row_hash: str
    state: SyncState
    customer: str


class Customers:
    """Reads ORDERS_UNIFIED and its snapshot by customer; `forget` alone writes, and only the snapshot."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def rows(
        self, columns: Sequence[str], raw_customers: Sequence[str]
    ) -> Iterator[tuple[str, int | None, str | None, str]]:
        """The rows of some raw customer names: identity, version and state of the snapshot, text. Streams."""
        statement = STATEMENTS["rows"].replace("{texts}", ", ".join(row_text.selected(self._db.engine, columns)))
        statement = sql.expand(statement, marks=len(raw_customers))
        with self._db.read() as session:
            for record_uuid, version, state, *parts in session.stream(statement, tuple(raw_customers)):
                yield record_uuid, version, state, row_text.joined(self._db.engine, parts)

    def known(self, record_uuids: Sequence[str]) -> dict[str, Known]:
        """What the snapshots of these orders say; absent where there is none."""
        with self._db.read() as session:
            rows = [
                row
                for some in chunks.batched(record_uuids)
                for row in session.query(sql.expand(STATEMENTS["known"], marks=len(some)), tuple(some))
            ]
        return {str(row["record_uuid"]): _known(row) for row in rows}

    def known_of(self, customer: str) -> dict[str, Known]:
        """The same of all orders of a customer that are shown or on their way."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["known_of"], (customer,))
        return {str(row["record_uuid"]): _known(row) for row in rows}

    def forgotten(self, customer: str) -> int:
        """How many orders of a customer wait to be detected again."""
        with self._db.read() as session:
            return int(session.value(STATEMENTS["forgotten"], (customer,)) or 0)

    def waiting(self, customer: str) -> int:
        """How many orders of a customer are on their way."""
        with self._db.read() as session:
            return int(session.value(STATEMENTS["waiting"], (customer,)) or 0)

    def forget(self, record_uuids: Sequence[str], mark: Callable[[database.Session], None]) -> None:
        """These orders will be detected again, and `mark` in the same transaction: all or nothing."""
        with self._db.write() as session:
            session.execute_many(STATEMENTS["forget"], [(uuid,) for uuid in record_uuids])
            mark(session)

    def states_beside(self, held: Sequence[str], raw_held: Sequence[str]) -> list[dict[str, Any]]:
        """`Orders.states` without the customers on hold: `held`, which the source writes as one of `raw_held`."""
        statement = sql.expand(STATEMENTS["states_beside"], customer_marks=len(held), name_marks=len(raw_held) or 1)
        with self._db.read() as session:
            return session.query(statement, (*held, *(raw_held or (None,))))

    def held_rows(self, held: Sequence[str], raw_held: Sequence[str]) -> list[tuple[str, str, int]]:
        """How many rows customers on hold have: raw customer name, the customer that a snapshot knows, rows.

        With or without a snapshot; those that are refused for their identity are not among them.
        """
        statement = sql.expand(STATEMENTS["held_rows"], customer_marks=len(held), name_marks=len(raw_held) or 1)
        with self._db.read() as session:
            rows = session.query(statement, (*held, *(raw_held or (None,))))
        return [(str(row["name"] or ""), str(row["customer"] or ""), int(row["orders"])) for row in rows]


def _known(row: dict[str, Any]) -> Known:
    return Known(str(row["row_hash"]), SyncState(row["sync_state"]), str(row["customer"] or ""))
