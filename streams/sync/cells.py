"""A cell as the board shows it and as the API receives it: as text, and as a number that can be compared."""

from collections.abc import Collection, Mapping
from typing import Any

from connectors.monday import board_values
from mappings.loading import Mappings
from schemas.base import ColumnValue
from schemas.mappings import ColumnType


def text_of(item: board_values.BoardItem, column_id: str) -> str:
    """The text that the board shows in this cell; "" for an empty one."""
    cell = item.columns.get(column_id)
    return (cell.text or "") if cell is not None else ""


def text(value: ColumnValue) -> str:
    """The text that the board will show for this value of the API."""
    if isinstance(value, dict):
        inner: Any = next(iter(value.values()))
        return ", ".join(str(label) for label in inner) if isinstance(inner, list) else str(inner)
    return "" if value is None else str(value)


def number(written: str) -> str:
    """A number without trailing zeros, so that equal numbers have equal texts; "0" for an empty text."""
    return (written.rstrip("0").rstrip(".") if "." in written else written) or "0"


def numbers(mappings: Mappings) -> frozenset[str]:
    """Ids of the columns that contain numbers, including the quantity of a size."""
    columns = {column.id for column in mappings.board.columns if column.type is ColumnType.NUMBERS}
    return frozenset(columns | {mappings.board.subitem.quantity.id})


def shows(
    shown: Mapping[str, board_values.Shown], column_id: str, wanted: ColumnValue, numeric: Collection[str]
) -> bool:
    """True if these cells show the value. `numeric`: ids of the columns that contain numbers."""
    cell = shown.get(column_id)
    text_shown, expected = (cell.text or "") if cell is not None else "", text(wanted)
    if column_id in numeric:
        return bool(text_shown) and number(text_shown) == number(expected)
    return text_shown == expected
