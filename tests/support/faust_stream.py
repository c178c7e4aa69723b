"""A stream as Faust gives it to streams.delivery.consumer, and the process around a delivery."""

import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors import errors, kafka
from streams import topics
from streams.delivery import consumer, health


@dataclass
class Message:
    """The part of a Kafka message that Faust's events carry."""

    offset: int
    topic: str = "p-orders.staged"
    partition: int = 0


@dataclass
class Event:
    value: bytes | None
    message: Message
    key: bytes = b"GREYSON CLOTHIERS"
    headers: dict[str, bytes] = field(default_factory=dict)


class Stream:
    """Batches of one stream, and what was acknowledged."""

    def __init__(self, *batches: Sequence[bytes | None]) -> None:
        numbers = itertools.count()
        self.batches = [[Event(value, Message(next(numbers))) for value in batch] for batch in batches]
        self.acknowledged: list[int] = []

    def noack(self) -> "Stream":
        return self

    async def noack_take(self, most: int, within: float) -> AsyncIterator[list[Event]]:
        for batch in self.batches:
            yield batch

    async def ack(self, event: Event) -> bool:
        self.acknowledged.append(event.message.offset)
        return True


@dataclass
class Process:
    """The process around a delivery: what it sent, how it ended, what it was told."""

    sent: list[list[kafka.OutgoingMessage]] = field(default_factory=list)
    ended: list[tuple[int, str]] = field(default_factory=list)
    refusals: int = 0
    stops: bool = False
    rebalances: bool = False
    tries: int = 3

    def __post_init__(self) -> None:
        self.health = health.Health()
        self.delivery = consumer.Delivery(
            producer=self,
            health=self.health,
            prefix="p-",
            stopping=lambda: self.stops,
            rebalancing=lambda: self.rebalances,
            end=lambda code, why: self.ended.append((code, why)),
            pauses=lambda: iter([0.0] * self.tries),
            holds=(0.01,),
        )

    def send_all(self, messages: Sequence[kafka.OutgoingMessage]) -> None:
        if self.refusals:
            self.refusals -= 1
            raise errors.Transient("Kafka is away")
        self.sent.append(list(messages))

    async def run(self, stream: Stream, step: Any, topic: topics.Topic = topics.STAGED) -> None:
        """A stream that is exhausted is one whose app stops."""
        lane: consumer.Lane[Any] = consumer.Lane(topic, step, take=10)

        async def last(events: list[Any]) -> Any:
            result = await step(events)
            self.stops = len(stream.acknowledged) + len(events) >= sum(map(len, stream.batches))
            return result

        await self.delivery.run(stream, consumer.Lane(lane.topic, last, take=lane.take))
