"""States of a staged order, of a batch and of a source row."""

from enum import StrEnum
from typing import NamedTuple


class StagingStatus(StrEnum):
    """PENDING → INFLIGHT → API_SUCCESS → PROMOTED, or API_FAILED, or SUPERSEDED."""

    PENDING = "PENDING"
    INFLIGHT = "INFLIGHT"
    API_SUCCESS = "API_SUCCESS"
    PROMOTED = "PROMOTED"
    API_FAILED = "API_FAILED"
    SUPERSEDED = "SUPERSEDED"


class BatchStatus(StrEnum):
    """STARTED → ITEMS_CREATED → SUBITEMS_CREATED → PROMOTED, or FAILED (at least one order failed for good)."""

    STARTED = "STARTED"
    ITEMS_CREATED = "ITEMS_CREATED"
    SUBITEMS_CREATED = "SUBITEMS_CREATED"
    PROMOTED = "PROMOTED"
    FAILED = "FAILED"


class BatchCounts(NamedTuple):
    """The orders of a batch. `done` are promoted, `on_board` confirmed on the board (the promoted ones among them),
    `with_item` have their item and not yet all of their sizes; `failed` wait for a user, no retry is due.
    """

    total: int
    done: int
    failed: int
    superseded: int
    on_board: int
    with_item: int


def batch_status(counts: BatchCounts) -> BatchStatus:
    """The status that the counters of a batch mean."""
    ended = counts.failed + counts.superseded
    if counts.done + ended >= counts.total:
        return BatchStatus.FAILED if counts.failed else BatchStatus.PROMOTED
    if counts.on_board + ended >= counts.total:
        return BatchStatus.SUBITEMS_CREATED
    if counts.with_item + counts.on_board + ended >= counts.total:
        return BatchStatus.ITEMS_CREATED
    return BatchStatus.STARTED


class SyncState(StrEnum):
    """Where a source row stands. The five add up to the whole table, always."""

    IN_SYNC = "IN_SYNC"
    WAITING = "WAITING"
    FAILED = "FAILED"
    HELD = "HELD"
    EXCLUDED = "EXCLUDED"
