"""A model of Faust and of its group, with the contract on which streams.delivery.consumer and streams.app build.

A stream gives what it was assigned; acknowledgements are kept in memory and committed by a timer, up to the end of
the first run of offsets without a gap; a crash forgets them. Membership is static: a worker that comes back in time
finds its partitions where they were. Every rebalance stops all of them and begins again at what is committed, also
while the batch before it is still at work.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

from tests.chaos.sim.log import Event, Log, Partition

COMMIT_EVERY = 1.0
SESSION = 10.0
JOIN = 1.5

Agent = Callable[[Any], Awaitable[None]]


class TP(NamedTuple):
    """aiokafka's name of a partition."""

    topic: str
    partition: int


class Group:
    """The coordinator: which member has which partition."""

    def __init__(self, log: Log, rng: random.Random, met: Callable[[str], None]) -> None:
        self.log = log
        self.rng = rng
        self.met = met
        self.members: dict[str, App] = {}
        self._round = 0

    def join(self, app: "App") -> None:
        """A known name gets its partitions back, without a rebalance."""
        before = self.members.get(app.name)
        self.members[app.name] = app
        if before is None or before.rebalancing:
            self._rebalance()
        else:
            app.assign(before.assigned)
            before.assign(set())

    def gone(self, app: "App") -> None:
        """Nothing was heard of this member for a whole session."""
        if self.members.get(app.name) is app:
            del self.members[app.name]
            app.assign(set())
            self._rebalance()

    def _rebalance(self) -> None:
        self._round += 1
        self.met("rebalance")
        for app in self.members.values():
            app.revoke(commits=self.rng.random() < 0.5)
        asyncio.get_running_loop().call_later(self.rng.uniform(0.05, JOIN), self._deal, self._round)

    def _deal(self, number: int) -> None:
        if number != self._round or not self.members:
            return
        names = sorted(self.members)
        self.rng.shuffle(names)
        dealt: dict[str, set[Partition]] = {name: set() for name in names}
        for at, place in enumerate(sorted(self.log.partitions)):
            dealt[names[at % len(names)]].add(place)
        for name, places in dealt.items():
            self.members[name].assign(places)

    def heard(self, topic: str) -> None:
        """There is something new on a topic."""
        for app in self.members.values():
            app.heard(topic)


