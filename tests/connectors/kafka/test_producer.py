"""The event producer on a real broker: a sent event is stored, in order, on the partition of its key."""

import threading
from collections.abc import Callable
from typing import Any

import confluent_kafka
import pytest
from aiokafka import partitioner

from connectors import errors, kafka
from connectors.kafka import client

NOBODY = "127.0.0.1:9"


def read_all(bootstrap: str, topic: str) -> list[confluent_kafka.Message]:
    """Every message of the topic, partition by partition, up to the end as it is now."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "reader", "enable.auto.commit": False}
    )
    ends = kafka.Admin(bootstrap).end_offsets([topic])
    consumer.assign([confluent_kafka.TopicPartition(t, partition, 0) for t, partition in ends])
    try:
        found: list[confluent_kafka.Message] = []
        while len(found) < sum(ends.values()):
            message = consumer.poll(60)
            assert message is not None
            assert message.error() is None
            found.append(message)
    finally:
        consumer.close()
    return sorted(found, key=lambda message: (message.partition() or 0, message.offset() or 0))


def outgoing(topic: str, key: str, value: str) -> kafka.OutgoingMessage:
    return kafka.OutgoingMessage(topic, key, value.encode(), {"origin": "test", "ü": "größer"})


def test_sent_events_are_stored_in_order(kafka_topics: Any) -> None:
    topic = kafka_topics.make("orders", partitions=3)
    keys = [f"CUSTOMER {number}" for number in range(7)]
    with kafka.Producer(kafka_topics.bootstrap) as producer:
        producer.send_all([])
        for start in range(0, 300, 100):
            producer.send_all([outgoing(topic, keys[n % 7], str(n)) for n in range(start, start + 100)])
            assert sum(kafka_topics.admin.end_offsets([topic]).values()) == start + 100
    stored = read_all(kafka_topics.bootstrap, topic)
    for key in keys:
        values = [int(m.value() or b"") for m in stored if m.key() == key.encode()]
        assert values == list(range(keys.index(key), 300, 7))
    assert stored[0].headers() == [("origin", b"test"), ("ü", "größer".encode())]


def test_keys_fall_where_aiokafka_puts_them(kafka_topics: Any) -> None:
    topic = kafka_topics.make("keys", partitions=6)
    keys = [f"GREYSON CLOTHIERS {number} ÄÖ" for number in range(50)]
    with kafka.Producer(kafka_topics.bootstrap) as producer:
        producer.send_all([outgoing(topic, key, "v") for key in keys])
    stored = {m.key(): m.partition() for m in read_all(kafka_topics.bootstrap, topic)}
    partitions, choose = list(range(6)), partitioner.DefaultPartitioner()
    assert stored == {key.encode(): choose(key.encode(), partitions, partitions) for key in keys}
    assert len(set(stored.values())) == 6


def test_threads_share_it_and_each_waits_for_its_own(kafka_topics: Any) -> None:
    topic = kafka_topics.make("threads", partitions=2)
    rounds, failures = 20, []

    def work(name: str, producer: kafka.Producer) -> None:
        try:
            for n in range(rounds):
                producer.send_all([outgoing(topic, name, f"{n}.{part}") for part in range(5)])
        except errors.OrdersyncError as error:
            failures.append(error)

    with kafka.Producer(kafka_topics.bootstrap) as producer:
        threads = [threading.Thread(target=work, args=(f"t{n}", producer)) for n in range(4)]
        for thread in threads:
            thread.start()
        # Meanwhile one whose event cannot be sent fails alone.
        with pytest.raises(errors.Rejected, match=topic):
            producer.send_all([kafka.OutgoingMessage(topic, "large", bytes(2_000_000))])
        for thread in threads:
            thread.join(60)
    assert not failures
    stored = read_all(kafka_topics.bootstrap, topic)
    for n in range(4):
        values = [(m.value() or b"").decode() for m in stored if m.key() == f"t{n}".encode()]
        assert values == [f"{round_}.{part}" for round_ in range(rounds) for part in range(5)]
    assert len(stored) == 4 * rounds * 5


def test_more_than_the_queue_holds_waits_for_room(kafka_topics: Any) -> None:
    topic = kafka_topics.make("bulk")
    with kafka.Producer(kafka_topics.bootstrap) as producer:
        producer.send_all([kafka.OutgoingMessage(topic, "k", bytes(900_000))] * 90)
    assert kafka_topics.admin.end_offsets([topic]) == {(topic, 0): 90}


def test_an_event_too_large_is_rejected_after_those_before_it(kafka_topics: Any) -> None:
    topic = kafka_topics.make("large")
    messages = [
        outgoing(topic, "k", "1"),
        kafka.OutgoingMessage(topic, "k", bytes(2_000_000)),
        outgoing(topic, "k", "3"),
    ]
    with kafka.Producer(kafka_topics.bootstrap) as producer:
        with pytest.raises(errors.Rejected, match=topic) as rejected:
            producer.send_all(messages)
        assert rejected.value.code == "MSG_SIZE_TOO_LARGE"
    assert [m.value() for m in read_all(kafka_topics.bootstrap, topic)] == [b"1"]


def test_a_topic_that_does_not_exist_is_named(kafka_topics: Any) -> None:
    topic = kafka_topics.name("missing")
    with (
        kafka.Producer(kafka_topics.bootstrap, timeout=1) as producer,
        pytest.raises(errors.Transient, match=topic),
    ):
        producer.send_all([outgoing(topic, "k", "v")])


# librdkafka's own deadline is 300 s.
@pytest.mark.timeout(60)
def test_a_broker_that_is_away_is_reported_within_the_deadline(caplog: pytest.LogCaptureFixture) -> None:
    noise = kafka.BrokerNoise()
    with kafka.Producer(NOBODY, timeout=1, noise=noise) as producer:
        with pytest.raises(errors.Transient, match=r"orders\.changed"):
            producer.send_all([outgoing("orders.changed", "k", str(n)) for n in range(10)])
        assert noise.since is not None
    assert [message.split(":")[0][:17] for message in caplog.messages] == ["broker away since"]


def test_an_idle_producer_notices_the_return_of_the_broker(kafka_topics: Any, until: Callable[..., Any]) -> None:
    noise = kafka.BrokerNoise()
    with kafka.Producer(kafka_topics.bootstrap, noise=noise):
        noise.away("a line of another client")
        until(lambda: noise.since is None, "it is told")


def test_a_client_that_has_lost_every_broker_is_replaced(kafka_topics: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RENEW_AFTER", 0.5)
    topic = kafka_topics.make("renewed")
    with kafka.Producer(kafka_topics.bootstrap) as producer:
        producer.send_all([outgoing(topic, "k", "1")])
        producer._producer = confluent_kafka.Producer(producer._settings | {"bootstrap.servers": NOBODY})
        with pytest.raises(errors.Transient, match=topic):
            producer.send_all([outgoing(topic, "k", "lost")])
        producer.send_all([outgoing(topic, "k", "2")])
    assert [m.value() for m in read_all(kafka_topics.bootstrap, topic)] == [b"1", b"2"]
