"""audit on the simulated board: whatever people do there is named, and what it names is all that has to be mended."""

import random
from pathlib import Path

import pytest

from connectors.monday import board as boards
from connectors.monday import budget, limits
from connectors.tables import repairs, row_states
from streams.reconcile import audit
from tests.support import people
from tests.support.arrivals import arrived, of_world, told_again
from tests.support.board_facts import column, wrong
from tests.support.virtual import timeless
from tests.support.writer_desk import Desk, desk, order, uuid

DUPLICATE, EDITED = audit.Kind.DUPLICATE, audit.Kind.EDITED


async def audited(at: Desk) -> dict[str, audit.Kind]:
    """The orders that differ, each by the first of its differences."""
    mappings, db = at.world.mappings, at.world.db
    auditor = audit.Auditor(
        row_states.RowStates(db, of_world(at).columns), repairs.Repairs(db, at.world.clock.now), lambda: (), mappings
    )
    async with at.world.client(budget.Budget(limits.preset("personal", "pro"))) as api:
        ids = [mappings.board.key.id, *(column.id for column in mappings.board.columns)]
        return (await auditor.run(boards.Board(api, mappings.board.board.id).items(columns=ids))).orders


@timeless
async def test_what_nobody_touched_is_equal(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1), order(2))
        assert await audited(at) == {}


@timeless
@pytest.mark.parametrize("blank", ["the copy", "ours", "both", "neither"])
@pytest.mark.parametrize("quantity", [None, "0"])
async def test_a_size_that_is_there_twice_is_a_duplicate_whatever_is_written_in_the_two(
    tmp_path: Path, blank: str, quantity: str | None
) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1), order(2))
        column = at.world.mappings.board.subitem.quantity.id
        ours = at.item(1)["subitems"][0]["id"]
        copy = at.by_hand("duplicate", ours)
        for one in {"the copy": [copy], "ours": [ours], "both": [copy, ours], "neither": []}[blank]:
            at.by_hand("set", one, column_id=column, value=quantity)
        assert await audited(at) == {uuid(1): DUPLICATE}
        await told_again(at, order(1))
        assert await audited(at) == {}
        assert at.sizes(1) == {"S": 1, "M": 2}
        assert ours in {one["id"] for one in at.item(1)["subitems"] if one["state"] == "active"}


@timeless
async def test_a_size_that_left_and_is_there_twice_is_a_duplicate(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        newest = order(1, 2, sizes={"S": 1})
        await arrived(at, order(1))
        await arrived(at, newest)
        assert at.sizes(1) == {"S": 1, "M": 0}
        assert await audited(at) == {}
        left = next(one["id"] for one in at.item(1)["subitems"] if one["name"] == "Size M")
        at.by_hand("duplicate", left)
        assert await audited(at) == {uuid(1): DUPLICATE}
        await told_again(at, newest)
        assert at.sizes(1) == {"S": 1, "M": 0}
        assert await audited(at) == {}


@timeless
async def test_of_two_that_are_nobodys_the_oldest_stays(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        subitem, parent = at.world.mappings.board.subitem, at.item(1)["id"]
        new = {subitem.size.id: {"labels": ["3XL"]}, subitem.quantity.id: "5"}
        oldest, _ = (at.by_hand("add", name="of theirs", parent_id=parent, columns=new) for _ in range(2))
        assert await audited(at) == {uuid(1): DUPLICATE}
        await told_again(at, order(1))
        assert at.sizes(1) == {"S": 1, "M": 2, "3XL": 0}
        assert await audited(at) == {}
        assert oldest in {one["id"] for one in at.item(1)["subitems"] if one["state"] == "active"}


@timeless
async def test_what_is_there_once_more_or_otherwise_is_named_as_such(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, *(order(n) for n in range(1, 5)))
        subitem = at.world.mappings.board.subitem
        at.by_hand("duplicate", at.item(1)["id"])
        at.by_hand("set", at.item(2)["subitems"][0]["id"], column_id=subitem.quantity.id, value="99")
        at.by_hand("delete", at.item(3)["id"])
        at.by_hand("add", name="a remark below", parent_id=at.item(4)["id"])
        at.by_hand("add", name="a remark below", parent_id=at.item(4)["id"])
        assert await audited(at) == {uuid(1): DUPLICATE, uuid(2): EDITED, uuid(3): audit.Kind.MISSING}


@timeless
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
async def test_to_mend_what_it_names_is_enough(tmp_path: Path, seed: int) -> None:
    async with desk(tmp_path, mappings=people.notes_are_theirs) as at:
        orders = {uuid(n): order(n, sizes={"S": n, "M": 2, "9-12M": 8}) for n in range(1, 16)}
        await arrived(at, *orders.values())
        hand = people.People(
            edit=at.by_hand,
            board=lambda: at.world.simulator.admin.board()["items"],
            mappings=at.world.mappings,
            people=column(at, "NOTES"),
            rng=random.Random(seed),
        )
        hand.act(60)
        named = await audited(at)
        assert 0 < len(named) <= len(orders)
        await told_again(at, *(orders[one] for one in named))
        assert await audited(at) == {}
        assert wrong(at, list(orders.values()), hand.people) == []
