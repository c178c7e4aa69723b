"""Reads partitions of a topic again, from some place up to their end now, beside all groups: nobody's offsets move."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Self

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors import errors
from connectors.kafka import client

_POLL = 0.5  # seconds
_SEED, _M, _R, _MASK = 0x9747B28C, 0x5BD1E995, 24, 0xFFFFFFFF


class Message(NamedTuple):
    """One event as it lies in the log. `at` is its own time."""

    partition: int
    offset: int
    at: datetime
    key: str
    value: bytes | None
    headers: Mapping[str, str]


class Bounds(NamedTuple):
    """The oldest offset that is retained, and the one that the next event will get."""

    oldest: int
    end: int


class TopicReader:
    """One topic. `timeout` is how long Kafka may take for an answer, in seconds; then Transient.

    Commits nothing, and is in no group that works.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        security: Mapping[str, str] | None = None,
        *,
        timeout: float = 10.0,
    ) -> None:
        self._watch = client.Watch(bootstrap, None)
        self._topic = topic
        self._timeout = timeout
        settings = self._watch.settings(security or {}) | {
            "group.id": f"ordersync-replay-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            # At the end of a partition a fetch waits for more, and the questions about the next one behind it.
            "fetch.wait.max.ms": 10,
            # Whoever tells the events on may wait for long between two of them.
            "max.poll.interval.ms": 86_400_000,
            # Events are some kilobytes each: a few thousand ahead are enough.
            "queued.max.messages.kbytes": 16384,
        }
        self._consumer = client.made(confluent_kafka.Consumer, settings)
        try:
            self._count = self._partitions()
        except BaseException:
            self._consumer.close()
            raise

    @property
    def partitions(self) -> range:
        """Their numbers."""
        return range(self._count)

    def partition_of(self, key: str) -> int:
        """Where the events of this key lie."""
        return partition_of(key, self._count)

    def bounds(self, partition: int) -> Bounds:
        """What is retained now."""
        asked = TopicPartition(self._topic, partition)
        return Bounds(
            *self._patiently(
                "reading the bounds of a partition",
                lambda: self._consumer.get_watermark_offsets(asked, timeout=self._timeout),
            )
        )

    def offset_at(self, partition: int, moment: datetime) -> int | None:
        """The first event of this time or later, by Kafka's time index; None when there is none."""
        asked = TopicPartition(self._topic, partition, round(moment.timestamp() * 1000))
        (found,) = self._patiently(
            "reading the time index", lambda: self._consumer.offsets_for_times([asked], timeout=self._timeout)
        )
        return None if found.offset < 0 else int(found.offset)

    def read(self, partition: int, start: int, end: int) -> Iterator[Message]:
        """The events from `start` on that lie before `end`, in order. Raises Transient when Kafka falls silent.

        One read at a time: a second one ends the first.
        """
        if start >= end:
            return
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        silent = 0.0
        while silent < self._timeout:
            message = self._consumer.poll(_POLL)
            if message is None:
                # Offsets may have gaps: where the reader stands counts, not what it was given.
                (at,) = self._consumer.position([TopicPartition(self._topic, partition)])
                if at.offset >= end:
                    return
                silent += _POLL
                continue
            if error := message.error():
                raise self._error(error)
            silent = 0.0
            offset = message.offset()
            assert offset is not None
            if offset >= end:
                return
            yield _message(message, partition, offset)
            if offset + 1 >= end:
                return
        raise errors.Transient(f"Kafka at {self._watch.bootstrap} gave no event for {silent:g} s")

    def close(self) -> None:
        """Ends the reader."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _partitions(self) -> int:
        topic = self._topic
        try:
            found = self._consumer.list_topics(topic, timeout=self._timeout).topics[topic]
        except KafkaException as error:
            raise self._watch.verdict(client.reason(error), f"reading {topic}") from error
        if found.error is not None or not found.partitions:
            raise errors.Transient(f"Kafka at {self._watch.bootstrap} has no topic {topic}: `ordersync setup` makes it")
        return len(found.partitions)

    def _patiently(self, doing: str, ask: Callable[[], client.Answer]) -> client.Answer:
        try:
            return client.patiently(ask, self._timeout)
        except KafkaException as error:
            raise self._watch.verdict(client.reason(error), doing) from error

    def _error(self, error: KafkaError) -> errors.OrdersyncError:
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            return errors.Transient("the oldest events expired while they were read: begin again")
        return self._watch.verdict(error, "reading events again")


def partition_of(key: str, partitions: int) -> int:
    """Where every Kafka client with the default partitioner puts this key: murmur2 of its bytes."""
    return (_murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        k ^= k >> _R
        h = (h * _M & _MASK) ^ (k * _M & _MASK)
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15


def _message(message: confluent_kafka.Message, partition: int, offset: int) -> Message:
    _, milliseconds = message.timestamp()
    value = message.value()
    return Message(
        partition=partition,
        offset=offset,
        at=datetime.fromtimestamp(milliseconds / 1000, UTC),
        key=_text(message.key()),
        value=value.encode() if isinstance(value, str) else value,
        headers={name: _text(told) for name, told in dict(message.headers() or {}).items()},
    )


def _text(told: str | bytes | None) -> str:
    return told.decode(errors="replace") if isinstance(told, bytes) else told or ""
