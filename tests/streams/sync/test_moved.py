"""An item that a user moved to another board: its order gets a new item, and the moved one is left alone."""

from pathlib import Path
from typing import Any

import pytest

from connectors.simulator.faults import Kind, Rule
from schemas import events
from tests.streams.sync.test_refresh import settled
from tests.support.virtual import timeless
from tests.support.writer_desk import OTHER_GROUP, Desk, desk, order, synced

# Whether the API carries out a write to an item of another board: no document says so.
BOTH = pytest.mark.parametrize("writes", [False, True], ids=["refused", "carried out"])


def moved(at: Desk, number: int) -> tuple[int, list[int]]:
    """Moves the item of an order to another board. Returns its id and those of its subitems."""
    item = at.item(number)
    at.by_hand("move_to_board", item["id"])
    assert not at.items(number)
    return int(item["id"]), [int(one["id"]) for one in item["subitems"]]


def left_alone(at: Desk, item_id: int, subitems: list[int]) -> bool:
    """The moved item and its subitems are active on the other board."""
    state = at.world.simulator.service.state
    ours = int(at.world.mappings.board.board.id)
    found = [state.item(each) for each in (item_id, *subitems)]
    assert all(one is not None and one.board_id != ours for one in found)
    return all(one is not None and one.state == "active" for one in found)


CHANGES: dict[str, dict[str, Any]] = {
    "a size": {"sizes": {"S": 9, "M": 2}},
    "a new size": {"sizes": {"S": 1, "M": 2, "L": 3}},
    "a size that left": {"sizes": {"S": 1}},
    "a column": {"values": {"PATTERN ID": "P-2"}},
    "the name": {"item_name": "RENAMED"},
    "the group": {"group_name": OTHER_GROUP},
    "everything": {"sizes": {"S": 9, "L": 3}, "values": {"PATTERN ID": "P-2"}, "group_name": OTHER_GROUP},
}


@BOTH
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@timeless
async def test_any_change_creates_the_item_again(tmp_path: Path, change: dict[str, Any], writes: bool) -> None:
    async with desk(tmp_path, board={"writes_to_other_boards": writes}) as at:
        await at.sync(order(1), order(2))
        was = moved(at, 1)
        synced(*await at.sync(order(1, 2, **change), order(2, 2, item_name="OTHER")))
        wanted = order(1, 2, **change)
        assert int(at.item(1)["id"]) != was[0]
        assert {size: n for size, n in at.sizes(1).items() if n} == wanted.sizes
        assert at.shown(1, "PATTERN ID") == wanted.values["PATTERN ID"]
        assert (at.item(1)["name"], at.item(1)["group"]) == (wanted.item_name, wanted.group_name)
        assert left_alone(at, *was)
        # The ledger has the new item: the next change goes there, and nothing is planned without one.
        at.reset()
        assert synced(*await at.sync(wanted.model_copy(update={"version": 3, "stg_id": 99, "row_hash": "3"}))) == [0]


@BOTH
@timeless
async def test_a_removal_never_reaches_an_item_on_another_board(tmp_path: Path, writes: bool) -> None:
    async with desk(tmp_path, board={"writes_to_other_boards": writes}) as at:
        await at.sync(order(1), order(2))
        was = moved(at, 1)
        at.reset()
        assert synced(*await at.sync(order(1, 2, removed=True), order(2, 2, removed=True))) == [0, 1]
        assert (left_alone(at, *was), at.items(2)) == (True, [])
        assert at.mutations == 1


@timeless
async def test_a_repair_creates_the_item_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        settled(at, order(1))
        was = moved(at, 1)
        synced(*await at.again(order(1), cause=events.Cause.REPLAY))
        assert at.sizes(1) == {"S": 1, "M": 2}
        assert left_alone(at, *was)


@timeless
async def test_a_refusal_with_another_code_is_looked_into(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        was = moved(at, 1)
        at.trouble(Rule(kind=Kind.PARTIAL_ALIASES, at=(1,), aliases=(0,), code="InvalidArgumentException"))
        synced(*await at.sync(order(1, 2, values={"PATTERN ID": "P-2"})))
        assert at.shown(1, "PATTERN ID") == "P-2"
        assert left_alone(at, *was)


@timeless
async def test_a_refused_write_changes_nothing_on_the_other_board(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        was = moved(at, 1)
        state = at.world.simulator.service.state
        before = state.cells(was[0])
        synced(*await at.sync(order(1, 2, values={"PATTERN ID": "P-2"})))
        assert state.cells(was[0]) == before
