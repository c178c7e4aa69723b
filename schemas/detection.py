"""The input of a detection pass, its findings and its report."""

from datetime import datetime

from schemas.base import Cell, Model
from schemas.batches import SyncState
from schemas.events import Change
from schemas.orders import Problem

# The hash of an order that left the source.
DELETED = "DELETED"
# The codes of refused rows: no identity, one that is no UUID or that is shared, a cell that cannot be read, a row of
# which no event can be built. Every pass checks these rows; no retry helps them. sql/failures.sql has the same list.
REFUSAL_CODES = ("NO_IDENTITY", "NOT_A_UUID", "DUPLICATE_IDENTITY", "UNREADABLE_CELL", "UNUSABLE_ROW")


class Filters(Model):
    """The rows that a single pass compares. A field that is None filters nothing; a filtered pass reports no delete."""

    customer: str | None = None
    po_number: str | None = None
    aag_season: str | None = None
    customer_season: str | None = None
    limit: int | None = None

    @property
    def any(self) -> bool:
        """Is there at least one filter?"""
        return any(value is not None for value in self.model_dump().values())


class Baseline(Model):
    """The hash scheme and the watched columns that the hashes of all snapshot rows were computed with."""

    scheme: str
    columns: tuple[str, ...]


class Snapshot(Model):
    """The new content of one snapshot row, written once Kafka has confirmed the event."""

    record_uuid: str
    row_hash: str
    version: int
    customer: str
    batch_id: str | None
    planned_mutations: int
    state: SyncState
    row: dict[str, Cell]


class Refusal(Model):
    """One reason why a source row is refused (REFUSAL_CODES). It gets an ERR row, and its row no event."""

    error_key: str
    record_uuid: str | None
    customer: str | None
    order_number: str | None
    code: str
    problem: Problem
    original_data: str


class PassReport(Model):
    """The result of one pass. The counts of rows are of the whole pass, before admission. `held` is the reason of a
    guard stop; `on_hold` counts the changes of customers on hold.
    """

    number: int
    started_at: datetime
    finished_at: datetime
    scanned: int = 0
    changes: dict[Change, int] = {}
    excluded: int = 0
    refused: int = 0
    emitted: int = 0
    deferred: int = 0
    rebaselined: int = 0
    on_hold: int = 0
    filtered: bool = False
    held: str | None = None

    @property
    def quiet(self) -> bool:
        """The pass found and deferred nothing: the snapshot rows equal the source."""
        return self.held is None and not self.filtered and self.emitted == 0 and self.deferred == 0
