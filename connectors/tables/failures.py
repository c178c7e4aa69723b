"""The ERR tables: every failure with its reason, until it is resolved, superseded or dismissed.

There is one ERR row for one version of an order, or one size of it, however often its event arrives: `error_key` is its
identity. A failure that recurs after it had ended reopens its row. connectors/tables/retries.py writes the due times.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import sql
from connectors import database
from connectors.tables import batches, chunks, orders, staging
from schemas import detection, events, texts, versions
from schemas.batches import SyncState
from schemas.failures import FailureType, Poison

STATEMENTS = sql.load("failures")
# The keys of ERR rows of undecodable bytes, which belong to no pass: they lie below the keys of the first pass.
POISON_IDS = (1 << 27, 1 << 28)
INVALID = "INVALID"


class Failures:
    """Records, lists and dismisses failures. Times are UTC."""

    def __init__(self, db: database.Database, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def record(self, failed: Sequence[events.OrderFailed]) -> int:
        """Writes or reopens one ERR row for each event, in one transaction. Returns how many rows that changed.

        Drops a failure that is older than the settlement of its version, or of a superseded version.
        """
        now = self._now()
        changed = 0
        with self._db.write() as session:
            # A failure may supersede one of another batch, so all open batches of these orders are counted.
            touched = open_batches(session, [event.record_uuid for event in failed])
            settled = orders.settled_versions(session, sorted({event.record_uuid for event in failed}))
            for event in failed:
                staged = staging.order_context(session, event.record_uuid, event.version)
                if staged is None or not _counts(event, staged, settled.get(event.record_uuid, 0)):
                    continue
                changed += _record(session, event, staged, database.to_db_time(now))
                _supersede(session, event, staged, database.to_db_time(now))
                end = orders.End(event.record_uuid, event.version, event.customer, SyncState.FAILED)
                orders.fail(session, [end], now)
                orders.fail_repair(session, event.record_uuid, event.version)
                touched.add(event.batch_id)
            batches.recount(session, touched, now)
        return changed

    def poison(self, found: Sequence[Poison]) -> int:
        """Writes one ERR row for undecodable bytes that have none yet. Returns the number of new rows."""
        at, new = database.to_db_time(self._now()), 0
        with self._db.write() as session:
            for undecodable in found:
                if chunks.first(session, STATEMENTS["order_error"], (undecodable.error_key,)) is not None:
                    continue
                first, end = POISON_IDS
                err_id = int(session.value(STATEMENTS["poison_id"], (first, first, end)))
                session.execute(STATEMENTS["insert_order_error"], _poison(undecodable, err_id, at))
                new += 1
        return new

    def refuse(self, refusals: Sequence[detection.Refusal], version: int, *, partial: Collection[str] = ()) -> int:
        """Brings the ERR rows of refused rows to all `refusals` of pass `version`. Returns the number of new ones.

        Writes a row for each new refusal, and resolves the rows of those that are corrected in the source, but none of
        the codes in `partial`: the pass did not look at all of their rows.
        """
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            # The pass is part of the key, because a corrected row may be refused once more in a later pass.
            known = {str(row["error_key"]).rsplit("#", 1)[0]: row for row in session.query(STATEMENTS["refusals"])}
            for key in known.keys() - {refusal.error_key for refusal in refusals}:
                if known[key]["error_code"] not in partial:
                    session.execute(STATEMENTS["resolve_refusal"], (at, known[key]["error_key"]))
            new = [refusal for refusal in refusals if refusal.error_key not in known]
            for position, refusal in enumerate(new):
                # The flag bit keeps these keys apart from those of the pass's staged orders.
                err_id = version << 28 | 1 << 27 | position
                session.execute(STATEMENTS["insert_order_error"], _refusal(refusal, err_id, version, at))
        return len(new)

    def waiting(self) -> list[dict[str, Any]]:
        """The open failures of orders and sizes, the newest first."""
        with self._db.read() as session:
            return session.query(STATEMENTS["open_errors"])

    def counts(self) -> dict[str, int]:
        """The number of open failures of orders and sizes, by code."""
        with self._db.read() as session:
            return {str(row["error_code"]): int(row["open"]) for row in session.query(STATEMENTS["open_counts"])}

    def dismiss(self, err_id: int, *, reason: str, by: str) -> bool:
        """Ends a failure for an operator; its order stays as it is. False when no open failure has that id."""
        now = self._now()
        params = (database.to_db_time(now), texts.cut(by, 100), texts.cut(reason, 1000), err_id)
        with self._db.write() as session:
            uuids = [row["record_uuid"] for row in session.query(STATEMENTS["order_of_error"], (err_id, err_id))]
            touched = open_batches(session, [str(uuid) for uuid in uuids if uuid is not None])
            ended = sum(session.execute(STATEMENTS[kind], params) for kind in ("dismiss_order", "dismiss_size"))
            batches.recount(session, touched, now)
        return ended > 0


def open_batches(session: database.Session, record_uuids: Iterable[str]) -> set[str]:
    """The ids of the batches in which these orders have an open failure: a change of that failure recounts them."""
    uuids = sorted(set(record_uuids))
    rows = [chunks.query(session, STATEMENTS[name], uuids) for name in ("open_batches", "open_batches_of_sizes")]
    return {str(row["batch_id"]) for row in chain(*rows)}


def resolve(session: database.Session, arrived: Sequence[tuple[str, int, bool]], at: str) -> set[str]:
    """Ends the failures of orders up to the version that arrived; the flag says that the order left the board.

    Returns the ids of the batches that the caller recounts.
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
    """The identity of a failure: identity, version and size (blank for the whole order). A retry has the same one."""
    return f"{event.record_uuid}:{event.version}:{event.size_label or ''}"


def _record(session: database.Session, event: events.OrderFailed, staged: dict[str, Any], at: str) -> int:
    key, size = error_key(event), event.size_label
    failed = (at, event.message, event.attempt)
    staging.mark_failed(session, event.record_uuid, event.version, size, failed)
    if chunks.first(session, STATEMENTS["size_error" if size else "order_error"], (key,)) is not None:
        recurred = (
            event.attempt, at, event.failure.value, event.message, event.code, event.http_status, event.request_id,
            event.api_payload, int(event.retryable), key, event.attempt, database.to_db_time(event.failed_at),
        )  # fmt: skip
        return session.execute(STATEMENTS["size_failed_again" if size else "order_failed_again"], recurred)
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
    """Ends the order's older failures: only its last one counts. A refused version supersedes only refused ones."""
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
        poison.model_dump_json(), None, None, _within(poison.key) or None, FailureType.UNDECODABLE.value, None, 0,
        texts.cut(poison.error_key, 300),
    )  # fmt: skip


def _refusal(refusal: detection.Refusal, err_id: int, version: int, at: str) -> tuple[Any, ...]:
    return (
        err_id, None, None, None, _within(refusal.order_number), None, None, None, FailureType.VALIDATION_ERROR.value,
        str(refusal.problem), None, at, refusal.original_data, refusal.record_uuid, version,
        _within(refusal.customer), refusal.code, None, 0, f"{refusal.error_key}#{version}",
    )  # fmt: skip


def _within(name: str | None) -> str | None:
    """A name as it fits into its column; the original row keeps the whole of it."""
    return None if name is None else texts.cut(name, 200)
