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
    """What the hashes of all snapshot rows were computed with, and the orders converted with.

    `columns` are the watched columns, `types` their SQL types, `sizes` those of them that are sizes; `mapping` is the
    fingerprint of the mapping. A baseline of an earlier version has columns only.
    """

    scheme: str
    columns: tuple[str, ...]
    types: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    mapping: str = ""


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


class PlannedChange(Model):
    """One change of a plan, as a sample. `title` is the name of the item; `columns` are the columns that differ."""

    record_uuid: str
    change: Change
    customer: str
    title: str
    columns: tuple[str, ...] = ()


class Cost(Model):
    """The estimated cost of a plan: mutations, API calls, and minutes by the limit of complexity."""

    mutations: int
    calls: int
    minutes: float

    def __str__(self) -> str:
        return f"about {self.mutations:,} mutations in {self.calls:,} calls, {self.minutes:,.1f} minutes of API budget"


class Plan(Model):
    """The changes that the guard holds. `id` is a digest of the identities, changes and hashes of all of them.

    `reason`: why they are held. `counts`: orders by change; `remapped` of the updated ones differ only because the
    mapping or the list of columns changed. `columns`: updated orders by column that differs, of the `compared` ones
    that were compared with their last version. `lost`: columns that do not serve any more. `deletes`: the names of
    orders that leave, the first hundred. `notes`: what else a person should know.
    """

    id: str
    made_at: datetime
    reason: str
    counts: dict[Change, int]
    remapped: int = 0
    columns: dict[str, int] = {}
    compared: int = 0
    lost: tuple[str, ...] = ()
    samples: tuple[PlannedChange, ...] = ()
    deletes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    cost: Cost

    @property
    def orders(self) -> int:
        """The number of orders that change."""
        return sum(self.counts.values())


class PassReport(Model):
    """The result of one pass. The counts of rows are of the whole pass, before admission.

    `held` is the reason of a guard stop and `plan` the id of the plan that is held; `accepted` counts the changes that
    an operator has accepted, `on_hold` those of customers on hold.
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
    accepted: int = 0
    filtered: bool = False
    held: str | None = None
    plan: str | None = None

    @property
    def quiet(self) -> bool:
        """The pass found and deferred nothing: the snapshot rows equal the source."""
        return self.held is None and not self.filtered and self.emitted == 0 and self.deferred == 0
