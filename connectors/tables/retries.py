"""When failures are tried again: the due times, in SQL, and what a person asks for."""

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
IDENTITY_CODES = ("NO_IDENTITY", "DUPLICATE_IDENTITY")


class Way(StrEnum):
    """How a failure is tried again: its staged version is sent once more, its row is detected once more, or not."""

    SEND = "SEND"
    DETECT = "DETECT"
    NOT = "NOT"


class Verdict(Model):
    """What a person's retry does about one failure. `event` is what to send; `why` says why nothing is done."""

    err_id: int
    way: Way
    event: events.OrderStaged | None = None
    why: str = ""


class Retries:
    """Times are UTC. A retry that was claimed and never sent, because the process died, comes due again."""

    def __init__(self, db: database.Database, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def schedule(self, event: events.OrderFailed, due: datetime | None) -> bool:
        """When to try again; None: never by itself. False when the failure is resolved or failed again since."""
        kind = "schedule_size" if event.size_label else "schedule_order"
        at = None if due is None else database.to_db_time(due)
        with self._db.write() as session:
            params = (at, int(due is None), error_key(event), event.attempt)
            scheduled = session.execute(STATEMENTS[kind], params) == 1
            if scheduled and due is None:
                batches.recount(session, [event.batch_id], self._now())
            return scheduled

    def is_due(self) -> bool:
        """Has the time of any failure come? Cheap: asked every second."""
        now = database.to_db_time(self._now())
        with self._db.read() as session:
            return bool(session.value(STATEMENTS["is_due"], (now, now)))

    def claim_due(self, again_at: datetime, most: int) -> list[events.OrderStaged]:
        """Takes what is due, the longest waiting first. What this process never sends is due again at `again_at`."""
        now, later = database.to_db_time(self._now()), database.to_db_time(again_at)
        claimed: dict[versions.Version, events.OrderStaged] = {}
        with self._db.write() as session:
            for row in session.query(STATEMENTS["due"], (now, now, most)):
                kind = "claim_order" if row["kind"] == "ORDER" else "claim_size"
                if session.execute(STATEMENTS[kind], (later, row["error_key"], now)) == 0:
                    continue  # Another process was quicker.
                event = _staged(session, row)
                if event is not None:
                    claimed[versions.Version(event.record_uuid, event.version)] = event
        return list(claimed.values())

    def outcomes(self, since: datetime, most: int) -> list[str]:
        """How the newest retries since then ended, the newest first: the code of the failure, "" for an arrival."""
        at = database.to_db_time(since)
        with self._db.read() as session:
            return [str(row["code"]) for row in session.query(STATEMENTS["outcomes"], (at, at, at, at, most))]

    def look(self, failures: Sequence[dict[str, Any]]) -> list[Verdict]:
        """What `again` would do about these open failures (`Failures.waiting`). Nothing is changed."""
        with self._db.read() as session:
            return [_verdict(session, row) for row in failures]

    def again(self, failures: Sequence[dict[str, Any]], again_at: datetime) -> list[Verdict]:
        """A person wants these tried now. The caller sends the events; one that is never sent is due at `again_at`.

        A row that was refused is detected again by the next pass, whatever it holds then.
        """
        later, touched = database.to_db_time(again_at), set[str]()
        with self._db.write() as session:
            verdicts = [_verdict(session, row) for row in failures]
            for row, verdict in zip(failures, verdicts, strict=True):
                if verdict.way is Way.SEND:
                    kind = "postpone_order" if row["kind"] == "ORDER" else "postpone_size"
                    session.execute(STATEMENTS[kind], (later, row["error_key"]))
                    touched |= {verdict.event.batch_id} if verdict.event is not None else set()
                elif verdict.way is Way.DETECT:
                    orders.detect_again(session, row["record_uuid"], row["version"])
            batches.recount(session, touched, self._now())
        return verdicts


def _verdict(session: database.Session, row: dict[str, Any]) -> Verdict:
    """By what the tables say now: the failure may have ended, or its order moved on, since it was listed."""
    err_id = int(row["err_id"])

    def no(why: str) -> Verdict:
        return Verdict(err_id=err_id, way=Way.NOT, why=why)

    if row["error_type"] == FailureType.UNDECODABLE:
        return no("nobody can read these bytes: find who wrote them, then dismiss it")
    if row["error_code"] in IDENTITY_CODES:
        return no("nothing to try again: mend the row in ORDERS_UNIFIED, every pass looks at it")
    is_open = "open_order" if row["kind"] == "ORDER" else "open_size"
    if session.value(STATEMENTS[is_open], (row["error_key"],)) is None:
        return no("it has ended meanwhile")
    staged = staging.order(session, row["record_uuid"], row["version"])
    if staged is None:
        return no("its staged row is gone: `ordersync detect` finds what the source holds now")
    if staged["validation_status"] == INVALID:
        snapshot = orders.newest(session, row["record_uuid"])
        if snapshot is None or snapshot["row_hash"] == detection.DELETED:
            return no("the order has left the source")
        if versions.is_superseded(int(row["version"]), newest_valid=int(snapshot["version"])):
            return no(f"version {snapshot['version']} is on its way")
        return Verdict(err_id=err_id, way=Way.DETECT)
    newest = staging.newest_valid_version(session, row["record_uuid"])
    if versions.is_superseded(int(row["version"]), newest_valid=newest):
        return no(f"version {newest} is on its way")
    return Verdict(err_id=err_id, way=Way.SEND, event=_staged(session, row))


def _staged(session: database.Session, row: dict[str, Any]) -> events.OrderStaged | None:
    """The event of a further try. What is settled already failed while it was repaired, and is repaired again."""
    found = staging.order(session, row["record_uuid"], row["version"])
    if found is None:
        return None
    record_uuid, version = str(row["record_uuid"]), int(row["version"])
    settled = orders.settled_versions(session, [record_uuid]).get(record_uuid, 0)
    return events.OrderStaged(
        customer=found["customer"],
        record_uuid=record_uuid,
        version=version,
        row_hash=found["row_hash"],
        batch_id=found["batch_id"],
        cause=events.Cause.REPLAY if versions.is_settled(version, settled) else events.Cause.RETRY,
        attempt=int(row["retry_count"]) + 1,
    )
