"""The ERR tables: every failure with its reason, until it is resolved.

One row an order and version (or size), however often the failure is told: `error_key` is its identity.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sql
from connectors import batches, database, orders
from schemas import detection, events
from schemas.batches import SyncState
from schemas.failures import FailureType

STATEMENTS = sql.load("retry")
SETTLE = sql.load("settle")


class Failures:
    """Records, schedules and resolves. Times are UTC."""

    def __init__(self, db: database.Database, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def record(self, failed: Sequence[events.OrderFailed]) -> int:
        """Writes or renews an ERR row each, in one transaction. Returns how many were news.

        A failure of a version that is settled meanwhile, or older than that, is old news and dropped.
        """
        now = self._now()
        fresh = 0
        with self._db.write() as session:
            touched: set[str] = set()
            settled = orders.settled_versions(session, sorted({event.record_uuid for event in failed}))
            for event in failed:
                staged = _one(session, "order_context", (event.record_uuid, event.version))
                if staged is None or event.version <= settled.get(event.record_uuid, 0):
                    continue
                fresh += _record(session, event, staged, database.to_db_time(now))
                end = orders.End(event.record_uuid, event.version, event.customer, SyncState.FAILED)
                orders.fail(session, [end], now)
                touched.add(event.batch_id)
            batches.recount(session, touched, now)
        return fresh

    def schedule(self, event: events.OrderFailed, due: datetime | None) -> bool:
        """When to try again; None: never by itself. False when the failure is resolved or failed again since."""
        kind = "schedule_size" if event.size_label else "schedule_order"
        at = None if due is None else database.to_db_time(due)
        with self._db.write() as session:
            params = (at, int(due is None), error_key(event), event.attempt)
            return session.execute(STATEMENTS[kind], params) == 1

    def claim_due(self, again_at: datetime) -> list[events.OrderStaged]:
        """Takes what is due. If this process dies before it is emitted, it is due again at `again_at`."""
        now, later = database.to_db_time(self._now()), database.to_db_time(again_at)
        claimed: dict[tuple[str, int], events.OrderStaged] = {}
        with self._db.write() as session:
            for row in session.query(STATEMENTS["due"], (now, now)):
                kind = "claim_order" if row["kind"] == "ORDER" else "claim_size"
                if session.execute(STATEMENTS[kind], (later, row["error_key"], now)) == 0:
                    continue  # Another process was quicker.
                identity = (str(row["record_uuid"]), int(row["version"]))
                staged = _one(session, "staged_order", identity)
                if staged is not None:
                    claimed[identity] = events.OrderStaged(
                        customer=staged["customer"],
                        record_uuid=identity[0],
                        version=identity[1],
                        row_hash=staged["row_hash"],
                        batch_id=staged["batch_id"],
                        cause=events.Cause.RETRY,
                        attempt=int(row["retry_count"]) + 1,
                    )
        return list(claimed.values())

    def refuse(self, refusals: Sequence[detection.Refusal], version: int) -> int:
        """The source rows without an identity of their own, as they are now: new ones are written, mended resolved."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            # A row may be mended and go bad again: the pass that found it is part of the key.
            known = {
                str(row["error_key"]).rsplit("#", 1)[0]: row["error_key"]
                for row in session.query(STATEMENTS["refusals"])
            }
            for key in known.keys() - {refusal.error_key for refusal in refusals}:
                session.execute(STATEMENTS["resolve_refusal"], (at, known[key]))
            news = [refusal for refusal in refusals if refusal.error_key not in known]
            for position, refusal in enumerate(news):
                # The flag bit keeps these keys apart from those of the pass's staged orders.
                err_id = version << 28 | 1 << 27 | position
                session.execute(STATEMENTS["insert_order_error"], _refusal(refusal, err_id, version, at))
        return len(news)

    def waiting(self) -> list[dict[str, Any]]:
        """Failures that nobody resolved yet, the newest first."""
        with self._db.read() as session:
            return session.query(STATEMENTS["open_errors"])


def error_key(event: events.OrderFailed) -> str:
    """A version of an order, or one size of it, fails once; retries renew the same row."""
    return f"{event.record_uuid}:{event.version}:{event.size_label or ''}"


def _record(session: database.Session, event: events.OrderFailed, staged: dict[str, Any], at: str) -> int:
    key, size = error_key(event), event.size_label
    failed = (at, event.message, event.attempt)
    session.execute(SETTLE["order_failed"], (*failed, event.record_uuid, event.version))
    if size:
        session.execute(SETTLE["size_failed"], (*failed, event.record_uuid, event.version, size))
    if _one(session, "size_error" if size else "order_error", (key,)) is not None:
        renewed = (event.attempt, at, event.message, event.code, event.request_id, key, event.attempt)
        return session.execute(STATEMENTS["size_failed_again" if size else "order_failed_again"], renewed)
    payload = event.api_payload or staged["stg_api_payload"]
    original = event.original_data or staged["source_row"]
    tail = (
        at, original, event.record_uuid, event.version, event.customer, event.code, event.request_id,
        int(event.retryable), key,
    )  # fmt: skip
    if size is None:
        return session.execute(
            STATEMENTS["insert_order_error"],
            (
                staged["stg_id"], staged["stg_id"], event.batch_id, staged["stg_customer_batch"],
                staged["order_number"], staged["item_name"], staged["group_name"], payload, event.failure.value,
                event.message, event.http_status, *tail,
            ),
        )  # fmt: skip
    line = _one(session, "size_context", (event.record_uuid, event.version, size)) or {}
    return session.execute(
        STATEMENTS["insert_size_error"],
        (
            line.get("stg_id", staged["stg_id"]), line.get("stg_id"), staged["stg_monday_item_id"], event.batch_id,
            staged["stg_customer_batch"], staged["order_number"], size, line.get("order_qty"), f"Size {size}", payload,
            event.failure.value, event.message, event.http_status, *tail,
        ),
    )  # fmt: skip


def _refusal(refusal: detection.Refusal, err_id: int, version: int, at: str) -> tuple[Any, ...]:
    return (
        err_id, None, None, None, refusal.order_number, None, None, None, FailureType.VALIDATION_ERROR.value,
        str(refusal.problem), None, at, refusal.original_data, refusal.record_uuid, version, refusal.customer,
        refusal.code, None, 0, f"{refusal.error_key}#{version}",
    )  # fmt: skip


def _one(session: database.Session, name: str, params: tuple[Any, ...]) -> dict[str, Any] | None:
    found = session.query(STATEMENTS[name], params)
    return found[0] if found else None
