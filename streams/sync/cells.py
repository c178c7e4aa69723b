"""A cell as the board shows it, and as the API receives it: as text and as a number that can be compared."""

from typing import Any

from connectors.monday import board_values
from mappings.loading import Mappings
from schemas.base import ColumnValue
from schemas.mappings import ColumnType


def text_of(item: board_values.BoardItem, column_id: str) -> str:
    """What a person reads in this cell."""
    cell = item.columns.get(column_id)
    return (cell.text or "") if cell is not None else ""


def text(value: ColumnValue) -> str:
    """What a person will read once the API was told this value."""
    if isinstance(value, dict):
        inner: Any = next(iter(value.values()))
        return ", ".join(str(one) for one in inner) if isinstance(inner, list) else str(inner)
    return "" if value is None else str(value)


def number(written: str) -> str:
    """A number in the one form that is compared."""
    return (written.rstrip("0").rstrip(".") if "." in written else written) or "0"


def numbers(mappings: Mappings) -> frozenset[str]:
    """Ids of the columns that hold numbers, the quantity of a size among them."""
    columns = {column.id for column in mappings.board.columns if column.type is ColumnType.NUMBERS}
    return frozenset(columns | {mappings.board.subitem.quantity.id})
