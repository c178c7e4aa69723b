"""States of a staged order, of a batch and of a source row."""

from enum import StrEnum


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


class SyncState(StrEnum):
    """Where a source row stands. The five add up to the whole table, always."""

    IN_SYNC = "IN_SYNC"
    WAITING = "WAITING"
    FAILED = "FAILED"
    HELD = "HELD"
    EXCLUDED = "EXCLUDED"
