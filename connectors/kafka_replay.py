"""Reads one partition of a topic again, from some place up to its end now, beside all groups: nobody's offsets move."""

import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Self

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from connectors import errors, kafka_client

_POLL = 0.5  # seconds
_SEED, _M, _R, _MASK = 0x9747B28C, 0x5BD1E995, 24, 0xFFFFFFFF


class Message(NamedTuple):
    """One event as it lies in the log. `at` is its own time."""

    offset: int
    at: datetime
    key: str
    value: bytes | None


class Bounds(NamedTuple):
    """The oldest offset that is retained, and the one that the next event will get."""

    oldest: int
    end: int


class PartitionReader:
    """The partition of one key. `timeout` is how long Kafka may take for an answer, in seconds; then Transient.

    Commits nothing, and is in no group that works.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        key: str,
        security: Mapping[str, str] | None = None,
        *,
        timeout: float = 10.0,
    ) -> None:
        self._watch = kafka_client.Watch(bootstrap, None)
        self._timeout = timeout
        settings = self._watch.settings(security or {}) | {
            "group.id": f"ordersync-replay-{uuid.uuid4()}",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            # Events are some kilobytes each: a few thousand ahead are enough.
            "queued.max.messages.kbytes": 16384,
        }
        self._consumer = kafka_client.made(confluent_kafka.Consumer, settings)
        try:
            self._partition = TopicPartition(topic, partition_of(key, self._partitions(topic)))
        except BaseException:
            self._consumer.close()
            raise

    @property
    def partition(self) -> int:
        """Its number."""
        return self._partition.partition

    def bounds(self) -> Bounds:
        """What is retained now."""
        try:
            low, high = self._consumer.get_watermark_offsets(self._partition, timeout=self._timeout)
        except KafkaException as error:
            raise self._watch.verdict(kafka_client.reason(error), "reading the bounds of a partition") from error
        return Bounds(low, high)

    def offset_at(self, moment: datetime) -> int | None:
        """The first event of this time or later, by Kafka's time index; None when there is none."""
        asked = TopicPartition(self._partition.topic, self.partition, round(moment.timestamp() * 1000))
        try:
            (found,) = self._consumer.offsets_for_times([asked], timeout=self._timeout)
        except KafkaException as error:
            raise self._watch.verdict(kafka_client.reason(error), "reading the time index") from error
        return None if found.offset < 0 else int(found.offset)

    def read(self, start: int, end: int) -> Iterator[Message]:
        """The events from `start` on that lie before `end`, in order. Raises Transient when Kafka falls silent."""
        if start >= end:
            return
        self._consumer.assign([TopicPartition(self._partition.topic, self.partition, start)])
        silent = 0.0
        while silent < self._timeout:
            message = self._consumer.poll(_POLL)
            if message is None:
                # Offsets may have gaps: where the reader stands counts, not what it was given.
                (at,) = self._consumer.position([self._partition])
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
            yield _message(message, offset)
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

    def _partitions(self, topic: str) -> int:
        try:
            found = self._consumer.list_topics(topic, timeout=self._timeout).topics[topic]
        except KafkaException as error:
            raise self._watch.verdict(kafka_client.reason(error), f"reading {topic}") from error
        if found.error is not None or not found.partitions:
            raise errors.Transient(f"Kafka at {self._watch.bootstrap} has no topic {topic}: `ordersync setup` makes it")
        return len(found.partitions)

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


def _message(message: confluent_kafka.Message, offset: int) -> Message:
    _, milliseconds = message.timestamp()
    key = message.key()
    text = key.decode(errors="replace") if isinstance(key, bytes) else str(key or "")
    value = message.value()
    return Message(
        offset=offset,
        at=datetime.fromtimestamp(milliseconds / 1000, UTC),
        key=text,
        value=value.encode() if isinstance(value, str) else value,
    )
