"""Source, production and board as three tables of the same form, and where they differ, row by row.

A frame has one row a fact: record_uuid, size ("" for the item itself), field, value. Two facts agree when their
values are the same text; numbers are compared in one form, so 28.8600 and 28.86 are the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from connectors.monday import shown
from mappings import items as mapped
from mappings.loading import Mappings
from schemas.base import Cell, ColumnValue
from schemas.mappings import ColumnType
from schemas.orders import Order

KEYS = ["record_uuid", "size", "field"]
NAME, GROUP, QUANTITY = "(name)", "(group)", "(quantity)"

Fact = tuple[str, str, str, str]


@dataclass(frozen=True)
class Difference:
    """One fact on which two sides do not agree; None: that side does not have it."""

    record_uuid: str
    size: str
    field: str
    left: str | None
    right: str | None


def frame(facts: Iterable[Fact]) -> pd.DataFrame:
    """Facts as a table."""
    return pd.DataFrame(facts, columns=[*KEYS, "value"], dtype="str")


def source_facts(record_uuid: str, order: Order, mappings: Mappings) -> list[Fact]:
    """What the board and production shall say of a valid order."""
    columns = mapped.board_columns(order.values, record_uuid, mappings)
    facts = _item_facts(record_uuid, order.item_name, order.group_name, columns, mappings)
    return facts + [(record_uuid, size, QUANTITY, str(n)) for size, n in order.sizes.items()]


def production_facts(
    master: Iterable[Mapping[str, Cell]], sizes: Iterable[Mapping[str, Cell]], mappings: Mappings
) -> list[Fact]:
    """What the MON tables say. A size of 0 says nothing: the order does not have it."""
    facts: list[Fact] = []
    for row in master:
        record_uuid = str(row["source_uuid"])
        columns = mapped.board_columns(row, record_uuid, mappings)
        facts += _item_facts(record_uuid, str(row["Title"]), str(row["Group"]), columns, mappings)
    facts += [
        (str(row["record_uuid"]), str(row["size_label"]), QUANTITY, _number(str(row["Order Qty"])))
        for row in sizes
        if _number(str(row["Order Qty"])) != "0"
    ]
    return facts


def board_facts(items: Iterable[shown.BoardItem], mappings: Mappings) -> list[Fact]:
    """What the board shows of the items that carry an identity, in the columns that are ours."""
    board = mappings.board
    ours = {column.id for column in board.columns} | {board.key.id}
    facts: list[Fact] = []
    for item in items:
        record_uuid = text_of(item, board.key.id)
        if not record_uuid:
            continue
        columns = {name: cell.text for name, cell in item.columns.items() if name in ours and cell.text}
        facts += _item_facts(record_uuid, item.name, item.group_title, columns, mappings)
        for subitem in item.subitems:
            quantity = _number(text_of(subitem, board.subitem.quantity.id))
            if quantity != "0":
                facts.append((record_uuid, text_of(subitem, board.subitem.size.id), QUANTITY, quantity))
    return facts


def differences(left: pd.DataFrame, right: pd.DataFrame) -> list[Difference]:
    """Every fact that the two frames do not share, duplicates of one side among them."""
    left, right = left.copy(), right.copy()
    # The same fact twice on one side is a difference too: number them.
    for side in (left, right):
        side["n"] = side.groupby(KEYS).cumcount()
    joined = left.merge(right, how="outer", on=[*KEYS, "n"], suffixes=("_left", "_right"))
    wrong = joined[joined["value_left"].ne(joined["value_right"])]
    rows = wrong[[*KEYS, "value_left", "value_right"]].itertuples(index=False, name=None)
    return [
        Difference(str(uuid), str(size), str(field), _none(one), _none(other)) for uuid, size, field, one, other in rows
    ]


def duplicates(items: Iterable[shown.BoardItem], mappings: Mappings) -> list[str]:
    """Identities that several items carry, and sizes that an item has twice."""
    seen: dict[str, int] = {}
    found: list[str] = []
    for item in items:
        record_uuid = text_of(item, mappings.board.key.id)
        seen[record_uuid] = seen.get(record_uuid, 0) + 1
        sizes = [text_of(subitem, mappings.board.subitem.size.id) for subitem in item.subitems]
        found += [f"{record_uuid} has size {size} {n} times" for size in set(sizes) if (n := sizes.count(size)) > 1]
    return found + [f"{uuid} has {n} items" for uuid, n in seen.items() if uuid and n > 1]


def text_of(item: shown.BoardItem, column_id: str) -> str:
    """What a person reads in this cell."""
    cell = item.columns.get(column_id)
    return (cell.text or "") if cell is not None else ""


def _item_facts(
    record_uuid: str, name: str, group: str, columns: Mapping[str, ColumnValue], mappings: Mappings
) -> list[Fact]:
    numbers = {column.id for column in mappings.board.columns if column.type is ColumnType.NUMBERS}
    facts = [(record_uuid, "", NAME, name), (record_uuid, "", GROUP, group)]
    return facts + [
        (record_uuid, "", column, _number(_shown(value)) if column in numbers else _shown(value))
        for column, value in columns.items()
    ]


def _shown(value: ColumnValue) -> str:
    if isinstance(value, dict):
        inner: Any = next(iter(value.values()))
        return ", ".join(str(one) for one in inner) if isinstance(inner, list) else str(inner)
    return str(value)


def _number(text: str) -> str:
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _none(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)
