"""Reading a partition from an offset, a time or the beginning up to now, beside all groups."""

from datetime import UTC, datetime, timedelta
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest

from connectors import errors, kafka
from connectors.kafka import reader as kafka_replay

KEYS = ["GREYSON CLOTHIERS", "JOHNNIE O", "A", "AB", "ABC", "ÄÖÜ", "", "TRACKSMITH", "PEERLESS CLOTHING"]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
# NOON is long ago: by default the broker would remove its events after a few minutes.
FOREVER = {"retention.ms": "-1"}


def produce(bootstrap: str, topic: str, *events: tuple[str, str, datetime]) -> None:
    """Key, value and time of events, in this order."""
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    for key, value, at in events:
        producer.produce(topic, value, key, timestamp=round(at.timestamp() * 1000))
    assert producer.flush(60) == 0


def values(read: Any) -> list[tuple[str, bytes | None]]:
    return [(message.key, message.value) for message in read]


def test_a_key_lies_where_the_producer_puts_it(broker: str, kafka_topics: Any) -> None:
    topic = kafka_topics.make("replayed", 8, FOREVER)
    with kafka.Producer(broker) as producer:
        keys = [key for key in KEYS if key]
        producer.send_all([kafka.OutgoingMessage(topic, key, key.encode()) for key in keys])
    with kafka_replay.TopicReader(broker, topic) as reader:
        assert [*reader.partitions] == list(range(8))
        for key in keys:
            partition = reader.partition_of(key)
            assert (key, key.encode()) in values(reader.read(partition, *reader.bounds(partition)))


def test_key_time_and_headers_are_read_too(broker: str, kafka_topics: Any) -> None:
    topic = kafka_topics.make("replayed", config=FOREVER)
    with kafka.Producer(broker) as producer:
        producer.send_all(
            [kafka.OutgoingMessage(topic, "A", b"1", {"replay-id": "r"}), kafka.OutgoingMessage(topic, "A", b"2")]
        )
    with kafka_replay.TopicReader(broker, topic) as reader:
        read = list(reader.read(0, 0, 2))
    assert [(one.partition, one.offset, one.headers) for one in read] == [(0, 0, {"replay-id": "r"}), (0, 1, {})]


def test_it_reads_from_an_offset_or_a_time_up_to_the_end(broker: str, kafka_topics: Any) -> None:
    topic = kafka_topics.make("replayed", config=FOREVER)
    told = [("A", str(n), NOON + timedelta(minutes=n)) for n in range(5)]
    produce(broker, topic, *told)
    with kafka_replay.TopicReader(broker, topic) as reader:
        assert reader.bounds(0) == (0, 5)
        assert [message.value for message in reader.read(0, 2, 4)] == [b"2", b"3"]
        assert [message.at for message in reader.read(0, 0, 2)] == [NOON, NOON + timedelta(minutes=1)]
        assert list(reader.read(0, 5, 5)) == []
        assert reader.offset_at(0, NOON + timedelta(seconds=90)) == 2
        assert reader.offset_at(0, NOON - timedelta(days=1)) == 0
        assert reader.offset_at(0, NOON + timedelta(days=1)) is None


def test_later_events_are_not_read_and_no_group_is_left(broker: str, kafka_topics: Any) -> None:
    topic = kafka_topics.make("replayed", config=FOREVER)
    produce(broker, topic, ("A", "1", NOON), ("A", "2", NOON))
    with kafka_replay.TopicReader(broker, topic) as reader:
        bounds = reader.bounds(0)
        produce(broker, topic, ("A", "3", NOON))
        assert [message.value for message in reader.read(0, *bounds)] == [b"1", b"2"]
        assert reader.bounds(0).end == 3


def test_the_bounds_show_expired_events(broker: str, kafka_topics: Any) -> None:
    topic = kafka_topics.make("replayed", config=FOREVER)
    produce(broker, topic, *(("A", str(n), NOON) for n in range(4)))
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": broker})
    for future in admin.delete_records([confluent_kafka.TopicPartition(topic, 0, 3)]).values():
        future.result(60)
    with kafka_replay.TopicReader(broker, topic) as reader:
        assert reader.bounds(0) == (3, 4)
        assert [message.value for message in reader.read(0, 3, 4)] == [b"3"]
        with pytest.raises(errors.Transient, match="expired"):
            list(reader.read(0, 0, 4))


def test_a_topic_that_is_not_there_is_named(broker: str, kafka_topics: Any) -> None:
    with pytest.raises(errors.Transient, match="setup"):
        kafka_replay.TopicReader(broker, kafka_topics.name("nothing"))
