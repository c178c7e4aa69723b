"""Many workers as a named scenario of `make chaos`: three share the work, one is killed every ten seconds.

The board's budget is raised until the bundled board, one process on graphql-core, is what limits: the kills fall into
work at full speed.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka

from schemas import codec, events
from streams import topics
from streams.resources import utcnow
from streams.runtime import status
from tests.chaos import judge
from tests.chaos.real import judge_oracle as oracle
from tests.chaos.real import outcome
from tests.chaos.real.outcome import Outcome, Scenario
from tests.chaos.real.stage import Stage, stage
from tests.chaos.real.trouble_scene import Source

ORDERS = 20_000
WORKERS = 3
KILL_EVERY = 10.0
SETTLE_WITHIN = 1800.0
LOOK = 0.5
# The API's minute, in seconds; with it shrinks the life of a cursor, an hour, in which the whole board must be read.
MINUTE = 15.0
# Mutations that the board lets pass: more than it can answer.
PER_SECOND = 2_000
WEIGHT = 30_000
# Of the first worker; the others find free ones.
WEB_PORT = 6066


@dataclass
class Kills:
    """One worker after the other is killed with SIGKILL; the seed says which. Their supervisor starts them again.

    At once: its growing pauses are for a worker that keeps ending by itself. `most` is how many are killed at most.
    """

    shown: Stage
    rng: random.Random
    every: float
    most: float = math.inf
    fell_on: Counter[str] = field(default_factory=Counter)
    _next: float = field(init=False)

    def __post_init__(self) -> None:
        self._next = time.monotonic() + self.every

    def look(self) -> None:
        """Kills one if it is time to."""
        if time.monotonic() < self._next or self.fell_on.total() >= self.most:
            return
        self._next += self.every
        chosen = self.rng.choice(self.shown.workers)
        if chosen.child is not None and chosen.child.running:
            chosen.pauses.ends = 0
            self.shown.kill(chosen.name)
            self.fell_on[chosen.name] += 1


@contextmanager
def many(
    home: Path,
    *,
    orders: int,
    seed: int,
    per_second: int = PER_SECOND,
    minute: float = MINUTE,
    pure: bool = False,
) -> Iterator[Stage]:
    """A stage with three workers and a backlog of sample orders; its board lets so many mutations pass a second."""
    limits = {
        "complexity_per_minute": round(per_second * minute) * WEIGHT,
        "requests_per_minute": 10_000,
        "calls_per_day": 10_000_000,
    }
    with stage(
        home,
        orders=orders,
        seed=seed,
        workers=WORKERS,
        minute=minute,
        pure=pure,
        prepare=oracle.watch,
        monday_limits=limits,
        web_port=WEB_PORT,
    ) as made:
        yield made


def until_settled(shown: Stage, meanwhile: Callable[[], None], within: float = SETTLE_WITHIN) -> bool:
    """Whether all that the source holds now was settled in time, and a pass that began after that found nothing.

    A pass before that proves little: what a dead poller told last may return an order to detection.
    """
    since, deadline = utcnow(), time.monotonic() + within
    while time.monotonic() < deadline:
        seen = status.collect(shown.parts)
        assert not seen.held, seen.held
        last = seen.last_pass
        if not seen.settled or seen.open_batches:
            since = utcnow()
        elif last is not None and last.started_at > since and last.quiet:
            return True
        meanwhile()
        time.sleep(LOOK)
    return False


def proof(shown: Stage, said: oracle.Said | None = None) -> judge.Verdict:
    """As after a schedule: all is equal and accounted for, and nothing ever went back; of what was `said`, if known."""
    return oracle.look(shown, oracle.Log(shown.parts.bootstrap, shown.parts.settings.group), said or oracle.Said())


def repeated(shown: Stage) -> int:
    """How many events came on `orders.staged` that had come before: what a kill makes a worker do again."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": shown.parts.bootstrap, "group.id": "chaos-scale"})
    try:
        place = confluent_kafka.TopicPartition(topics.STAGED.name, 0, 0)
        end = consumer.get_watermark_offsets(place, timeout=10.0)[1]
        consumer.assign([place])
        told: Counter[tuple[str, int]] = Counter()
        while told.total() < end:
            for message in consumer.consume(1000, 10.0):
                staged = codec.decode(events.OrderStaged, message.value())
                told[staged.record_uuid, staged.version] += 1
    finally:
        consumer.close()
    return told.total() - len(told)


def scale(folder: Path, seed: int, *, pure: bool = False, orders: int = ORDERS, every: float = KILL_EVERY) -> Outcome:
    """Three workers and a backlog; one of them killed every so many seconds until it is worked off."""
    with many(folder, orders=orders, seed=seed, pure=pure) as shown:
        kills = Kills(shown, random.Random(f"kills of {seed}"), every)
        started = time.monotonic()
        in_time = until_settled(shown, kills.look)
        seconds = time.monotonic() - started
        stats = shown.stats()
        figures: dict[str, object] = {"orders": orders, "kills": kills.fell_on.total(), "seconds": seconds}
        if not in_time:
            return Outcome(False, figures, [f"not settled within {SETTLE_WITHIN:.0f} s"])
        found = proof(shown, Source.of(shown.parts, orders=orders, seed=seed).said)
        figures = {
            "lost": len(found.lost),
            "duplicates": len(found.duplicates),
            "inversions": len(found.inversions),
            **figures,
            "mutations": stats["mutations_done"],
            "mutations_per_s": stats["mutations_done"] / seconds,
            "repeated_events": repeated(shown),
        }
        wrong = [f"{name}: {said}" for name, some in found.wrong.items() for said in some]
        return Outcome(not wrong, figures, wrong)


SCENARIOS: dict[str, Scenario] = outcome.every_second_pure({"scale": scale})
