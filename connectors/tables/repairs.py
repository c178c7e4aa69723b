"""What repairs read and mark: the settled version of an order as it was staged, and that it is on its way again."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sql
from connectors import database
from connectors.tables import chunks
from schemas.base import Cell, Model
from schemas.batches import SyncState
from schemas.versions import Version

STATEMENTS = sql.load("repairs")


class Staged(Model):
    """A version as it was staged. `row`: the source row by its own column names; `removed`: it had left."""

    stg_id: int
    batch_id: str
    row_hash: str
    customer: str
    removed: bool
    row: dict[str, Cell]


class Settled(Model):
    """What is settled of an order. `version` is 0 for none; `known_hash` and `newest` are those of its last detection.

    `staged` is None when the staged row of that version was cleaned away.
    """

    record_uuid: str
    customer: str
    version: int
    newest: int
    known_hash: str
    state: SyncState
    staged: Staged | None


class Repairs:
    """The snapshot, as repairs see it."""

    def __init__(self, db: database.Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def settled(self, record_uuids: Sequence[str]) -> dict[str, Settled]:
        """By identity; an order that was never detected is absent."""
        found: dict[str, Settled] = {}
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                for row in session.query(sql.expand(STATEMENTS["settled_orders"], marks=len(some)), tuple(some)):
                    found[str(row["record_uuid"])] = _settled(row)
        return found

    def in_source(self, record_uuids: Sequence[str]) -> set[str]:
        """Those that the source has now."""
        found: set[str] = set()
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                statement = sql.expand(STATEMENTS["in_source"], marks=len(some))
                found.update(str(uuid) for (uuid,) in session.stream(statement, tuple(some)))
        return found

    def wait_again(self, settled: Sequence[Version]) -> None:
        """Settled versions that are about to be emitted once more: their orders are WAITING.

        Before they are emitted: what is lost on the way is found by the sweep like anything that waits.
        """
        with self._db.write() as session:
            at = database.to_db_time(self._now())
            session.execute_many(STATEMENTS["wait_again"], [(at, uuid, version) for uuid, version in settled])

    def on_their_way_again(self) -> dict[str, str]:
        """Orders whose settled version was emitted again and has not arrived, and since when: a window full at most."""
        with self._db.read() as session:
            return dict(session.stream(STATEMENTS["waiting_again"]))

    def waiting_since(self, record_uuids: Sequence[str]) -> dict[str, str]:
        """Since when these are on their way; absent when they are not."""
        found: dict[str, str] = {}
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                found.update(session.stream(sql.expand(STATEMENTS["waiting_since"], marks=len(some)), tuple(some)))
        return found

    def still_waiting(self, record_uuids: Sequence[str]) -> int:
        """How many of these are on their way."""
        with self._db.read() as session:
            return sum(
                int(session.value(sql.expand(STATEMENTS["still_waiting"], marks=len(some)), tuple(some)) or 0)
                for some in chunks.batched(record_uuids)
            )

    def detect_again(self, record_uuids: Sequence[str]) -> None:
        """The next pass takes these for changed."""
        with self._db.write() as session:
            session.execute_many(STATEMENTS["detect_again"], [(uuid,) for uuid in record_uuids])


def _settled(row: dict[str, Any]) -> Settled:
    return Settled(
        record_uuid=str(row["record_uuid"]),
        customer=row["customer"] or "",
        version=int(row["settled_version"]),
        newest=int(row["version"]),
        known_hash=row["known_hash"],
        state=SyncState(row["sync_state"]),
        staged=None if row["stg_id"] is None else _staged(row),
    )


def _staged(row: dict[str, Any]) -> Staged:
    return Staged(
        stg_id=int(row["stg_id"]),
        batch_id=str(row["batch_id"]),
        row_hash=row["row_hash"],
        customer=row["staged_customer"] or row["customer"] or "",
        removed=row["update_operation"] == "DELETE",
        row=json.loads(row["source_row"] or "{}"),
    )
