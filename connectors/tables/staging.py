"""The STG tables: one staged order for each version of an order, with its sizes, and the status of both."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sql
from connectors import database
from connectors.tables import batches, chunks, orders
from schemas import items, texts
from schemas.base import Cell
from schemas.batches import StagingStatus
from schemas.orders import Problem, StagedOrder, read_problems, stored_problems
from schemas.versions import ConfirmedVersion, LeftSizes, StagedVersion, Version, is_superseded

MASTER = "STG_MON_CustMasterSchedule"
SUBITEMS = "STG_MON_CustMasterSchedule_Subitems"
STATEMENTS = sql.load("staging")
# The keys of sizes that left an order begin at this distance from the order's own key (`OrderChanged.stg_id`).
LEFT_SIZES = 1024

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
    "kafka_offset", "warnings",
)  # fmt: skip
SIZE_COLUMNS = (
    "stg_id", "stg_batch_id", "stg_parent_stg_id", "stg_status", "stg_created_date", "stg_retry_count", "source_uuid",
    "version", "row_hash", "CUSTOMER", "ORDER_QTY", "Size", "stg_size_label", "Order Qty", "update_operation",
    "source_table", "validation_status", *COPIED.values(),
)  # fmt: skip
INVALID = "INVALID"


class Staging:
    """Writes and reads staged orders. `columns` are the staging columns that the mapping fills, in any order.

    Every write is one transaction, which also counts the batches of these orders. Times are UTC.
    """

    def __init__(
        self, db: database.Database, columns: Collection[str], *, board_id: str, now: Callable[[], datetime]
    ) -> None:
        self._db = db
        self._columns = tuple(sorted(set(columns) - {"Title", "Group", "CUSTOMER"}))
        self._board_id = int(board_id)
        self._now = now

    def versions(self, record_uuids: Sequence[str]) -> dict[str, dict[int, StagedVersion]]:
        """The staged versions of each order, by identity and number; an order without one is absent."""
        staged: dict[str, dict[int, StagedVersion]] = {}
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["staged_versions"], record_uuids)
        for row in rows:
            version = StagedVersion(StagingStatus(row["stg_status"]), row["validation_status"] != INVALID)
            staged.setdefault(str(row["source_uuid"]), {})[int(row["version"])] = version
        return staged

    def settled_versions(self, record_uuids: Sequence[str]) -> dict[str, int]:
        """The settled version of each order that has a snapshot row, by identity; 0 for none."""
        with self._db.read() as session:
            return orders.settled_versions(session, record_uuids)

    def write(self, staged: Sequence[StagedOrder]) -> None:
        """Stages these orders; a valid version supersedes older ones that are still PENDING."""
        now = self._now()
        at = database.to_db_time(now)
        # Rows and statements are built before the transaction, because other workers wait for its end.
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

    def load(self, identities: Sequence[Version]) -> dict[Version, StagedOrder]:
        """The staged orders of these versions, with their sizes; a version that is not staged is absent."""
        wanted = set(identities)
        uuids = sorted({uuid for uuid, _ in identities})
        with self._db.read() as session:
            ids = [
                int(row["stg_id"])
                for row in chunks.query(session, STATEMENTS["staged_versions"], uuids)
                if Version(str(row["source_uuid"]), int(row["version"])) in wanted
            ]
            columns = FIXED + self._columns + ("stg_monday_item_id",)
            rows = chunks.query(session, STATEMENTS["orders"], ids, columns=columns)
            sizes: dict[int, dict[str, int]] = {}
            for size in chunks.query(session, STATEMENTS["sizes"], ids):
                sizes.setdefault(int(size["stg_parent_stg_id"]), {})[size["stg_size_label"]] = int(size["Order Qty"])
        loaded = [self._order(row, sizes.get(int(row["stg_id"]), {})) for row in rows]
        return {Version(order.record_uuid, order.version): order for order in loaded}

    def finish(self, ends: Sequence[ConfirmedVersion]) -> None:
        """Sets versions that the board shows to API_SUCCESS, with their sizes and item ids."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            for record_uuid, version, item_id in ends:
                number = None if item_id is None else int(item_id)
                session.execute(STATEMENTS["sizes_confirmed"], (at, item_id, number, record_uuid, version))
                session.execute(STATEMENTS["order_done"], (at, number, number, record_uuid, version))
            recount(session, [end.version for end in ends], self._now())

    def begin_again(self, identities: Sequence[Version]) -> None:
        """Sets replayed settled versions to INFLIGHT: `finish` ends them, and settle promotes them once more."""
        with self._db.write() as session:
            session.execute_many(STATEMENTS["order_again"], identities)
            recount(session, identities, self._now())

    def supersede(self, identities: Sequence[Version]) -> None:
        """Ends versions that a newer staged one supersedes, with their sizes."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            for record_uuid, version in identities:
                if session.execute(STATEMENTS["order_superseded"], (at, record_uuid, version)):
                    session.execute(STATEMENTS["sizes_superseded"], (at, record_uuid, version))
            recount(session, identities, self._now())

    def stage_left_sizes(self, left: Sequence[LeftSizes]) -> None:
        """Stages sizes that left their order with quantity 0; a size that is staged already stays."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            for stg_id, (record_uuid, version), sizes in left:
                for size in sizes:
                    # The key lies behind the sizes that are staged by now: a second run may stage other left sizes.
                    key = stg_id + LEFT_SIZES
                    session.execute(STATEMENTS["stage_left_size"], (key, at, size, size, record_uuid, version, size))

    def _master(self, order: StagedOrder, at: str) -> tuple[Cell, ...]:
        notes = json.dumps([str(problem) for problem in order.problems + order.warnings], ensure_ascii=False)
        fixed: tuple[Cell, ...] = (
            order.stg_id, order.batch_id, texts.cut(order.customer, 100), order.status.value,
            "; ".join(str(problem) for problem in order.problems) or None, 0, at, order.record_uuid, order.version,
            order.row_hash, order.source_row, order.item_name, order.group_name, order.customer, at,
            "DELETE" if order.removed else "CREATE", orders.SOURCE,
            INVALID if order.problems else "VALID", notes if order.problems or order.warnings else None, self._board_id,
            order.origin.partition if order.origin else None, order.origin.offset if order.origin else None,
            stored_problems(order.warnings),
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
            warnings=read_problems(row["warnings"]),
            item_id=None if item is None else str(item),
            source_row=row["source_row"],
        )


