"""The demo's day at the source: changes of the sample orders, each with its effect on the board.

Every change is a plain value; the caller writes it into the table. Each change has an order of its own, so that its
effect does not depend on the sequence of the changes.
"""

import enum
import itertools
from collections.abc import Callable, Iterable, Sequence

from connectors import samples
from connectors.samples import catalogue, cells, dice
from schemas import base

# The number of rows to choose from: a script for half a million orders must not read them all.
_POOL = 2_000


class Kind(enum.StrEnum):
    """The kinds of changes."""

    QUANTITY_UP = "QUANTITY_UP"
    QUANTITY_DOWN = "QUANTITY_DOWN"
    QUANTITY_ZERO = "QUANTITY_ZERO"
    NEW_SIZE = "NEW_SIZE"
    NEW_SEASON = "NEW_SEASON"
    CANCELLED = "CANCELLED"
    DELETED = "DELETED"
    NEW_ORDER = "NEW_ORDER"
    BAD_PRICE = "BAD_PRICE"
    MISSING_UUID = "MISSING_UUID"
    DUPLICATE_UUID = "DUPLICATE_UUID"
    UNWATCHED = "UNWATCHED"


class Operation(enum.StrEnum):
    """How a change is written: INSERT a whole row, UPDATE some of its columns, or DELETE it."""

    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


class SourceChange(base.Model):
    """One change of ORDERS_UNIFIED.

    `record_uuid` is None only for the row without one. `cells` are the new values of an UPDATE, the whole row of an
    INSERT, and empty for a DELETE. `effect` describes in words the expected result on the board.
    """

    kind: Kind
    operation: Operation
    record_uuid: str | None
    cells: dict[str, base.Cell]
    effect: str


class _Day:
    """The orders that the day can still change: valid, active, with two sizes or more."""

    def __init__(self, rows: Iterable[samples.SampleRow], seed: int, size_columns: Sequence[str]) -> None:
        # With the bare seed, new orders could repeat the uuids of the samples.
        self.rolls = dice.Dice(f"changes of {seed}")
        self.size_columns = size_columns
        self._pool = [sample.row for sample in itertools.islice(rows, _POOL) if self._is_usable(sample)]

    def take(self, fits: Callable[[cells.Row], bool] = lambda row: True) -> cells.Row:
        """Take an order out of the pool. Raises ValueError when none is left."""
        positions = [at for at, row in enumerate(self._pool) if fits(row)]
        if not positions:
            raise ValueError("too few sample orders for the day's changes: pass at least those of GREYSON PO 4755")
        return self._pool.pop(self.rolls.pick(positions))

    def ordered(self, row: cells.Row) -> dict[str, int]:
        """The sizes with a quantity above 0, with their quantities."""
        quantities = ((label, row[label]) for label in self.size_columns)
        return {label: quantity for label, quantity in quantities if isinstance(quantity, int) and quantity > 0}

    def free(self, row: cells.Row) -> list[str]:
        """Sizes without a quantity, of a family that contains every size of the order."""
        ordered = self.ordered(row).keys()
        families = (family for family in catalogue.load().families.values() if ordered < set(family))
        return [label for label in next(families, ()) if label not in ordered]

    def copy(self, row: cells.Row) -> cells.Row:
        """A new order for the same goods, with its own order number and identity."""
        prefix = str(row["AAG ORDER NUMBER"]).strip().partition("-")[0]
        number = f"{prefix}-N{self.rolls.below(1_000_000):06d}"
        return row | {
            "record_uuid": self.rolls.uuid(),
            "AAG ORDER NUMBER": number,
            "TOTAL QTY": cells.sum_of(row, self.size_columns),
        }

    def _is_usable(self, sample: samples.SampleRow) -> bool:
        return (
            sample.expected is samples.Expected.VALID
            and sample.row["ORDER TYPE"] == "ACTIVE"
            and len(self.ordered(sample.row)) > 1
        )


def _quantity_up(day: _Day) -> SourceChange:
    return _quantity(day, Kind.QUANTITY_UP, lambda old: old + 1 + day.rolls.below(50))


def _quantity_down(day: _Day) -> SourceChange:
    return _quantity(day, Kind.QUANTITY_DOWN, lambda old: 1 + day.rolls.below(old - 1), least=2)


def _quantity_zero(day: _Day) -> SourceChange:
    return _quantity(day, Kind.QUANTITY_ZERO, lambda old: 0)


def _quantity(day: _Day, kind: Kind, change: Callable[[int], int], *, least: int = 1) -> SourceChange:
    def fitting(row: cells.Row) -> list[str]:
        return [label for label, quantity in day.ordered(row).items() if quantity >= least]

    row = day.take(lambda row: bool(fitting(row)))
    label = day.rolls.pick(fitting(row))
    old = day.ordered(row)[label]
    new = change(old)
    effect = f"subitem Size {label} goes from {old} to {new}: one mutation"
    return _update(kind, row, _resized(day, row, label, new), effect)


