"""`ordersync trace`: the history of one order, in the order of time. It reads SQL only."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from connectors import database
from connectors.tables import row_text
from mappings import columns, sizes
from schemas import detection, texts
from schemas.base import Cell, Model
from schemas.batches import StagingStatus
from schemas.orders import Problem, read_problems
from streams.detect import events as detect_events
from streams.detect import holds, unreadable
from streams.resources import Resources, utcnow
from streams.runtime import connect
from streams.settings import Settings

Row = dict[str, Any]
ENDS = {
    StagingStatus.PROMOTED: "settled",
    StagingStatus.API_SUCCESS: "on the board",
    StagingStatus.SUPERSEDED: "superseded by a newer version",
}


class Order(Model):
    """The names of an order, and its state."""

    record_uuid: str
    customer: str
    number: str
    po: str
    state: str

    @property
    def title(self) -> str:
        """The order in one line."""
        return f"{self.customer} {self.number or '(no number)'}, PO {self.po or '(none)'}"


class Moment(Model):
    """One event in the history of an order. `at` is UTC, as the tables write it."""

    at: str
    version: int | None
    what: str
    details: dict[str, Cell]


class Difference(Model):
    """A watched column in which the source row differs from the settled version."""

    column: str
    settled: Cell
    source: Cell


class OrderHistory(Model):
    """The history of an order. `now`: its state, one line each. `differences`: of its row from the settled version.

    `warnings` are those of the settled version in production.
    """

    order: Order
    moments: tuple[Moment, ...]
    now: tuple[str, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[Problem, ...] = ()


def find(settings: Settings, text: str) -> list[Order]:
    """The orders with this record_uuid, AAG ORDER NUMBER or PO number, by number."""
    with connect.database(settings) as parts:
        found = [_order(parts, row) for row in parts.history.find(text)]
    return sorted(found, key=lambda order: (order.customer, order.number, order.record_uuid))


def trace(settings: Settings, order: Order) -> OrderHistory:
    """The history that SQL has of an order. Versions that the clean-up removed are missing."""
    with connect.database(settings) as parts:
        staged, snapshot = parts.history.staged(order.record_uuid), parts.history.snapshot(order.record_uuid)
        moments = [*_detected_only(snapshot, staged)]
        for row in staged:
            moments += [*_staged(row), *_written(parts, order.record_uuid, row)]
        moments += _failed(parts.history.errors(order.record_uuid))
        held = holds.holds(parts.state).get(str(snapshot["customer"])) if snapshot else None
        if held is not None:
            details: dict[str, Cell] = {"customer": held.customer, "by": held.by}
            moments.append(_moment(database.to_db_time(held.at), None, "customer put on hold", details))
        source = _source(parts, order.record_uuid)
        settled = next((row for row in staged if snapshot and row["version"] == snapshot["settled_version"]), None)
        differences = _differences(source, settled)
        promoted = parts.history.production(order.record_uuid)
        now = (*_state(parts, order, snapshot, promoted, held is not None), _compared(source, settled, differences))
    in_time = sorted(moments, key=lambda moment: moment.at)
    return OrderHistory(
        order=order,
        moments=tuple(in_time),
        now=now,
        differences=tuple(differences),
        warnings=read_problems(promoted["warnings"]) if promoted else (),
    )


def _order(parts: Resources, row: Row) -> Order:
    snapshot = parts.history.snapshot(str(row["record_uuid"]))
    deleted = snapshot is not None and snapshot["row_hash"] == detection.DELETED
    state = "not detected yet" if snapshot is None else "left the source" if deleted else str(snapshot["sync_state"])
    return Order(
        record_uuid=str(row["record_uuid"]),
        customer=parts.mappings.customers.canonical(row["customer"] or ""),
        number=texts.trimmed(str(row["number"] or "")),
        po=texts.trimmed(str(row["po"] or "")),
        state=state,
    )


def _moment(at: Any, version: int | None, what: str, details: dict[str, Cell]) -> Moment:
    given = {name: value for name, value in details.items() if value not in (None, "")}
    return Moment(at=str(at), version=version if isinstance(version, int) else None, what=what, details=given)


def _detected_only(snapshot: Row | None, staged: Sequence[Row]) -> Iterator[Moment]:
    """The newest version, while no worker has staged it."""
    if snapshot is None or not snapshot["batch_id"] or snapshot["version"] in {row["version"] for row in staged}:
        return
    details: dict[str, Cell] = {"hash": snapshot["row_hash"], "batch": snapshot["batch_id"]}
    yield _moment(snapshot["snapshot_date"], snapshot["version"], "detected, its event is on its way", details)


def _staged(row: Row) -> Iterator[Moment]:
    version, status = row_text.number(row["version"]), row["stg_status"]
    if row["batch"] is not None:
        detected: dict[str, Cell] = {
            "pass": row["batch"]["version"], "by": row["batch"]["started_by"], "hash": row["row_hash"],
            "batch": row["batch_id"],
        }  # fmt: skip
        yield _moment(row["batch"]["start_time"], version, "detected", detected)
    origin = None
    if row["kafka_offset"] is not None:
        origin = f"{row['kafka_partition']}, offset {row['kafka_offset']}"
    details: dict[str, Cell] = {
        "orders.changed partition": origin, "sizes": row["sizes"], "staged row": row["stg_id"],
        "refused": row["stg_error_message"] if row["validation_status"] == "INVALID" else None,
        "warned": "; ".join(str(problem) for problem in read_problems(row["warnings"])),
    }  # fmt: skip
    yield _moment(row["stg_created_date"], version, "staged", details)
    if status in ENDS and row["stg_processed_date"] is not None:
        removed = row["update_operation"] == "DELETE"
        what = "settled: removed from the board" if removed and status == StagingStatus.PROMOTED else ENDS[status]
        yield _moment(row["stg_processed_date"], version, what, {"item": row["stg_monday_item_id"]})


def _written(parts: Resources, record_uuid: str, row: Row) -> Iterator[Moment]:
    until = row["stg_processed_date"] if row["stg_status"] in ENDS else None
    until = until or database.to_db_time(utcnow())
    version = row_text.number(row["version"])
    for request in parts.history.requests(record_uuid, version, str(row["stg_created_date"]), str(until)):
        kinds = Counter(str(one["kind"]) for one in request["mutations"])
        details: dict[str, Cell] = {
            "mutations": ", ".join(f"{n} {kind}" for kind, n in kinds.items()), "outcome": request["outcome"] or "open",
            "answered": request["finished_at"], "attempts": request["attempts"], "http": request["http_status"],
            "request id": request["request_id"], "key": request["request_key"],
        }  # fmt: skip
        yield _moment(request["first_sent_at"], version, "sent to the board", details)


def _failed(rows: Sequence[Row]) -> Iterator[Moment]:
    for row in rows:
        failure = {"failure": row["err_id"], "size": row["size_label"]}
        cause = {"code": row["error_code"], "http": row["http_status_code"], "request id": row["request_id"]}
        message = {"message": row["error_message"]}
        yield _moment(row["created_date"], row["version"], "failed", {**failure, **cause, **message})
        if row["last_retry_date"] is not None:
            what = f"retry {row['retry_count']} failed" if row["retry_count"] else "failed again"
            yield _moment(row["last_retry_date"], row["version"], what, {**failure, "code": row["error_code"]})
        if row["next_retry_at"] is not None:
            yield _moment(row["next_retry_at"], row["version"], "to be retried", failure)
        if row["resolved_date"] is not None:
            resolved = {"by": row["resolved_by"], "reason": row["resolution_reason"]}
            what = f"failure {row['resolution'].lower()}"
            yield _moment(row["resolved_date"], row["version"], what, {**failure, **resolved})


def _source(parts: Resources, record_uuid: str) -> dict[str, Cell] | None:
    """The watched cells of the source row now; None without a row."""
    watched = columns.watched(parts.mappings, sizes.size_columns(parts.orders.columns(), parts.mappings.board.sizes))
    row = parts.orders.rows([record_uuid], watched).get(record_uuid)
    if row is None:
        return None
    cells = unreadable.readable(dict(zip(watched, row_text.cells(row[2]), strict=True)))
    return dict.fromkeys(cells) | detect_events.truncate_row(cells)


def _differences(source: dict[str, Cell] | None, settled: Row | None) -> list[Difference]:
    if source is None or settled is None or settled["update_operation"] == "DELETE":
        return []
    settled_row = _settled_row(settled["source_row"])
    return [
        Difference(column=name, settled=settled_row.get(name), source=cell)
        for name, cell in source.items()
        if settled_row.get(name) != cell
    ]


def _settled_row(stored: object) -> dict[str, Any]:
    """The row as it was staged; without any cell if another program wrote something else there."""
    try:
        row = json.loads(str(stored))
    except ValueError:
        return {}
    return unreadable.readable(row) if isinstance(row, dict) else {}


def _state(parts: Resources, order: Order, snapshot: Row | None, promoted: Row | None, held: bool) -> Iterator[str]:
    if snapshot is None:
        yield "state    not detected yet"
        return
    failed = f", {snapshot['failed_version']} failed" if snapshot["failed_version"] else ""
    holding = "; the customer is on hold" if held else ""
    yield (
        f"state    {order.state}: newest version {snapshot['version']}, "
        f"{snapshot['settled_version'] or 'none'} settled{failed}{holding}"
    )
    item, subitems = parts.ledger.known([order.record_uuid]).get(order.record_uuid, (None, []))
    if item is None:
        yield "board    no item"
    else:
        shown = ", ".join(f"{one.size_label} {one.item_id}" for one in subitems if one.active)
        yield f"board    item {item.item_id}{'' if item.active else ', not active'}; subitems: {shown or 'none'}"
    if promoted is None:
        yield "settled  no row in production"
    else:
        yield f"settled  version {promoted['version']}, since {str(promoted['promoted_at'])[:19].replace('T', ' ')} UTC"


def _compared(source: dict[str, Cell] | None, settled: Row | None, differences: Sequence[Difference]) -> str:
    if source is None:
        return "source   the row does not exist any more"
    if settled is None or settled["update_operation"] == "DELETE":
        return "source   the row exists, and no version of it is settled"
    if differences:
        return f"source   the row differs from the settled version in {len(differences)} columns"
    return "source   the row equals the settled version"