def _supersede_older(session: database.Session, staged: Sequence[StagedOrder], at: str) -> set[str]:
    """Ends the PENDING versions that these supersede. Returns the ids of their batches."""
    newest: dict[str, int] = {}
    for order in staged:
        if not order.problems:  # A refused version supersedes nothing: the board keeps the last valid one.
            newest[order.record_uuid] = max(order.version, newest.get(order.record_uuid, 0))
    pending = chunks.query(session, STATEMENTS["pending_versions"], sorted(newest))
    older = [row for row in pending if is_superseded(int(row["version"]), newest_valid=newest[str(row["source_uuid"])])]
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


def statuses(session: database.Session, record_uuids: Sequence[str]) -> list[dict[str, Any]]:
    """Status, operation, hash, customer and batch of every staged version of these orders."""
    return chunks.query(session, STATEMENTS["staged_statuses"], record_uuids)


def order(session: database.Session, record_uuid: str, version: int) -> dict[str, Any] | None:
    """The values of a staged version that its retry needs; None when the version is not staged."""
    return chunks.first(session, STATEMENTS["staged_order"], (record_uuid, version))


def order_context(session: database.Session, record_uuid: str, version: int) -> dict[str, Any] | None:
    """The values of a staged order that its ERR row repeats; None when the version is not staged."""
    return chunks.first(session, STATEMENTS["order_context"], (record_uuid, version))


def size_context(session: database.Session, record_uuid: str, version: int, size: str) -> dict[str, Any] | None:
    """The values of a staged size that its ERR row repeats; None when the size is not staged."""
    return chunks.first(session, STATEMENTS["size_context"], (record_uuid, version, size))


def newest_valid_version(session: database.Session, record_uuid: str) -> int:
    """The newest staged version of an order that validation accepted; 0 when there is none."""
    return int(session.value(STATEMENTS["newest_staged"], (record_uuid,)) or 0)


def mark_inflight(
    session: database.Session, mutation: items.Mutation, key: str, versions: Mapping[str, int], first_sent_at: str
) -> None:
    """Notes the intent of a request on the order or size that the mutation is about."""
    if isinstance(mutation, items.GroupMutation):
        return
    operation = "CREATE" if mutation.kind.startswith("create") else "UPDATE"
    if isinstance(mutation, items.RemoveItem):
        operation = "DELETE"
    version = versions[mutation.record_uuid]
    params = (key, first_sent_at, mutation.model_dump_json(), operation, mutation.record_uuid, version)
    if isinstance(mutation, items.CreateSubitem | items.UpdateSubitem):
        session.execute(STATEMENTS["size_inflight"], (*params, mutation.size_label))
    else:
        session.execute(STATEMENTS["order_inflight"], params)


def mark_done(session: database.Session, entity: items.Entity, version: int, at: str) -> None:
    """Notes the item or subitem that the board has confirmed."""
    number = int(entity.item_id)
    if entity.size_label:
        board = int(entity.board_id) if entity.board_id else None
        params = (number, number, board, at, entity.record_uuid, version, entity.size_label)
        session.execute(STATEMENTS["size_done"], params)
    else:
        session.execute(STATEMENTS["order_item"], (number, number, entity.record_uuid, version))


def mark_failed(
    session: database.Session, record_uuid: str, version: int, size: str | None, failed: tuple[str, str, int]
) -> None:
    """Notes the failure of an order, and of the size that caused it, if any; `failed` is time, message and attempt."""
    session.execute(STATEMENTS["order_failed"], (*failed, record_uuid, version))
    if size:
        session.execute(STATEMENTS["size_failed"], (*failed, record_uuid, version, size))


def mark_promoted(session: database.Session, ends: Sequence[tuple[str, str, int]]) -> None:
    """Sets orders and their sizes to PROMOTED; `ends` are time, identity and version."""
    session.execute_many(STATEMENTS["order_promoted"], ends)
    session.execute_many(STATEMENTS["sizes_promoted"], ends)


def supersede_open(session: database.Session, newest: Sequence[tuple[str, str, int]]) -> None:
    """Ends the open versions of orders that are older than `newest`: time, identity and version of each order."""
    session.execute_many(STATEMENTS["older_sizes_superseded"], newest)
    session.execute_many(STATEMENTS["older_superseded"], newest)


def recount(session: database.Session, identities: Iterable[Version], now: datetime) -> None:
    """Counts the batches of these versions from the STG tables."""
    ids = (session.value(STATEMENTS["batch_of"], identity) for identity in identities)
    batches.recount(session, {str(batch) for batch in ids if batch is not None}, now)
