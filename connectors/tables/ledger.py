"""SYNC_Ledger and SYNC_Groups: the items, subitems and groups of the board, as the API confirmed them."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sql
from connectors import database
from connectors.tables import chunks, row_text
from connectors.tables import lease as leases
from schemas import items

STATEMENTS = sql.load("ledger")

# The item of an order, None if it never had one, and its subitems.
Known = tuple[items.Entity | None, list[items.Entity]]


class Ledger:
    """Reads the ledger for the planner; the journal writes it, in the transaction that records an outcome."""

    def __init__(self, db: database.Database, *, board_id: str, now: Callable[[], datetime]) -> None:
        self._db = db
        self._board_id = board_id
        self._now = now

    def known(self, record_uuids: Sequence[str]) -> dict[str, Known]:
        """The ledger rows of these orders, by identity; an order that never was on the board is absent."""
        known: dict[str, Known] = {}
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["ledger"], record_uuids)
        for entity in map(_entity, rows):
            item, sizes = known.get(entity.record_uuid, (None, []))
            known[entity.record_uuid] = (item, [*sizes, entity]) if entity.size_label else (entity, sizes)
        return known

    def groups(self) -> dict[str, str]:
        """The ids of the known groups, by group name."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["groups"], (self._board_id,))
        return {str(row["group_name"]): str(row["group_id"]) for row in rows}

    def items_in_groups(self, names: Sequence[str]) -> dict[str, int]:
        """The number of our active items in each of these groups; a group without one is absent."""
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["items_in_groups"], names)
        return {str(row["group_name"]): int(row["items"]) for row in rows}

    def owners(self, item_ids: Sequence[str]) -> dict[str, str]:
        """The orders to which these items belong, by item id; an item that the ledger does not have is absent."""
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["items_of_others"], item_ids)
        return {str(row["item_id"]): str(row["record_uuid"]) for row in rows}

    def active_items(self, most: int) -> list[tuple[str, str]]:
        """Board id and item id of up to `most` items that the ledger knows."""
        with self._db.read() as session:
            rows = itertools.islice(session.stream(STATEMENTS["active_items"]), most)
            return [(str(board_id), str(item_id)) for board_id, item_id in rows]

    def items_of_orders(self) -> dict[str, str]:
        """The id of the active item of each order that the ledger knows."""
        with self._db.read() as session:
            return {str(uuid): str(item_id) for uuid, item_id in session.stream(STATEMENTS["items_of_orders"])}

    def promoted(self, record_uuids: Sequence[str]) -> set[str]:
        """Those of these orders that production has: the board shows them, whether or not the ledger knows."""
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["promoted"], record_uuids)
        return {str(row["source_uuid"]) for row in rows}

    def changed_since(self, at: datetime) -> set[str]:
        """The orders of which the API confirmed anything since then (UTC)."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["changed_since"], (database.to_db_time(at),))
        return {str(row["record_uuid"]) for row in rows}

    def correct(self, entities: Sequence[tuple[items.Entity, int]], grant: leases.Grant) -> None:
        """Replaces ledger rows by entities read from the board, each with the version that it was compared with.

        Raises LeaseLost when another process is the writer, because it may have written since the board was read.
        """
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            leases.require(session, grant)
            for entity, version in entities:
                remember(session, entity, version, at)

    def forget(self) -> dict[str, int]:
        """Empties the ledger and ends the requests in doubt, in one transaction: another board takes their place.

        Returns how many there were, by kind. No writer may hold the lease.
        """
        with self._db.write() as session:
            entities = session.execute(STATEMENTS["forget_entities"])
            groups = session.execute(STATEMENTS["forget_all_groups"])
            requests = session.execute(STATEMENTS["forget_requests"], (database.to_db_time(self._now()),))
        return {"items and sizes": entities, "groups": groups, "requests in doubt": requests}

    def remember_groups(self, groups: Mapping[str, str]) -> None:
        """Replaces the known groups by those that were read from the board: ids by group name."""
        with self._db.write() as session:
            session.execute(STATEMENTS["forget_groups"], (self._board_id,))
            session.execute_many(
                STATEMENTS["remember_group"],
                [(self._board_id, name, gid, self._board_id, name) for name, gid in groups.items()],
            )


def remember(session: database.Session, entity: items.Entity, version: int, at: str) -> None:
    """Replaces the ledger row of one confirmed entity; a removed item takes its subitems along."""
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
    """Adds a group that the API has just created."""
    session.execute(STATEMENTS["remember_group"], (board_id, name, group_id, board_id, name))


def _entity(row: dict[str, Any]) -> items.Entity:
    """An entity, whatever the table holds: of columns that cannot be read nothing is known, so all of them are sent."""
    names = ("record_uuid", "size_label", "item_id", "board_id", "name", "group_name")
    texts = {name: row_text.shown(row[name]) or "" for name in names}
    try:
        return items.Entity(**texts, columns=json.loads(row["columns_json"]), active=bool(row["active"]))
    except (TypeError, ValueError):
        return items.Entity(**texts, columns={}, active=bool(row["active"]))
