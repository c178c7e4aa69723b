"""What the board holds, as the API confirmed it: one row an item and one a size. And the board's groups."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sql
from connectors import database
from connectors.tables import chunks
from connectors.tables import lease as leases
from schemas import items

STATEMENTS = sql.load("ledger")

# Of each order: its item, if it ever had one, and its subitems.
Known = tuple[items.Entity | None, list[items.Entity]]


class Ledger:
    """Reads for the planner; the journal writes it, in the transaction that records an outcome."""

    def __init__(self, db: database.Database, *, board_id: str, now: Callable[[], datetime]) -> None:
        self._db = db
        self._board_id = board_id
        self._now = now

    def known(self, record_uuids: Sequence[str]) -> dict[str, Known]:
        """What the board is known to hold of these orders; absent when it never held anything."""
        found: dict[str, Known] = {}
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                statement = sql.expand(STATEMENTS["ledger"], marks=len(some))
                for row in session.query(statement, tuple(some)):
                    entity = _entity(row)
                    item, sizes = found.get(entity.record_uuid, (None, []))
                    if entity.size_label:
                        found[entity.record_uuid] = (item, [*sizes, entity])
                    else:
                        found[entity.record_uuid] = (entity, sizes)
        return found

    def groups(self) -> dict[str, str]:
        """Name → id of the groups that are known."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["groups"], (self._board_id,))
        return {str(row["group_name"]): str(row["group_id"]) for row in rows}

    def owners(self, item_ids: Sequence[str]) -> dict[str, str]:
        """The orders whose items these are known to be, by item id; others are absent."""
        found: dict[str, str] = {}
        with self._db.read() as session:
            for some in chunks.batched(item_ids):
                statement = sql.expand(STATEMENTS["items_of_others"], marks=len(some))
                for row in session.query(statement, tuple(some)):
                    found[str(row["item_id"])] = str(row["record_uuid"])
        return found

    def correct(self, entities: Sequence[tuple[items.Entity, int]], grant: leases.Grant) -> None:
        """What the board was seen to show, each with the version it was compared with, in place of what was known.

        Raises LeaseLost when another process is the writer: what it wrote since is news to the one that looked.
        """
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            leases.require(session, grant)
            for entity, version in entities:
                remember(session, entity, version, at)

    def remember_groups(self, groups: Mapping[str, str]) -> None:
        """The board's groups as it told them, in place of what was known."""
        with self._db.write() as session:
            session.execute(STATEMENTS["forget_groups"], (self._board_id,))
            session.execute_many(
                STATEMENTS["remember_group"],
                [(self._board_id, name, gid, self._board_id, name) for name, gid in groups.items()],
            )


def remember(session: database.Session, entity: items.Entity, version: int, at: str) -> None:
    """One confirmed entity, in place of what was known of it."""
    session.execute(STATEMENTS["forget_entity"], (entity.record_uuid, entity.size_label))
    columns = json.dumps(entity.columns, ensure_ascii=False)
    session.execute(
        STATEMENTS["remember_entity"],
        (
            entity.record_uuid, entity.size_label, entity.item_id, entity.board_id, entity.name, entity.group_name,
            columns, int(entity.active), version, at,
        ),
    )  # fmt: skip
    if not entity.active and not entity.size_label:
        session.execute(STATEMENTS["retire_sizes"], (at, entity.record_uuid))


def remember_group(session: database.Session, board_id: str, name: str, group_id: str) -> None:
    """A group that was just made."""
    session.execute(STATEMENTS["remember_group"], (board_id, name, group_id, board_id, name))


def _entity(row: dict[str, Any]) -> items.Entity:
    return items.Entity(
        record_uuid=row["record_uuid"],
        size_label=row["size_label"],
        item_id=row["item_id"],
        board_id=row["board_id"],
        name=row["name"],
        group_name=row["group_name"],
        columns=json.loads(row["columns_json"]),
        active=bool(row["active"]),
    )
