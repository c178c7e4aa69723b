"""An order as the mapping understands it, and what is wrong with one."""

from enum import StrEnum

from schemas.base import Cell, Model, Origin
from schemas.batches import StagingStatus


class Severity(StrEnum):
    """An ERROR refuses the order; a WARNING stays as a note on its row."""

    ERROR = "ERROR"
    WARNING = "WARNING"


class Problem(Model):
    """One thing wrong with one value, said so that a person can mend it."""

    column: str
    value: str | None
    reason: str
    advice: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        shown = "blank" if self.value is None else repr(self.value)
        return f"[{self.column}] is {shown}: {self.reason}. {self.advice}"


class Order(Model):
    """A valid order, converted: what the staging tables and the board shall hold.

    `values` maps a staging column to its canonical cell (decimals as text with four places, dates ISO);
    blank columns are absent. `sizes` maps a size label, verbatim, to a quantity above zero.
    """

    customer: str
    group_name: str
    item_name: str
    values: dict[str, Cell]
    sizes: dict[str, int]
    warnings: tuple[Problem, ...] = ()


class StagedOrder(Model):
    """One version of an order as the staging tables hold it.

    `removed` is an order that left the source: nothing of it but its identity. `problems` are why it was refused;
    then it is staged for the record only. `values` maps staging columns to canonical cells. `origin` is where its event
    lies, when it was staged from one.
    """

    stg_id: int
    record_uuid: str
    version: int
    row_hash: str
    batch_id: str
    customer: str
    status: StagingStatus = StagingStatus.PENDING
    group_name: str = ""
    item_name: str = ""
    values: dict[str, Cell] = {}
    sizes: dict[str, int] = {}
    removed: bool = False
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    item_id: str | None = None
    source_row: str | None = None
    origin: Origin | None = None
