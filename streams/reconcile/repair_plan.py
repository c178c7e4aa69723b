"""repair_plan is what `verify --fix` would repair, what it leaves alone and why, and what the repairs cost. It is pure.

Its id is a digest of the repairs with what they repair, so that what an operator saw is exactly what is emitted.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from schemas import detection
from schemas.base import Model
from streams.detect import plans
from streams.reconcile import audit, fields
from streams.reconcile.comparison import Difference
from streams.reconcile.findings import Finding


class Way(StrEnum):
    """The event that repairs an order."""

    NEW = "new version"
    RESEND = "settled version once more"
    REMOVAL = "removal"


class Reason(StrEnum):
    """Why a finding is not repaired."""

    UNKNOWN = "neither a snapshot row nor the ledger has it: it is not ours"
    HELD = "its customer is on hold"
    FAILED = "its repair changed nothing"
    NOTHING = "neither a source row nor a staged version of it is there: the next pass decides"
    PERSON = "no event repairs it: an operator must see to it"


class Repair(Model):
    """The repair of one order. `found`: what verify and audit say of it, with the cells.

    `content` names what its event holds: the hash of the source row, or the settled version. `mutations` is estimated.
    """

    record_uuid: str
    customer: str
    way: Way
    found: str
    content: str
    mutations: int


class LeftAlone(Model):
    """An order that differs and is not repaired."""

    record_uuid: str
    reason: Reason
    found: str


class RepairPlan(Model):
    """The repairs of one check, by identity, and the orders that are left alone."""

    repairs: tuple[Repair, ...]
    left: tuple[LeftAlone, ...]

    @property
    def id(self) -> str:
        """Names exactly these repairs of exactly these findings."""
        return plans.digest(f"{one.record_uuid} {one.way} {one.content} {one.found}" for one in self.repairs)

    def of(self, way: Way) -> list[str]:
        """The orders that are repaired in this way."""
        return [one.record_uuid for one in self.repairs if one.way is way]

    def left_for(self, reason: Reason) -> dict[str, str]:
        """What was found of the orders that are left alone for this reason, by identity."""
        return {one.record_uuid: one.found for one in self.left if one.reason is reason}

    def cost(self, pace: plans.Pace) -> detection.Cost:
        """The estimated cost of all repairs."""
        return pace.cost(sum(one.mutations for one in self.repairs))


class Subject:
    """All that a check found of one order."""

    def __init__(self) -> None:
        self.customer = ""
        self.finding: Finding | None = None
        self.drift: list[audit.Drift] = []
        self.more: list[str] = []

    @property
    def found(self) -> str:
        """The findings in one line."""
        return "; ".join([*([str(self.finding)] if self.finding else []), *map(str, self.drift), *self.more])

    def mutations(self, sizes: int) -> int:
        """The estimated mutations of its repair: of the cells that the board shows otherwise than the source.

        `sizes`: those of the order. A repair of unknown cells counts as one mutation.
        """
        cells = [_Cell(one.size, one.column, one.expected, one.shown) for one in self._differences]
        cells += [_Cell(one.size, one.field, one.expected, one.shown, one.item_id) for one in self.drift]
        if any(cell.field == audit.ITEM and cell.shown is None for cell in cells):
            return 1 + sizes
        steps = {cell.step for cell in cells if cell.shown != cell.expected}
        return len(steps) + len(self.more) + (0 if cells or self.more else 1)

    @property
    def _differences(self) -> Sequence[Difference]:
        return self.finding.differences if self.finding is not None else ()


class _Cell(NamedTuple):
    """A cell of an order, as it should be and as the board shows it."""

    size: str
    field: str
    expected: str | None
    shown: str | None
    item_id: str = ""

    @property
    def step(self) -> tuple[str, str]:
        """One mutation writes all cells with the same step: those of an item, apart from its group, or of a size."""
        if self.field == audit.ITEM:
            return audit.ITEM, self.item_id
        return self.size, fields.GROUP if self.field == fields.GROUP else ""


def subjects(wrong: Iterable[Finding], audited: audit.BoardReport | None, refused: Iterable[str]) -> dict[str, Subject]:
    """What was found, by identity. `refused`: orders whose repair the API refused."""
    found: dict[str, Subject] = {}
    for finding in wrong:
        subject = found.setdefault(finding.record_uuid, Subject())
        subject.finding, subject.customer = finding, finding.customer
    for drift in audited.drift if audited else ():
        found.setdefault(drift.record_uuid, Subject()).drift.append(drift)
    for group in audited.groups if audited else ():
        found.setdefault(group.record_uuid, Subject()).more.append(str(group))
    for uuid in refused:
        found.setdefault(uuid, Subject()).more.append(f"{uuid}: the API refused its last repair")
    return found
