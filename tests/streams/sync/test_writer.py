"""The writer on a real journal and a real board: whatever goes wrong, each mutation takes place once."""

import asyncio
import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from connectors import errors
from connectors.monday import error_table
from connectors.simulator.faults import Kind, Rule
from connectors.tables import lease
from connectors.tables.journal import Request
from schemas import items
from streams.sync import batch_size, in_doubt, lookup, outcome, ports, writer
from tests.support.board_script import Point, Strike
from tests.support.board_world import Killed
from tests.support.virtual import timeless
from tests.support.writer_desk import GROUP, Desk, desk, order, uuid

MINUTE = 60.0


def create(number: int, **columns: object) -> writer.Intent:
    told = {"record_uuid": uuid(number), "text_mkr5cz8m": "P-1"} | columns
    return writer.Intent(
        items.CreateItem(record_uuid=uuid(number), name=f"POLO {number}", group_name=GROUP, columns=told), version=1
    )


async def with_group(at: Desk) -> None:
    (done,) = await at.writer.write([writer.Intent(items.CreateGroup(group_name=GROUP))])
    assert isinstance(done, items.Done)
    at.reset()


async def written(at: Desk, *numbers: int) -> list[outcome.Result]:
    return await at.writer.write([create(number) for number in numbers])


def kinds(results: list[outcome.Result]) -> list[str]:
    return [type(result).__name__ for result in results]


async def on_its_way(at: Desk) -> None:
    """Until the API has the request."""
    async with asyncio.timeout(60):
        while at.calls == 0:
            await at.world.clock.sleep(0.001)


def on_board(at: Desk, *numbers: int) -> list[int]:
    """How many active items each order has."""
    return [len(at.items(number)) for number in numbers]


def requests(at: Desk) -> list[dict[str, object]]:
    with at.world.db.read() as session:
        return session.query(
            "SELECT request_key, outcome, attempts, first_sent_at FROM SYNC_Requests ORDER BY created_at, request_key"
        )


async def killed(at: Desk, *numbers: int) -> None:
    with pytest.raises(Killed):
        await written(at, *numbers)


