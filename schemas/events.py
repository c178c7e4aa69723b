"""The events on the topics, named in the past tense. The key of every event is its canonical customer."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.base import Cell, Model
from schemas.failures import FailureType
from schemas.identity import RecordUuid

# Orders that one pass may emit: `stg_id` gives a position 16 bits.
POSITIONS = 1 << 16


class Change(StrEnum):
    """The change that a pass found in a source row."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


class Cause(StrEnum):
    """The reason why an event was emitted."""

    LIVE = "LIVE"
    RETRY = "RETRY"
    REPLAY = "REPLAY"
    # The row did not change: the mapping or the list of columns did.
    REMAP = "REMAP"


class OrderEvent(Model):
    """The identity that every event carries: the row, its version, its batch.

    `version` is the number of the detection pass: it rises with every detection of a row.
    """

    customer: str
    record_uuid: RecordUuid
    version: int
    row_hash: str
    batch_id: str

    @property
    def identity(self) -> dict[str, Any]:
        """The fields that every event carries, for the next event of the same version."""
        return {name: getattr(self, name) for name in OrderEvent.model_fields}


class OrderChanged(OrderEvent):
    """A watched row differs from its snapshot row. `row` and `sizes` are its watched columns that are not NULL.

    `cut` gives the true length, in UTF-16 units, of each text that is too long for an event: `row` has only its
    beginning, so stage refuses the order.
    `position` counts the events of a pass. Version and position form the key of the staged row, so that a repeated
    event has the same key. An event of cause REPLAY re-emits a version, so that sync repairs every difference.
    `mapping` is the fingerprint of the poller's mapping; "" in an event of an earlier version.
    """

    change: Change
    cause: Cause = Cause.LIVE
    position: int
    detected_at: datetime
    mapping: str = ""
    row: dict[str, Cell]
    sizes: dict[str, Cell]
    cut: dict[str, int] = {}

    @property
    def stg_id(self) -> int:
        """The key of the staged row; the next 2,047 numbers are the keys of its sizes."""
        return self.version << 28 | self.position << 11


class OrderStaged(OrderEvent):
    """The staging tables hold a valid order that sync has to write to the board."""

    cause: Cause = Cause.LIVE
    attempt: int = 0


class OrderSynced(OrderEvent):
    """The board shows this version. `item_id` is None when the item was archived, deleted or never created."""

    item_id: str | None
    mutations: int
    synced_at: datetime


class OrderFailed(OrderEvent):
    """This version did not reach the board. `size_label` names the size, when one size alone failed."""

    failure: FailureType
    code: str
    message: str
    retryable: bool
    attempt: int = 0
    size_label: str | None = None
    http_status: int | None = None
    request_id: str | None = None
    api_payload: str | None = None
    original_data: str | None = None
    failed_at: datetime
