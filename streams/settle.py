"""settle: promotes the versions that the board confirmed, and records failures.

Reads: orders.synced, orders.failed. Writes: MON tables, ERR tables, STG tables, snapshot rows, batches. Emits:
orders.dead-letter for retryable failures. Runs in: the worker. Runs twice: a settled version is dropped, an ERR row
stays one row.

Each batch of events is one transaction, so production never holds a part of a version.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from schemas import events, versions

log = logging.getLogger(__name__)


class Production(Protocol):
    """The MON tables (connectors.tables.production.Production)."""

    def promote(self, settled: Sequence[versions.SyncedVersion]) -> tuple[int, int]:
        """Promotes versions in one transaction. Returns how many it promoted and dropped. Raises Transient."""


class Failures(Protocol):
    """The ERR tables (connectors.tables.failures.Failures)."""

    def record(self, failed: Sequence[events.OrderFailed]) -> int:
        """Writes the ERR rows in one transaction. Returns the number of new ones. Raises Transient."""


def promote(synced: Sequence[events.OrderSynced], production: Production) -> tuple[int, int]:
    """Promotes the newest version of each order. Returns the number of promoted and of dropped events.

    Raises Transient or Misconfigured for the database; then no version is promoted.
    """
    newest: dict[str, events.OrderSynced] = {}
    for event in synced:
        known = newest.get(event.record_uuid)
        if known is None or not versions.is_superseded(event.version, newest_valid=known.version):
            newest[event.record_uuid] = event
    promoted, _ = production.promote(
        [versions.SyncedVersion(e.record_uuid, e.version, e.row_hash) for e in newest.values()]
    )
    dropped = len(synced) - promoted
    if dropped:
        log.info("dropped %d events of settled or superseded versions", dropped)
    return promoted, dropped


def record(failed: Sequence[events.OrderFailed], failures: Failures) -> list[events.OrderFailed]:
    """Writes the ERR rows. Returns the retryable failures, for the dead letters.

    Raises Transient or Misconfigured for the database; then no row is written.
    """
    failures.record(failed)
    return [event for event in failed if event.retryable]
