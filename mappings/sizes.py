"""Which columns are sizes, and an order's wide row melted to one quantity a size."""

import re
from collections.abc import Mapping, Sequence

from mappings import values
from schemas import mappings as shapes
from schemas import orders
from schemas.base import Cell

_INTEGERS = frozenset({"tinyint", "smallint", "int", "integer", "bigint"})
_LARGEST = 2**31 - 1  # the staging tables hold a quantity as INT
_QUANTITY = re.compile(r"([+-]?)([0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.([0-9]*))?")


def size_columns(columns: Sequence[tuple[str, str]], markers: shapes.SizeRange) -> tuple[str, ...]:
    """The sizes of a live table, in its order: integer-typed columns strictly between the two markers.

    `columns` are (name, SQL type) pairs in table order. A text column in between (INFOR COLOUR CODE) is no
    size, whatever its values look like. Raises MappingError when a marker is missing or they stand exchanged.
    """
    names = [name for name, _ in columns]
    missing = [marker for marker in (markers.after, markers.before) if marker not in names]
    if missing:
        raise shapes.MappingError(
            [
                f"the source table has no column [{marker}], which marks where the sizes are: "
                'correct "sizes" in board.yaml, or the table'
                for marker in missing
            ]
        )
    start, end = names.index(markers.after), names.index(markers.before)
    if start > end:
        raise shapes.MappingError(
            [f'[{markers.after}] stands behind [{markers.before}] in the table: exchange them in "sizes"']
        )
    return tuple(name for name, sql_type in columns[start + 1 : end] if is_integer(sql_type))


def is_integer(sql_type: str) -> bool:
    """INT and its relatives, of either database; BIT is none."""
    return sql_type.partition("(")[0].strip().casefold() in _INTEGERS


def quantity(cell: Cell, rules: shapes.ValueRules) -> int | None:
    """A whole number from 0 to what INT holds; 12.0, " 7 " and 1,200 are whole numbers too. None when blank.

    Raises BadValue for anything else: a quantity is never guessed.
    """
    if isinstance(cell, str):
        written = values.text(cell, rules)
        if written is None:
            return None
        found = _QUANTITY.fullmatch(written)
        if found is None:
            raise values.BadValue("a quantity must be a whole number", "Write digits only, or leave it blank")
        sign, digits, fraction = found[1], found[2].replace(",", "").lstrip("0"), (found[3] or "").rstrip("0")
        if fraction:
            raise values.BadValue("a quantity cannot have a fraction", "Write the whole number of pieces")
        # Cut before int(), which refuses thousands of digits: eleven are too large already.
        cell = int((sign + digits[:11]) if digits else "0")
    if cell is None:
        return None
    if cell < 0:
        raise values.BadValue("a quantity cannot be negative", "Write 0 or more, or leave it blank")
    if cell > _LARGEST:
        raise values.BadValue(f"a quantity cannot be above {_LARGEST}", "Correct the number")
    return cell


def melt(
    row: Mapping[str, Cell], columns: Sequence[str], rules: shapes.ValueRules
) -> tuple[dict[str, int], list[orders.Problem]]:
    """Quantities above zero by size label, verbatim and in table order; and what is wrong with others."""
    sizes: dict[str, int] = {}
    problems: list[orders.Problem] = []
    for label in columns:
        cell = row.get(label)
        if not cell:  # nothing, 0 or "": most of the columns of most of the rows
            continue
        try:
            pieces = quantity(cell, rules)
        except values.BadValue as bad:
            problems.append(bad.problem(label, cell))
            continue
        if pieces:
            sizes[label] = pieces
    return sizes, problems


def total_mismatch(
    row: Mapping[str, Cell], sizes: Mapping[str, int], column: str, rules: shapes.ValueRules
) -> orders.Problem | None:
    """A warning when the row's own total is not the sum of its sizes; a blank total claims nothing."""
    cell = row.get(column)
    pieces = sum(sizes.values())
    warning = orders.Severity.WARNING
    try:
        total = quantity(cell, rules)
    except values.BadValue as bad:
        return values.BadValue(bad.reason, bad.advice, warning).problem(column, cell)
    if total is None or total == pieces:
        return None
    return values.BadValue(f"its sizes add up to {pieces}", "The sizes are sent; correct the total", warning).problem(
        column, cell
    )
