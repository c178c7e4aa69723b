"""The settled version of an order as it was staged, and the mark that its repair is on its way."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sql
from connectors import database
from connectors.tables import chunks, row_text
from schemas.base import Cell, Model
from schemas.batches import SyncState
from schemas.versions import Version

STATEMENTS = sql.load("repairs")


class Staged(Model):
    """A staged version. `row` is the source row by its own column names; `removed` says that the row had left."""

    stg_id: int
    batch_id: str
    row_hash: str
    customer: str
    removed: bool
    row: dict[str, Cell]


class Settled(Model):
    """The settled version of an order, 0 for none. `known_hash` and `newest` belong to its last detection.

    `staged` is None when the clean-up has removed the staged row of that version, or it cannot be read.
    """

    record_uuid: str
    customer: str
    version: int
    newest: int
    known_hash: str
    state: SyncState
    staged: Staged | None


class Repairs:
    """Reads and marks snapshot rows for repairs. Times are UTC, as `database.to_db_time` writes them."""

    def __init__(self, db: database.Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def settled(self, record_uuids: Sequence[str]) -> dict[str, Settled]:
        """The settled versions of these orders, by identity; an order that was never detected is absent."""
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["settled_orders"], record_uuids)
        return {str(row["record_uuid"]): _settled(row) for row in rows}

    def last_rows(self, record_uuids: Sequence[str]) -> dict[str, tuple[str, str, dict[str, Cell] | None]]:
        """Customer, order number and source row of the last version of these orders; None for a row that is not kept.

        A removal has no row.
        """
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["last_rows"], record_uuids)
        return {
            str(row["record_uuid"]): (
                row_text.shown(row["customer"]) or "",
                row_text.shown(row["order_number"]) or "",
                json.loads(row["source_row"]) if row["source_row"] else None,
            )
            for row in rows
        }

    def in_source(self, record_uuids: Sequence[str]) -> set[str]:
        """Those of these identities that the source has now."""
        if not record_uuids:
            return set()
        uuid = row_text.reading(self._db).uuid_text
        with self._db.read() as session:
            statement = STATEMENTS["in_source"].replace("{uuid_text}", uuid)
            rows = chunks.query(session, statement, record_uuids)
        return {str(row["record_uuid"]) for row in rows}

    def wait_again(self, settled: Sequence[Version]) -> None:
        """Sets the orders of settled versions that are about to be re-emitted to WAITING.

        The caller does it before it emits, so that the lost-event sweep finds a re-emitted order whose event is lost.
        """
        with self._db.write() as session:
            at = database.to_db_time(self._now())
            session.execute_many(STATEMENTS["wait_again"], [(at, uuid, version) for uuid, version in settled])

    def on_their_way_again(self) -> dict[str, str]:
        """Orders whose re-emitted settled version is on its way, and since when; at most an admission window."""
        with self._db.read() as session:
            return dict(session.stream(STATEMENTS["waiting_again"]))

    def waiting_since(self, record_uuids: Sequence[str]) -> dict[str, str]:
        """Since when these orders are on their way, by identity; an order that is not is absent."""
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["waiting_since"], record_uuids)
        return {row["record_uuid"]: row["snapshot_date"] for row in rows}

    def still_waiting(self, record_uuids: Sequence[str]) -> int:
        """The number of these orders that are on their way."""
        with self._db.read() as session:
            return sum(
                int(session.value(sql.expand(STATEMENTS["still_waiting"], marks=len(some)), tuple(some)) or 0)
                for some in chunks.batched(record_uuids)
            )

    def forget_future(self, record_uuids: Sequence[str], newest: int) -> None:
        """Voids every version above `newest`, the last pass, that a table has of these orders: no pass gave it.

        The next pass detects them again, with a version that replaces what was written so.
        """
        with self._db.write() as session:
            for name in (
                "forget_staged", "forget_staged_sizes", "void_production", "void_production_sizes", "void_ledger",
            ):  # fmt: skip
                session.execute_many(STATEMENTS[name], [(uuid, newest) for uuid in record_uuids])
            session.execute_many(STATEMENTS["void_snapshot"], [(uuid,) for uuid in record_uuids])

    def detect_again(self, record_uuids: Sequence[str]) -> None:
        """Has the next pass detect these orders once more."""
        with self._db.write() as session:
            session.execute_many(STATEMENTS["detect_again"], [(uuid,) for uuid in record_uuids])


def _settled(row: dict[str, Any]) -> Settled:
    return Settled(
        record_uuid=str(row["record_uuid"]),
        customer=row_text.shown(row["customer"]) or "",
        version=row_text.number(row["settled_version"]),
        newest=row_text.number(row["version"]),
        known_hash=row_text.shown(row["known_hash"]) or "",
        state=SyncState.read(row["sync_state"]),
        staged=None if row["stg_id"] is None else _staged(row),
    )


def _staged(row: dict[str, Any]) -> Staged | None:
    """The staged version; None for one that cannot be read, which is as if the clean-up had removed it."""
    try:
        return Staged(
            stg_id=int(row["stg_id"]),
            batch_id=str(row["batch_id"]),
            row_hash=row["row_hash"],
            customer=row_text.shown(row["staged_customer"] or row["customer"]) or "",
            removed=row["update_operation"] == "DELETE",
            row=json.loads(row["source_row"] or "{}"),
        )
    except (TypeError, ValueError):
        return None
