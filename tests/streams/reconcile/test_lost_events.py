"""What was lost with the log is found again: on real tables, with a log whose offsets are told."""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.tables import lost_events, repairs
from schemas import events
from schemas.versions import Version
from streams.detect import step as detect
from streams.reconcile import lost_events as sweeps
from streams.sync import in_doubt, room
from tests.support import factories
from tests.support.factories import World, row

LANES = (("changed",), ("staged",), ("synced", "failed"), ("dead-letter",))
P = [(name, 0) for lane in LANES for name in lane]


class Log:
    """Offsets of one partition a topic."""

    def __init__(self) -> None:
        self.ends = dict.fromkeys(P, 0)
        self.done = dict.fromkeys(P, 0)
        self.starts = dict.fromkeys(P, 0)
        self.asked = 0

    def start_offsets(self, topics: Collection[str]) -> dict[tuple[str, int], int]:
        return {p: start for p, start in self.starts.items() if p[0] in topics}

    def end_offsets(self, topics: Collection[str]) -> dict[tuple[str, int], int]:
        self.asked += 1
        return {p: end for p, end in self.ends.items() if p[0] in topics}

    def committed(self, group: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
        return {p: end for p, end in self.done.items() if p[0] in topics and end}

    def emitted(self, topic: str, n: int = 1) -> None:
        self.ends[topic, 0] += n

    def worked(self, topic: str) -> None:
        self.done[topic, 0] = self.ends[topic, 0]

    def expired(self, topic: str) -> None:
        """Retention took what was there, and the group's offsets too."""
        self.starts[topic, 0] = self.ends[topic, 0]
        self.done[topic, 0] = 0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def sweep(world: World, log: Log) -> sweeps.LostEventSweep:
    tables = lost_events.LostEvents(world.db, numbers=detect.PASS, again=timedelta(minutes=1), now=world.clock)
    return sweeps.LostEventSweep(log, tables, "group", LANES)


class Writer:
    """The sync step, as far as the watermark notices it."""

    def __init__(self, world: World, log: Log, staged: Sequence[events.OrderEvent]) -> None:
        none: Any = None
        emit = lambda emitted: log.emitted("staged", len(emitted))  # noqa: E731
        self.recovery = in_doubt.InDoubtRequests(
            none, none, none, world.state, emit, world.clock, none, none, room.Room(world.clock, 60.0)
        )
        self.log = log
        self.staged = [one for one in staged if isinstance(one, events.OrderStaged)]

    def parks(self) -> None:
        self.recovery.park([], [in_doubt.Waiting(event) for event in self.staged])
        self.log.worked("staged")

    def releases(self) -> None:
        self.recovery._release([])


@pytest.fixture
def writer(world: World, log: Log, sweep: sweeps.LostEventSweep) -> Writer:
    """One order has arrived at the sync step, and the watermark waits there for it."""
    world.add(row(1))
    (event,) = world.passed()
    log.emitted("changed")
    log.worked("changed")
    log.emitted("staged")
    assert sweep.advance() == 0
    return Writer(world, log, world.stage(event))


def test_nothing_waits_and_kafka_is_not_asked(world: World, log: Log, sweep: sweeps.LostEventSweep) -> None:
    world.add(row(1))
    world.flow()
    assert sweep.advance() == 0
    assert log.asked == 0


def test_an_order_whose_event_is_on_its_way_is_left_alone(world: World, log: Log, sweep: sweeps.LostEventSweep) -> None:
    world.add(row(1))
    world.passed()
    log.emitted("changed")
    for topic, follows in (("changed", "staged"), ("staged", "synced"), ("synced", None)):
        assert sweep.advance() == 0
        assert world.passed() == []
        log.worked(topic)
        if follows:
            log.emitted(follows)
    assert world.snapshot(1)["row_hash"]


def test_an_order_whose_events_have_expired_is_detected_again(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    world.add(row(1))
    world.passed()
    for topic in ("changed", "staged"):
        log.emitted(topic, 3)
        log.expired(topic)
    assert sweep.advance() == 1
    assert [event.record_uuid for event in world.passed()] == [factories.identity(1)]


def test_an_order_that_no_lane_has_any_more_is_detected_again(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    world.add(row(1), row(2))
    (first, second) = world.passed()
    world.settle(second)
    log.emitted("changed", 2)
    log.worked("changed")
    assert sweep.advance() == 1
    (again,) = world.passed()
    assert (again.record_uuid, again.change) == (first.record_uuid, events.Change.CREATED)
    assert again.version > first.version
    world.settle(again)
    assert set(world.states().values()) == {"IN_SYNC"}
    assert sweep.advance() == 0


def test_a_parked_order_is_not_lost(log: Log, sweep: sweeps.LostEventSweep, writer: Writer) -> None:
    for _ in range(2):
        writer.parks()
        assert sweep.advance() == sweep.advance() == 0
        writer.releases()
        assert sweep.advance() == 0
    log.worked("staged")
    log.emitted("synced")
    assert sweep.advance() == 0
    log.worked("synced")
    assert sweep.advance() == 1


def test_an_order_that_was_parked_between_two_looks_is_not_lost(sweep: sweeps.LostEventSweep, writer: Writer) -> None:
    writer.parks()
    writer.releases()
    assert sweep.advance() == 0


def test_a_watermark_does_not_start_while_an_order_is_parked(
    log: Log, sweep: sweeps.LostEventSweep, writer: Writer
) -> None:
    writer.parks()
    # The poller starts again.
    sweep._watermark = None
    assert sweep.advance() == 0
    writer.releases()
    assert sweep.advance() == 0
    log.worked("staged")
    assert sweep.advance() == 1


def test_a_parked_order_whose_event_was_lost_after_it_was_emitted_is_found(
    log: Log, sweep: sweeps.LostEventSweep, writer: Writer
) -> None:
    writer.parks()
    writer.releases()
    log.ends = dict.fromkeys(P, 0)
    assert sweep.advance() == 1


def test_an_order_that_was_staged_before_its_poller_died_and_left_since_is_taken_off_the_board(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    world.add(row(1), row(2))
    (first, second) = world.passed()
    world.settle(second)
    world.stage(first)
    world.run("DELETE FROM ORDERS_UNIFIED_SNAPSHOT WHERE record_uuid = ?", first.record_uuid)
    world.remove(1)
    log.emitted("changed", 2)
    log.worked("changed")
    assert sweep.advance() == 1
    (gone,) = world.passed()
    assert (gone.record_uuid, gone.change) == (first.record_uuid, events.Change.DELETED)
    world.settle(gone)
    world.check_batches()
    assert sweep.advance() == 0


def test_an_older_version_that_was_lost_ends_when_the_newest_one_failed(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    world.add(row(1))
    (first,) = world.passed()
    world.stage(first)
    world.edit(1, {"CUSTOMER PRICE": "cheap"})
    (second,) = world.passed()
    world.settle(second)
    log.emitted("changed", 2)
    log.worked("changed")
    assert sweep.advance() == 0
    assert world.staged(1) == {first.version: "SUPERSEDED", second.version: "API_FAILED"}
    world.check_batches()


def test_a_watermark_waits_for_the_slowest_lane_and_no_longer_than_for_what_was_before_it(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    world.add(row(1))
    world.passed()
    log.emitted("changed")
    log.emitted("staged", 5)
    assert sweep.advance() == 0
    log.worked("changed")
    assert sweep.advance() == 0, "what stage made of it may be among the five"
    log.worked("staged")
    # News in the first lane is none of its business.
    log.emitted("changed", 100)
    assert sweep.advance() == 1


def test_topics_that_were_made_anew_are_passed_though_their_old_ends_are_never_reached(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    world.add(row(1))
    world.passed()
    log.emitted("changed", 7)
    assert sweep.advance() == 0
    log.ends = dict.fromkeys(P, 0)
    assert sweep.advance() == 1


def test_what_was_emitted_after_the_watermark_is_not_its_business(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    world.add(row(1))
    world.passed()
    log.emitted("changed")
    assert sweep.advance() == 0
    world.add(row(2))
    world.passed()
    log.worked("changed")
    log.emitted("changed")
    assert sweep.advance() == 1
    assert [event.record_uuid for event in world.passed()] == [factories.identity(1)]


def test_an_order_that_is_told_once_more_after_the_watermark_is_not_its_business_either(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    world.add(row(1), row(2))
    world.flow()
    tables = repairs.Repairs(world.db, now=world.clock)
    known = {uuid: one.version for uuid, one in tables.settled([factories.identity(1), factories.identity(2)]).items()}
    tables.wait_again([Version(factories.identity(1), known[factories.identity(1)])])
    log.emitted("changed")
    world.clock.advance(60)
    assert sweep.advance() == 0
    # The same version as ever, and its event is not among those that the watermark waits for.
    world.clock.advance(1)
    tables.wait_again([Version(factories.identity(2), known[factories.identity(2)])])
    log.worked("changed")
    log.emitted("changed")
    assert sweep.advance() == 1
    assert [event.record_uuid for event in world.passed()] == [factories.identity(1)]
    # Its turn comes, and it is found when its own event is lost.
    world.clock.advance(60)
    log.worked("changed")
    assert sweep.advance() >= 1
    assert world.snapshot(2)["row_hash"] == ""


def test_an_order_waits_before_its_event_has_left(world: World, log: Log, sweep: sweeps.LostEventSweep) -> None:
    world.add(row(1))
    world.flow()
    tables = repairs.Repairs(world.db, now=world.clock)
    (one,) = tables.settled([factories.identity(1)]).values()
    tables.wait_again([Version(one.record_uuid, one.version)])
    assert sweep.advance() == 0
    assert world.snapshot(1)["row_hash"]


def test_a_deletion_that_was_lost_is_told_again_and_the_guard_lets_it_pass(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    numbers = range(1, 101)
    world.add(*(row(n) for n in numbers))
    world.flow()
    world.remove(*numbers[:60])
    assert world.detect().held is not None
    assert len(world.topic.take()) == 0
    world.detect(accept=True)
    assert len(world.topic.take()) == 60
    assert sweep.advance() == 60
    again = world.passed()
    assert {event.change for event in again} == {events.Change.DELETED}
    assert len(again) == 60


def test_a_batch_of_lost_events_ends_when_their_successors_arrive(
    world: World, log: Log, sweep: sweeps.LostEventSweep
) -> None:
    world.add(row(1), row(2), row(3))
    first, second, _ = world.passed()
    world.settle(first)
    staged = world.stage(second)
    assert staged
    assert sweep.advance() == 2
    world.settle(*world.passed())
    world.check_batches()
    assert world.batch(first.batch_id)["status"] == "PROMOTED"
    assert world.query("SELECT * FROM VW_MON_ActiveBatches") == []


def test_a_retry_whose_dead_letter_was_lost_becomes_due(world: World, log: Log, sweep: sweeps.LostEventSweep) -> None:
    world.add(row(1))
    (event,) = world.passed()
    (staged,) = world.stage(event)
    world.record(world.refuse(staged, retryable=True))
    assert world.retries.claim_due(world.clock(), 10) == []
    sweep.advance()
    world.clock.advance(61)
    (again,) = world.retries.claim_due(world.clock(), 10)
    assert again.record_uuid == event.record_uuid


def test_how_many_were_found_is_a_fact(world: World, log: Log, sweep: sweeps.LostEventSweep) -> None:
    world.add(row(1))
    world.passed()
    sweep.advance()
    assert world.query("SELECT value FROM SYNC_State WHERE name = ?", lost_events.FOUND) == [{"value": "1"}]
