"""A replay is planned against the board itself: whatever a person did there is found, and mended."""

import asyncio
import random
from pathlib import Path

import pytest

import sql
from connectors.tables import repairs
from schemas import events
from schemas.orders import StagedOrder
from schemas.versions import Version
from streams.sync import read_ahead
from tests.support import people
from tests.support.board_facts import column, wrong
from tests.support.virtual import timeless
from tests.support.writer_desk import GROUP, OTHER_GROUP, Desk, desk, order, uuid

REPLAY = events.Cause.REPLAY


def settled(at: Desk, *orders: StagedOrder) -> None:
    """What the settle step does about these, as far as the sync step sees it."""
    with at.world.db.write() as session:
        at_ = [("2026-11-21T10:00:00.000000", one.record_uuid, one.version) for one in orders]
        session.execute_many(sql.load("staging")["order_promoted"], at_)


async def arrived(at: Desk, *orders: StagedOrder) -> None:
    await at.sync(*orders)
    settled(at, *orders)
    at.reset()


async def replayed(at: Desk, *orders: StagedOrder) -> list[int]:
    """Replays them; the mutations that each took."""
    emitted = await at.again(*orders, cause=REPLAY)
    settled(at, *orders)
    told = {one.record_uuid: one for one in emitted if isinstance(one, events.OrderSynced)}
    assert len(told) == len(emitted) == len(orders), emitted
    return [told[one.record_uuid].mutations for one in orders]


