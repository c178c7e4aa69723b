"""The one wrapper around every agent: nothing is acknowledged before its result is confirmed, nothing is lost.

Seven measured rules stand behind it (README, "Delivery"): raw bytes decoded here; `noack().noack_take`; one event at
a time per partition order; acknowledgement after Kafka or SQL confirmed; a known poison goes to the dead letters;
what nobody can help now is held; anything unknown ends the process at once, and a supervisor starts it again.
"""

import asyncio
import logging
import os
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from connectors import backoff, errors, kafka
from schemas import codec, events
from streams import health, topics

log = logging.getLogger(__name__)

E = TypeVar("E", bound=events.OrderEvent)

EXIT_UNKNOWN = 70  # EX_SOFTWARE: something this program does not know
EXIT_AGAIN = 75  # EX_TEMPFAIL: known trouble that a new start gets over
TRIES = 5
# A member slower than the group's rebalance time-out would be thrown out, so holds are looked at this often.
SLICE = 5.0


class Stream(Protocol):
    """The part of a Faust stream that is used."""

    def noack(self) -> Any: ...
    async def ack(self, event: Any) -> bool: ...


class Producer(Protocol):
    """connectors.kafka.Producer."""

    def send_all(self, messages: Sequence[kafka.OutgoingMessage]) -> None: ...


@dataclass(frozen=True)
class Received(Generic[E]):
    """One decoded event, and what its headers said."""

    event: E
    headers: dict[str, str]


@dataclass(frozen=True)
class Lane(Generic[E]):
    """One agent: its topic, its step, and how many events it takes at once.

    `step` returns the events to emit, once whatever it wrote is committed.
    """

    topic: topics.Topic
    step: Callable[[list[E]], Awaitable[list[kafka.OutgoingMessage]]]
    take: int
    within: float = 0.05

    @property
    def name(self) -> str:
        return self.topic.name


def end_process(code: int, why: str) -> None:
    """Ends the process here and now: Faust's orderly stop after an error acknowledges what nobody worked."""
    log.critical("%s: ending, the supervisor starts again", why)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@dataclass(frozen=True)
class Delivery:
    """What every lane shares. `stopping` and `rebalancing` are the app's own answers."""

    producer: Producer
    health: health.Health
    prefix: str
    stopping: Callable[[], bool]
    rebalancing: Callable[[], bool]
    end: Callable[[int, str], None] = end_process
    rng: random.Random = random.Random()

    async def run(self, stream: Stream, lane: Lane[Any]) -> None:
        """An agent's whole life. Returns only when the app stops; then what is in work comes again."""
        try:
            async for batch in stream.noack().noack_take(lane.take, within=lane.within):
                if not await self._batch(lane, batch):
                    return
                for event in batch:
                    await stream.ack(event)
                self.health.progress(lane.name, len(batch))
        except asyncio.CancelledError:
            raise
        except errors.OrdersyncError as error:
            self.end(EXIT_AGAIN, f"{lane.name}: {error}")
        except BaseException as error:
            log.exception("%s: unknown error", lane.name)
            self.end(EXIT_UNKNOWN, f"{lane.name}: {type(error).__name__}")

    async def _batch(self, lane: Lane[Any], batch: Sequence[Any]) -> bool:
        """Works one batch to its confirmed end. False: the app stops, acknowledge nothing."""
        good: list[Any] = []
        outgoing: list[kafka.OutgoingMessage] = []
        for event in batch:
            try:
                good.append(codec.decode(lane.topic.event, event.value))
            except codec.Undecodable as error:
                outgoing.append(self._poison(event, error))
        delays = backoff.delays(rng=self.rng, tries=TRIES)
        while True:
            try:
                if good:
                    outgoing = await lane.step(good) + outgoing
                if outgoing:
                    await asyncio.to_thread(self.producer.send_all, outgoing)
                return True
            except errors.LeaseLost:
                raise
            except errors.Misconfigured as error:
                if not await self._hold(lane, error):
                    return False
            except errors.Transient as error:
                pause = next(delays, None)
                if pause is None:
                    raise
                log.warning("%s: %s; again in %.1f s", lane.name, error, pause)
                with self.health.hold(lane.name, str(error)):
                    await asyncio.sleep(pause)

    async def _hold(self, lane: Lane[Any], error: errors.Misconfigured) -> bool:
        """Waits for a person, or for the time that the other side stated. False: the app stops."""
        if lane.name not in self.health.holding:
            log.error("%s holds: %s", lane.name, error)
        left = error.wait if error.wait is not None else 30.0
        with self.health.hold(lane.name, str(error)):
            while left > 0:
                if self.stopping():
                    return False
                if self.rebalancing():
                    self.end(EXIT_AGAIN, f"{lane.name}: the group rebalances while this worker holds")
                pause = min(left, SLICE)
                await asyncio.sleep(pause)
                left -= pause
        return True

    def _poison(self, event: Any, error: codec.Undecodable) -> kafka.OutgoingMessage:
        message = event.message
        log.error("%s: %s (partition %s, offset %s)", message.topic, error, message.partition, message.offset)
        return kafka.OutgoingMessage(
            topic=topics.named(topics.DEAD_LETTER, self.prefix),
            key=_text(event.key),
            value=event.value or b"",
            headers={
                "origin-topic": message.topic,
                "origin-partition": str(message.partition),
                "origin-offset": str(message.offset),
                "error-class": "Undecodable",
                "error": str(error),
            },
        )


def outgoing(emitted: Sequence[events.OrderEvent], prefix: str) -> list[kafka.OutgoingMessage]:
    """Each event on the topic of its class, keyed by customer."""
    by_class = {topic.event: topics.named(topic, prefix) for topic in reversed(topics.ALL)}
    return [
        kafka.OutgoingMessage(topic=by_class[type(event)], key=event.customer, value=codec.encode(event))
        for event in emitted
    ]


def _text(key: Any) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key or "")
