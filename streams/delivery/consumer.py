"""The one wrapper around every agent: it acknowledges an event only after its result is confirmed, and loses none.

Seven measured rules (docs/decisions/delivery-rules.md): the wrapper decodes raw bytes; it takes batches with
`noack().noack_take`; it works one batch of events at a time, in the order of the partition; it acknowledges after Kafka
or SQL has confirmed; undecodable bytes go to the dead letters; a lane pauses while an operator must act; an unknown
error ends the process at once, and a supervisor restarts it.
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
# Seconds before each next try of a paused lane; the last one repeats. Most causes are mended within the first minute.
HOLDS = (2.0, 5.0, 10.0, 20.0, 30.0)
# Seconds until a paused lane notices that the app stops or that its group rebalances.
SLICE = 0.25


class Stream(Protocol):
    """The part of a Faust stream that a lane uses."""

    def noack(self) -> Any:
        """The same stream, which acknowledges nothing by itself."""

    async def ack(self, event: Any) -> bool:
        """Acknowledges one event."""


class Producer(Protocol):
    """The Kafka producer (connectors.kafka.Producer)."""

    def send_all(self, messages: Sequence[kafka.OutgoingMessage]) -> None:
        """Returns when Kafka has confirmed all messages. Raises Transient or Misconfigured."""


class Batch(list[E]):
    """A batch of events; `origins` has the topic, partition and offset of each."""

    def __init__(self) -> None:
        super().__init__()
        self.origins: list[Origin] = []


@dataclass(frozen=True)
class Lane(Generic[E]):
    """One agent: its topic, its step, and how many events it takes at once; it waits `within` seconds for more.

    `step` returns the events to emit after it has committed its writes. `poison` takes undecodable bytes in place of
    the dead letters.
    """

    topic: topics.Topic
    step: Callable[[Batch[E]], Awaitable[list[kafka.OutgoingMessage]]]
    take: int
    within: float = 0.05
    poison: Callable[[Sequence[Poison]], Awaitable[None]] | None = None

    @property
    def name(self) -> str:
        """The name of its topic without a prefix."""
        return self.topic.name


@dataclass(frozen=True)
class Delivery:
    """The parts that all lanes share. `stopping` and `rebalancing` ask the Faust app; `end` ends the process.

    `pauses` gives the pauses (seconds) between the tries after a Transient error; after the last one the process ends.
    `holds` are the pauses (seconds) after a Misconfigured error, which an operator must correct; the last one repeats.
    """

    producer: Producer
    health: health.Health
    prefix: str
    stopping: Callable[[], bool]
    rebalancing: Callable[[], bool]
    end: Callable[[int, str], None] = exits.end_process
    pauses: Callable[[], Iterator[float]] = functools.partial(backoff.delays, rng=random.Random(), tries=TRIES)
    holds: tuple[float, ...] = HOLDS

    async def run(self, stream: Stream, lane: Lane[Any]) -> None:
        """Works the stream of one agent. Returns only when the app stops, leaving events in work unacknowledged."""
        await exits.guarded(lane.name, self._consume(stream, lane), self.end)

    async def repeat(self, name: str, work: Callable[[], Awaitable[None]], every: float) -> None:
        """Runs the work of a timer every `every` seconds, under the same rules, until the app stops or cancels it."""

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
        """Works one batch until its results are confirmed. False: the app stops, acknowledge nothing."""
        decoded: Batch[Any] = Batch()
        letters: list[kafka.OutgoingMessage] = []
        poison: list[Poison] = []
        for event in batch:
            try:
                decoded.append(codec.decode(lane.topic.event, event.value))
                decoded.origins.append(dead_letters.origin(event))
            except codec.Undecodable as error:
                poison.append(dead_letters.poison(event, error))
                letters += self._dead_letters(lane, event, error)
        # Kept between tries: if only the sending failed, the step is done and only the sending is repeated.
        emitted: list[kafka.OutgoingMessage] | None = None if decoded else []

        async def work() -> None:
            nonlocal emitted
            if emitted is None:
                emitted = await lane.step(decoded)
            if poison and lane.poison is not None:
                await lane.poison(poison)
            if emitted or letters:
                await asyncio.to_thread(self.producer.send_all, [*letters, *emitted])

        return await self._persist(lane.name, work)

    async def _persist(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Repeats the work until it is done: after Transient and after Misconfigured errors. False: the app stops."""
        pauses = self.pauses()
        paused_by: str | None = None
        holds: Iterator[float] = iter(())
        while True:
            asks = False
            try:
                await work()
                break
            except errors.Misconfigured as error:
                if paused_by != error.code:
                    log.error("%s is paused: %s", name, error)
                    holds = iter(self.holds)
                paused_by, reason, pauses, asks = error.code, str(error), self.pauses(), True
                pause = next(holds, self.holds[-1]) if error.wait is None else error.wait
            except errors.Transient as error:
                planned = next(pauses, None)
                if planned is None:
                    raise
                reason, pause = str(error), planned if error.wait is None else error.wait
                log.warning("%s: %s; retry in %.1f s", name, reason, pause)
            with self.health.hold_in_trouble(name, reason, asks=asks):
                if not await self._pause(pause):
                    return False
        if paused_by is not None:
            log.warning("%s goes on", name)
        return True

    async def _pause(self, seconds: float) -> bool:
        """Waits. Returns False, at once, when the app stops. Raises Transient when the group rebalances."""
        while seconds > 0 and not self.stopping():
            if self.rebalancing():
                # Another worker may own the partitions of this lane now; after a restart this one knows.
                raise errors.Transient("the group rebalances while this lane is paused")
            await asyncio.sleep(min(seconds, SLICE))
            seconds -= SLICE
        return not self.stopping()

    def _dead_letters(self, lane: Lane[Any], event: Any, error: codec.Undecodable) -> list[kafka.OutgoingMessage]:
        """The dead letter of an undecodable event; none on the topic of the dead letters, where it stays."""
        message = event.message
        if lane.topic is topics.DEAD_LETTER:
            return []
        log.error("%s: %s (partition %s, offset %s)", message.topic, error, message.partition, message.offset)
        return [dead_letters.undecodable(event, error, topics.named(topics.DEAD_LETTER, self.prefix))]


def outgoing(emitted: Sequence[events.OrderEvent], prefix: str) -> list[kafka.OutgoingMessage]:
    """Each event as a message on the topic of its class, keyed by customer."""
    by_class = {topic.event: topics.named(topic, prefix) for topic in reversed(topics.ALL)}
    return [
        kafka.OutgoingMessage(topic=by_class[type(event)], key=event.customer, value=codec.encode(event))
        for event in emitted
    ]
