"""The ERR tables: every failure with its reason, until it is resolved, superseded or dismissed.

One row an order and version (or size), however often the failure is told: `error_key` is its identity. It is opened
again when it happens again after it had ended. connectors/tables/retries.py knows when a failure is tried again.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import sql
from connectors import database
from connectors.tables import batches, chunks, orders, staging
from schemas import detection, events, versions
from schemas.batches import SyncState
from schemas.failures import FailureType, Poison

STATEMENTS = sql.load("failures")
# Keys of poison, which belongs to no pass: they lie below those of the first one.
POISON_IDS = (1 << 27, 1 << 28)
INVALID = "INVALID"


class Failures:
    """Records and resolves. Times are UTC."""

    def __init__(self, db: database.Database, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def record(self, failed: Sequence[events.OrderFailed]) -> int:
        """Writes or renews an ERR row each, in one transaction. Returns how many were news.

        A failure from before its version was settled, or of an older version, is old news and dropped.
        """
        now = self._now()
        fresh = 0
        with self._db.write() as session:
            # What a failure takes the place of may be of another batch.
            touched = open_batches(session, [event.record_uuid for event in failed])
            settled = orders.settled_versions(session, sorted({event.record_uuid for event in failed}))
            for event in failed:
                staged = staging.order_context(session, event.record_uuid, event.version)
                if staged is None or not _counts(event, staged, settled.get(event.record_uuid, 0)):
                    continue
                fresh += _record(session, event, staged, database.to_db_time(now))
                _supersede(session, event, staged, database.to_db_time(now))
                end = orders.End(event.record_uuid, event.version, event.customer, SyncState.FAILED)
                orders.fail(session, [end], now)
                orders.fail_repair(session, event.record_uuid, event.version)
                touched.add(event.batch_id)
            batches.recount(session, touched, now)
        return fresh

    def poison(self, found: Sequence[Poison]) -> int:
        """An ERR row for bytes that are no event, once. Returns how many were news."""
        at, fresh = database.to_db_time(self._now()), 0
        with self._db.write() as session:
            for one in found:
                if _one(session, "order_error", (one.error_key,)) is not None:
                    continue
                first, end = POISON_IDS
                err_id = int(session.value(STATEMENTS["poison_id"], (first, first, end)))
                session.execute(STATEMENTS["insert_order_error"], _poison(one, err_id, at))
                fresh += 1
        return fresh

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

    def dismiss(self, err_id: int, *, reason: str, by: str) -> bool:
        """A person will not wait for it; its order stays as it is. False when there is no open failure of that id."""
        now = self._now()
        params = (database.to_db_time(now), by[:100], reason[:1000], err_id)
        with self._db.write() as session:
            whose = [row["record_uuid"] for row in session.query(STATEMENTS["order_of_error"], (err_id, err_id))]
            touched = open_batches(session, [str(uuid) for uuid in whose if uuid is not None])
            ended = sum(session.execute(STATEMENTS[kind], params) for kind in ("dismiss_order", "dismiss_size"))
            batches.recount(session, touched, now)
        return ended > 0


def open_batches(session: database.Session, record_uuids: Iterable[str]) -> set[str]:
    """The batches in which these orders have a failure that has not ended: to be recounted when that changes."""
    found: set[str] = set()
    for some in chunks.batched(sorted(set(record_uuids))):
        for name in ("open_batches", "open_batches_of_sizes"):
            rows = session.query(sql.expand(STATEMENTS[name], marks=len(some)), tuple(some))
            found.update(str(row["batch_id"]) for row in rows)
    return found


def resolve(session: database.Session, arrived: Sequence[tuple[str, int, bool]], at: str) -> set[str]:
    """Identity and version of orders that arrived, or left the board: their failures up to that version have ended.

    Returns the batches to recount.
    """
    touched = open_batches(session, [record_uuid for record_uuid, _, _ in arrived])
    ends = []
    for record_uuid, version, removed in arrived:
        reason = f"the order left the board with version {version}" if removed else f"version {version} arrived"
        ends.append((at, version, reason, record_uuid, version))
    session.execute_many(STATEMENTS["resolve_order"], ends)
    session.execute_many(STATEMENTS["resolve_sizes"], ends)
    return touched


def error_key(event: events.OrderFailed) -> str:
    """A version of an order, or one size of it, fails once; retries renew the same row."""
    return f"{event.record_uuid}:{event.version}:{event.size_label or ''}"


def _record(session: database.Session, event: events.OrderFailed, staged: dict[str, Any], at: str) -> int:
    key, size = error_key(event), event.size_label
    failed = (at, event.message, event.attempt)
    staging.mark_failed(session, event.record_uuid, event.version, size, failed)
    if _one(session, "size_error" if size else "order_error", (key,)) is not None:
        again = (
            event.attempt, at, event.failure.value, event.message, event.code, event.http_status, event.request_id,
            event.api_payload, int(event.retryable), key, event.attempt, database.to_db_time(event.failed_at),
        )  # fmt: skip
        return session.execute(STATEMENTS["size_failed_again" if size else "order_failed_again"], again)
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
    line = staging.size_context(session, event.record_uuid, event.version, size) or {}
    return session.execute(
        STATEMENTS["insert_size_error"],
        (
            line.get("stg_id", staged["stg_id"]), line.get("stg_id"), staged["stg_monday_item_id"], event.batch_id,
            staged["stg_customer_batch"], staged["order_number"], size, line.get("order_qty"), f"Size {size}", payload,
            event.failure.value, event.message, event.http_status, *tail,
        ),
    )  # fmt: skip


def _counts(event: events.OrderFailed, staged: dict[str, Any], settled: int) -> bool:
    ended = staged["stg_processed_date"]
    settled_at = None if ended is None else database.from_db_time(str(ended))
    return versions.may_record_failure(event.version, settled=settled, failed_at=event.failed_at, settled_at=settled_at)


def _supersede(session: database.Session, event: events.OrderFailed, staged: dict[str, Any], at: str) -> None:
    """An order has one failure that counts. A version that was refused replaces only what was refused before it."""
    reason = f"a later failure of the order counts, that of version {event.version}"
    refused = int(staged["validation_status"] == INVALID)
    params = (
        at, reason, event.record_uuid, error_key(event), event.version, refused, event.version, event.attempt,
    )  # fmt: skip
    session.execute(STATEMENTS["supersede_orders"], params)
    session.execute(STATEMENTS["supersede_sizes"], params)


def _poison(poison: Poison, err_id: int, at: str) -> tuple[Any, ...]:
    return (
        err_id, None, None, None, None, None, None, None, FailureType.UNDECODABLE.value, str(poison), None, at,
        poison.model_dump_json(), None, None, poison.key[:200] or None, FailureType.UNDECODABLE.value, None, 0,
        poison.error_key[:300],
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
