"""MON_BatchProcessing: one batch for each pass and customer.

Every transaction that changes a staged order counts the orders of its batch from the STG tables and never adds to a
counter, so an event that arrives twice changes nothing. An order counts as failed when ordersync does not retry it by
itself; until then its batch stays open.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import sql
from connectors import database
from connectors.tables import chunks
from schemas.batches import BatchCounts, BatchStatus, StagingStatus, batch_status

STATEMENTS = sql.load("batches")
LOST = "the poller ended before Kafka had confirmed this batch; orders that did not arrive were detected once more"


class Batches:
    """Opens, confirms and lists batches, for the poller and the operator."""

    def __init__(self, db: database.Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def open(self, batches: Iterable[tuple[str, str, int]], *, version: int, started_by: str) -> None:
        """Inserts batches (batch id, customer, number of orders) before their events are emitted; no batch twice."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            session.execute_many(
                STATEMENTS["open_batch"],
                [(batch, customer, total, at, version, started_by, batch) for batch, customer, total in batches],
            )

    def confirm(self, batch_ids: Iterable[str]) -> None:
        """Notes that Kafka has confirmed all events of these batches."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            session.execute_many(STATEMENTS["confirm_batch"], [(at, batch) for batch in batch_ids])

    def close_unconfirmed(self, version: int) -> int:
        """Confirms the batches of passes before `version` that a crash cut off; each counts the orders that arrived.

        Returns the number of such batches.
        """
        with self._db.write() as session:
            cut_off = [str(row["batch_id"]) for row in session.query(STATEMENTS["unconfirmed_batches"], (version,))]
            at = database.to_db_time(self._now())
            shrink(session, cut_off, LOST)
            for batch in cut_off:
                session.execute(STATEMENTS["confirm_batch"], (at, batch))
            recount(session, cut_off, self._now())
        return len(cut_off)

    def active(self) -> list[dict[str, Any]]:
        """The batches that have not ended."""
        with self._db.read() as session:
            return session.query(STATEMENTS["active_batches"])

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """The newest batches, at most `limit`, the newest first."""
        with self._db.read() as session:
            return session.query(STATEMENTS["batches"], (limit,))


def shrink(session: database.Session, batch_ids: Iterable[str], note: str) -> None:
    """Sets the total of batches that lost events to the orders that arrived; `note` says why.

    The caller recounts them afterwards, in the same transaction.
    """
    session.execute_many(STATEMENTS["shrink_batch"], [(note, batch) for batch in batch_ids])


def recount(session: database.Session, batch_ids: Iterable[str], now: datetime) -> None:
    """Brings counters and states of batches to the STG tables, inside the transaction that changed those."""
    for batch_id in sorted(set(batch_ids)):
        session.execute(STATEMENTS["lock_batch"], (batch_id,))
        batch = chunks.first(session, STATEMENTS["batch"], (batch_id,))
        # The counters of a batch stay as they are once the clean-up has removed orders of it.
        if batch is not None and batch["cleanup_completed"] is None:
            _update(session, batch, database.to_db_time(now))


def _update(session: database.Session, batch: dict[str, Any], at: str) -> None:
    rows = session.query(STATEMENTS["batch_counts"], (batch["batch_id"],))
    count = {StagingStatus(row["stg_status"]): int(row["orders"]) for row in rows}
    items = sum(int(row["items"]) for row in rows if row["stg_status"] == StagingStatus.INFLIGHT)
    sizes = int(session.value(STATEMENTS["batch_sizes"], (batch["batch_id"],)) or 0)
    staged = sum(count.values())
    done = count.get(StagingStatus.PROMOTED, 0)
    failed = count.get(StagingStatus.API_FAILED, 0)
    if failed:
        # An order that ordersync retries by itself has not failed for good.
        retried = session.query(STATEMENTS["batch_retries"], (batch["batch_id"],))[0]
        failed -= int(retried["orders"])
        items += int(retried["items"])
    superseded = count.get(StagingStatus.SUPERSEDED, 0)
    on_board = done + count.get(StagingStatus.API_SUCCESS, 0)
    # An event of a cut-off batch may still arrive late: its order raises the total, so the sum stays right.
    total = max(int(batch["total_records"] or 0), staged)
    counts = BatchCounts(total, done, failed, superseded, on_board, items)
    status = batch_status(counts)
    ended = status in (BatchStatus.PROMOTED, BatchStatus.FAILED)
    started = database.from_db_time(str(batch["start_time"]))
    moments = {
        "staging_load_completed": staged == total,
        "items_creation_completed": status is not BatchStatus.STARTED,
        "subitems_creation_completed": status in (BatchStatus.SUBITEMS_CREATED, BatchStatus.PROMOTED),
        "promotion_completed": ended,
    }
    times = {name: (batch[name] or at) if reached else None for name, reached in moments.items()}
    end = (batch["end_time"] or at) if ended else None
    seconds = int((database.from_db_time(str(end)) - started).total_seconds()) if end else None
    session.execute(
        STATEMENTS["update_batch"],
        (
            status.value, total, done, failed, superseded, staged, sizes, end, seconds,
            times["staging_load_completed"], times["items_creation_completed"],
            times["subitems_creation_completed"], times["promotion_completed"],
            f"{failed} of {total} orders failed: see the ERR tables" if failed else None, batch["batch_id"],
        ),
    )  # fmt: skip
