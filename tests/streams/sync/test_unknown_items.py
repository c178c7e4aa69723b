"""A board with items of which the ledger knows nothing: none is made a second time, and nothing is created blindly."""

from pathlib import Path

import pytest

from connectors.monday import board as boards
from connectors.monday import budget, limits
from connectors.tables import production
from schemas import events
from schemas.bindings import Creates
from streams.runtime import connect
from tests.support.virtual import timeless
from tests.support.writer_desk import GROUP, Desk, desk, order, synced, uuid


def hold(at: Desk, creates: Creates) -> None:
    at.syncer.in_doubt.room.creates = creates


def forget(at: Desk, *numbers: int) -> None:
    """The ledger loses these orders."""
    with at.world.db.write() as session:
        for number in numbers:
            session.execute("DELETE FROM SYNC_Ledger WHERE record_uuid = ?", (uuid(number),))


def promote(at: Desk, number: int) -> None:
    """Production has the order, as after the settle step."""
    with at.world.db.write() as session:
        session.execute(
            f"INSERT INTO {production.MASTER} ([Item ID], source_uuid, version) VALUES (1, ?, 1)", (uuid(number),)
        )


async def work(at: Desk, *staged: events.OrderStaged) -> list[int]:
    """One batch of events. Returns the orders that arrived."""
    syncer = await at.life.begin()
    emitted = await syncer.run(staged)
    synced(*emitted)
    return sorted(int(one.record_uuid[-2:]) for one in emitted)


def described(at: Desk) -> str | None:
    waits = at.syncer.in_doubt
    return waits.room.describe(waits.for_room)


@timeless
async def test_new_orders_wait_for_adopt_and_known_ones_go_on(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1, sizes={"S": 1}))
        theirs = at.by_hand("add", name="POLO 2")
        groups = at.groups()
        hold(at, Creates.HELD)
        staged = at.stage(order(2, group_name="NEW GROUP"), order(1, 2, item_name="RENAMED", sizes={"S": 7, "M": 1}))
        assert await work(at, *staged) == [1]
        assert (at.item(1)["name"], at.sizes(1)) == ("RENAMED", {"S": 7, "M": 1})
        # Not even the group of an order that waits.
        assert (at.items(2), at.groups()) == ([], groups)
        text = described(at)
        assert text is not None
        assert "1 orders without an item wait: run `ordersync adopt`" in text
        # Nothing travels while all of them wait, and a removal makes no room.
        assert await work(at, *at.stage(order(1, 3, removed=True))) == [1]
        assert at.syncer.in_doubt.rests()
        hold(at, Creates.FREE)
        assert not at.syncer.in_doubt.rests()
        await work(at)
        assert [one.record_uuid for one in at.life.reemitted] == [uuid(2)]
        assert await work(at, *at.life.reemitted) == [2]
        assert at.item(2)["name"] == "POLO 2"
        assert at.item(2)["id"] != theirs
        await work(at)
        assert described(at) is None


@timeless
@pytest.mark.parametrize("creates", [Creates.HELD, Creates.LOOK])
async def test_an_item_with_our_key_is_found_instead_of_created(tmp_path: Path, creates: Creates) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1, sizes={"S": 1}), order(2, sizes={}))
        ids = [at.item(number)["id"] for number in (1, 2)]
        forget(at, 1, 2)
        hold(at, creates)
        staged = at.stage(order(1, 2, item_name="RENAMED", sizes={"S": 5}), order(2, 2, removed=True))
        at.reset()
        assert await work(at, *staged) == [1, 2]
        assert (at.item(1)["id"], at.item(1)["name"], at.sizes(1)) == (ids[0], "RENAMED", {"S": 5})
        assert [one["id"] for one in at.items(2, "archived")] == [ids[1]]


@timeless
async def test_where_every_item_has_our_key_an_order_without_one_is_created(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        hold(at, Creates.LOOK)
        assert await work(at, *at.stage(order(1, sizes={}))) == [1]
        assert len(at.items(1)) == 1


@timeless
async def test_a_lost_ledger_row_of_an_order_in_production_is_found_again_whatever_the_binding_says(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1, sizes={"S": 1}), order(2, sizes={}))
        promote(at, 1)
        forget(at, 1)
        at.reset()
        assert await work(at, *at.stage(order(1, 2, sizes={"S": 2}), order(2, 2, item_name="OTHER", sizes={}))) == [
            1,
            2,
        ]
        assert at.sizes(1) == {"S": 2}
        # An order that the ledger knows, and a new one, cost no read.
        at.reset()
        assert await work(at, *at.stage(order(3, sizes={}), order(2, 3, sizes={}))) == [2, 3]
        assert at.requests == at.calls == 1


@timeless
@pytest.mark.parametrize(
    ("items", "creates"),
    [((), Creates.FREE), ((True,), Creates.LOOK), ((True, False), Creates.HELD)],
    ids=["an empty board", "every item has our key", "an item has none"],
)
async def test_the_board_decides_what_an_empty_ledger_may_create(
    tmp_path: Path, items: tuple[bool, ...], creates: Creates
) -> None:
    async with desk(tmp_path) as at:
        key = at.world.mappings.board.key.id
        for number, has_key in enumerate(items):
            at.by_hand("add", name=f"POLO {number}", columns={key: uuid(number)} if has_key else {})
        async with at.world.client(budget.Budget(limits.preset("personal", "pro"))) as client:
            board = boards.Board(client, at.world.mappings.board.board.id)
            identity = await board.identity()
            assert (identity.items, identity.account_name) == (len(items), "Simulator")
            assert await connect.creates_of(board, identity, key) is creates
            assert board.calls == 1 + bool(items)
        assert GROUP not in at.groups()
