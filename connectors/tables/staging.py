"""The STG tables: every version of an order on its way, with its sizes."""

import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import sql
from connectors import database
from connectors.tables import batches, orders
from schemas.base import Cell
from schemas.batches import StagingStatus
from schemas.orders import Problem, StagedOrder

MASTER = "STG_MON_CustMasterSchedule"
SUBITEMS = "STG_MON_CustMasterSchedule_Subitems"
STATEMENTS = sql.load("stage") | {"orders": sql.load("sync")["orders"], "sizes": sql.load("sync")["sizes"]}

# The staged columns of a master row that are copied to each of its sizes, and their names there.
COPIED = {
    "AAG ORDER NUMBER": "AAG_ORDER_NUMBER",
    "STYLE": "STYLE",
    "COLOR": "COLOR",
    "PO NUMBER": "PO_NUMBER",
    "CUSTOMER ALT PO": "CUSTOMER_ALT_PO",
    "UNIT OF MEASURE": "UNIT_OF_MEASURE",
}
FIXED = (
    "stg_id", "stg_batch_id", "stg_customer_batch", "stg_status", "stg_error_message", "stg_retry_count",
    "stg_created_date", "source_uuid", "version", "row_hash", "source_row", "Title", "Group", "CUSTOMER", "UpdateDate",
    "update_operation", "source_table", "validation_status", "validation_errors", "board_id", "kafka_partition",
    "kafka_offset",
)  # fmt: skip
SIZE_COLUMNS = (
    "stg_id", "stg_batch_id", "stg_parent_stg_id", "stg_status", "stg_created_date", "stg_retry_count", "source_uuid",
    "version", "row_hash", "CUSTOMER", "ORDER_QTY", "Size", "stg_size_label", "Order Qty", "update_operation",
    "source_table", "validation_status", *COPIED.values(),
)  # fmt: skip
INVALID = "INVALID"


