"""What the simulated board shows of orders, in the facts of verify."""

from collections.abc import Sequence
from typing import Any

from connectors.monday import board_values
from schemas.orders import Order, StagedOrder
from streams.reconcile import compare, fields
from streams.sync import cells
from tests.support.writer_desk import Desk


def column(at: Desk, source: str) -> str:
    return next(one.id for one in at.world.mappings.board.columns if one.source == source)


def wrong(at: Desk, orders: Sequence[StagedOrder], people: str = "") -> list[Any]:
    """Where the board differs from these orders, and what it shows twice."""
    mappings, board = at.world.mappings, at.world.simulator.admin.board()["items"]
    read = [_read(at, one) for one in board if one["state"] == "active"]
    expected = [
        fact
        for one in orders
        for fact in fields.of_source(
            one.record_uuid,
            Order(
                customer=one.customer, group_name=one.group_name, item_name=one.item_name,
                values=one.values, sizes=one.sizes,
            ),
            mappings,
            people={people},
        )
    ]  # fmt: skip
    shown_now = fields.of_board(read, mappings, people={people})
    return [*compare.duplicates(read, mappings), *compare.differences(expected, shown_now)]


def _read(at: Desk, told: dict[str, Any]) -> board_values.BoardItem:
    return board_values.BoardItem(
        id=told["id"], name=told["name"], state="active", board_id="", group_title=told.get("group", ""),
        columns={name: board_values.Shown(text=cells.text(value)) for name, value in told["columns"].items()},
        subitems=tuple(_read(at, one) for one in told.get("subitems", ()) if one["state"] == "active"),
    )  # fmt: skip
