"""What an earlier life left in doubt, on a real database and a real board: only who is concerned waits for it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from connectors.monday import responses
from connectors.simulator.faults import Kind, Rule
from connectors.tables.lost_events import PARKED
from schemas import events
from streams.sync import in_doubt
from streams.sync import step as sync
from tests.support.board_script import Point, Strike
from tests.support.board_world import Killed
from tests.support.virtual import timeless
from tests.support.writer_desk import GROUP, OTHER_GROUP, Desk, desk, order, synced, uuid


async def die(at: Desk, staged: Sequence[events.OrderStaged]) -> None:
    """The process is struck while it works on these, and started again."""
    with pytest.raises(Killed):
        await at.life.step(staged)
    await at.restart()


@timeless
async def test_only_the_orders_that_a_lost_answer_is_about_wait_until_it_is_looked_for(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        staged = at.stage(order(1, sizes={}), order(2, sizes={}), order(3, sizes={}))
        staged[0] = staged[0].model_copy(update={"cause": events.Cause.RETRY, "attempt": 3})
        # The first request makes the group; the second one, of order 1 alone, is written down and never leaves.
        await die(at, staged[:1])
        syncer, clock = await at.life.begin(), asyncio.get_running_loop().time
        began = clock()
        emitted = await syncer.run([staged[0], *staged[:2]])
        assert [one.record_uuid for one in emitted] == [uuid(2)]
        assert await syncer.run(staged[:1]) == []
        assert at.life.parked == [staged[0]]
        # It came first, and does not stop what comes after it.
        assert synced(*await syncer.run(staged[2:])) == [1]
        assert clock() - began < 2
        assert not at.items(1)
        assert not at.life.reemitted
        await at.life.recover()
        window = in_doubt.window().total_seconds()
        assert window - 2 <= clock() - began < window + 2
        assert at.life.reemitted == [staged[0]]
        assert at.life.parked == []
        assert len(at.items(1)) == 1


@timeless
async def test_a_newer_version_waits_behind_the_one_in_doubt(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        staged = at.stage(order(1, sizes={}))
        await die(at, staged)
        staged += at.stage(order(1, 2, sizes={}, item_name="POLO NAVY"))
        assert await (await at.life.begin()).run(staged) == []
        assert at.life.parked == staged
        (emitted,) = await at.life.step([])
        assert (emitted.version, at.item(1)["name"]) == (2, "POLO NAVY")


@timeless
async def test_who_needs_a_group_in_doubt_waits_and_nobody_else_does(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 3, 0.0),)) as at:
        await at.sync(order(1, group_name=OTHER_GROUP, sizes={}))
        staged = at.stage(order(2))
        await die(at, staged)
        staged += at.stage(order(3), order(4, group_name=OTHER_GROUP))
        emitted = await (await at.life.begin()).run(staged)
        assert len(synced(*emitted)) == 1
        assert at.life.parked == staged[:2]
        assert len(synced(*await at.life.step([]))) == 2
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
        await at.life.begin()

        def broken(*_: object, **__: object) -> None:
            monkeypatch.undo()
            raise errors.Transient("the connection broke before the commit")

        monkeypatch.setattr(at.writer.journal, "close", broken)
        assert not at.items(1)
        with pytest.raises(errors.Transient):
            await at.life.recover()
        # It was carried out, and only the board knows.
        assert len(at.items(1)) == 1
        assert len(synced(*await at.life.step(staged))) == len(at.items(1)) == 1


@pytest.mark.parametrize("fails", ["the emission", "the removal after it"])
@timeless
async def test_a_parked_order_stays_parked_until_its_event_is_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        staged = at.stage(order(1, sizes={}))
        await die(at, staged)
        syncer = await at.life.begin()
        assert await syncer.run(staged) == []

        def broken(*_: object) -> None:
            monkeypatch.undo()
            raise errors.Transient(fails)

        if fails == "the emission":
            monkeypatch.setattr(syncer.in_doubt, "emit", broken)
        else:
            monkeypatch.setattr(at.life.facts, "erase_all", broken)
        with pytest.raises(errors.Transient, match=fails):
            await at.life.recover()
        assert at.life.parked == staged
        await at.restart()
        assert synced(*await at.life.step([])) == [0]
        assert at.life.parked == []


@timeless
async def test_a_lost_answer_holds_up_its_own_orders_only(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(9, sizes={}))
        at.trouble(Rule(kind=Kind.ERROR_500_BEFORE, at=(1,)))
        at.reset()
        staged = at.stage(order(1, sizes={}), order(2, sizes={}))
        syncer, clock = await at.life.begin(), asyncio.get_running_loop().time
        began = clock()
        assert await syncer.run(staged[:1]) == []
        assert at.life.parked == staged[:1]
        assert synced(*await syncer.run(staged[1:])) == [1]
        assert clock() - began < 2
        assert synced(*await at.life.step([])) == [0]
        assert clock() - began >= in_doubt.window().total_seconds()
        assert (at.calls, len(at.items(1))) == (3, 1)


@timeless
async def test_an_order_is_re_emitted_when_its_own_request_has_ended(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(9, sizes={}))
        at.trouble(Rule(kind=Kind.LOST_RESPONSE, at=(1,)), Rule(kind=Kind.ERROR_500_BEFORE, at=(2,)))
        staged = at.stage(order(1, sizes={}), order(2, sizes={}))
        syncer = await at.life.begin()
        for event in staged:
            assert await syncer.run([event]) == []
        # The board shows the first one's item, and nothing of the second one.
        assert len(await syncer.in_doubt.advance()) == 1
        assert (at.life.reemitted, at.life.parked) == (staged[:1], staged[1:])


@timeless
async def test_what_an_earlier_version_parked_waits_for_all_requests(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        staged = at.stage(order(1, sizes={}))
        await die(at, staged)
        at.life.facts.set(f"{PARKED}.{uuid(1)}.1", staged[0].model_dump(mode="json"))
        syncer = await at.life.begin()
        assert len(await syncer.in_doubt.advance()) == 1
        assert at.life.reemitted == []
        await at.life.recover()
        assert at.life.reemitted == staged


@pytest.mark.parametrize("others_answered", [True, False])
@timeless
async def test_an_order_that_the_api_never_answers_fails_alone_and_may_be_retried(
    tmp_path: Path, others_answered: bool
) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(9, sizes={}))
        real = at.writer.client

        class Deaf:
            """No answer to any request about order 2."""

            async def send(self, body: str, **given: Any) -> responses.Reply:
                if uuid(2) not in body:
                    return await real.send(body, **given)
                await given["leave"]()
                raise errors.OutcomeUnknown("HTTP 500")

        at.writer.client = Deaf()
        staged = at.stage(order(1, sizes={}), order(2, sizes={}), order(3, sizes={}))
        syncer = await at.life.begin()
        emitted = await syncer.run(staged)
        for number in range(10, 30 if others_answered else 60):
            await asyncio.sleep(30)
            fresh = at.stage(order(number, sizes={})) if others_answered else []
            await syncer.run(fresh)
            again, at.life.reemitted = at.life.reemitted, []
            emitted += await syncer.run(again)
        failed = [one for one in emitted if isinstance(one, events.OrderFailed)]
        assert [(one.record_uuid, one.code, one.retryable) for one in failed] == [(uuid(2), sync.NO_ANSWER, True)]
        assert sorted(one.record_uuid for one in emitted if one not in failed) == [uuid(1), uuid(3)]
        assert at.unfinished() == []
        assert not syncer.in_doubt.suspects


@timeless
async def test_adopted_creates_are_not_written_again(tmp_path: Path) -> None:
    async with desk(tmp_path, lookup_lag=4.0) as at:
        at.trouble(Rule(kind=Kind.LOST_RESPONSE, at=(1, 2, 3)))
        at.reset()
        orders = [order(number) for number in range(1, 11)]
        emitted = await at.sync(*orders)
        assert {type(one) for one in emitted} == {events.OrderSynced}
        # A group, ten items and their twenty sizes: no update besides.
        assert at.mutations == 31
        assert synced(*await at.again(*orders)) == [0] * 10


@timeless
async def test_an_adopted_order_goes_on_and_the_end_of_its_request_takes_nothing_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1, sizes={"S": 1}), order(2, sizes={"S": 1}))
        # A size is made for order 1 and updated for order 2; the answer to both is lost.
        at.trouble(Rule(kind=Kind.LOST_RESPONSE, at=(1,)))
        staged = at.stage(order(1, 2, sizes={"S": 1, "M": 5}), order(2, 2, sizes={"S": 7}))
        syncer = await at.life.begin()
        assert await syncer.run(staged) == []
        (in_doubt_still,) = await syncer.in_doubt.advance()
        assert len(in_doubt_still.adopted) == 1
        assert at.life.reemitted == staged[:1]
        at.life.reemitted.clear()
        newer = at.stage(order(1, 3, sizes={"S": 1, "M": 6}))
        assert synced(*await syncer.run(newer)) == [1]
        assert len(await at.life.step([])) == 1
        assert at.unfinished() == []
        assert (at.sizes(1), at.sizes(2)) == ({"S": 1, "M": 6}, {"S": 7})
        again = [one.model_copy(update={"cause": events.Cause.REPLAY}) for one in newer]
        assert synced(*await at.life.step(again)) == [0]
        assert synced(*await at.sync(order(1, 4, sizes={"S": 1, "M": 5}))) == [1]
        assert at.sizes(1) == {"S": 1, "M": 5}


@timeless
async def test_a_board_that_cannot_be_read_holds_up_nobody_and_is_read_later(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(9, sizes={}))
        at.trouble(Rule(kind=Kind.LOST_RESPONSE, at=(1,)), Rule(kind=Kind.ERROR_500_BEFORE, of="query", rate=1.0))
        staged = at.stage(order(1, sizes={}), order(2, sizes={}))
        syncer, clock = await at.life.begin(), asyncio.get_running_loop().time
        assert await syncer.run(staged[:1]) == []
        assert len(await syncer.in_doubt.advance()) == 1
        began = clock()
        assert synced(*await syncer.run(staged[1:])) == [1]
        assert clock() - began < 2
        at.trouble()
        assert synced(*await at.life.step([])) == [0]
        assert len(at.items(1)) == 1
