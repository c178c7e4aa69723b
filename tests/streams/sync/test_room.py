"""A full board on the real writer: creates wait, all else goes on, and nothing is lost or an ERR row."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.simulator.faults import Kind, Rule
from schemas import events, items
from streams.sync.outcome import NoRoom
from streams.sync.room import Room
from tests.support import virtual
from tests.support.virtual import timeless
from tests.support.writer_desk import Desk, desk, order, synced, uuid

FULL = NoRoom("Board is limited to 3 items")


def numbers(emitted: list[events.OrderEvent]) -> list[int]:
    """The orders that arrived."""
    synced(*emitted)
    return sorted(int(one.record_uuid[-2:]) for one in emitted)


def waiting(at: Desk) -> list[int]:
    return sorted(int(one.record_uuid[-2:]) for one in at.life.parked)


async def work(at: Desk, *staged: events.OrderStaged) -> list[events.OrderEvent]:
    """One batch of events, and the re-emitted events after it. Waits for nothing, so an order without room stays."""
    syncer = await at.life.begin()
    emitted = await syncer.run(staged)
    while at.life.reemitted:
        again, at.life.reemitted = at.life.reemitted, []
        emitted += await syncer.run(again)
    return emitted


@timeless
async def test_a_full_board_holds_creates_and_nothing_else(tmp_path: Path) -> None:
    async with desk(tmp_path, board={"items_limit": 3}) as at:
        await at.sync(order(1, sizes={}), order(2, sizes={"S": 1}))
        staged = at.stage(order(3, sizes={}), order(2, 2, item_name="RENAMED", sizes={"S": 7}))
        assert numbers(await work(at, *staged)) == [2]
        assert (at.item(2)["name"], at.sizes(2), at.items(3)) == ("RENAMED", {"S": 7}, [])
        assert waiting(at) == [3]
        waits = at.syncer.in_doubt
        text = waits.room.describe(waits.for_room)
        assert text is not None
        assert "1 orders wait for room: Board is limited to 3 items" in text
        assert "creates are tried again at" in text


@timeless
async def test_a_removal_in_the_same_batch_makes_room_whatever_its_place(tmp_path: Path) -> None:
    async with desk(tmp_path, board={"items_limit": 3}) as at:
        await at.sync(*(order(number, sizes={}) for number in (1, 2, 3)))
        staged = at.stage(order(4, sizes={}), order(1, 2, removed=True))
        at.reset()
        assert numbers(await work(at, *staged)) == [1, 4]
        assert at.calls == 1
        assert waiting(at) == []


@timeless
async def test_a_later_removal_sends_the_waiting_orders_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path, board={"items_limit": 3}) as at:
        await at.sync(*(order(number, sizes={}) for number in (1, 2, 3)))
        assert await work(at, *at.stage(order(4, sizes={}), order(5, sizes={}))) == []
        assert waiting(at) == [4, 5]
        began = asyncio.get_running_loop().time()
        assert numbers(await work(at, *at.stage(order(1, 2, removed=True)))) == [1]
        assert not at.syncer.in_doubt.rests()
        assert numbers(await work(at)) == [4]
        assert waiting(at) == [5]
        assert asyncio.get_running_loop().time() - began < 5
        assert len(at.items(4)) == 1


@timeless
async def test_without_a_removal_the_pause_grows_and_no_call_is_made_in_it(tmp_path: Path) -> None:
    async with desk(tmp_path, board={"items_limit": 1}) as at:
        await at.sync(order(1, sizes={}))
        assert await work(at, *at.stage(order(2, sizes={}))) == []
        at.reset()
        await work(at)
        assert at.syncer.in_doubt.rests()
        for pause, calls in ((29, 0), (2, 1), (58, 1), (3, 2), (119, 2), (2, 3), (299, 3), (2, 4), (299, 4), (2, 5)):
            await asyncio.sleep(pause)
            assert await work(at) == []
            assert (at.calls, waiting(at)) == (calls, [2])
        # A user makes room, which nobody tells the writer.
        at.by_hand("delete", at.item(1)["id"])
        await asyncio.sleep(301)
        assert numbers(await work(at)) == [2]
        assert at.syncer.in_doubt.room.describe(at.syncer.in_doubt.for_room) is None


@timeless
async def test_events_that_arrive_while_the_board_is_full_wait_without_a_call(tmp_path: Path) -> None:
    async with desk(tmp_path, board={"items_limit": 1}) as at:
        await at.sync(order(1, sizes={}))
        assert await work(at, *at.stage(order(2, sizes={}))) == []
        at.reset()
        assert await work(at, *at.stage(*(order(number, sizes={}) for number in range(3, 40)))) == []
        assert at.calls == 0
        assert waiting(at) == list(range(2, 40))


@timeless
async def test_a_restart_keeps_the_waiting_orders(tmp_path: Path) -> None:
    async with desk(tmp_path, board={"items_limit": 1}) as at:
        await at.sync(order(1, sizes={}))
        assert await work(at, *at.stage(order(2, sizes={}))) == []
        await at.restart()
        await at.life.begin()
        assert waiting(at) == [2]
        assert await work(at) == []
        assert waiting(at) == [2]
        await at.restart()
        at.by_hand("archive", at.item(1)["id"])
        assert numbers(await work(at)) == [2]
        assert waiting(at) == []


@timeless
async def test_sizes_wait_for_room_and_only_the_missing_ones_are_created_then(tmp_path: Path) -> None:
    async with desk(tmp_path, board={"items_limit": 4}) as at:
        await at.sync(order(1, sizes={}))
        assert await work(at, *at.stage(order(2, sizes={"S": 1, "M": 2, "L": 3}))) == []
        assert at.sizes(2) == {"S": 1, "M": 2}
        at.reset()
        assert numbers(await work(at, *at.stage(order(1, 2, removed=True)))) == [1]
        assert numbers(await work(at)) == [2]
        assert (at.sizes(2), at.mutations) == ({"S": 1, "M": 2, "L": 3}, 2)


@timeless
async def test_an_order_that_leaves_while_it_waits_is_never_created(tmp_path: Path) -> None:
    async with desk(tmp_path, board={"items_limit": 1}) as at:
        await at.sync(order(1, sizes={}))
        assert await work(at, *at.stage(order(2, sizes={}))) == []
        assert numbers(await work(at, *at.stage(order(2, 2, removed=True)))) == [2]
        await asyncio.sleep(31)
        assert await work(at) == []
        assert (waiting(at), at.items(2)) == ([], [])
        assert at.syncer.in_doubt.room.describe(at.syncer.in_doubt.for_room) is None


@timeless
async def test_a_request_in_doubt_whose_repetition_finds_no_room_waits_too(tmp_path: Path) -> None:
    async with desk(tmp_path, Rule(kind=Kind.RESET, at=(2,)), board={"items_limit": 1}) as at:
        staged = at.stage(order(1, sizes={}))
        assert await work(at, *staged) == []
        at.by_hand("add", name="somebody's own")
        await at.life.recover()
        assert await work(at) == []
        assert (waiting(at), at.unfinished()) == ([1], [])


@pytest.mark.parametrize("code", ["ItemsLimitationException", "ITEMS_LIMITATION_EXCEPTION"])
@timeless
async def test_the_code_counts_in_each_spelling(tmp_path: Path, code: str) -> None:
    async with desk(tmp_path, Rule(kind=Kind.PARTIAL_ALIASES, at=(2,), aliases=(0,), code=code)) as at:
        assert numbers(await work(at, *at.stage(order(1, sizes={}), order(2, sizes={})))) == [2]
        assert waiting(at) == [1]
        await asyncio.sleep(31)
        assert numbers(await work(at)) == [1]


@pytest.mark.parametrize("creates", [1, 3])
@timeless
async def test_a_refusal_of_the_whole_request_holds_its_creates_alone(tmp_path: Path, creates: int) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(9, sizes={}))
        at.trouble(Rule(kind=Kind.THROTTLE_429, at=(1,), code="ItemsLimitationException"))
        changed = [order(9, 2, sizes={}, item_name="RENAMED")] if creates > 1 else []
        staged = at.stage(*(order(number, sizes={}) for number in range(1, creates + 1)), *changed)
        assert numbers(await work(at, *staged)) == [9] * len(changed)
        assert at.item(9)["name"] == ("RENAMED" if changed else "POLO 9")
        assert waiting(at) == list(range(1, creates + 1))
        await asyncio.sleep(31)
        assert numbers(await work(at)) == list(range(1, creates + 1))


@timeless
async def test_an_order_that_failed_for_another_reason_does_not_wait(tmp_path: Path) -> None:
    rule = Rule(kind=Kind.PARTIAL_ALIASES, at=(3,), aliases=(0,), code="RecordInvalidException")
    async with desk(tmp_path, rule, board={"items_limit": 2}) as at:
        emitted = await work(at, *at.stage(order(1, sizes={"S": 1, "M": 2, "L": 3})))
        assert [type(one) for one in emitted] == [events.OrderFailed]
        assert waiting(at) == []


def create(number: int) -> items.CreateItem:
    return items.CreateItem(record_uuid=uuid(number), name="POLO", group_name="G", columns={})


def removal(number: int) -> items.RemoveItem:
    return items.RemoveItem(record_uuid=uuid(number), item_id="1", removal=items.Removal.DELETE)


DONE = items.Done(id="1")


@pytest.mark.parametrize(
    ("mutations", "results", "full"),
    [
        ([create(1), create(2)], [DONE, FULL], True),
        ([create(1), create(2)], [FULL, DONE], False),
        ([removal(1), create(2)], [DONE, FULL], True),
        ([create(1), removal(2)], [FULL, DONE], False),
        ([create(1)], [None], False),
    ],
)
def test_the_last_word_of_an_answer_counts(mutations: list[Any], results: list[Any], full: bool) -> None:
    room = Room(lambda: virtual.START, 60.0)
    room.note(mutations, results)
    assert room.is_full is full
