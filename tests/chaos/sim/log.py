"""A model of Kafka as far as ours uses it: topics with partitions, offsets, and what the group has committed."""

import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar
from unittest import mock

import confluent_kafka
from aiokafka.partitioner import murmur2

from connectors import errors, kafka
from streams import topics

Partition = tuple[str, int]
K = TypeVar("K")
V = TypeVar("V")
PARTITIONS = {topic.name: topic.partitions for topic in topics.ALL}


@dataclass(frozen=True, slots=True)
class Message:
    """Where an event stands. `log` tells the logs apart whose data were wiped in between."""

    topic: str
    partition: int
    offset: int
    log: int


@dataclass(frozen=True, slots=True)
class Event:
    """What an agent is given."""

    key: bytes
    value: bytes
    message: Message


@lru_cache(maxsize=4096)
def murmur(key: str, partitions: int) -> int:
    """The partition on which every Kafka client in Java or by aiokafka puts this key."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def crc(key: str, partitions: int) -> int:
    """librdkafka's own default."""
    return zlib.crc32(key.encode()) % partitions


PARTITIONERS: dict[str, Callable[[str, int], int]] = {
    "murmur2_random": murmur,
    "murmur2": murmur,
    "consistent_random": crc,
    "consistent": crc,
}


def partitioner_of_production() -> Callable[[str, int], int]:
    """The partitioner that connectors.kafka.Producer asks librdkafka for."""
    asked: dict[str, Any] = {}

    def client(settings: dict[str, Any]) -> Any:
        asked.update(settings)
        return mock.MagicMock(**{"poll.return_value": 0})

    with mock.patch.object(confluent_kafka, "Producer", client):
        kafka.Producer("localhost:9").close()
    return PARTITIONERS[asked.get("partitioner", "consistent_random")]


@dataclass
class Log:
    """The broker. While it is `away` nobody reads or writes; `returns_at` is when it will be back."""

    partition_of: Callable[[str, int], int]
    time: Callable[[], float]
    heard: Callable[[str], None] = lambda topic: None
    number: int = 0
    returns_at: float = 0.0
    # By then whoever failed to send has tried again.
    troubled_until: float = 0.0
    partitions: dict[Partition, list[Event]] = field(init=False)
    committed: dict[Partition, int] = field(init=False)
    # All that was ever taken, over all wipes.
    taken: list[tuple[str, Event]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._make()

    def _make(self) -> None:
        self.partitions = {(topic, n): [] for topic, count in PARTITIONS.items() for n in range(count)}
        self.committed = {}

    @property
    def away(self) -> bool:
        return self.time() < self.returns_at

    def failed(self) -> None:
        """Somebody was told that its events were not sent, and will send them again."""
        self.troubled_until = self.time() + AGAIN_WITHIN

    def append(self, sent: kafka.OutgoingMessage) -> None:
        """Stores one event."""
        place = (sent.topic, self.partition_of(sent.key, PARTITIONS[sent.topic]))
        stored = self.partitions[place]
        event = Event(sent.key.encode(), sent.value, Message(*place, len(stored), self.number))
        stored.append(event)
        self.taken.append((sent.key, event))
        self.heard(sent.topic)

    def wipe(self) -> None:
        """All data are gone, topics are made again, and the group has never committed anything."""
        self.number += 1
        self._make()

    def ends(self, names: Collection[str]) -> dict[Partition, int]:
        return {place: len(events) for place, events in self.partitions.items() if place[0] in names}

    def lag(self) -> int:
        """Events that the group has yet to commit."""
        return sum(max(0, len(events) - self.committed.get(at, 0)) for at, events in self.partitions.items())

    def misplaced(self) -> list[str]:
        """Keys whose events do not lie where murmur2 puts them."""
        found = {
            f"{key} lies on {event.message.topic}[{event.message.partition}]"
            for key, event in self.taken
            if murmur(key, PARTITIONS[event.message.topic]) != event.message.partition
        }
        return sorted(found)


POINTS = {
    topics.CHANGED.name: "produce",
    topics.STAGED.name: "emit",
    topics.SYNCED.name: "result-emit",
    topics.FAILED.name: "result-emit",
    topics.DEAD_LETTER.name: "dead-letter",
}
# The producer's own deadline, and the longest until delivery.py has sent again what was not told to be sent.
TIMEOUT = 30.0
AGAIN_WITHIN = TIMEOUT + 20.0


@dataclass(frozen=True)
class Trouble:
    """A call of `send_all` fails after this share of its events was stored; 1.0: all are, and nobody says so."""

    stored: float


@dataclass
class Producer:
    """connectors.kafka.Producer, with the same promise: when `send_all` returns, the log has all of them, in order."""

    log: Log
    process: Any
    trouble: Callable[[], Trouble | None]

    def send_all(self, messages: Sequence[kafka.OutgoingMessage]) -> None:
        if not messages:
            return
        self.process.gap()
        self.process.reached("before " + POINTS[messages[0].topic])
        trouble = self.trouble()
        if self.log.away:
            self.process.takes(min(TIMEOUT, self.log.returns_at - self.log.time() + 0.01))
            self.process.check()
            if self.log.away or trouble:
                self.log.failed()
                raise errors.Transient("Kafka, sending: no broker answers")
            # A call that stood still meanwhile goes on as librdkafka would.
        stored = len(messages) if trouble is None else round(trouble.stored * len(messages))
        if self.process.log_number != self.log.number and self.process.luck() < 0.5:
            # A broker that lost its data may take the events of an older producer for repetitions of another's.
            self.process.met("confirmed and not stored")
            stored = 0
        for message in messages[:stored]:
            self.log.append(message)
        if trouble is not None:
            self.process.met(f"sent {'all' if stored == len(messages) else 'some'} and failed")
            self.log.failed()
            self.process.takes(TIMEOUT)
            raise errors.Transient("Kafka, sending: message timed out")
        self.process.reached(POINTS[messages[0].topic])
        self.process.gap()

    def close(self) -> None: ...


@dataclass
class Admin:
    """connectors.kafka.Admin, as the poller asks it."""

    log: Log
    process: Any

    def end_offsets(self, topics: Collection[str]) -> dict[Partition, int]:
        return self._asked(self.log.ends(topics))

    def start_offsets(self, topics: Collection[str]) -> dict[Partition, int]:
        return self._asked(dict.fromkeys(self.log.ends(topics), 0))

    def committed(self, group: str, topics: Collection[str]) -> dict[Partition, int]:
        return self._asked({place: offset for place, offset in self.log.committed.items() if place[0] in topics})

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        return self._asked({topic: f"{topic} of log {self.log.number}" for topic in topics})

    def _asked(self, answer: dict[K, V]) -> dict[K, V]:
        self.process.check()
        if self.log.away:
            raise errors.Transient("Kafka, asking: no broker answers")
        self.process.gap()
        return answer