@timeless
async def test_an_intent_is_committed_before_the_request_leaves(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        await with_group(at)
        await killed(at, 1, 2)
        assert at.calls == 0
        (left,) = at.unfinished()
        assert [mutation.record_uuid for mutation in left.mutations if isinstance(mutation, items.CreateItem)] == [
            uuid(1),
            uuid(2),
        ]
        assert GROUP not in left.body  # the group's id travels


@timeless
async def test_the_time_that_the_budget_takes_does_not_make_a_key_older(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        at.life.paces.pause(500.0)
        begun = at.world.clock.now()
        await written(at, 1)
        (left,) = [row for row in requests(at) if str(row["first_sent_at"]) > begun.isoformat()[:26]]
        assert str(left["first_sent_at"]) >= (begun + timedelta(seconds=500)).replace(tzinfo=None).isoformat()[:19]


SENT = [Point.AFTER_INTENT, Point.AFTER_SEND, Point.AFTER_ANSWER, Point.BEFORE_CLOSE, Point.AFTER_CLOSE]


@pytest.mark.parametrize("point", SENT)
@timeless
async def test_a_process_that_dies_anywhere_around_the_request_leaves_one_item(tmp_path: Path, point: Point) -> None:
    async with desk(tmp_path, strikes=(Strike(point, 2, 0.0),)) as at:
        await with_group(at)
        await killed(at, 1, 2)
        await at.restart()
        await at.life.recover()
        assert at.unfinished() == []
        assert on_board(at, 1, 2) == [1, 1]
        known = at.writer.ledger.known([uuid(1), uuid(2)])
        assert {uuid: item.item_id for uuid, (item, _) in known.items() if item} == {
            uuid(1): at.item(1)["id"],
            uuid(2): at.item(2)["id"],
        }


@pytest.mark.parametrize("point", [Point.BEFORE_LEAVE, Point.BEFORE_INTENT])
@timeless
async def test_a_process_that_dies_before_the_intent_leaves_nothing(tmp_path: Path, point: Point) -> None:
    async with desk(tmp_path, strikes=(Strike(point, 2, 0.0),)) as at:
        await with_group(at)
        await killed(at, 1)
        assert at.unfinished() == []
        assert on_board(at, 1) == [0]


@pytest.mark.parametrize("kind", [Kind.LOST_RESPONSE, Kind.ERROR_500_AFTER, Kind.ERROR_500_BEFORE, Kind.RESET])
@pytest.mark.parametrize("forgetful", [False, True])
@timeless
async def test_a_lost_answer_makes_no_second_item_even_if_the_api_forgets_keys(
    tmp_path: Path, kind: Kind, forgetful: bool
) -> None:
    rules = [Rule(kind=kind, at=(1,))] + [Rule(kind=Kind.DROP_IDEMPOTENCY, rate=1.0)] * forgetful
    async with desk(tmp_path, lookup_lag=10.0) as at:
        await with_group(at)
        at.trouble(*rules)
        begun = at.world.clock.now()
        assert kinds(await written(at, 1, 2)) == ["InDoubt"] * 2
        await at.life.recover()
        executed = kind in (Kind.LOST_RESPONSE, Kind.ERROR_500_AFTER)
        assert (on_board(at, 1, 2), at.calls) == ([1, 1], 1 if executed else 2)
        waited = at.world.clock.now() - begun
        assert waited < timedelta(seconds=25) if executed else waited >= in_doubt.window()
        assert at.unfinished() == []


@timeless
async def test_a_request_that_is_carried_out_while_its_double_waits_and_is_then_forgotten_is_found(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        at.trouble(Rule(kind=Kind.HANG, at=(1,), seconds=90, late=True), Rule(kind=Kind.DROP_IDEMPOTENCY, rate=1.0))
        assert kinds(await written(at, 1, 2)) == ["InDoubt"] * 2
        await at.life.recover()
        assert at.world.simulator.service.stats.errors["IDEMPOTENCY_CONFLICT"] > 0
        assert on_board(at, 1, 2) == [1, 1]


@timeless
async def test_a_found_item_is_adopted_with_the_values_that_it_shows(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        at.trouble(Rule(kind=Kind.LOST_RESPONSE, at=(1,)))
        await written(at, 1)
        at.by_hand("set", at.item(1)["id"], column_id="text_mkr5cz8m", value="by hand")
        await at.life.recover()
        item = at.writer.ledger.known([uuid(1)])[uuid(1)][0]
        assert item is not None
        assert (item.item_id, item.name, item.group_name) == (at.item(1)["id"], "POLO 1", GROUP)
        assert item.columns["record_uuid"] == uuid(1)
        assert item.columns["text_mkr5cz8m"] == lookup.UNSURE


@timeless
async def test_an_update_without_an_answer_leaves_again_under_its_key(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        await written(at, 1)
        at.trouble(Rule(kind=Kind.LOST_RESPONSE, at=(1,)))
        update = items.UpdateItem(record_uuid=uuid(1), item_id=at.item(1)["id"], columns={"text_mkr5cz8m": "P-2"})
        at.reset()
        assert kinds(await at.writer.write([writer.Intent(update, 2)])) == ["InDoubt"]
        await at.life.recover()
        assert at.shown(1, "PATTERN ID") == "P-2"
        assert (at.calls, at.mutations, at.world.simulator.service.stats.replays) == (2, 1, 1)
        assert requests(at)[-1]["attempts"] == 2


@timeless
async def test_an_update_that_nobody_speaks_of_is_not_believed_until_it_is_repeated(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        await written(at, 1)
        at.trouble(Rule(kind=Kind.NULL_ALIAS, at=(1,), executed=True))
        update = items.UpdateItem(
            record_uuid=uuid(1), item_id=at.item(1)["id"], columns={"text_mkr5cz8m": "P-2", "name": "NEW"}
        )
        assert kinds(await at.writer.write([writer.Intent(update, 2)])) == ["Stale"]
        known = at.writer.ledger.known([uuid(1)])[uuid(1)][0]
        assert known is not None
        assert known.name == ""
        assert known.columns["text_mkr5cz8m"] not in ("P-1", "P-2")


@timeless
async def test_a_null_without_an_error_is_looked_up_and_only_what_is_missing_is_planned_again(tmp_path: Path) -> None:
    async with desk(tmp_path, lookup_lag=10.0) as at:
        await with_group(at)
        at.trouble(
            Rule(kind=Kind.NULL_ALIAS, at=(1,), aliases=(0,), executed=True),
            Rule(kind=Kind.PARTIAL_ALIASES, at=(1,), aliases=(1,)),
        )
        results = await written(at, 1, 2, 3)
        assert kinds(results) == ["Stale", "Refused", "Done"]
        assert on_board(at, 1, 2, 3) == [1, 0, 1]


@timeless
async def test_throttled_aliases_are_sent_again_after_the_stated_wait(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        at.trouble(Rule(kind=Kind.THROTTLE_200, at=(1,), aliases=(0, 2), seconds=16))
        begun = at.world.clock.monotonic()
        assert kinds(await written(at, 1, 2, 3)) == ["Done"] * 3
        assert on_board(at, 1, 2, 3) == [1, 1, 1]
        assert at.world.clock.monotonic() - begun >= 16


@timeless
async def test_a_batch_that_is_refused_as_a_whole_is_halved_until_the_bad_one_fails_alone(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        tight(at, 4)
        assert kinds(await written(at, *range(1, 8))) == ["Done"] * 7
        assert on_board(at, *range(1, 8)) == [1] * 7
        assert {row["outcome"] for row in requests(at)} == {"DONE", "REJECTED"}


def tight(at: Desk, mutations: int) -> None:
    """From here on a request takes no more than so many."""
    service = at.world.simulator.service
    told = service.settings.model_copy(update={"complexity_per_request": mutations * 30_000})
    service.settings = service.gate._settings = told


@timeless
async def test_a_request_in_doubt_that_is_now_too_big_is_left_to_the_next_plan(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        await with_group(at)
        await killed(at, 1, 2, 3)
        await at.restart()
        tight(at, 2)
        assert await at.life.recover() == 1
        assert at.unfinished() == []
        assert on_board(at, 1, 2, 3) == [0, 0, 0]
        assert kinds(await written(at, 1, 2, 3)) == ["Done"] * 3
        assert on_board(at, 1, 2, 3) == [1, 1, 1]


@timeless
async def test_a_whole_error_that_says_nothing_is_looked_up_and_sent_in_halves(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        strange = Strange(at.writer.client, bad=uuid(3))
        results = await dataclasses.replace(at.writer, client=strange).write([create(n) for n in range(1, 6)])
        assert kinds(results) == ["Done", "Done", "Stale", "Done", "Done"]
        assert on_board(at, 1, 2, 3, 4, 5) == [1, 1, 0, 1, 1]


class Strange:
    """Answers every request that speaks of one order with an error that nobody has ever seen."""

    def __init__(self, client: ports.Client, bad: str) -> None:
        self._client = client
        self._bad = bad

    async def send(self, body, *, key, mutations, leave=None):  # type: ignore[no-untyped-def]
        if self._bad in body:
            await leave()
            raise error_table.MustLookUp(error_table.ApiError(code="Strange", message="?", status=200))
        return await self._client.send(body, key=key, mutations=mutations, leave=leave)


@timeless
async def test_an_account_stop_that_sent_nothing_leaves_nothing_in_doubt(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        at.trouble(Rule(kind=Kind.UNAUTHORIZED, at=(1,)))
        with pytest.raises(error_table.AccountStop):
            await written(at, 1)
        assert at.unfinished() == []
        assert requests(at)[-1]["outcome"] == "STOPPED"
        assert kinds(await written(at, 1)) == ["Done"]


@timeless
async def test_an_account_stop_in_doubt_stays_in_doubt(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        at.trouble(
            Rule(kind=Kind.ERROR_500_BEFORE, at=(1,)),
            Rule(kind=Kind.UNAUTHORIZED, at=(2,)),
        )
        await written(at, 1)
        with pytest.raises(error_table.AccountStop):
            await at.life.recover()
        assert len(at.unfinished()) == 1
        assert await at.life.recover() == 1
        assert on_board(at, 1) == [1]


@timeless
async def test_a_board_stop_leaves_the_request_to_the_next_run(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        at.trouble(Rule(kind=Kind.BOARD_MISSING, at=(1,)))
        with pytest.raises(error_table.BoardStop):
            await written(at, 1)
        await at.life.recover()
        assert on_board(at, 1) == [1]


@pytest.mark.parametrize(("minutes", "keys"), [(28.0, 1), (31.0, 2)])
@timeless
async def test_a_key_is_used_as_long_as_it_is_remembered_and_no_longer(
    tmp_path: Path, minutes: float, keys: int
) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        await with_group(at)
        await killed(at, 1)
        await asyncio.sleep(minutes * MINUTE)
        await at.restart()
        await at.life.recover()
        assert on_board(at, 1) == [2 - keys]
        await written(at, *([1] if keys == 2 else []))
        assert on_board(at, 1) == [1]
        assert len(requests(at)) == 1 + keys


@timeless
async def test_a_key_that_grows_old_while_the_budget_is_waited_for_is_not_used(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        await with_group(at)
        await killed(at, 1)
        await at.restart()
        await asyncio.sleep(28.0 * MINUTE)
        syncer = await at.life.begin()
        at.life.paces.pause(120.0)
        assert await syncer.in_doubt.advance() == []
        assert at.calls == 0
        assert at.unfinished() == []


@timeless
async def test_the_lifetime_of_a_key_is_scaled_with_the_minute(tmp_path: Path) -> None:
    async with desk(tmp_path, strikes=(Strike(Point.AFTER_INTENT, 2, 0.0),)) as at:
        await with_group(at)
        await killed(at, 1)
        quick = dataclasses.replace(at.writer, minute=3.0)
        await asyncio.sleep(29 * 3.0 + 1.0)
        assert await quick.resend(at.unfinished()[0])
        assert (at.calls, at.unfinished()) == (0, [])


@pytest.mark.parametrize("when", ["before it leaves", "before it leaves again", "before its end is written"])
@timeless
async def test_a_lost_lease_ends_the_writer_wherever_it_is(tmp_path: Path, when: str) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        rules = {"before it leaves again": [Rule(kind=Kind.ERROR_500_BEFORE, at=(1,))]}
        at.trouble(*rules.get(when, [Rule(kind=Kind.SLOW, at=(1,), seconds=5)]))
        budget = at.life.paces.snapshot()
        if when == "before it leaves again":
            await written(at, 1)
        writing = asyncio.create_task(at.life.recover() if when == "before it leaves again" else written(at, 1))
        if when == "before its end is written":
            await on_its_way(at)
        with at.world.db.write() as session:
            session.execute("UPDATE SYNC_Lease SET owner = 'another', token = token + 1")
        with pytest.raises(errors.LeaseLost):
            await writing
        assert len(at.unfinished()) == (0 if when == "before it leaves" else 1)
        if when == "before it leaves":
            assert at.life.paces.snapshot() == budget.model_copy(update={"requests": budget.requests + 1})
        assert uuid(1) not in at.writer.ledger.known([uuid(1)])


@timeless
async def test_a_lease_that_only_ran_out_still_records_what_took_place(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        at.trouble(Rule(kind=Kind.SLOW, at=(1,), seconds=5))
        writing = asyncio.create_task(written(at, 1))
        await on_its_way(at)
        with at.world.db.write() as session:
            session.execute("UPDATE SYNC_Lease SET expires_at = '2020-01-01T00:00:00.000000'")
        assert kinds(await writing) == ["Done"]
        with pytest.raises(errors.LeaseLost):
            await written(at, 2)


@timeless
async def test_a_writer_that_slept_cannot_overwrite_what_its_successor_knows(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        old = at.writer
        request = Request(
            key="k",
            body="{}",
            mutations=(create(1).mutation,),
            versions={uuid(1): 1},
            first_sent_at=at.world.clock.now(),
        )
        old.journal.open(request, old.grant)
        at.life.frozen.set()
        await asyncio.sleep(45.0)
        successor = lease.Lease(at.world.db, "board", owner="b", seconds=30.0, now=at.world.clock.now)
        assert successor.acquire() is not None
        with pytest.raises(errors.LeaseLost):
            old.journal.close("k", [], {}, old.grant, outcome="DONE")


@timeless
async def test_a_group_that_a_person_deleted_is_noticed(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        state = at.world.simulator.service.state
        state._db.execute("DELETE FROM board_groups WHERE title = ?", (GROUP,))
        state._load_outline()
        assert kinds(await written(at, 1)) == ["Stale"]
        assert GROUP not in at.writer.ledger.groups()
        assert kinds(await written(at, 1)) == ["Stale"]
        (emitted,) = await at.sync(order(2))
        assert at.item(2)["group"] == GROUP
        assert emitted.record_uuid == uuid(2)


@pytest.mark.parametrize(
    ("room", "left", "most", "expected"),
    [
        (333, 1000, 25, 24),
        (33, 1000, 25, 17),
        (16, 1000, 25, 16),
        (7, 1000, 25, 7),
        (6, 1000, 25, 25),
        (0, 1000, 25, 25),
        (333, 26, 25, 13),
        (333, 1, 25, 1),
        (1, 1, 25, 1),
        (1, 3, 25, 1),
        (0, 1, 25, 1),
    ],
)
def test_batches_share_what_the_minute_holds_evenly_and_leave_no_crumb(
    room: int, left: int, most: int, expected: int
) -> None:
    assert batch_size.BatchSize(most).share(left, room) == expected


@timeless
async def test_slow_answers_make_batches_smaller_and_quick_ones_larger_again(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await with_group(at)
        at.trouble(Rule(kind=Kind.SLOW, at=(1,), seconds=30))
        await written(at, *range(1, 26))
        assert at.writer.size.current == 12
        await written(at, *range(26, 90))
        assert at.writer.size.current == 17


@timeless
async def test_waiting_for_the_budget_is_no_slowness(tmp_path: Path) -> None:
    async with desk(tmp_path, complexity=1_000_000) as at:
        await with_group(at)
        await written(at, *range(1, 70))
        assert on_board(at, *range(1, 70)) == [1] * 69
        assert at.world.clock.monotonic() > 60
        assert at.writer.size.current == 25
