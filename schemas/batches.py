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
    """The numbers of a batch's orders. `done` are promoted, `on_board` are confirmed on the board (promoted ones
    included), `with_item` have their item but not yet all sizes, `failed` wait for an operator: no retry is due.
    """

    total: int
    done: int
    failed: int
    superseded: int
    on_board: int
    with_item: int


def batch_status(counts: BatchCounts) -> BatchStatus:
    """The status of a batch with these counters."""
    ended = counts.failed + counts.superseded
    if counts.done + ended >= counts.total:
        return BatchStatus.FAILED if counts.failed else BatchStatus.PROMOTED
    if counts.on_board + ended >= counts.total:
        return BatchStatus.SUBITEMS_CREATED
    if counts.with_item + counts.on_board + ended >= counts.total:
        return BatchStatus.ITEMS_CREATED
    return BatchStatus.STARTED


class SyncState(StrEnum):
    """The state of a source row. The numbers of the five always add up to the rows of the source."""

    IN_SYNC = "IN_SYNC"
    WAITING = "WAITING"
    FAILED = "FAILED"
    HELD = "HELD"
    EXCLUDED = "EXCLUDED"

    @classmethod
    def read(cls, stored: object) -> "SyncState":
        """The state in a cell. What is none counts as failed: verify names the row, and a person must see to it."""
        return cls.__members__.get(stored, cls.FAILED) if isinstance(stored, str) else cls.FAILED
