"""replay: out of a real log, the newest version of each order, once; and on with what an earlier run has not told."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest

from connectors import errors
from connectors.kafka import reader as kafka_replay
from connectors.tables.repairs import Settled
from schemas import codec, events
from schemas.batches import SyncState
from streams.reconcile import replay
from tests.support.factories import changed, identity

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GREYSON, OTHER, NEIGHBOUR = "GREYSON CLOTHIERS", "RHONE", "JOHNNIE O"
PARTITION = {name: kafka_replay.partition_of(name, 2) for name in (GREYSON, OTHER, NEIGHBOUR)}


class Store(dict[str, Any]):
    """Named values in memory."""

    def set(self, name: str, value: Any) -> None:
        self[name] = value


class Settlements:
    """What is settled: order number → version."""

    def __init__(self, versions: dict[int, int]) -> None:
        self.versions = {identity(number): version for number, version in versions.items()}

    def settled(self, record_uuids: Any) -> dict[str, Settled]:
        return {
            uuid: Settled(
                record_uuid=uuid, customer=GREYSON, version=self.versions[uuid], newest=self.versions[uuid],
                known_hash="H", state=SyncState.IN_SYNC, staged=None,
            )
            for uuid in record_uuids
            if uuid in self.versions
        }  # fmt: skip


class Log:
    """A topic of two partitions on the broker, and what a replay of it needs; GREYSON lies in one, OTHER not there."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap, self.topic = bootstrap, topic
        self.store, self.tables = Store(), Settlements({})
        self.readers: list[kafka_replay.TopicReader] = []
        self.held: set[str] = set()
        self.kept_since, self.said = NOON + timedelta(days=30), list[str]()

    def write(self, *told: events.OrderChanged | bytes, key: str = GREYSON, headers: Any = None) -> None:
        producer = confluent_kafka.Producer({"bootstrap.servers": self.bootstrap, "partitioner": "murmur2_random"})
        for one in told:
            at = NOON if isinstance(one, bytes) else NOON + timedelta(minutes=one.version)
            value = one if isinstance(one, bytes) else codec.encode(one)
            producer.produce(self.topic, value, key, timestamp=round(at.timestamp() * 1000), headers=headers)
        assert producer.flush(60) == 0

    def expire(self, before: int) -> None:
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap})
        partition = confluent_kafka.TopicPartition(self.topic, PARTITION[GREYSON], before)
        for future in admin.delete_records([partition]).values():
            future.result(60)

    def replayer(self) -> replay.Replayer:
        self.readers.append(kafka_replay.TopicReader(self.bootstrap, self.topic))
        return replay.Replayer(
            self.readers[-1],
            self.store,
            self.tables,
            self.held,
            self.kept_since,
            lambda: NOON,
            lambda: "replay-1",
            self.said.append,
        )

    def find(self, *customers: str, anew: bool = False, **asked: Any) -> tuple[replay.Found, list[tuple[int, int]]]:
        """What is found, and which order and version are told."""
        made, question = self.replayer(), replay.Asked(customers=customers, **asked)
        run, resumed = made.resume_or_start(question, anew=anew)
        found = made.find(question, run, resumed=resumed)
        told = [one.event for one in made.events(found)]
        assert all(event.cause is events.Cause.REPLAY for event in told)
        return found, [(int(event.record_uuid[:8], 16), event.version) for event in told]

    def begin(self, **asked: Any) -> replay.Asked:
        """A replay that begins, and does nothing more."""
        question = replay.Asked(customers=(GREYSON,), **asked)
        self.store.set(question.name, self.replayer().resume_or_start(question)[0].model_dump(mode="json"))
        return question

    def emit(self, number: int, version: int, offset: int, replay_id: str = "replay-1") -> None:
        """What a replay sends."""
        told = changed(number, version).model_copy(update={"cause": events.Cause.REPLAY})
        self.write(told, headers={"replay-id": replay_id, "origin-offset": str(offset)})


@pytest.fixture
def log(broker: str, kafka_topics: Any) -> Iterator[Log]:
    made = Log(broker, kafka_topics.make("orders", 2, {"retention.ms": "-1"}))
    yield made
    for reader in made.readers:
        reader.close()


def test_the_newest_version_of_each_order_of_the_customer_is_told_once(log: Log) -> None:
    log.write(changed(1, 1), changed(2, 1), changed(1, 2), changed(3, 2), changed(1, 1))
    log.write(changed(4, 1), key=NEIGHBOUR)
    log.write(b"no event")
    log.tables = Settlements({1: 2, 2: 5, 3: 1})
    found, told = log.find(GREYSON)
    assert told == [(1, 2), (3, 2)]
    assert (found.read, found.foreign, found.undecodable, found.older) == (7, 1, 1, 1)


