"""The watchdog: it ends what stands still, and nothing else. Integration tests show it on a real broker."""

import subprocess
import sys
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from streams.delivery import health
from streams.runtime import watchdog

ROOT = Path(__file__).parents[3]
Until = Callable[..., Any]
STAGED = ("orders.staged", 0)
SYNCED = ("orders.synced", 3)


class World:
    """A clock, a broker and a worker, all in this test's hands."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.health = health.Health(lambda: self.now)
        self.waiting = {STAGED: 0, SYNCED: 0}
        self.done = {STAGED: 10, SYNCED: 10}
        self.ours = {STAGED, SYNCED}
        self.rebalances = False
        self.ids = {"orders.staged": "first", "orders.synced": "second"}
        self.away = False
        self.answers = threading.Event()
        self.answers.set()
        self.ended: list[tuple[int, str]] = []
        self.dog = watchdog.Watchdog(
            self.health,
            self,
            watchdog.WatchedLanes(
                group="ordersync",
                topics={"sync": "orders.staged", "promote": "orders.synced"},
                topic_ids=dict(self.ids),
                assigned=lambda: self.ours,
                rebalancing=lambda: self.rebalances,
            ),
            watchdog.Limits(tick=30, stuck=90, every=0.001),
            end=lambda code, why: self.ended.append((code, why)),
        )

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        self.answers.wait()
        if self.away:
            raise errors.Transient("Kafka is away")
        return {name: topic_id for name, topic_id in self.ids.items() if name in topics}

    def lag(self, group: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
        return dict(self.waiting)

    def committed(self, group: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
        return dict(self.done)

    def passes(self, seconds: float, each: Any = lambda: None) -> str | None:
        """Time passes, the loop ticks, the watchdog looks every five seconds. What it finds wrong."""
        for _ in range(int(seconds / 5)):
            self.now += 5
            self.health.tick()
            each()
            if (reason := self.dog.check_loop() or self.dog.check_log()) is not None:
                return reason
        return None


def test_a_worker_with_nothing_to_do_may_do_nothing() -> None:
    assert World().passes(100_000) is None


def test_work_that_comes_after_a_long_silence_gets_its_time() -> None:
    world = World()
    assert world.passes(10_000) is None
    world.waiting[STAGED] = 1
    # The lane has been idle for hours; the event has been waiting for a minute.
    assert world.passes(60) is None


def test_events_that_wait_while_nobody_works_end_the_process() -> None:
    world = World()
    world.waiting[STAGED] = 7
    assert world.passes(90) is None
    assert world.passes(10) == "7 events wait on orders.staged and none was worked for 90 s"


def test_a_backlog_that_is_worked_may_last() -> None:
    world = World()
    world.waiting[STAGED] = 5000
    assert world.passes(10_000, lambda: world.health.progress("sync")) is None


def test_a_lane_that_holds_may_let_its_events_wait_and_starts_anew_afterwards() -> None:
    world = World()
    world.waiting[STAGED] = 5000
    with world.health.hold("sync", "the daily limit is reached"):
        assert world.passes(100_000) is None
    assert world.passes(60) is None
    assert world.passes(60) == "5000 events wait on orders.staged and none was worked for 90 s"


def test_a_hold_in_one_lane_does_not_excuse_another() -> None:
    world = World()
    world.waiting = {STAGED: 5, SYNCED: 3}
    with world.health.hold("sync", "the token is refused"):
        assert world.passes(120) == "3 events wait on orders.synced and none was worked for 90 s"


def test_events_of_another_workers_partitions_are_that_workers_affair() -> None:
    world = World()
    world.waiting[STAGED] = 5
    world.ours = {SYNCED}
    assert world.passes(1000) is None


def test_a_worker_without_partitions_ends_only_while_nobody_else_works_either() -> None:
    world = World()
    world.ours, world.waiting[STAGED] = set(), 5

    def somebody_works() -> None:
        world.done[STAGED] += 1

    assert world.passes(1000, somebody_works) is None
    assert world.passes(120) == "events wait and this worker has had no partitions for 90 s"


def test_a_broker_that_is_away_is_no_reason_to_end() -> None:
    world = World()
    world.waiting[STAGED], world.away = 5, True
    assert world.passes(1000) is None


def test_a_rebalance_without_end_ends_the_process() -> None:
    world = World()
    world.rebalances = True
    assert world.passes(90) is None
    world.rebalances = False
    assert world.passes(10) is None
    world.rebalances = True
    assert world.passes(120) == "the group has been rebalancing for 90 s"


@pytest.mark.parametrize("now", [{"orders.synced": "second"}, {"orders.staged": "third", "orders.synced": "second"}])
def test_a_topic_that_was_deleted_or_created_again_ends_the_process_at_the_next_check(now: dict[str, str]) -> None:
    world = World()
    assert world.passes(1000) is None
    world.ids = now
    assert world.passes(5) == "orders.staged was deleted or created again"


def test_a_loop_that_stands_still_is_told_with_the_place_where_it_stands() -> None:
    world = World()
    world.now += 29
    assert world.dog.check_loop() is None
    world.now += 2
    reason = world.dog.check_loop()
    assert reason is not None
    assert reason.startswith("the event loop has not run for 31 s, it is in _where, ")


def test_a_loop_that_hangs_ends_the_process_while_the_broker_has_not_answered(until: Until) -> None:
    world = World()
    world.answers.clear()
    world.dog.start()
    world.now += 60
    until(lambda: world.ended, "it ends the process")
    [(code, why)] = world.ended
    assert code == 75
    assert why.startswith("watchdog: the event loop has not run for 60 s")
    world.dog.stop()
    world.answers.set()
    assert world.dog.join(60)


def test_a_watchdog_that_fails_itself_ends_the_process_instead_of_dying_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    world = World()
    monkeypatch.setattr(world, "lag", lambda group, topics: dict[str, int]()["no such key"])
    world.dog.start()
    until(lambda: world.ended, "it ends the process")
    world.dog.stop()
    assert world.dog.join(60)
    assert world.ended == [(70, "watchdog: KeyError")]
    assert "watchdog: unknown error" in caplog.text


def test_a_stopped_watchdog_is_gone() -> None:
    world = World()
    world.dog.start()
    world.dog.stop()
    assert world.dog.join(60)
    assert world.ended == []


HUNG = """
import logging, sys, threading
from streams.delivery import exits

class Stuck(logging.Handler):
    def emit(self, record):
        threading.Event().wait()

logging.getLogger().addHandler(Stuck())
exits.LAST_WORDS = 0.2
exits.end_process(75, "the disk of the log is full")
"""


@pytest.mark.processes
def test_a_process_ends_even_when_its_log_hangs() -> None:
    ended = subprocess.run([sys.executable, "-c", HUNG], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert "in emit" in ended.stderr


@pytest.mark.processes
def test_a_process_ends_with_its_code_and_its_reason() -> None:
    script = "from streams.delivery import exits; exits.end_process(70, 'enough')"
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 70
    assert ended.stderr == "enough: this process ends (exit 70)\n"
