"""Reads partitions of a topic from an offset or a time up to their present end, and moves the offsets of no group."""

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
    """One event in the log. `at` is the time (UTC) of the event itself."""

    partition: int
    offset: int
    at: datetime
    key: str
    value: bytes | None
    headers: Mapping[str, str]


class Bounds(NamedTuple):
    """The oldest retained offset of a partition, and the offset that the next event will get."""

    oldest: int
    end: int


class TopicReader:
    """Reads one topic. It commits nothing and joins no group of workers.

    Every method raises Transient when Kafka takes longer than `timeout` seconds, or Misconfigured for a refused login.
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
            # A fetch at the end of a partition waits for events, and requests about the next partition wait behind it.
            "fetch.wait.max.ms": 10,
            # A replay may pause for long between two events.
            "max.poll.interval.ms": 86_400_000,
            # An event has some kilobytes, so a few thousand read ahead are enough.
            "queued.max.messages.kbytes": 16384,
        }
        self._consumer = client.create(confluent_kafka.Consumer, settings)
        try:
            self._count = self._partitions()
        except BaseException:
            self._consumer.close()
            raise

    @property
    def partitions(self) -> range:
        """The numbers of the partitions."""
        return range(self._count)

    def partition_of(self, key: str) -> int:
        """The partition of the events of this key."""
        return partition_of(key, self._count)

    def bounds(self, partition: int) -> Bounds:
        """The retained range of offsets, now."""
        topic_partition = TopicPartition(self._topic, partition)
        return Bounds(
            *self._patiently(
                "reading the bounds of a partition",
                lambda: self._consumer.get_watermark_offsets(topic_partition, timeout=self._timeout),
            )
        )

    def offset_at(self, partition: int, moment: datetime) -> int | None:
        """The offset of the first event of this time or later, by Kafka's time index; None when there is none."""
        wanted = TopicPartition(self._topic, partition, round(moment.timestamp() * 1000))
        (first,) = self._patiently(
            "reading the time index", lambda: self._consumer.offsets_for_times([wanted], timeout=self._timeout)
        )
        return None if first.offset < 0 else int(first.offset)

    def read(self, partition: int, start: int, end: int) -> Iterator[Message]:
        """The events from offset `start` up to, and without, `end`, in order.

        Raises Transient when Kafka gives none for `timeout` seconds. A second read ends the first.
        """
        if start >= end:
            return
        self._consumer.assign([TopicPartition(self._topic, partition, start)])
        silent = 0.0
        while silent < self._timeout:
            message = self._consumer.poll(_POLL)
            if message is None:
                # Offsets may have gaps, so the position of the reader counts, not the offset of its last event.
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
        """Closes the reader."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _partitions(self) -> int:
        topic = self._topic
        try:
            metadata = self._consumer.list_topics(topic, timeout=self._timeout).topics[topic]
        except KafkaException as error:
            raise self._watch.verdict(client.reason(error), f"reading {topic}") from error
        if metadata.error is not None or not metadata.partitions:
            raise errors.Transient(
                f"Kafka at {self._watch.bootstrap} has no topic {topic}: `ordersync setup` creates it"
            )
        return len(metadata.partitions)

    def _patiently(self, doing: str, ask: Callable[[], client.Answer]) -> client.Answer:
        try:
            return client.patiently(ask, self._timeout)
        except KafkaException as error:
            raise self._watch.verdict(client.reason(error), doing) from error

    def _error(self, error: KafkaError) -> errors.OrdersyncError:
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            return errors.Transient("the oldest events expired while they were read: start once more")
        return self._watch.verdict(error, "reading retained events")


def partition_of(key: str, partitions: int) -> int:
    """The partition that every Kafka client with the default partitioner chooses for this key: murmur2 of its bytes."""
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
        headers={name: _text(header) for name, header in dict(message.headers() or {}).items()},
    )


def _text(raw: str | bytes | None) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw or ""