def test_all_customers_are_told_from_all_partitions(log: Log) -> None:
    log.write(changed(1, 1), changed(2, 1), changed(1, 2))
    log.write(changed(3, 1), changed(4, 1, CUSTOMER_NAME=OTHER), key=OTHER)
    found, told = log.find()
    assert sorted(told) == [(1, 2), (2, 1), (3, 1), (4, 1)]
    assert (found.read, found.foreign) == (5, 0)
    assert sorted(log.find(OTHER, NEIGHBOUR)[1]) == [(3, 1), (4, 1)]


def test_an_order_of_a_customer_on_hold_is_left_alone(log: Log) -> None:
    log.write(changed(1, 1), changed(2, 1))
    log.write(changed(3, 1, CUSTOMER_NAME=OTHER), key=OTHER)
    # It is another's by now: the tables know that.
    log.tables = Settlements({2: 1})
    log.held = {OTHER}
    found, told = log.find()
    assert (told, found.held) == ([(1, 1), (2, 1)], 1)
    log.held = {GREYSON}
    found, told = log.find()
    assert (told, found.held) == ([(3, 1)], 2)


def test_it_begins_at_an_offset_or_a_time_and_ends_where_it_is_told(log: Log) -> None:
    log.write(*(changed(n, n) for n in range(1, 6)))
    assert log.find(GREYSON, from_offset=3)[1] == [(4, 4), (5, 5)]
    assert log.find(GREYSON, since=NOON + timedelta(minutes=4, seconds=30))[1] == [(5, 5)]
    assert log.find(GREYSON, from_offset=1, to_offset=2)[1] == [(2, 2), (3, 3)]
    assert log.find(GREYSON, since=NOON + timedelta(days=1))[1] == []
    with pytest.raises(errors.Misconfigured, match="ends at offset 5, before 6"):
        log.find(GREYSON, from_offset=6)


def test_what_is_not_retained_is_said_with_the_oldest_and_another_way(log: Log) -> None:
    log.write(*(changed(n, n) for n in range(1, 6)))
    log.expire(3)
    for asked in ({"from_offset": 2}, {"since": NOON + timedelta(minutes=2)}):
        with pytest.raises(errors.Misconfigured, match=r"the oldest is offset 3 of 2026-11-21 12:04:00 UTC.*verify"):
            log.find(GREYSON, **asked)
    assert log.find(GREYSON)[1] == [(4, 4), (5, 5)]
    log.expire(5)
    with pytest.raises(errors.Misconfigured, match="all of it expired"):
        log.find(GREYSON, since=NOON)


def test_a_quiet_partition_is_no_reason_to_refuse_what_is_too_young_to_have_expired(log: Log) -> None:
    log.write(*(changed(n, n) for n in range(1, 4)))
    log.write(changed(7, 7), key=OTHER)
    log.expire(3)
    log.kept_since = NOON - timedelta(days=1)
    assert log.find(since=NOON)[1] == [(7, 7)]
    assert len(log.said) == 1
    assert "no events of 2026-11-21 12:00:00 UTC: nothing is" in log.said[0]


def test_stopped_half_way_it_goes_on_with_what_was_not_told(log: Log) -> None:
    log.write(*(changed(n, 1) for n in range(1, 5)))
    log.begin()
    log.emit(1, 1, 0)
    log.emit(3, 1, 2)
    log.emit(4, 1, 3, replay_id="another")
    log.write(changed(9, 3))
    found, told = log.find(GREYSON)
    # Neither what was told, nor what came since it began.
    assert (told, found.before, found.run.replay_id) == ([(2, 1), (4, 1)], 2, "replay-1")
    found, told = log.find(GREYSON, from_offset=1)
    assert (sorted(told), found.before) == ([(1, 1), (2, 1), (3, 1), (4, 1), (9, 3)], 0), "another question"
    found, told = log.find(GREYSON, anew=True)
    assert (sorted(told), found.before) == ([(1, 1), (2, 1), (3, 1), (4, 1), (9, 3)], 0)


def test_a_log_that_was_lost_meanwhile_begins_anew(log: Log) -> None:
    log.write(*(changed(n, 1) for n in range(1, 5)))
    question = replay.Asked(customers=(GREYSON,))
    before = replay.ReplayRun(replay_id="old", began=NOON, spans={PARTITION[GREYSON]: (0, 99)})
    log.store.set(question.name, before.model_dump(mode="json"))
    found, told = log.find(GREYSON)
    assert (found.run.replay_id, len(told)) == ("replay-1", 4)