@timeless
async def test_no_difference_is_no_mutation_and_one_call_for_a_hundred_orders(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        orders = [order(number) for number in range(1, 100)]
        await arrived(at, *orders)
        assert await replayed(at, *orders) == [0] * 99
        assert (at.mutations, at.requests) == (0, 1)


@timeless
async def test_orders_that_come_in_pieces_are_read_in_one_call(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        orders = [order(number) for number in range(1, 100)]
        await arrived(at, *orders)
        on_their_way(at, *orders)
        for start in range(0, 99, 11):
            assert await replayed(at, *orders[start : start + 11]) == [0] * 11
        assert (at.mutations, at.requests) == (0, 1)


@timeless
async def test_no_order_is_read_twice_though_many_that_were_worked_are_not_settled_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "ORDERS_PER_CALL", 20)
    async with desk(tmp_path) as at:
        orders = [order(number) for number in range(1, 61)]
        await arrived(at, *orders)
        on_their_way(at, *orders)
        for start in range(0, 60, 7):
            await at.again(*orders[start : start + 7], cause=REPLAY)
        assert (at.mutations, at.requests) == (0, 3)


@timeless
async def test_what_was_read_before_an_order_was_told_once_more_is_not_believed(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        first, second = order(1), order(2)
        await arrived(at, first, second)
        on_their_way(at, first, second)
        assert await replayed(at, first) == [0]
        at.by_hand("set", at.item(2)["id"], column_id="name", value="mine")
        await asyncio.sleep(1)
        on_their_way(at, second)
        assert await replayed(at, second) == [1]
        assert at.item(2)["name"] == "POLO 2"


def on_their_way(at: Desk, *orders: StagedOrder) -> None:
    """What a repair does about settled orders before it emits them."""
    with at.world.db.write() as session:
        for one in orders:
            params = (one.record_uuid, "2026-11-21T10:00:00.000000", one.customer, one.record_uuid)
            session.execute(sql.load("orders")["ensure_snapshot"], params)
            session.execute(
                "UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = 'H', version = 1, settled_version = 1, "
                "sync_state = 'IN_SYNC' WHERE record_uuid = ?",
                (one.record_uuid,),
            )
    marks = [Version(one.record_uuid, one.version) for one in orders]
    repairs.Repairs(at.world.db, at.world.clock.now).wait_again(marks)


@timeless
async def test_what_was_edited_by_hand_is_told_again_and_nothing_else(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1), order(2))
        at.by_hand("set", at.item(1)["id"], column_id=column(at, "PATTERN ID"), value="mine")
        at.by_hand("set", at.item(1)["id"], column_id=column(at, "CUSTOMER ALT PO"), value="filled")
        at.by_hand("set", at.item(1)["id"], column_id="name", value="mine")
        at.by_hand("move", at.item(1)["id"], group=OTHER_GROUP)
        assert await replayed(at, order(1), order(2)) == [2, 0]
        assert (at.shown(1, "PATTERN ID"), at.shown(1, "CUSTOMER ALT PO")) == ("P-1", None)
        assert (at.item(1)["name"], at.item(1)["group"]) == ("POLO 1", GROUP)
        assert await replayed(at, order(1)) == [0]


@timeless
async def test_an_item_that_was_taken_away_is_made_again_with_its_sizes(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        before = at.item(1)["id"]
        at.by_hand("delete", before)
        (synced,) = await at.again(order(1), cause=REPLAY)
        assert isinstance(synced, events.OrderSynced)
        assert synced.item_id == at.item(1)["id"] != before
        assert at.sizes(1) == {"S": 1, "M": 2}


@timeless
async def test_of_copies_the_one_that_is_ours_stays(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        ours = at.item(1)["id"]
        at.by_hand("duplicate", ours)
        at.by_hand("duplicate", ours)
        assert await replayed(at, order(1)) == [2]
        assert at.item(1)["id"] == ours
        assert len(at.items(1, "archived")) == 2
        known, _ = at.syncer.ledger.known([uuid(1)])[uuid(1)]
        assert known is not None
        assert known.active
        assert known.item_id == ours


@timeless
async def test_a_copy_takes_the_place_of_an_item_that_is_gone(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        ours = at.item(1)["id"]
        copy = at.by_hand("duplicate", ours)
        at.by_hand("delete", ours)
        assert await replayed(at, order(1)) == [0]
        assert at.item(1)["id"] == copy
        await at.sync(order(1, 2, sizes={"S": 7}))
        assert at.sizes(1) == {"S": 7, "M": 0}


@timeless
async def test_what_such_a_copy_lacks_is_made_and_what_it_has_more_is_emptied(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        ours, subitem = at.item(1)["id"], at.world.mappings.board.subitem
        copy = at.by_hand("duplicate", ours)
        small = next(one for one in at.items(1)[-1]["subitems"] if one["name"] == "Size S")
        at.by_hand("set", small["id"], column_id=subitem.size.id, value={"labels": ["XL"]})
        at.by_hand("archive", ours)
        # Its name and its quantity are those of an S; the S is missing.
        assert await replayed(at, order(1)) == [2]
        assert (at.item(1)["id"], at.sizes(1)) == (copy, {"S": 1, "M": 2, "XL": 0})
        assert await replayed(at, order(1)) == [0]


@timeless
@pytest.mark.parametrize("key", [None, "no key", uuid(2)])
async def test_an_item_whose_key_a_person_changed_is_still_ours(tmp_path: Path, key: str | None) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1), order(2))
        ours, other = at.item(1)["id"], at.item(2)["id"]
        at.by_hand("set", ours, column_id=at.world.mappings.board.key.id, value=key)
        assert await replayed(at, order(1), order(2)) == [1, 0]
        assert (at.item(1)["id"], at.item(2)["id"]) == (ours, other)


@timeless
async def test_sizes_edited_taken_away_copied_and_renamed_are_as_before(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        first = order(1, sizes={"S": 1, "M": 2, "L": 3, "XL": 4, "XXL": 5})
        await arrived(at, first)
        subitem = at.world.mappings.board.subitem
        by_size = {one["columns"][subitem.size.id]["labels"][0]: one["id"] for one in at.item(1)["subitems"]}
        at.by_hand("set", by_size["S"], column_id=subitem.quantity.id, value="99")
        at.by_hand("delete", by_size["M"])
        at.by_hand("duplicate", by_size["L"])
        at.by_hand("set", by_size["XL"], column_id=subitem.size.id, value={"labels": ["S"]})
        at.by_hand("set", by_size["XXL"], column_id="name", value="mine")
        extra = {subitem.size.id: {"labels": ["3XL"]}, subitem.quantity.id: "8"}
        at.by_hand("add", name="Size 3XL", parent_id=at.item(1)["id"], columns=extra)
        assert await replayed(at, first) == [6]
        assert at.sizes(1) == {"S": 1, "M": 2, "L": 3, "XL": 4, "XXL": 5, "3XL": 0}
        assert await replayed(at, first) == [0]


@timeless
async def test_an_order_that_left_leaves_once_more_with_all_its_copies(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        at.by_hand("duplicate", at.item(1)["id"])
        gone = order(1, 2, removed=True)
        await arrived(at, gone)
        assert len(at.items(1)) == 1
        assert await replayed(at, gone) == [1]
        assert at.items(1) == []


@timeless
async def test_an_item_that_nobody_knows_is_removed_when_it_is_told_to_leave(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        at.by_hand("add", name="?", columns={at.world.mappings.board.key.id: uuid(7)})
        gone = order(7, 1, removed=True)
        at.stage(gone)
        assert await replayed(at, gone) == [1]
        assert at.items(7) == []


@timeless
async def test_a_replay_of_what_a_newer_version_replaced_does_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        await arrived(at, order(1, 2, item_name="NEW"))
        assert await at.again(order(1), cause=REPLAY) == []
        assert (at.requests, at.item(1)["name"]) == (0, "NEW")


@timeless
async def test_the_ledger_of_another_writer_is_not_touched(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        at.by_hand("delete", at.item(1)["id"])
        with at.world.db.write() as session:
            session.execute("UPDATE SYNC_Lease SET token = token + 1")
        with pytest.raises(Exception, match="held by another process"):
            await at.again(order(1), cause=REPLAY)


@timeless
@pytest.mark.slow
async def test_whatever_people_do_the_board_ends_as_it_shall_be_and_their_own_is_untouched(tmp_path: Path) -> None:
    async with desk(tmp_path, mappings=people.notes_are_theirs) as at:
        orders = [
            order(n, values={"NOTES": "ours", "CUSTOMER PRICE": f"{n}.5000", "PO NUMBER": f"{n}"}) for n in range(1, 41)
        ]
        await arrived(at, *orders)
        hand = people.People(
            edit=at.by_hand,
            board=lambda: at.world.simulator.admin.board()["items"],
            mappings=at.world.mappings,
            people=column(at, "NOTES"),
            rng=random.Random(4755),
        )
        hand.act(250)
        assert wrong(at, orders, hand.people)
        assert sum(await replayed(at, *orders)) > 100
        assert wrong(at, orders, hand.people) == []
        assert await replayed(at, *orders) == [0] * 40
        active = {one["id"]: one for one in at.world.simulator.admin.board()["items"] if one["state"] == "active"}
        assert hand.own <= active.keys()
        for item_id, note in hand.notes.items():
            if item_id in active:
                assert active[item_id]["columns"][hand.people] == {"text": note}
