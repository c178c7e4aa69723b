"""The one wrapper around every agent: nothing is acknowledged before its result is confirmed, nothing is lost.

Seven measured rules stand behind it (README, "Delivery"): raw bytes decoded here; `noack().noack_take`; one batch at
a time, in the order of the partition; acknowledgement after Kafka or SQL confirmed; a known poison goes to the dead
letters; what nobody can help now is held; anything unknown ends the process at once, and a supervisor starts it again.
"""

import asyncio
import functools
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from connectors import backoff, errors, kafka
from schemas import codec, events
from schemas.base import Origin
from schemas.failures import Poison
from streams import topics
from streams.delivery import dead_letters, exits, health

log = logging.getLogger(__name__)

E = TypeVar("E", bound=events.OrderEvent)

TRIES = 5
HOLD = 30.0
# How soon whoever holds notices that the app stops or that its group rebalances, in seconds.
SLICE = 0.25


class Stream(Protocol):
    """The part of a Faust stream that is used."""

    def noack(self) -> Any: ...
    async def ack(self, event: Any) -> bool: ...


class Producer(Protocol):
    """connectors.kafka.Producer."""

    def send_all(self, messages: Sequence[kafka.OutgoingMessage]) -> None: ...


class Batch(list[E]):
    """Events that were taken together; `origins` tells of each where it lies."""

    def __init__(self) -> None:
        super().__init__()
        self.origins: list[Origin] = []


@dataclass(frozen=True)
class Lane(Generic[E]):
    """One agent: its topic, its step, and how many events it takes at once.

    `step` returns the events to emit, once whatever it wrote is committed. `poison` takes what cannot be decoded, in
    place of the dead letters.
    """

    topic: topics.Topic
    step: Callable[[Batch[E]], Awaitable[list[kafka.OutgoingMessage]]]
    take: int
    within: float = 0.05
    poison: Callable[[Sequence[Poison]], Awaitable[None]] | None = None

    @property
    def name(self) -> str:
        return self.topic.name


@dataclass(frozen=True)
class Delivery:
    """What every lane shares. `stopping` and `rebalancing` are the app's own answers.

    `pauses` gives the pauses between the tries of what may pass by itself; when they are used up, the process ends.
    `hold` is the pause before what a person must cure is tried again.
    """

    producer: Producer
    health: health.Health
    prefix: str
    stopping: Callable[[], bool]
    rebalancing: Callable[[], bool]
    end: Callable[[int, str], None] = exits.end_process
    pauses: Callable[[], Iterator[float]] = functools.partial(backoff.delays, rng=random.Random(), tries=TRIES)
    hold: float = HOLD

    async def run(self, stream: Stream, lane: Lane[Any]) -> None:
        """An agent's whole life. Returns only when the app stops; then what is in work comes again."""
        await exits.guarded(lane.name, self._consume(stream, lane), self.end)

    async def repeat(self, name: str, work: Callable[[], Awaitable[None]], every: float) -> None:
        """A timer's whole life, under the same law; whoever stops the app cancels it."""

        async def forever() -> None:
            while True:
                await asyncio.sleep(every)
                if self.stopping() or not await self._persist(name, work):
                    return

        await exits.guarded(name, forever(), self.end)

    async def _consume(self, stream: Stream, lane: Lane[Any]) -> None:
        async for batch in stream.noack().noack_take(lane.take, within=lane.within):
            if not await self._batch(lane, batch):
                return
            for event in batch:
                await stream.ack(event)
            self.health.progress(lane.name, len(batch))
        if not self.stopping():
            raise errors.Transient("Faust ended the stream")

    async def _batch(self, lane: Lane[Any], batch: Sequence[Any]) -> bool:
        """Works one batch to its confirmed end. False: the app stops, acknowledge nothing."""
        good: Batch[Any] = Batch()
        dead: list[kafka.OutgoingMessage] = []
        poison: list[Poison] = []
        for event in batch:
            try:
                good.append(codec.decode(lane.topic.event, event.value))
                good.origins.append(dead_letters.origin(event))
            except codec.Undecodable as error:
                poison.append(dead_letters.poison(event, error))
                dead += self._letters(lane, event, error)
        # Kept from try to try: a step whose result could not be sent is done, only the sending is repeated.
        emitted: list[kafka.OutgoingMessage] | None = None if good else []

        async def work() -> None:
            nonlocal emitted
            if emitted is None:
                emitted = await lane.step(good)
            if poison and lane.poison is not None:
                await lane.poison(poison)
            if emitted or dead:
                await asyncio.to_thread(self.producer.send_all, [*dead, *emitted])

        return await self._persist(lane.name, work)

    async def _persist(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Tries until it is done: what may pass by itself, and what a person must cure. False: the app stops."""
        pauses = self.pauses()
        said: str | None = None
        while True:
            try:
                await work()
                break
            except errors.Misconfigured as error:
                if said != error.code:
                    log.error("%s holds: %s", name, error)
                said, reason, pauses = error.code, str(error), self.pauses()
                pause = self.hold if error.wait is None else error.wait
            except errors.Transient as error:
                planned = next(pauses, None)
                if planned is None:
                    raise
                reason, pause = str(error), planned if error.wait is None else error.wait
                log.warning("%s: %s; again in %.1f s", name, reason, pause)
            with self.health.hold_in_trouble(name, reason):
                if not await self._hold(pause):
                    return False
        if said is not None:
            log.warning("%s goes on", name)
        return True

    async def _hold(self, seconds: float) -> bool:
        """False, at once, when the app stops."""
        while seconds > 0 and not self.stopping():
            if self.rebalancing():
                # What it holds may be another worker's by now; its next life knows.
                raise errors.Transient("the group rebalances while this worker holds")
            await asyncio.sleep(min(seconds, SLICE))
            seconds -= SLICE
        return not self.stopping()

    def _letters(self, lane: Lane[Any], event: Any, error: codec.Undecodable) -> list[kafka.OutgoingMessage]:
        """The dead letter. What is undecodable among the dead letters stays there."""
        message = event.message
        if lane.topic is topics.DEAD_LETTER:
            return []
        log.error("%s: %s (partition %s, offset %s)", message.topic, error, message.partition, message.offset)
        return [dead_letters.undecodable(event, error, topics.named(topics.DEAD_LETTER, self.prefix))]


def outgoing(emitted: Sequence[events.OrderEvent], prefix: str) -> list[kafka.OutgoingMessage]:
    """Each event on the topic of its class, keyed by customer."""
    by_class = {topic.event: topics.named(topic, prefix) for topic in reversed(topics.ALL)}
    return [
        kafka.OutgoingMessage(topic=by_class[type(event)], key=event.customer, value=codec.encode(event))
        for event in emitted
    ]
