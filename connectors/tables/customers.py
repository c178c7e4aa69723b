"""The orders of chosen customers: source rows and snapshot rows, for the archive, customer holds and roll back."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import sql
from connectors import database
from connectors.tables import chunks, row_text
from schemas.batches import SyncState

STATEMENTS = sql.load("customers")


class Known(NamedTuple):
    """The snapshot row of one order. `row_hash` belongs to the version that was emitted last."""

    row_hash: str
    state: SyncState
    customer: str


class Customers:
    """Reads ORDERS_UNIFIED and the snapshot rows by customer; only `forget` writes, and only snapshot rows."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def rows(
        self, columns: Sequence[str], raw_customers: Sequence[str]
    ) -> Iterator[tuple[str, int | None, str | None, str]]:
        """Identity, version and state of the snapshot row, and canonical text of each source row of these customers.

        `raw_customers` are names as the source writes them; version and state are None without a snapshot row. Streams.
        """
        reading = row_text.reading(self._db)
        texts = ", ".join(reading.selected(columns, guarded=True))
        statement = sql.expand(STATEMENTS["rows"], uuid_text=reading.uuid_text, texts=texts, marks=len(raw_customers))
        with self._db.read() as session:
            for record_uuid, version, state, *parts in session.stream(statement, tuple(raw_customers)):
                yield record_uuid, version, state, reading.joined(parts)

    def known(self, record_uuids: Sequence[str]) -> dict[str, Known]:
        """The snapshot rows of these orders, by identity; an order without one is absent."""
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["known"], record_uuids)
        return {str(row["record_uuid"]): _known(row) for row in rows}

    def known_of(self, customer: str) -> dict[str, Known]:
        """The snapshot rows of a customer's orders that are on the board or on their way, by identity."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["known_of"], (customer,))
        return {str(row["record_uuid"]): _known(row) for row in rows}

    def forgotten(self, customer: str) -> int:
        """The number of a customer's orders that wait to be detected once more."""
        with self._db.read() as session:
            return int(session.value(STATEMENTS["forgotten"], (customer,)) or 0)

    def waiting(self, customer: str) -> int:
        """The number of a customer's orders that are on their way."""
        with self._db.read() as session:
            return int(session.value(STATEMENTS["waiting"], (customer,)) or 0)

    def forget(self, record_uuids: Sequence[str], mark: Callable[[database.Session], None]) -> None:
        """Has the next pass detect these orders once more, and calls `mark` in the same transaction."""
        with self._db.write() as session:
            session.execute_many(STATEMENTS["forget"], [(uuid,) for uuid in record_uuids])
            mark(session)

    def states_beside(self, held: Sequence[str], raw_held: Sequence[str]) -> list[dict[str, Any]]:
        """`Orders.states` without the customers on hold: `held`, whose names the source writes as `raw_held`."""
        marks = {"customer_marks": len(held), "name_marks": len(raw_held) or 1}
        uuid = row_text.reading(self._db).uuid_text
        statement = sql.expand(STATEMENTS["states_beside"], uuid_text=uuid, **marks)
        with self._db.read() as session:
            return session.query(statement, (*held, *(raw_held or (None,))))

    def held_rows(self, held: Sequence[str], raw_held: Sequence[str]) -> list[tuple[str, str, int]]:
        """The rows of customers on hold: raw customer name, customer of the snapshot row ("" without one), row count.

        Refused rows are not among them.
        """
        reading = row_text.reading(self._db)
        texts = {"uuid_text": reading.uuid_text, "name_text": reading.name_text}
        marks = {"customer_marks": len(held), "name_marks": len(raw_held) or 1}
        statement = sql.expand(STATEMENTS["held_rows"], **texts, **marks)
        with self._db.read() as session:
            rows = session.query(statement, (*held, *(raw_held or (None,))))
        return [(row_text.text_of(row["name"]) or "", str(row["customer"] or ""), int(row["orders"])) for row in rows]


def _known(row: dict[str, Any]) -> Known:
    return Known(str(row["row_hash"]), SyncState(row["sync_state"]), str(row["customer"] or ""))
