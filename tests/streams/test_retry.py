"""retry: the times are in SQL, they outlive the process, and one process takes each failure."""

import dataclasses
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from connectors import database
from connectors.database import sqlite
from connectors.tables import retries
from schemas import events
from sql import tables
from streams import retry
from tests.support import factories
from tests.support.factories import World, changed, identity


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        made.batches.open([("BATCH-1", "GREYSON CLOTHIERS", 9)], version=1, started_by="test")
        yield made


def fail(world: World, event: events.OrderEvent, *, attempt: int = 0, size: str | None = None) -> None:
    """A failure that may pass by itself, recorded and scheduled as the dead letters' consumer does."""
    world.retrier.schedule(world.record(world.refuse(event, retryable=True, attempt=attempt, size_label=size)))


def pause(world: World, number: int = 1) -> float | None:
    """Seconds from now to the next try of an order."""
    lines = world.query("SELECT * FROM ERR_MON_CustMasterSchedule WHERE record_uuid = ?", identity(number))
    due = lines[0]["next_retry_at"]
    return None if due is None else (database.from_db_time(due) - world.clock()).total_seconds()


def test_a_failure_is_tried_again_when_its_time_has_come_and_not_before(world: World) -> None:
    (event,) = world.stage(changed(1))
    fail(world, event)
    assert world.retrier.due() == []
    world.clock.advance(44)
    assert world.retrier.due() == []
    world.clock.advance(32)
    (again,) = world.retrier.due()
    assert again == events.OrderStaged(**event.identity, cause=events.Cause.RETRY, attempt=1)


def test_pauses_are_four_times_as_long_each_and_end_after_five_tries(world: World) -> None:
    (event,) = world.stage(changed(1))
    fail(world, event)
    for attempt in range(1, 6):
        seconds = pause(world)
        expected = 60 * 4 ** (attempt - 1)
        assert seconds is not None
        assert 0.75 * expected - 1 < seconds < 1.25 * expected + 1
        world.clock.advance(seconds + 1)
        (again,) = world.retrier.due()
        assert again.attempt == attempt
        fail(world, again, attempt=attempt)
        (line,) = world.errors()
        assert line["retry_count"] == attempt
        assert line["last_retry_date"] is not None
    assert pause(world) is None
    assert world.errors()[0]["max_retries_reached"] == 1
    world.clock.advance(10**7)
    assert world.retrier.due() == []
    assert len(world.failures.waiting()) == 1


def test_orders_that_failed_together_do_not_come_back_together(world: World) -> None:
    for event in world.stage(*(changed(n) for n in range(1, 9))):
        fail(world, event)
    pauses = [pause(world, n) for n in range(1, 9)]
    assert len(set(pauses)) == 8
    assert max(p or 0 for p in pauses) - min(p or 0 for p in pauses) > 5


def test_what_is_not_retryable_waits_for_a_person(world: World) -> None:
    (event,) = world.stage(changed(1))
    world.retrier.schedule(world.record(world.refuse(event)))
    world.retrier.schedule([world.refuse(event)])
    assert pause(world) is None
    assert world.errors()[0]["max_retries_reached"] == 1


def test_the_times_outlive_the_process(world: World) -> None:
    (event,) = world.stage(changed(1))
    fail(world, event)
    world.db.close()
    world.clock.advance(100)
    another = factories.World(world.path)
    another.clock.advance(200)
    try:
        assert [again.record_uuid for again in another.retrier.due()] == [identity(1)]
    finally:
        another.db.close()


def test_a_claim_that_nobody_emitted_is_due_again(world: World) -> None:
    (event,) = world.stage(changed(1))
    fail(world, event)
    world.clock.advance(100)
    (first,) = world.retrier.due()
    assert world.retrier.due() == []
    world.clock.advance(retry.CLAIM.total_seconds() - 5)
    assert world.retrier.due() == []
    world.clock.advance(10)
    assert world.retrier.due() == [first]


def test_two_processes_take_each_failure_once(world: World) -> None:
    for event in world.stage(*(changed(n) for n in range(40))):
        fail(world, event)
    world.clock.advance(100)
    taken: list[str] = []
    gate = threading.Barrier(2)

    def take() -> None:
        mine = sqlite.SqliteDatabase(world.path)
        try:
            gate.wait()
            again_at = world.clock() + timedelta(hours=1)
            taken.extend(e.record_uuid for e in retries.Retries(mine, now=world.clock).claim_due(again_at, 40))
        finally:
            mine.close()

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [identity(n) for n in range(40)]


def test_an_order_of_which_several_parts_failed_is_tried_once(world: World) -> None:
    (event,) = world.stage(changed(1))
    fail(world, event, size="S")
    fail(world, event, size="M")
    fail(world, event)
    world.clock.advance(100)
    assert [again.record_uuid for again in world.retrier.due()] == [identity(1)]
    claimed = world.errors() + world.errors(tables.ERRORS_SUBITEMS)
    assert all(line["next_retry_at"] > database.to_db_time(world.clock()) for line in claimed)


def test_what_was_resolved_is_not_tried_again(world: World) -> None:
    (event,) = world.stage(changed(1))
    fail(world, event)
    world.promote(*world.arrive([event]))
    world.clock.advance(10**6)
    assert world.retrier.due() == []
    assert world.errors()[0]["next_retry_at"] is None


def test_a_dead_letter_that_comes_late_does_not_set_the_clock_back(world: World) -> None:
    (event,) = world.stage(changed(1))
    first = world.refuse(event, retryable=True)
    world.retrier.schedule(world.record(first))
    world.clock.advance(100)
    (again,) = world.retrier.due()
    fail(world, again, attempt=1)
    due = world.errors()[0]["next_retry_at"]
    world.retrier.schedule([first])
    assert world.errors()[0]["next_retry_at"] == due
    assert not world.retries.schedule(first, None)
    # And the failure itself, told once more, changes nothing either.
    world.record(first)
    assert world.errors()[0]["retry_count"] == 1
    assert world.errors()[0]["next_retry_at"] == due


def test_a_failure_that_nobody_recorded_cannot_be_scheduled(world: World) -> None:
    failed = world.refuse(changed(1), retryable=True)
    assert not world.retries.schedule(failed, world.clock())


class _Scheduled:
    def __init__(self) -> None:
        self.due: list[datetime | None] = []

    def schedule(self, event: events.OrderFailed, due: datetime | None) -> bool:
        self.due.append(due)
        return True

    def is_due(self) -> bool:
        raise AssertionError("nobody asked")

    def claim_due(self, again_at: datetime, most: int) -> list[events.OrderStaged]:
        raise AssertionError("nobody asked")


@pytest.mark.parametrize(("attempt", "tries", "tried"), [(0, 0, False), (0, 1, True), (1, 1, False), (4, 5, True)])
def test_the_number_of_tries_is_a_setting(world: World, attempt: int, tries: int, tried: bool) -> None:
    told = _Scheduled()
    retrier = dataclasses.replace(world.retrier, failures=told, tries=tries)
    retrier.schedule([world.refuse(changed(1), retryable=True, attempt=attempt)])
    assert [due is not None for due in told.due] == [tried]
