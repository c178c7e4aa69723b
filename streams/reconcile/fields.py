"""fields reads an order from source, production, ledger or board as field values: record_uuid, size, field, value.

Size "" is the item itself. Two sides agree on a field when their values are the same text. All numbers have one form:
28.8600 equals 28.86, and a blank quantity equals 0. `people` are columns that users own: no side is read there.
"""

import functools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from connectors.monday import board_values
from connectors.tables.records import LedgerRecord
from mappings import items as mapped
from mappings.loading import Mappings
from schemas import identity
from schemas.base import Cell, ColumnValue
from schemas.orders import Order
from streams.sync import cells

NAME, GROUP, QUANTITY, SIZE = "(name)", "(group)", "(quantity)", "(size)"
NO_COLUMNS: frozenset[str] = frozenset()

# The column, and the size, of a ledger row that cannot be read.
UNREADABLE = "(unreadable)"

# record_uuid, size, field, value.
FieldValue = tuple[str, str, str, str]


def of_source(
    record_uuid: str, order: Order, mappings: Mappings, *, people: Collection[str] = NO_COLUMNS
) -> list[FieldValue]:
    """The values that board and production shall show for a valid order."""
    quantities = {size: str(quantity) for size, quantity in order.sizes.items()}
    return of_order(record_uuid, order.item_name, order.group_name, order.values, quantities, mappings, people=people)


def of_order(
    record_uuid: str,
    name: str,
    group: str,
    staged: Mapping[str, Cell],
    quantities: Mapping[str, str],
    mappings: Mappings,
    *,
    people: Collection[str] = NO_COLUMNS,
) -> list[FieldValue]:
    """The values of an order with these staged cells and quantities, as texts by size."""
    values = _of_item(record_uuid, name, group)
    values += _of_columns(record_uuid, mapped.board_columns(staged, record_uuid, mappings), mappings, people)
    for size, quantity in quantities.items():
        values += _of_size(record_uuid, size, mapped.subitem_name(size, mappings), quantity)
    return values


def of_production(
    master: Iterable[Mapping[str, Cell]],
    sizes: Iterable[Mapping[str, Cell]],
    mappings: Mappings,
    *,
    people: Collection[str] = NO_COLUMNS,
) -> list[FieldValue]:
    """The values of rows of the MON tables. A size of 0 gives no value: the order does not have it."""
    values: list[FieldValue] = []
    for row in master:
        record_uuid = str(row["source_uuid"])
        columns = mapped.board_columns(row, record_uuid, mappings)
        values += _of_item(record_uuid, str(row["Title"]), str(row["Group"]))
        values += _of_columns(record_uuid, columns, mappings, people)
    for row in sizes:
        size = str(row["size_label"])
        values += _of_size(
            str(row["record_uuid"]), size, mapped.subitem_name(size, mappings), cells.number(str(row["Order Qty"]))
        )
    return values


def of_ledger(
    record_uuid: str,
    records: Iterable[LedgerRecord],
    mappings: Mappings,
    *,
    people: Collection[str] = NO_COLUMNS,
) -> list[FieldValue]:
    """The values that the ledger has of the active item and subitems of an order.

    A subitem whose label in the ledger is not the size that it shows has the field (size) too.
    """
    subitem = mappings.board.subitem
    values: list[FieldValue] = []
    for record in records:
        label = record.size_label
        if not record.active:
            continue
        if not label:
            values += _of_item(record_uuid, str(record.name), str(record.group_name))
            values += _of_columns(record_uuid, loaded(record.columns_json), mappings, people)
            continue
        name, size, quantity = of_subitem(str(record.name), record.columns_json, subitem.size.id, subitem.quantity.id)
        values += _of_size(record_uuid, label, name, quantity)
        values += [(record_uuid, label, SIZE, size)] if size != label else []
    return values


def loaded(columns_json: str) -> dict[str, Any]:
    """The columns of a ledger row; the text itself as one column where it is no JSON object."""
    try:
        columns = json.loads(columns_json)
    except (TypeError, ValueError):
        columns = None
    return columns if isinstance(columns, dict) else {UNREADABLE: str(columns_json)}


@functools.lru_cache(maxsize=16_384)  # the orders of a season share their sizes and quantities
def of_subitem(name: str, columns_json: str, size_id: str, quantity_id: str) -> tuple[str, str, str]:
    """Name, size and quantity that the ledger has of a subitem, as texts."""
    columns = loaded(columns_json)
    others = columns.keys() - {size_id, quantity_id}
    size = UNREADABLE if others else cells.text(columns.get(size_id))
    return name, size, cells.number(cells.text(columns.get(quantity_id)))


def of_board(
    items: Iterable[board_values.BoardItem],
    mappings: Mappings,
    *,
    people: Collection[str] = NO_COLUMNS,
    whose: Mapping[str, str] | None = None,
) -> list[FieldValue]:
    """The values of the items that carry an identity, in the columns that ordersync writes.

    `whose` gives the identity by item id; it takes precedence over the key, which a user may have changed.
    """
    board = mappings.board
    written = {column.id for column in board.columns} | {board.key.id}
    values: list[FieldValue] = []
    for item in items:
        record_uuid = (whose or {}).get(item.id) or key_of(item, mappings)
        if not record_uuid:
            continue
        columns = {name: cell.text for name, cell in item.columns.items() if name in written and cell.text}
        if board.key.id in columns:  # Another spelling of the identity is no difference.
            columns[board.key.id] = identity.same(columns[board.key.id])
        values += _of_item(record_uuid, item.name, item.group_title)
        values += _of_columns(record_uuid, columns, mappings, people)
        sizes = Counter(cells.text_of(subitem, board.subitem.size.id) for subitem in item.subitems)
        for subitem in item.subitems:
            size = cells.text_of(subitem, board.subitem.size.id)
            quantity = cells.text_of(subitem, board.subitem.quantity.id)
            if size:
                values += _of_size(record_uuid, size, subitem.name, cells.number(quantity), alone=sizes[size] == 1)
    return values


def key_of(item: board_values.BoardItem, mappings: Mappings) -> str:
    """The identity that an item carries; "" for an item of users, whose key column may hold any text."""
    return identity.canonical(cells.text_of(item, mappings.board.key.id)) or ""


def title(field: str, mappings: Mappings) -> str:
    """The title of the column with this id; any other field, such as (name), is its own title."""
    board = mappings.board
    titles = {column.id: column.title for column in board.columns} | {board.key.id: board.key.title}
    return titles.get(field, field)


def _of_size(record_uuid: str, size: str, name: str, quantity: str, *, alone: bool = True) -> list[FieldValue]:
    """A size of 0 gives no value, unless the item has a second subitem of this size."""
    if quantity == "0" and alone:
        return []
    return [(record_uuid, size, NAME, name), (record_uuid, size, QUANTITY, quantity)]


def _of_item(record_uuid: str, name: str, group: str) -> list[FieldValue]:
    return [(record_uuid, "", NAME, name), (record_uuid, "", GROUP, group)]


def _of_columns(
    record_uuid: str, columns: Mapping[str, ColumnValue], mappings: Mappings, people: Collection[str]
) -> list[FieldValue]:
    as_numbers = cells.numbers(mappings)
    return [
        (record_uuid, "", column, cells.number(cells.text(value)) if column in as_numbers else cells.text(value))
        for column, value in columns.items()
        if column not in people
    ]
