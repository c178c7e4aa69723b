"""Finds the size columns of the source, and melts a wide row into one quantity for each size."""

import re
from collections.abc import Collection, Mapping, Sequence

from mappings import values
from schemas import mappings as shapes
from schemas import orders
from schemas.base import Cell

_INTEGERS = frozenset({"tinyint", "smallint", "int", "integer", "bigint"})
_LARGEST = 2**31 - 1  # a quantity is an INT in the staging tables
_QUANTITY = re.compile(r"([+-]?)([0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.([0-9]*))?")


def size_columns(columns: Sequence[tuple[str, str]], markers: shapes.SizeRange) -> tuple[str, ...]:
    """The size columns of a table: the integer columns between the two markers, in its order, and then `also`.

    `columns` are (name, SQL type) pairs in table order. A text column in between (INFOR COLOUR CODE) is no size,
    whatever its values are; neither is one of `ignore`. Raises MappingError when a marker is missing, the second
    precedes the first, or a column of `also` is missing or no integer.
    """
    names = [name for name, _ in columns]
    missing = [marker for marker in (markers.after, markers.before) if marker not in names]
    if missing:
        raise shapes.MappingError(
            [
                f"the source table has no column [{marker}], which marks the place of the sizes: "
                'correct "sizes" in board.yaml, or the table'
                for marker in missing
            ]
        )
    start, end = names.index(markers.after), names.index(markers.before)
    if start > end:
        raise shapes.MappingError(
            [f'[{markers.after}] follows [{markers.before}] in the table: exchange them in "sizes"']
        )
    types = dict(columns)
    if unusable := [name for name in markers.also if not is_integer(types.get(name, ""))]:
        raise shapes.MappingError(
            [
                f'[{name}] of "sizes": "also" is {types.get(name, "not in the table")}, and a size is an integer '
                "column: correct board.yaml, or the table"
                for name in unusable
            ]
        )
    between = [name for name, sql_type in columns[start + 1 : end] if is_integer(sql_type)]
    return tuple(name for name in dict.fromkeys([*between, *markers.also]) if name not in markers.ignore)


def undecided(columns: Sequence[tuple[str, str]], watched: Collection[str], markers: shapes.SizeRange) -> list[str]:
    """The integer columns that are neither watched nor in `ignore`: each may be a size that was added to the table."""
    return [
        name
        for name, sql_type in columns
        if is_integer(sql_type) and name not in watched and name not in markers.ignore
    ]


def is_integer(sql_type: str) -> bool:
    """Is this an integer type, of either database? BIT is none."""
    return sql_type.partition("(")[0].strip().casefold() in _INTEGERS


def quantity(cell: Cell, rules: shapes.ValueRules) -> int | None:
    """A whole number from 0 to the largest INT; 12.0, " 7 " and 1,200 are whole numbers too. None when blank.

    Raises BadValue for any other text and for a number with a fraction: a quantity is never guessed.
    """
    # A cell of a column that is no integer column may hold a fraction: it is read as text, so that none is cut off.
    if cell is not None and not isinstance(cell, int):
        written = values.text(cell, rules)
        if written is None:
            return None
        match = _QUANTITY.fullmatch(written)
        if match is None:
            raise values.BadValue("a quantity must be a whole number", "Write digits only, or leave it blank")
        sign, digits, fraction = match[1], match[2].replace(",", "").lstrip("0"), (match[3] or "").rstrip("0")
        if fraction:
            raise values.BadValue("a quantity cannot have a fraction", "Write the whole number of pieces")
        # int() refuses thousands of digits, and eleven digits are too large already.
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
    """The quantities above zero by size label, in table order, and the problems of the other cells."""
    sizes: dict[str, int] = {}
    problems: list[orders.Problem] = []
    for label in columns:
        cell = row.get(label)
        if not cell:  # NULL, 0 or "": most size columns of most rows
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
    """A warning when the row's total is not the sum of its sizes; a blank total is no mismatch."""
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