class App:
    """What streams.app.build declares its agents on. `process` is the life that it belongs to."""

    def __init__(self, name: str, group: Group, process: Any, rng: random.Random) -> None:
        self.name, self.group, self.process, self.rng = name, group, process, rng
        self.should_stop = False
        self.rebalancing = True
        self.assigned: set[Partition] = set()
        self.position: dict[Partition, int] = {}
        self.conf = SimpleNamespace(id="ordersync", web_enabled=False)
        self.consumer = SimpleNamespace(assignment=lambda: self.assigned)
        self.crashed = asyncio.Event()
        self._agents: list[tuple[str, int, Agent]] = []
        self._tasks: list[Callable[[], Awaitable[None]]] = []
        self._consuming: list[asyncio.Task[None]] = []
        self._running: list[asyncio.Task[None]] = []
        self._news: dict[str, asyncio.Event] = {}
        self._acked: dict[Partition, list[int]] = {}
        self._committed: dict[Partition, int] = {}
        self._commit: asyncio.TimerHandle | None = None

    # What is declared.

    def topic(self, name: str, **_: Any) -> str:
        return name

    def agent(self, topic: str, *, name: str, concurrency: int, supervisor_strategy: Any) -> Callable[[Agent], Agent]:
        self._news[topic] = asyncio.Event()

        def declare(agent: Agent) -> Agent:
            self._agents.append((topic, concurrency, agent))
            return agent

        return declare

    def task(self, work: Callable[[], Awaitable[None]]) -> None:
        self._tasks.append(work)

    def timer(self, interval: float) -> Callable[[Any], None]:
        return lambda work: None

    def finalize(self) -> None: ...

    # From start to stop.

    def start(self) -> None:
        """Begins to consume as soon as the group gives it partitions."""
        for topic, concurrency, agent in self._agents:
            for _ in range(concurrency):
                self._consuming.append(asyncio.create_task(self._guarded(agent(Stream(self, topic)))))
        self._running = [asyncio.create_task(self._guarded(work())) for work in self._tasks]
        self.group.join(self)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            self.crashed.set()

    async def stop(self, *, holding: bool) -> None:
        """In order: waits for the agents unless one holds, cancels the rest, and commits what was acknowledged."""
        self.should_stop = True
        for news in self._news.values():
            news.set()
        if not holding and self._consuming:
            await asyncio.wait(self._consuming)
        for task in [*self._consuming, *self._running]:
            task.cancel()
        self.commit()

    # What the group says.

    def revoke(self, *, commits: bool) -> None:
        """All partitions stop; what was acknowledged is committed, if the broker still takes it."""
        if commits:
            self.commit()
        self.rebalancing = True
        self.assigned = set()
        self._acked.clear()

    def assign(self, places: set[Partition]) -> None:
        """Begins at what is committed."""
        self.rebalancing = False
        self.assigned = {TP(*place) for place in places}
        self._committed = {place: self.group.log.committed.get(place, 0) for place in places}
        self.position = dict(self._committed)
        self._acked.clear()
        for news in self._news.values():
            news.set()

    def heard(self, topic: str) -> None:
        self._news[topic].set()

    # What a stream does.

    def next_events(self, topic: str, most: int) -> list[Event]:
        """What is there, partition by partition in seeded turns."""
        log = self.group.log
        if self.rebalancing or log.away or self.process.frozen or self.process.log_number != log.number:
            return []
        places = sorted(place for place in self.assigned if place[0] == topic)
        self.rng.shuffle(places)
        found: list[Event] = []
        for place in places:
            start = self.position[place]
            some = log.partitions[place][start : start + most - len(found)]
            self.position[place] += len(some)
            found += some
        return found

    async def wait_for(self, topic: str) -> None:
        news = self._news[topic]
        news.clear()
        log = self.group.log
        if log.away:
            await asyncio.sleep(log.returns_at - log.time() + self.rng.uniform(0.0, 1.0))
        elif self.process.frozen:
            await asyncio.sleep(self.process.frozen_until - log.time())
        else:
            await news.wait()
            await asyncio.sleep(self.rng.uniform(0.001, 0.03))

    def acked(self, event: Event) -> None:
        """Remembered, until the timer commits it; what is committed already is not, so nothing goes back."""
        message = event.message
        place = (message.topic, message.partition)
        if place not in self.assigned or message.log != self.group.log.number:
            return
        if message.offset < self._committed[place]:
            return
        self._acked.setdefault(place, []).append(message.offset)
        if self._commit is None:
            # A later look finds all that was acknowledged meanwhile.
            self._commit = asyncio.get_running_loop().call_later(COMMIT_EVERY, self._commit_now)

    def _commit_now(self) -> None:
        self._commit = None
        log = self.group.log
        if self.process.frozen or log.away:
            later = max(self.process.frozen_until, log.returns_at) - log.time() + 0.1
            self._commit = asyncio.get_running_loop().call_later(later, self._commit_now)
        else:
            self.commit()

    def commit(self) -> None:
        """The first run without a gap, as Faust does; a gap before it is skipped."""
        log = self.group.log
        if not self.process.alive or self.process.frozen or log.away or self.process.log_number != log.number:
            return
        for place, offsets in self._acked.items():
            if not offsets or place not in self.assigned:
                continue
            offsets.sort()
            last = offsets[0]
            for offset in offsets:
                if offset > last + 1:
                    break
                last = offset
            log.committed[place] = self._committed[place] = last + 1
            self._acked[place] = [offset for offset in offsets if offset > last]
        if any(self._acked.values()) and self._commit is None:
            self._commit = asyncio.get_running_loop().call_later(COMMIT_EVERY, self._commit_now)


class Stream:
    """The part of a Faust stream that streams.delivery.consumer uses."""

    def __init__(self, app: App, topic: str, *, acks: bool = True) -> None:
        self._app = app
        self._topic = topic
        self._acks = acks

    def noack(self) -> "Stream":
        return Stream(self._app, self._topic, acks=False)

    async def noack_take(self, most: int, within: float) -> AsyncIterator[list[Event]]:
        app = self._app
        batch: list[Event] = []
        try:
            while not app.should_stop:
                batch = app.next_events(self._topic, min(most, app.rng.choice((1, 3, 10, most))))
                if not batch:
                    await app.wait_for(self._topic)
                    continue
                if app.rng.random() < 0.3:
                    await asyncio.sleep(within)
                    batch += app.next_events(self._topic, most - len(batch))
                yield batch
        finally:
            if self._acks:
                # Measured: without `noack()` the clean-up turns acknowledgements on for all that was read.
                for event in [*batch, *app.next_events(self._topic, most)]:
                    app.acked(event)

    async def ack(self, event: Event) -> bool:
        self._app.acked(event)
        self._app.process.reached("ack")
        return True
