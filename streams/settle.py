"""settle: promotes the versions that the board confirmed, and records failures.

Reads: orders.synced, orders.failed. Writes: MON tables, ERR tables, STG tables, snapshot rows, batches. Emits:
orders.dead-letter for retryable failures. Runs in: the worker. Runs twice: a settled version is dropped, an ERR row
stays one row.

Each batch of events is one transaction, so production never holds a part of a version.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from connectors import errors
from schemas import events, versions
from schemas.failures import FailureType

log = logging.getLogger(__name__)


class Production(Protocol):
    """The MON tables (connectors.tables.production.Production)."""

    def promote(self, settled: Sequence[versions.SyncedVersion]) -> tuple[int, int]:
        """Promotes versions in one transaction. Returns how many it promoted and dropped. Raises Transient."""


class Failures(Protocol):
    """The ERR tables (connectors.tables.failures.Failures)."""

    def record(self, failed: Sequence[events.OrderFailed]) -> int:
        """Writes the ERR rows in one transaction. Returns the number of new ones. Raises Transient."""


def promote(synced: Sequence[events.OrderSynced], production: Production, failures: Failures) -> tuple[int, int]:
    """Promotes the newest version of each order. Returns the number of promoted and of dropped events.

    A version that SQL refuses is dropped and gets an ERR row. Raises Transient or Misconfigured for the database; then
    no version is promoted.
    """
    newest: dict[str, events.OrderSynced] = {}
    for event in synced:
        known = newest.get(event.record_uuid)
        if known is None or not versions.is_superseded(event.version, newest_valid=known.version):
            newest[event.record_uuid] = event
    promoted = _promote(list(newest.values()), production, failures)
    dropped = len(synced) - promoted
    if dropped:
        log.info("dropped %d events of settled or superseded versions", dropped)
    return promoted, dropped


def _promote(synced: Sequence[events.OrderSynced], production: Production, failures: Failures) -> int:
    """Promotes in one transaction, or in halves where SQL refuses one: these show which order is at fault."""
    try:
        promoted, _ = production.promote([versions.SyncedVersion(e.record_uuid, e.version, e.row_hash) for e in synced])
        return promoted
    except errors.Rejected as error:
        if len(synced) > 1:
            half = len(synced) // 2
            return _promote(synced[:half], production, failures) + _promote(synced[half:], production, failures)
        failures.record([_unstorable(synced[0], error)])
        return 0


def _unstorable(event: events.OrderSynced, error: errors.Rejected) -> events.OrderFailed:
    """The failure of a version that the board shows and production refuses."""
    reason = str(error).encode(errors="backslashreplace").decode()
    return events.OrderFailed(
        **event.identity,
        failure=FailureType.VALIDATION_ERROR,
        code=error.code,
        message=f"the board shows the order, and production refuses it: {reason}. Correct the row in ORDERS_UNIFIED",
        retryable=False,
        failed_at=event.synced_at,
    )


def record(failed: Sequence[events.OrderFailed], failures: Failures) -> list[events.OrderFailed]:
    """Writes the ERR rows. Returns the retryable failures, for the dead letters.

    Raises Transient or Misconfigured for the database; then no row is written.
    """
    failures.record(failed)
    return [event for event in failed if event.retryable]
