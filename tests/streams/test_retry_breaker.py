"""The breaker: opens when most retries fail alike, lets one through after growing pauses, closes when one differs."""

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas import events
from streams import retry
from tests.support import factories
from tests.support.factories import World, changed, identity

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
CODE = "UNSETTLED"


class Facts:
    """Named facts, as long as this test lives."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        return self.told.get(name)

    def set(self, name: str, value: Any) -> None:
        self.told[name] = value


class Outcomes:
    """The newest retries, the newest first, each a second apart."""

    def __init__(self, *codes: str) -> None:
        self.ended = [(NOW - timedelta(seconds=n), code) for n, code in enumerate(codes)]

    def add(self, code: str, at: datetime) -> None:
        self.ended.insert(0, (at, code))

    def __call__(self, since: datetime, most: int) -> list[str]:
        return [code for at, code in self.ended if at >= since][:most]


def made(*codes: str) -> tuple[retry.Breaker, Outcomes]:
    outcomes = Outcomes(*codes)
    return retry.Breaker(Facts(), outcomes, first=60.0), outcomes


@pytest.mark.parametrize(
    ("codes", "admitted"),
    [
        ([], 200),
        ([CODE] * 19, 200),
        ([CODE] * 20, 0),
        ([CODE] * 16 + [""] * 4, 0),
        ([CODE] * 15 + [""] * 5, 200),
        ([CODE] * 10 + ["ANOTHER"] * 10, 200),
        ([""] * 20, 200),
        ([""] * 20 + [CODE] * 200, 200),
    ],
)
def test_it_opens_when_four_of_five_of_the_newest_twenty_fail_alike(codes: list[str], admitted: int) -> None:
    holding, _ = made(*codes)
    assert holding.admits(NOW, 200) == admitted
    assert (retry.read_breaker(holding.state).code is None) == (admitted > 0)


def test_retries_of_long_ago_do_not_count() -> None:
    holding, outcomes = made(*[CODE] * 20)
    outcomes.ended = [(at - retry.WITHIN, code) for at, code in outcomes.ended]
    assert holding.admits(NOW, 200) == 200


def test_one_is_let_through_after_each_pause_and_the_pauses_grow_to_a_bound(caplog: pytest.LogCaptureFixture) -> None:
    holding, outcomes = made(*[CODE] * 20)
    now, tried = NOW, []
    while now < NOW + timedelta(days=1):
        if holding.admits(now, 200):
            assert holding.admits(now, 200) == 0
            tried.append((now - NOW).total_seconds())
            outcomes.add(CODE, now)
        now += timedelta(seconds=30)
    pauses = [later - before for before, later in zip([0.0, *tried], tried, strict=False)]
    assert pauses[:7] == [60, 120, 240, 480, 960, 1920, 3840]
    assert set(pauses[6:]) == {3840}
    assert [record.getMessage()[:13] for record in caplog.records] == ["retries pause"], "it is told once"


@pytest.mark.parametrize("newest", ["", "ANOTHER"])
def test_one_that_ends_otherwise_closes_it_and_what_was_before_opens_it_no_more(newest: str) -> None:
    holding, outcomes = made(*[CODE] * 20)
    assert holding.admits(NOW, 200) == 0
    later = NOW + timedelta(seconds=61)
    assert holding.admits(later, 200) == 1
    outcomes.add(newest, later)
    assert holding.admits(later + timedelta(seconds=1), 200) == 200
    assert holding.admits(later + timedelta(seconds=2), 200) == 200
    for _ in range(20):
        outcomes.add(CODE, later + timedelta(seconds=3))
    assert holding.admits(later + timedelta(seconds=4), 200) == 0


def test_it_says_since_when_and_why_and_when_it_tries() -> None:
    holding, _ = made(*[CODE] * 20)
    holding.admits(NOW, 200)
    told = str(retry.read_breaker(holding.state))
    assert "since 2026-11-21 10:00:00 UTC" in told
    assert CODE in told
    assert "tried at 10:01:00 UTC" in told
    assert str(retry.BreakerState()) == "retries go on"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        made.batches.open([("BATCH-1", "GREYSON CLOTHIERS", 30)], version=1, started_by="test")
        yield made


def fails(world: World, event: events.OrderEvent, attempt: int) -> None:
    failed = world.refuse(event, retryable=True, attempt=attempt, code=CODE)
    world.retrier.schedule(world.record(failed))


def test_on_the_tables_nothing_that_is_due_gets_lost_and_a_new_process_knows(world: World) -> None:
    staged = world.stage(*(changed(n) for n in range(1, 26)))
    for event in staged:
        fails(world, event, 0)
    world.clock.advance(80)
    again = world.retrier.due()
    assert len(again) == 25
    for event in again:
        fails(world, event, 1)
    world.clock.advance(400)
    assert world.retrier.due() == []
    assert retry.read_breaker(world.state).code == CODE
    assert len([row for row in world.failures.waiting() if row["next_retry_at"]]) == 25
    another = factories.World(world.path)
    try:
        another.clock.advance(1000)
        (probe,) = another.retrier.due()
        assert another.retrier.due() == []
        another.promote(*another.arrive([probe]))
        rest = another.retrier.due()
        assert {event.record_uuid for event in [probe, *rest]} == {identity(n) for n in range(1, 26)}
    finally:
        another.db.close()


def test_a_setting_of_tries_has_no_say_in_what_is_held_back(world: World) -> None:
    once = dataclasses.replace(world.retrier, tries=1)
    (event,) = world.stage(changed(1))
    once.schedule(world.record(world.refuse(event, retryable=True)))
    world.clock.advance(100)
    world.state.set(
        retry.BREAKER,
        retry.BreakerState(code=CODE, since=world.clock(), next_at=world.clock() + timedelta(hours=1)).model_dump(
            mode="json"
        ),
    )
    assert once.due() == []
    world.clock.advance(3700)
    assert [again.attempt for again in once.due()] == [1]
