"""What travels on the topics. Past tense; the key of every event is its canonical customer."""

from datetime import datetime
from enum import StrEnum

from schemas.base import Cell, Model
from schemas.failures import FailureType


class Change(StrEnum):
    """What detect saw happen to a source row."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"


class Cause(StrEnum):
    """Why an order is on its way to the board."""

    LIVE = "LIVE"
    RETRY = "RETRY"
    REPLAY = "REPLAY"


class OrderEvent(Model):
    """The identity that every event carries: which row, which version of it, in which batch.

    `version` is the number of the detection pass: it rises with every detection of a row.
    """

    customer: str
    record_uuid: str
    version: int
    row_hash: str
    batch_id: str


class OrderChanged(OrderEvent):
    """A watched row differs from its snapshot. `row` holds the watched columns that are not NULL."""

    change: Change
    batch_total: int
    detected_at: datetime
    row: dict[str, Cell]


class OrderStaged(OrderEvent):
    """A valid order waits in the staging tables to be written to the board."""

    cause: Cause = Cause.LIVE
    attempt: int = 0


class OrderSynced(OrderEvent):
    """The board shows this version. `item_id` is None when the item was archived, deleted or never made."""

    item_id: str | None
    mutations: int
    synced_at: datetime


class OrderFailed(OrderEvent):
    """This version did not arrive. `size_label` names the one size that failed, if it was only that."""

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