class Staging:
    """Writes and reads staged orders. `columns` are the staging columns that the mapping fills, in any order."""

    def __init__(
        self, db: database.Database, columns: Collection[str], *, board_id: str, now: Callable[[], datetime]
    ) -> None:
        self._db = db
        self._columns = tuple(sorted(set(columns) - {"Title", "Group", "CUSTOMER"}))
        self._board_id = int(board_id)
        self._now = now

    def versions(self, record_uuids: Sequence[str]) -> dict[str, dict[int, StagingStatus]]:
        """What is staged of each order: version → status. A refused version counts as API_FAILED."""
        found: dict[str, dict[int, StagingStatus]] = {}
        with self._db.read() as session:
            for row in _rows(session, STATEMENTS["staged_versions"], record_uuids):
                status = StagingStatus(row["stg_status"])
                found.setdefault(str(row["source_uuid"]), {})[int(row["version"])] = status
        return found

    def settled_versions(self, record_uuids: Sequence[str]) -> dict[str, int]:
        """The newest version of each order that reached an end, good or bad."""
        with self._db.read() as session:
            return orders.settled_versions(session, record_uuids)

    def write(self, staged: Sequence[StagedOrder]) -> None:
        """All of them in one transaction; a valid version supersedes older ones that nobody began to write."""
        now = self._now()
        at = database.to_db_time(now)
        # Made ready before the transaction: a database with one writer lets the other workers in that much earlier.
        columns = FIXED + self._columns
        insert_order = sql.expand(STATEMENTS["insert_order"], columns=columns, marks=len(columns))
        insert_size = sql.expand(STATEMENTS["insert_subitem"], columns=SIZE_COLUMNS, marks=len(SIZE_COLUMNS))
        masters = [self._master(order, at) for order in staged]
        sizes = [row for order in staged for row in _sizes(order, at)]
        with self._db.write() as session:
            touched = {order.batch_id for order in staged} | _supersede_older(session, staged, at)
            session.execute_many(insert_order, masters)
            session.execute_many(insert_size, sizes)
            batches.recount(session, touched, now)

    def load(self, identities: Sequence[tuple[str, int]]) -> dict[tuple[str, int], StagedOrder]:
        """The staged orders of these identities and versions, whole. What is not staged is absent."""
        wanted = set(identities)
        uuids = sorted({uuid for uuid, _ in identities})
        with self._db.read() as session:
            ids = [
                int(row["stg_id"])
                for row in _rows(session, STATEMENTS["staged_versions"], uuids)
                if (str(row["source_uuid"]), int(row["version"])) in wanted
            ]
            columns = FIXED + self._columns + ("stg_monday_item_id",)
            rows = _rows(session, STATEMENTS["orders"], ids, columns=columns)
            sizes: dict[int, dict[str, int]] = {}
            for size in _rows(session, STATEMENTS["sizes"], ids):
                sizes.setdefault(int(size["stg_parent_stg_id"]), {})[size["stg_size_label"]] = int(size["Order Qty"])
        loaded = [self._order(row, sizes.get(int(row["stg_id"]), {})) for row in rows]
        return {(order.record_uuid, order.version): order for order in loaded}

    def _master(self, order: StagedOrder, at: str) -> tuple[Cell, ...]:
        notes = json.dumps([str(problem) for problem in order.problems + order.warnings], ensure_ascii=False)
        fixed: tuple[Cell, ...] = (
            order.stg_id, order.batch_id, order.customer[:100], order.status.value,
            "; ".join(str(problem) for problem in order.problems) or None, 0, at, order.record_uuid, order.version,
            order.row_hash, order.source_row, order.item_name, order.group_name, order.customer, at,
            "DELETE" if order.removed else "CREATE", orders.SOURCE,
            INVALID if order.problems else "VALID", notes if order.problems or order.warnings else None, self._board_id,
            order.origin.partition if order.origin else None, order.origin.offset if order.origin else None,
        )  # fmt: skip
        return fixed + tuple(order.values.get(column) for column in self._columns)

    def _order(self, row: dict[str, Any], sizes: dict[str, int]) -> StagedOrder:
        item = row["stg_monday_item_id"]
        named = {"Title": row["Title"], "Group": row["Group"], "CUSTOMER": row["CUSTOMER"]}
        values = {column: row[column] for column in self._columns if row[column] is not None}
        return StagedOrder(
            stg_id=int(row["stg_id"]),
            record_uuid=str(row["source_uuid"]),
            version=int(row["version"]),
            row_hash=row["row_hash"],
            batch_id=str(row["stg_batch_id"]),
            customer=row["CUSTOMER"],
            status=StagingStatus(row["stg_status"]),
            group_name=row["Group"] or "",
            item_name=row["Title"] or "",
            values=values | {name: value for name, value in named.items() if value},
            sizes=sizes,
            removed=row["update_operation"] == "DELETE",
            problems=(_refused(row),) if row["validation_status"] == INVALID else (),
            item_id=None if item is None else str(item),
            source_row=row["source_row"],
        )


def _supersede_older(session: database.Session, staged: Sequence[StagedOrder], at: str) -> set[str]:
    """Ends what these replace. Returns the batches whose counters that changes."""
    newest: dict[str, int] = {}
    for order in staged:
        if not order.problems:  # A refused version supersedes nothing: the board keeps the last good one.
            newest[order.record_uuid] = max(order.version, newest.get(order.record_uuid, 0))
    pending = _rows(session, STATEMENTS["pending_versions"], sorted(newest))
    older = [row for row in pending if int(row["version"]) < newest[str(row["source_uuid"])]]
    ended = [(at, int(row["stg_id"])) for row in older]
    session.execute_many(STATEMENTS["supersede_sizes"], ended)
    session.execute_many(STATEMENTS["supersede"], ended)
    return {str(row["stg_batch_id"]) for row in older}


def _refused(row: dict[str, Any]) -> Problem:
    return Problem(column="(row)", value=None, reason=row["stg_error_message"] or "refused", advice="See its ERR row")


def _sizes(order: StagedOrder, at: str) -> list[tuple[Cell, ...]]:
    copied = tuple(order.values.get(column) for column in COPIED)
    return [
        (
            order.stg_id + position, order.batch_id, order.stg_id, order.status.value, at, 0, order.record_uuid,
            order.version, order.row_hash, order.customer, quantity, size, size, quantity, "CREATE",
            orders.SOURCE, "VALID", *copied,
        )
        for position, (size, quantity) in enumerate(order.sizes.items(), start=1)
    ]  # fmt: skip


def _rows(
    session: database.Session, statement: str, keys: Sequence[str | int], **names: Sequence[str]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for some in orders.batched(keys):
        found += session.query(sql.expand(statement, marks=len(some), **names), tuple(some))
    return found
