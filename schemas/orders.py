"""An order that the mapping converted, one that is staged, and the problems of either."""

from collections.abc import Sequence
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from schemas.base import Cell, Model, Origin
from schemas.batches import StagingStatus


class Severity(StrEnum):
    """An ERROR refuses the order; a WARNING stays on the staged order."""

    ERROR = "ERROR"
    WARNING = "WARNING"


class Problem(Model):
    """A problem of one value, with the advice that an operator needs to correct it."""

    column: str
    value: str | None
    reason: str
    advice: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        shown = "blank" if self.value is None else repr(self.value)
        return f"[{self.column}] is {shown}: {self.reason}. {self.advice}"


_PROBLEMS = TypeAdapter(tuple[Problem, ...])


def stored_problems(problems: Sequence[Problem]) -> str | None:
    """The problems as the JSON of a column; None when there are none."""
    return _PROBLEMS.dump_json(tuple(problems)).decode() if problems else None


def read_problems(stored: object) -> tuple[Problem, ...]:
    """The problems that `stored_problems` wrote; one problem that says so for what another program wrote there."""
    if not stored:
        return ()
    try:
        return _PROBLEMS.validate_json(stored if isinstance(stored, str) else b"")
    except ValidationError:
        return (
            Problem(
                column="(warnings)",
                value=(stored.decode(errors="backslashreplace") if isinstance(stored, bytes) else str(stored))[:200],
                reason="the stored warnings cannot be read",
                advice="The next version of the order writes them anew",
                severity=Severity.WARNING,
            ),
        )


class Order(Model):
    """A valid, converted order: the content of the staging tables and the board.

    `values` maps a staging column to its canonical cell (decimals as text with four places, dates ISO);
    blank columns are absent. `sizes` maps a size label, verbatim, to a quantity above zero.
    """

    customer: str
    group_name: str
    item_name: str
    values: dict[str, Cell]
    sizes: dict[str, int]
    warnings: tuple[Problem, ...] = ()


class OrderWarning(Model):
    """A warning of an order in production: that of its settled version."""

    record_uuid: str
    version: int
    customer: str
    order_number: str
    problem: Problem


class StagedOrder(Model):
    """One version of an order in the staging tables.

    `removed`: the order left the source, and only its identity is staged. `problems` are the reasons of a refusal: a
    refused version is staged for the record only. `values` maps staging columns to canonical cells. `origin` is the
    origin of the event that it was staged from, if any.
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
