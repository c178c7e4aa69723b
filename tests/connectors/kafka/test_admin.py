"""Topics and offsets on a real broker."""

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest

from connectors import errors, kafka
from connectors.kafka import client
from streams import topics
from tests.support import fenced_broker

NOBODY = "127.0.0.1:9"


def send(bootstrap: str, topic: str, count: int) -> None:
    with kafka.Producer(bootstrap) as producer:
        producer.send_all([kafka.OutgoingMessage(topic, f"k{n}", b"v") for n in range(count)])


def commit(bootstrap: str, group: str, offsets: dict[tuple[str, int], int]) -> None:
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    positions = [confluent_kafka.TopicPartition(*partition, offset) for partition, offset in offsets.items()]
    consumer.commit(offsets=positions, asynchronous=False)
    consumer.close()


def test_ensure_creates_missing_topics_only(kafka_topics: Any) -> None:
    admin = kafka_topics.admin
    old = kafka_topics.make("old", partitions=2)
    specs = [kafka.TopicSpec(old, 5), kafka.TopicSpec(kafka_topics.name("new"), 4, {"retention.ms": "60000"})]
    assert admin.ensure(specs) == [specs[1].name]
    kafka_topics.made.append(specs[1].name)
    assert admin.ensure(specs) == []
    assert sorted(admin.end_offsets([old, specs[1].name])) == sorted(
        [(old, 0), (old, 1), *((specs[1].name, n) for n in range(4))]
    )


def test_compare_reports_differences_and_what_to_do(kafka_topics: Any) -> None:
    admin = kafka_topics.admin
    topic = kafka_topics.make("compared", 2, {"retention.ms": "60000"})
    same = kafka.TopicSpec(topic, 2, {"retention.ms": "60000", "cleanup.policy": "delete", "min.insync.replicas": "1"})
    assert admin.compare([same]) == []
    other = kafka.TopicSpec(topic, 3, {"retention.ms": "-1", "min.insync.replicas": "2"}, replication=3)
    missing = kafka.TopicSpec(kafka_topics.name("missing"), 1)
    differences = admin.compare([other, missing])
    assert [text.partition(": ")[0] for text in differences] == [
        f"{missing.name} does not exist",
        f"{topic} has 2 partitions, not 3",
        f"{topic} has 1 replicas, not 3",
        f"{topic} has retention.ms 60000, not -1",
        f"{topic} has min.insync.replicas 1, not 2",
    ]
    assert differences[3].endswith(f"--entity-name {topic} --add-config retention.ms=-1")
    assert all(text.partition(": ")[2] for text in differences)


def test_our_topics_are_created_as_specified(kafka_topics: Any) -> None:
    wanted = topics.specs(kafka_topics.name("") + "-", 1)
    kafka_topics.made += kafka_topics.admin.ensure(wanted)
    assert kafka_topics.admin.compare(wanted) == []
    others = kafka_topics.admin.compare(topics.specs(kafka_topics.name("") + "-", 3))
    assert len([text for text in others if "has 1 replicas, not 3" in text]) == len(wanted)
    assert len([text for text in others if "has min.insync.replicas 1, not 2" in text]) == len(wanted)


def test_settings_that_kafka_does_not_know_are_misconfigured(kafka_topics: Any) -> None:
    with pytest.raises(errors.Misconfigured, match=r"no\.such\.setting"):
        kafka_topics.make("wrong", config={"no.such.setting": "1"})


def test_offsets_and_lag(kafka_topics: Any) -> None:
    admin, group = kafka_topics.admin, kafka_topics.name("group")
    topic, idle = kafka_topics.make("read", 2), kafka_topics.make("idle")
    assert admin.end_offsets([topic, idle]) == {(topic, 0): 0, (topic, 1): 0, (idle, 0): 0}
    assert admin.committed(group, [topic, idle]) == {}
    send(kafka_topics.bootstrap, topic, 100)
    ends = admin.end_offsets([topic])
    assert sum(ends.values()) == 100
    assert all(ends.values())
    assert admin.lag(group, [topic, idle]) == ends | {(idle, 0): 0}
    commit(kafka_topics.bootstrap, group, {(topic, 1): 5})
    assert admin.committed(group, [topic, idle]) == {(topic, 1): 5}
    assert admin.lag(group, [topic]) == {(topic, 0): ends[topic, 0], (topic, 1): ends[topic, 1] - 5}


