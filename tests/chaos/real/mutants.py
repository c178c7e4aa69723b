"""Bugs of tests.chaos.planted on real processes: would the harness see them?

Each trial brings about what its bug is bad at, and tells the first thing that is wrong in the end. Without a bug it has
to tell of nothing.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from connectors import kafka
from streams import topics
from streams.resources import Resources, utcnow
from streams.runtime import status
from tests.chaos.real import chaos, play, rest
from tests.chaos.real import judge_oracle as oracle
from tests.chaos.real.points import STALL_SECONDS, How, Point
from tests.chaos.real.trouble_scene import Source

# Enough for several batches of the stage lane, on every partition.
ORDERS = 500
FEW = 80
EDITS = 10
SCHEDULES = 10
WITHIN = 180.0
# Seconds from an error that nobody knows to the end of its process. It takes milliseconds.
ENDS_WITHIN = 20.0
WORKER = "worker-1"
Trial = Callable[[str, int], str | None]


def schedules(plant: str, seed: int) -> str | None:
    """What `make chaos` plays."""
    result = chaos.run(range(seed, seed + SCHEDULES), plant=plant, first=True)
    return next((said for one in result.verdicts.values() for some in one.wrong.values() for said in some), None)


def fails_with_a_backlog(plant: str, seed: int) -> str | None:
    """A worker meets an error that nobody knows, while events of every partition wait in its buffers."""
    return _with_a_backlog(plant, seed, How.FAIL)


def fails_while_the_broker_is_away(plant: str, seed: int) -> str | None:
    """The same, and the broker is gone already: nobody is there to say goodbye to, and the worker has to end."""
    with _player(plant, seed, ORDERS, workers=0) as player:
        _wait_for_backlog(player)
        player.strikes.arm(Point.STAGE_COMMIT, 2, How.FAIL_LATE)
        player.stage.add_worker(WORKER)
        strike = player.stage.strikes / Point.STAGE_COMMIT
        if not _holds_within(WITHIN, lambda: not strike.exists()):
            raise TimeoutError("the worker does not get so far")
        player.stage.broker.kill()
        worker = player.stage.services[WORKER]
        ended = _holds_within(STALL_SECONDS + ENDS_WITHIN, lambda: worker.restarts > 0)
        player.stage.broker.start()
        return _end(player) if ended else f"the worker lived on {ENDS_WITHIN:g} s after it had failed"


def dies_slowly(plant: str, seed: int) -> str | None:
    """A batch takes its time, and its worker dies before it is done; another batch could be done meanwhile."""
    return _with_a_backlog(plant, seed, How.STALL)


def step_hangs(plant: str, seed: int) -> str | None:
    """A step never comes back from its thread. The loop ticks and the session lives: nobody's error tells of it."""
    # Not topics that are wiped, deleted or made anew: without a watchdog Faust found back, in four tries of four.
    return _with_a_backlog(plant, seed, How.HANG, FEW)


def _with_a_backlog(plant: str, seed: int, how: How, orders: int = ORDERS) -> str | None:
    with _player(plant, seed, orders, workers=0) as player:
        _wait_for_backlog(player)
        player.strikes.arm(Point.STAGE_COMMIT, 1, how)
        player.stage.add_worker(WORKER)
        return _end(player)


def log_is_wiped(plant: str, seed: int) -> str | None:
    """Events wait in Kafka, and all that it stored is lost."""
    with _player(plant, seed, FEW, workers=0) as player:
        _wait_for_backlog(player)
        _wipe(player)
        player.stage.add_worker(WORKER)
        return _end(player, wiped=True)


def results_come_again(plant: str, seed: int) -> str | None:
    """A producer that was paused tells of old results when newer versions have arrived."""
    with _player(plant, seed, FEW, workers=1) as player:
        parts = player.stage.parts
        if story := player.settle(utcnow(), within=WITHIN):
            return f"not settled within {WITHIN:.0f} s: {story[0]}"
        old = _results(parts)
        source = Source.of(parts, orders=FEW, seed=seed)
        for _ in range(EDITS):
            source.edit()
        if story := player.settle(utcnow(), within=WITHIN):
            return f"not settled within {WITHIN:.0f} s: {story[0]}"
        parts.producer.send_all(old)
        return _end(player)


def _results(parts: Resources) -> list[kafka.OutgoingMessage]:
    """All that orders.synced holds, to be sent again."""
    ends = parts.admin.end_offsets([topics.SYNCED.name])
    consumer = Consumer({"bootstrap.servers": parts.bootstrap, "group.id": "again", "log_level": 0})
    try:
        consumer.assign([TopicPartition(*place, 0) for place in ends])
        # Any: its fields are None only where a message tells of an error.
        found: list[Any] = consumer.consume(sum(ends.values()), timeout=WITHIN)
    finally:
        consumer.close()
    return [kafka.OutgoingMessage(topic=one.topic(), key=one.key().decode(), value=one.value()) for one in found]


@contextmanager
def _player(plant: str, seed: int, orders: int, *, workers: int) -> Iterator[play.Player]:
    with tempfile.TemporaryDirectory(prefix="chaos-mutant-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "stage"
        with play.player(home, orders=orders, seed=seed, workers=workers, plant=plant) as made:
            yield made


def _wait_for_backlog(player: play.Player) -> None:
    """Until the poller has told of all orders."""

    def quiet() -> bool:
        last = status.collect(player.stage.parts).last_pass
        return last is not None and last.quiet

    if not _holds_within(WITHIN, quiet):
        raise TimeoutError("the poller does not come to rest")


def _holds_within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether it holds before so many seconds are over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(rest.LOOK)
    return True


def _wipe(player: play.Player) -> None:
    player.stage.broker.wipe()
    player.stage.broker.start()


def _end(player: play.Player, *, wiped: bool = False) -> str | None:
    """The first thing that is wrong once all is settled, or that is not settled in time."""
    if story := player.settle(utcnow(), within=WITHIN):
        return f"not settled within {WITHIN:.0f} s: {story[0]}"
    verdict = oracle.look(player.stage, player.log, oracle.Said(), wiped=wiped)
    return next((said for some in verdict.wrong.values() for said in some), None)


TRIALS: dict[str, Trial] = {
    "plain noack_take": fails_with_a_backlog,
    "orderly stop": fails_while_the_broker_is_away,
    "concurrency 2": dies_slowly,
    "old versions promoted": results_come_again,
    "no sweep": log_is_wiped,
    "no watchdog": step_hangs,
}


def caught(name: str, seed: int = 1) -> str | None:
    """By what the bug of this name is caught, None if it is not."""
    return TRIALS.get(name, schedules)(name, seed)
