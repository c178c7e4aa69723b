"""settle: promote what the board confirmed, record what failed.

Both are one transaction for a batch of events. A failure that may pass by itself goes on to the dead letters, whose
consumer knows when to try again.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from schemas import events, versions

log = logging.getLogger(__name__)


class Production(Protocol):
    """The MON tables (connectors.tables.production.Production)."""

    def promote(self, settled: Sequence[versions.SyncedVersion]) -> tuple[int, int]: ...


class Failures(Protocol):
    """The ERR tables (connectors.tables.failures.Failures)."""

    def record(self, failed: Sequence[events.OrderFailed]) -> int: ...


def promote(synced: Sequence[events.OrderSynced], production: Production) -> tuple[int, int]:
    """Promotes the newest version of each order. Returns how many were promoted, and how many were old news."""
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
        log.info("%d events were of versions that are settled, or older: dropped", dropped)
    return promoted, dropped


def record(failed: Sequence[events.OrderFailed], failures: Failures) -> list[events.OrderFailed]:
    """Writes the ERR rows. Returns the failures that may be tried again, for the dead letters."""
    failures.record(failed)
    return [event for event in failed if event.retryable]
