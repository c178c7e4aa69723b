"""What a detection pass is asked, what it finds and what it reports."""

from datetime import datetime

from schemas.base import Cell, Model
from schemas.batches import SyncState
from schemas.events import Change
from schemas.orders import Problem

# The hash of an order that left the source.
DELETED = "DELETED"


class Filters(Model):
    """Chosen rows of a one-off pass. Blank fields choose all; such a pass never reports a delete."""

    customer: str | None = None
    po_number: str | None = None
    aag_season: str | None = None
    customer_season: str | None = None
    limit: int | None = None

    @property
    def any(self) -> bool:
        """Does it choose anything at all?"""
        return any(value is not None for value in self.model_dump().values())


class Baseline(Model):
    """Under which scheme and column list the snapshot's hashes were made."""

    scheme: str
    columns: tuple[str, ...]


class Snapshot(Model):
    """What one row's snapshot becomes once Kafka has confirmed its event."""

    record_uuid: str
    row_hash: str
    version: int
    customer: str
    batch_id: str | None
    planned_mutations: int
    state: SyncState
    row: dict[str, Cell]


class Refusal(Model):
    """A source row that has no identity, or shares it: never sent, named until it is mended."""

    error_key: str
    record_uuid: str | None
    customer: str | None
    order_number: str | None
    code: str
    problem: Problem
    original_data: str


class PassReport(Model):
    """What one pass did. The counts of rows are of the whole pass, before admission. `held` is why the guard stopped
    it; `on_hold` counts changes of customers on hold.
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
        """Nothing was found, nothing is left over: the snapshot equals the source."""
        return self.held is None and not self.filtered and self.emitted == 0 and self.deferred == 0