def remade(kafka_topics: Any, name: str, until: Callable[..., Any]) -> str:
    """The topic, deleted and recreated."""
    topic: str = kafka_topics.name(name)
    client = confluent_kafka.admin.AdminClient({"bootstrap.servers": kafka_topics.bootstrap, "log_level": 0})
    client.delete_topics([topic])[topic].result(60)
    until(lambda: not kafka_topics.admin.topic_ids([topic]), "the topic is gone")
    assert kafka_topics.admin.ensure([kafka.TopicSpec(topic, 2)]) == [topic]
    return topic


def test_a_recreated_topic_has_another_id_and_is_read_from_the_start(
    kafka_topics: Any, until: Callable[..., Any]
) -> None:
    admin, group = kafka_topics.admin, kafka_topics.name("group")
    topic, missing = kafka_topics.make("remade", 2), kafka_topics.name("missing")
    send(kafka_topics.bootstrap, topic, 100)
    commit(kafka_topics.bootstrap, group, admin.end_offsets([topic]))
    assert sum(admin.lag(group, [topic]).values()) == 0
    before = admin.topic_ids([topic, missing])
    assert before.keys() == {topic}
    assert admin.topic_ids([topic]) == before
    assert remade(kafka_topics, "remade", until) == topic
    assert admin.topic_ids([topic]).keys() == {topic}
    assert admin.topic_ids([topic]) != before
    # As a worker that ran through it would: Kafka forgets what was committed to a topic that is deleted.
    commit(kafka_topics.bootstrap, group, {(topic, 0): 60, (topic, 1): 60})
    assert sum(admin.lag(group, [topic]).values()) == 0
    send(kafka_topics.bootstrap, topic, 50)
    assert admin.lag(group, [topic]) == admin.end_offsets([topic])
    assert sum(admin.lag(group, [topic]).values()) == 50


def test_a_topic_that_does_not_exist_is_named(kafka_topics: Any) -> None:
    topic = kafka_topics.name("missing")
    for ask in (kafka_topics.admin.end_offsets, lambda topics: kafka_topics.admin.lag("group", topics)):
        with pytest.raises(kafka.TopicMissing, match=f"^Kafka at {kafka_topics.bootstrap} has no topic {topic}$"):
            ask([topic])


def test_reachable(kafka_topics: Any) -> None:
    assert kafka_topics.admin.reachable(60)
    # By the deadline that was asked for: no test lives to see the other one.
    assert not kafka.Admin(NOBODY, timeout=3600).reachable(0.5)


# All six calls together; a call that went by no deadline at all would never return.
@pytest.mark.timeout(60)
def test_a_broker_that_is_away_is_reported_within_the_deadline() -> None:
    admin = kafka.Admin(NOBODY, timeout=0.5)
    calls: list[Callable[[], object]] = [
        lambda: admin.ensure([kafka.TopicSpec("orders.changed", 1)]),
        lambda: admin.compare([kafka.TopicSpec("orders.changed", 1)]),
        lambda: admin.end_offsets(["orders.changed"]),
        lambda: admin.committed("group", ["orders.changed"]),
        lambda: admin.lag("group", ["orders.changed"]),
        lambda: admin.topic_ids(["orders.changed"]),
    ]
    for call in calls:
        with pytest.raises(errors.Transient, match=f"^Kafka at {NOBODY}, [a-z ]+: "):
            call()


def test_a_broker_that_was_fenced_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """librdkafka 2.11 to 2.16 forgets every broker when metadata names none, and connects never again."""
    monkeypatch.setattr(client, "RENEW_AFTER", 1.0)
    with fenced_broker.running() as broker:
        admins = [kafka.Admin(broker.bootstrap, timeout=60) for _ in range(12)]
        assert all(admin.reachable(60) for admin in admins)
        broker.fenced = True
        with ThreadPoolExecutor(len(admins)) as pool:
            list(pool.map(lambda admin: admin.reachable(0.5), admins))
            broker.fenced = False
            assert all(pool.map(lambda admin: admin.reachable(60), admins))


def test_garbage_collection_destroys_no_client_and_the_next_one_does() -> None:
    """It may run on a thread of librdkafka, which aborts the process then."""
    admin = kafka.Admin(NOBODY)
    known = weakref.ref(admin._client)
    # A circle, as the traceback of an error makes one.
    setattr(admin._client, "owner", admin)  # noqa: B010
    del admin
    gc.collect()
    left = known()
    assert left is not None
    delattr(left, "owner")
    del left
    gc.collect()
    kafka.Admin(NOBODY)
    assert known() is None