def _new_size(day: _Day) -> SourceChange:
    row = day.take(lambda row: bool(day.free(row)))
    label = day.rolls.pick(day.free(row))
    quantity = 1 + day.rolls.below(100)
    effect = f"one new subitem, Size {label} with {quantity}; the others stay"
    return _update(Kind.NEW_SIZE, row, _resized(day, row, label, quantity), effect)


def _new_season(day: _Day) -> SourceChange:
    # The order has no customer season, so its group has the AAG season.
    row = day.take(lambda row: row["CUSTOMER NAME"] == "GREYSON CLOTHIERS" and row["PO NUMBER"] == "4755")
    effect = f"moves from group GREYSON CLOTHIERS {row['AAG SEASON']} to GREYSON CLOTHIERS 2026 FALL"
    return _update(Kind.NEW_SEASON, row, {"AAG SEASON": "2026 FALL"}, effect)


def _cancelled(day: _Day) -> SourceChange:
    effect = "its status says CANCELLED; the item, its subitems and their quantities stay"
    return _update(Kind.CANCELLED, day.take(), {"ORDER TYPE": "CANCELLED"}, effect)


def _bad_price(day: _Day) -> SourceChange:
    effect = "refused with an ERR row that names FREIGHT; the board keeps its last good values"
    return _update(Kind.BAD_PRICE, day.take(), {"FREIGHT": "FOB AIR 2.50 SEA"}, effect)


def _unwatched(day: _Day) -> SourceChange:
    row = day.take()
    planner = "NADIA" if row["PLANNER"] != "NADIA" else "OLU"
    return _update(Kind.UNWATCHED, row, {"PLANNER": planner}, "no event, no mutation: the board has no planner")


def _deleted(day: _Day) -> SourceChange:
    row = day.take()
    return SourceChange(
        kind=Kind.DELETED,
        operation=Operation.DELETE,
        record_uuid=str(row["record_uuid"]),
        cells={},
        effect=f"{_name(row)}: left the source, so its item leaves the board as the removal policy says",
    )


def _new_order(day: _Day) -> SourceChange:
    row = day.copy(day.take())
    return _insert(Kind.NEW_ORDER, row, f"one new item with {len(day.ordered(row))} subitems")


def _missing_uuid(day: _Day) -> SourceChange:
    row = day.copy(day.take()) | {"record_uuid": None}
    return _insert(Kind.MISSING_UUID, row, "refused with an ERR row: a row without an identity is never sent")


def _duplicate_uuid(day: _Day) -> SourceChange:
    row = day.take()
    twin = day.copy(row) | {"record_uuid": row["record_uuid"]}
    effect = f"refused with an ERR row, and so is {_name(row)}, which has the same uuid; the board stays unchanged"
    return _insert(Kind.DUPLICATE_UUID, twin, effect)


def _update(kind: Kind, row: cells.Row, changed: cells.Row, effect: str) -> SourceChange:
    return SourceChange(
        kind=kind,
        operation=Operation.UPDATE,
        record_uuid=str(row["record_uuid"]),
        cells=changed,
        effect=f"{_name(row)}: {effect}",
    )


def _insert(kind: Kind, row: cells.Row, effect: str) -> SourceChange:
    identity = row["record_uuid"]
    return SourceChange(
        kind=kind,
        operation=Operation.INSERT,
        record_uuid=None if identity is None else str(identity),
        cells=row,
        effect=f"{_name(row)}: {effect}",
    )


def _resized(day: _Day, row: cells.Row, label: str, quantity: int) -> cells.Row:
    return {label: quantity, "TOTAL QTY": cells.sum_of(row | {label: quantity}, day.size_columns)}


def _name(row: cells.Row) -> str:
    parts = ("CUSTOMER STYLE", "CUSTOMER COLOUR DESCRIPTION", "AAG ORDER NUMBER")
    return " ".join(str(row[part]).strip() for part in parts)


_SCRIPT: tuple[tuple[Callable[[_Day], SourceChange], int], ...] = (
    (_new_season, 1),  # first, while every order of GREYSON is in the pool
    (_quantity_up, 3),
    (_quantity_down, 2),
    (_quantity_zero, 2),
    (_new_size, 2),
    (_cancelled, 2),
    (_new_order, 3),
    (_deleted, 3),
    (_bad_price, 1),
    (_missing_uuid, 1),
    (_duplicate_uuid, 1),
    (_unwatched, 2),
)


def script(rows: Iterable[samples.SampleRow], *, seed: int, size_columns: Sequence[str]) -> list[SourceChange]:
    """The day's changes of these rows, of every kind, each of another order.

    It reads only the first rows; GREYSON's 69 are enough. Raises ValueError for too few rows.
    """
    day = _Day(rows, seed, size_columns)
    return [create(day) for create, times in _SCRIPT for _ in range(times)]
