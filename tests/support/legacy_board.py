"""A board as an earlier workflow left it: items of our orders without keys, with people's own cells."""

import random
from dataclasses import dataclass, field
from typing import Any

from connectors.samples import generate
from connectors.tables import row_text
from mappings import columns as mapped_columns
from mappings import items, sizes
from schemas.orders import Order
from streams.commands import setup
from streams.detect import holds
from streams.reconcile.expected import Expectations
from streams.resources import Resources
from tests.support.writer_desk import Desk


@dataclass
class LegacyBoard:
    """`orders`: the valid orders of the source; `item_ids`: the item that the earlier workflow made for each."""

    at: Desk
    parts: Resources
    orders: dict[str, Order]
    item_ids: dict[str, str] = field(default_factory=dict)

    def add(self, uuid: str, *, named_sizes: bool = False, **changed: Any) -> str:
        """Adds the item of an order with its sizes, without a key. `changed` columns differ from the order.

        With `named_sizes` the subitems have a name and no label.
        """
        order, board = self.orders[uuid], self.parts.mappings.board
        cells = items.board_columns(order.values, uuid, self.parts.mappings) | changed
        del cells[board.key.id]
        shown = {name: value for name, value in cells.items() if value is not None}
        item_id = self.at.by_hand("add", name=order.item_name, columns=shown)
        self.at.by_hand("move", item_id, group=order.group_name)
        for label, quantity in order.sizes.items():
            columns = items.subitem_columns(label, quantity, self.parts.mappings)
            if named_sizes:
                del columns[board.subitem.size.id]
            name = items.subitem_name(label, self.parts.mappings)
            self.at.by_hand("add", name=name, parent_id=item_id, columns=columns)
        self.item_ids.setdefault(uuid, item_id)
        return item_id

    def add_production(self, uuid: str, item_id: str) -> None:
        """Adds the production row that the earlier workflow has of an item, and those of its sizes."""
        order, columns = self.orders[uuid], [column.staging for column in self.parts.mappings.board.business_key]
        names = ", ".join(f"[{name}]" for name in columns)
        with self.parts.db.write() as session:
            session.execute(
                f"INSERT INTO MON_CustMasterSchedule ([Item ID], {names}) VALUES (?{', ?' * len(columns)})",
                (int(item_id), *(order.values.get(name) for name in columns)),
            )
            for label in order.sizes:
                session.execute(
                    "INSERT INTO MON_CustMasterSchedule_Subitems (parent_item_id, [Size]) VALUES (?, ?)",
                    (item_id, label),
                )


def fill_source(parts: Resources, orders: int, seed: int) -> dict[str, Order]:
    """Writes sample orders whose business keys are unique. Returns the valid ones, by identity."""
    live = parts.orders.columns()
    labels = sizes.size_columns(live, parts.mappings.board.sizes)
    made = generate(seed=seed, orders=max(69, orders), columns=[name for name, _ in live], size_columns=labels)
    with parts.db.write() as session:
        for number, sample in enumerate(made):
            if number < orders:
                setup.insert_order(session, dict(sample.row) | {"AAG ORDER NUMBER": f"ORD-{number:05d}"})
    watched = mapped_columns.watched(parts.mappings, labels)
    expectations = Expectations(parts.mappings, labels, parts.target_lengths)
    found: dict[str, Order] = {}
    with parts.row_states.read(holds.FAMILY, watched) as reading:
        for row in reading.rows:
            cells = dict(zip(watched, row_text.cells(row.text), strict=True))
            order = expectations.of(str(row.record_uuid), cells).order
            if order is not None:
                found[str(row.record_uuid)] = order
    return found


def some(uuids: list[str], count: int, seed: int = 1) -> list[str]:
    """So many of these orders."""
    return random.Random(seed).sample(uuids, count)
