"""The due times of retries, kept on the ERR rows, and the retries that an operator asks for."""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import sql
from connectors import database
from connectors.tables import batches, orders, staging
from connectors.tables.failures import INVALID, error_key
from schemas import detection, events, versions
from schemas.base import Model
from schemas.failures import FailureType

STATEMENTS = sql.load("retries")


class Way(StrEnum):
    """How a failure is retried: send its staged version once more, detect its row once more, or not at all."""

    SEND = "SEND"
    DETECT = "DETECT"
    NOT = "NOT"


class RetryDecision(Model):
    """The effect of an operator's retry on one failure.

    `event` is the event to send, with Way.SEND; `why` is the reason for Way.NOT.
    """

    err_id: int
    way: Way
    event: events.OrderStaged | None = None
    why: str = ""


class Retries:
    """Reads and writes the due times of failures. Times are UTC.

    A claimed retry that was never sent, because the process ended first, becomes due once more.
    """

    def __init__(self, db: database.Database, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def schedule(self, event: events.OrderFailed, due: datetime | None) -> bool:
        """Sets the due time of a failure; None: ordersync never retries it by itself.

        Returns False when the failure has been resolved or has failed once more since.
        """
        kind = "schedule_size" if event.size_label else "schedule_order"
        at = None if due is None else database.to_db_time(due)
        with self._db.write() as session:
            params = (at, int(due is None), error_key(event), event.attempt)
            scheduled = session.execute(STATEMENTS[kind], params) == 1
            if scheduled and due is None:
                batches.recount(session, [event.batch_id], self._now())
            return scheduled

    def is_due(self) -> bool:
        """Whether any failure is due. Cheap, because the retry timer asks every second."""
        now = database.to_db_time(self._now())
        with self._db.read() as session:
            return bool(session.value(STATEMENTS["is_due"], (now, now)))

    def claim_due(self, again_at: datetime, most: int) -> list[events.OrderStaged]:
        """Claims at most `most` due failures, the longest waiting first, and returns an event for each order.

        A failure whose event this process never sends is due once more at `again_at`.
        """
        now, later = database.to_db_time(self._now()), database.to_db_time(again_at)
        claimed: dict[versions.Version, events.OrderStaged] = {}
        with self._db.write() as session:
            for row in session.query(STATEMENTS["due"], (now, now, most)):
                kind = "claim_order" if row["kind"] == "ORDER" else "claim_size"
                if session.execute(STATEMENTS[kind], (later, row["error_key"], now)) == 0:
                    continue  # Another process has claimed it.
                event = _staged(session, row)
                if event is not None:
                    claimed[versions.Version(event.record_uuid, event.version)] = event
        return list(claimed.values())

    def outcomes(self, since: datetime, most: int) -> list[str]:
        """The ends of at most `most` retries since then, the newest first: the failure's code, "" for an arrival."""
        at = database.to_db_time(since)
        with self._db.read() as session:
            return [str(row["code"]) for row in session.query(STATEMENTS["outcomes"], (at, at, at, at, most))]

    def decide(self, failures: Sequence[dict[str, Any]]) -> list[RetryDecision]:
        """The decisions that `retry_now` would take for these rows of `Failures.waiting`; it writes nothing."""
        with self._db.read() as session:
            return [_decide(session, row) for row in failures]

    def retry_now(self, failures: Sequence[dict[str, Any]], again_at: datetime) -> list[RetryDecision]:
        """Retries these rows of `Failures.waiting` now, and returns one decision for each, in their order.

        The caller sends the events; a failure whose event is never sent is due at `again_at`. The next pass detects
        the row of a refused version once more, with the values that it has then.
        """
        later, touched = database.to_db_time(again_at), set[str]()
        with self._db.write() as session:
            decisions = [_decide(session, row) for row in failures]
            for row, decision in zip(failures, decisions, strict=True):
                if decision.way is Way.SEND:
                    kind = "postpone_order" if row["kind"] == "ORDER" else "postpone_size"
                    session.execute(STATEMENTS[kind], (later, row["error_key"]))
                    touched |= {decision.event.batch_id} if decision.event is not None else set()
                elif decision.way is Way.DETECT:
                    orders.detect_again(session, row["record_uuid"], row["version"])
            batches.recount(session, touched, self._now())
        return decisions


def _decide(session: database.Session, row: dict[str, Any]) -> RetryDecision:
    """Reads the tables as they are now: the failure may have ended, or its order changed, since it was listed."""
    err_id = int(row["err_id"])

    def no(why: str) -> RetryDecision:
        return RetryDecision(err_id=err_id, way=Way.NOT, why=why)

    if row["error_type"] == FailureType.UNDECODABLE:
        return no("ordersync cannot read these bytes: find the program that wrote them, then dismiss the failure")
    if row["error_code"] in detection.REFUSAL_CODES:
        return no("a retry cannot help: correct the row in ORDERS_UNIFIED, every pass checks it")
    is_open = "open_order" if row["kind"] == "ORDER" else "open_size"
    if session.value(STATEMENTS[is_open], (row["error_key"],)) is None:
        return no("it has ended meanwhile")
    staged = staging.order(session, row["record_uuid"], row["version"])
    if staged is None:
        return no("its staged row is gone: `ordersync detect` detects the order as the source has it now")
    if staged["validation_status"] == INVALID:
        snapshot = orders.newest(session, row["record_uuid"])
        if snapshot is None or snapshot["row_hash"] == detection.DELETED:
            return no("the order has left the source")
        if versions.is_superseded(int(row["version"]), newest_valid=int(snapshot["version"])):
            return no(f"version {snapshot['version']} is on its way")
        return RetryDecision(err_id=err_id, way=Way.DETECT)
    newest = staging.newest_valid_version(session, row["record_uuid"])
    if versions.is_superseded(int(row["version"]), newest_valid=newest):
        return no(f"version {newest} is on its way")
    return RetryDecision(err_id=err_id, way=Way.SEND, event=_staged(session, row))


def _staged(session: database.Session, row: dict[str, Any]) -> events.OrderStaged | None:
    """The event of a retry, None without a staged row. A settled version failed in a repair, so its cause is REPLAY."""
    staged = staging.order(session, row["record_uuid"], row["version"])
    if staged is None:
        return None
    record_uuid, version = str(row["record_uuid"]), int(row["version"])
    settled = orders.settled_versions(session, [record_uuid]).get(record_uuid, 0)
    return events.OrderStaged(
        customer=staged["customer"],
        record_uuid=record_uuid,
        version=version,
        row_hash=staged["row_hash"],
        batch_id=staged["batch_id"],
        cause=events.Cause.REPLAY if versions.is_settled(version, settled) else events.Cause.RETRY,
        attempt=int(row["retry_count"]) + 1,
    )
