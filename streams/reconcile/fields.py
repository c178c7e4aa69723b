"""fields reads an order from source, production or board as field values: record_uuid, size, field, value.

Size "" is the item itself. Two sides agree on a field when their values are the same text. All numbers have one form:
28.8600 equals 28.86, and a blank quantity equals 0. `people` are columns that users own: no side is read there.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from connectors.monday import board_values
from mappings import items as mapped
from mappings.loading import Mappings
from schemas import identity
from schemas.base import Cell, ColumnValue
from schemas.orders import Order
from streams.sync import cells

NAME, GROUP, QUANTITY = "(name)", "(group)", "(quantity)"
NO_COLUMNS: frozenset[str] = frozenset()

# record_uuid, size, field, value.
FieldValue = tuple[str, str, str, str]


def of_source(
    record_uuid: str, order: Order, mappings: Mappings, *, people: Collection[str] = NO_COLUMNS
) -> list[FieldValue]:
    """The values that board and production shall show for a valid order."""
    columns = mapped.board_columns(order.values, record_uuid, mappings)
    values = _of_item(record_uuid, order.item_name, order.group_name)
    values += _of_columns(record_uuid, columns, mappings, people)
    for size, quantity in order.sizes.items():
        values += _of_size(record_uuid, size, mapped.subitem_name(size, mappings), str(quantity))
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
