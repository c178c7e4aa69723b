"""What each side says of an order, as facts of one form: record_uuid, size ("" for the item itself), field, value.

Two sides agree on a fact when their values are the same text. Numbers are in one form, so 28.8600 and 28.86 are the
same, and so are a blank quantity and 0. `people` are the columns that people own: what the board shows there is theirs.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from connectors.monday import board_values
from mappings import items as mapped
from mappings.loading import Mappings
from schemas.base import Cell, ColumnValue
from schemas.orders import Order
from streams.sync import cells

NAME, GROUP, QUANTITY = "(name)", "(group)", "(quantity)"
NOBODY: frozenset[str] = frozenset()

FieldValue = tuple[str, str, str, str]

_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def of_source(
    record_uuid: str, order: Order, mappings: Mappings, *, people: Collection[str] = NOBODY
) -> list[FieldValue]:
    """What the board and production shall say of a valid order."""
    columns = mapped.board_columns(order.values, record_uuid, mappings)
    facts = _of_item(record_uuid, order.item_name, order.group_name, columns, mappings, people)
    for size, quantity in order.sizes.items():
        facts += _of_size(record_uuid, size, mapped.subitem_name(size, mappings), str(quantity))
    return facts


def of_production(
    master: Iterable[Mapping[str, Cell]],
    sizes: Iterable[Mapping[str, Cell]],
    mappings: Mappings,
    *,
    people: Collection[str] = NOBODY,
) -> list[FieldValue]:
    """What the MON tables say. A size of 0 says nothing: the order does not have it."""
    facts: list[FieldValue] = []
    for row in master:
        record_uuid = str(row["source_uuid"])
        columns = mapped.board_columns(row, record_uuid, mappings)
        facts += _of_item(record_uuid, str(row["Title"]), str(row["Group"]), columns, mappings, people)
    for row in sizes:
        size = str(row["size_label"])
        facts += _of_size(
            str(row["record_uuid"]), size, mapped.subitem_name(size, mappings), cells.number(str(row["Order Qty"]))
        )
    return facts


def of_board(
    items: Iterable[board_values.BoardItem],
    mappings: Mappings,
    *,
    people: Collection[str] = NOBODY,
    whose: Mapping[str, str] | None = None,
) -> list[FieldValue]:
    """What the board shows of the items that carry an identity, in the columns that are ours.

    `whose` tells the identity of items by id, for those whose key a person has changed.
    """
    board = mappings.board
    ours = {column.id for column in board.columns} | {board.key.id}
    facts: list[FieldValue] = []
    for item in items:
        record_uuid = (whose or {}).get(item.id) or key_of(item, mappings)
        if not record_uuid:
            continue
        columns = {name: cell.text for name, cell in item.columns.items() if name in ours and cell.text}
        facts += _of_item(record_uuid, item.name, item.group_title, columns, mappings, people)
        sizes = Counter(cells.text_of(subitem, board.subitem.size.id) for subitem in item.subitems)
        for subitem in item.subitems:
            size, quantity = (
                cells.text_of(subitem, board.subitem.size.id),
                cells.text_of(subitem, board.subitem.quantity.id),
            )
            if size:
                facts += _of_size(record_uuid, size, subitem.name, cells.number(quantity), alone=sizes[size] == 1)
    return facts


def key_of(item: board_values.BoardItem, mappings: Mappings) -> str:
    """The identity that an item carries; "" for a line of people's own, whatever they wrote into the key column."""
    written = cells.text_of(item, mappings.board.key.id)
    return written if _UUID.fullmatch(written) else ""


def title(field: str, mappings: Mappings) -> str:
    """The title of the column that a fact is about; what is no column names itself."""
    board = mappings.board
    titles = {column.id: column.title for column in board.columns} | {board.key.id: board.key.title}
    return titles.get(field, field)


def _of_size(record_uuid: str, size: str, name: str, quantity: str, *, alone: bool = True) -> list[FieldValue]:
    """A size of 0 says nothing, as long as it is there once."""
    if quantity == "0" and alone:
        return []
    return [(record_uuid, size, NAME, name), (record_uuid, size, QUANTITY, quantity)]


def _of_item(
    record_uuid: str,
    name: str,
    group: str,
    columns: Mapping[str, ColumnValue],
    mappings: Mappings,
    people: Collection[str],
) -> list[FieldValue]:
    as_numbers = cells.numbers(mappings)
    facts = [(record_uuid, "", NAME, name), (record_uuid, "", GROUP, group)]
    return facts + [
        (record_uuid, "", column, cells.number(cells.text(value)) if column in as_numbers else cells.text(value))
        for column, value in columns.items()
        if column not in people
    ]
