"""What an earlier life left in doubt, on a real database and a real board: only who is concerned waits for it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from connectors import backoff, errors
from connectors.simulator.faults import Kind, Rule
from connectors.tables import state
from connectors.tables.lost_events import RECIRCULATION
from schemas import events
from tests.support.board_script import Point, Strike
from tests.support.board_world import Killed
from tests.support.virtual import timeless
from tests.support.writer_desk import GROUP, OTHER_GROUP, Desk, desk, order, synced, uuid


def again(emitted: Sequence[events.OrderEvent]) -> list[events.OrderStaged]:
    """The events that wait: they are told once more."""
    return [one for one in emitted if isinstance(one, events.OrderStaged)]


async def die(at: Desk, staged: Sequence[events.OrderStaged]) -> None:
    """The process is struck while it works on these, and started again."""
    with pytest.raises(Killed):
        await at.life.step(staged)
    await at.restart()


@timeless
async def test_only_the_orders_that_a_lost_answer_is_about_wait_until_it_is_looked_for(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        staged = at.stage(order(1, sizes={}), order(2, sizes={}), order(3, sizes={}))
        # The first request makes the group; the second one, of order 1 alone, is written down and never leaves.
        await die(at, staged[:1])
        syncer, clock = await at.life.begin(), asyncio.get_running_loop().time
        began = clock()
        emitted = await syncer.run([staged[0], *staged[:2]])
        assert again(emitted) == [staged[0]]
        assert [one.record_uuid for one in emitted if isinstance(one, events.OrderSynced)] == [uuid(2)]
        assert again(await syncer.run(staged[:1])) == [staged[0]]
        # It came first, and does not stop what comes after it.
        assert synced(*await syncer.run(staged[2:])) == [1]
        assert clock() - began < 2
        assert not at.items(1)
        emitted = []
        while not emitted or again(emitted):
            emitted = await syncer.run(staged[:1])
        assert sum(backoff.LOOKUP_PAUSES) <= clock() - began < sum(backoff.LOOKUP_PAUSES) + 2
        assert len(at.items(1)) == 1


@timeless
async def test_a_newer_version_waits_behind_the_one_in_doubt(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        staged = at.stage(order(1, sizes={}))
        await die(at, staged)
        staged += at.stage(order(1, 2, sizes={}, item_name="POLO NAVY"))
        assert again(await (await at.life.begin()).run(staged)) == staged
        (emitted,) = await at.life.step(staged)
        assert (emitted.version, at.item(1)["name"]) == (2, "POLO NAVY")


@timeless
async def test_who_needs_a_group_in_doubt_waits_and_nobody_else_does(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 3, 0.0),)) as at:
        await at.sync(order(1, group_name=OTHER_GROUP, sizes={}))
        staged = at.stage(order(2))
        await die(at, staged)
        staged += at.stage(order(3), order(4, group_name=OTHER_GROUP))
        emitted = await (await at.life.begin()).run(staged)
        assert again(emitted) == staged[:2]
        assert len(synced(*[one for one in emitted if one not in staged])) == 1
        assert len(synced(*await at.life.step(staged[:2]))) == 2
        assert at.groups().count(GROUP) == 1


@timeless
async def test_a_group_that_was_made_and_not_confirmed_is_found(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_SEND, 1, 0.0),)) as at:
        staged = at.stage(order(1), order(2))
        await die(at, staged[:1])
        assert len(synced(*await at.life.step(staged))) == 2
        assert at.groups().count(GROUP) == 1


@timeless
async def test_what_left_while_it_was_settled_is_looked_for_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgets = Rule(kind=Kind.DROP_IDEMPOTENCY, rate=1.0)
    async with desk(tmp_path, forgets, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        staged = at.stage(order(1, sizes={}))
        await die(at, staged)
        syncer = await at.life.begin()

        def broken(*_: object, **__: object) -> None:
            monkeypatch.undo()
            raise errors.Transient("the connection broke before the commit")

        monkeypatch.setattr(at.writer.journal, "close", broken)
        with pytest.raises(errors.Transient):
            while again(await syncer.run(staged)):
                assert not at.items(1)
        # It was carried out, and only the board knows.
        assert len(at.items(1)) == 1
        assert len(synced(*await at.life.step(staged))) == len(at.items(1)) == 1


@timeless
async def test_events_go_round_until_the_lane_has_them_again(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        staged = at.stage(order(1, sizes={}))
        await die(at, staged)
        syncer = await at.life.begin()
        assert again(await syncer.run(staged)) == staged
        assert going_round(at)
        # It is over, and the event that was told again may not have left yet.
        while await syncer.recovery.go_on():
            await syncer.recovery.wait()
        assert going_round(at)
        assert synced(*await syncer.run(staged)) == [0]
        assert not going_round(at)


def going_round(at: Desk) -> bool:
    return bool(state.State(at.world.db, at.world.clock.now).get(RECIRCULATION) % 2)
