"""replay: out of a real log, the newest version of each order, once; and on from where it was stopped."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest

from connectors import errors, kafka_replay
from connectors.repairs import Settled
from schemas import codec, events
from schemas.batches import SyncState
from streams import replay
from tests.factories import changed, identity

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GREYSON = "GREYSON CLOTHIERS"


class Facts(dict[str, Any]):
    """Facts in memory."""

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
    """A customer's partition on the broker, and what a replay of it needs."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap, self.topic = bootstrap, topic
        self.facts, self.tables = Facts(), Settlements({})
        self.readers: list[kafka_replay.PartitionReader] = []

    def write(self, *told: events.OrderChanged | bytes, key: str = GREYSON) -> None:
        producer = confluent_kafka.Producer({"bootstrap.servers": self.bootstrap})
        for one in told:
            at = NOON if isinstance(one, bytes) else NOON + timedelta(minutes=one.version)
            value = one if isinstance(one, bytes) else codec.encode(one)
            producer.produce(self.topic, value, key, timestamp=round(at.timestamp() * 1000))
        assert producer.flush(10) == 0

    def expire(self, before: int) -> None:
        admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap})
        for future in admin.delete_records([confluent_kafka.TopicPartition(self.topic, 0, before)]).values():
            future.result(10)

    def replayer(self) -> replay.Replayer:
        self.readers.append(kafka_replay.PartitionReader(self.bootstrap, self.topic, GREYSON))
        return replay.Replayer(self.readers[-1], self.facts, self.tables, lambda: "replay-1")

    def find(self, **asked: Any) -> tuple[replay.Came, replay.Found]:
        made, question = self.replayer(), replay.Asked(customer=GREYSON, **asked)
        came = made.came(question)
        return came, made.find(question, came)


@pytest.fixture
def log(broker: str, kafka_topics: Any) -> Iterator[Log]:
    made = Log(broker, kafka_topics.make("orders"))
    yield made
    for reader in made.readers:
        reader.close()


def told(found: replay.Found) -> list[tuple[int, int]]:
    """Order and version, in the order in which they are told."""
    assert all(event.cause is events.Cause.REPLAY for _, event in found.told)
    return [(int(event.record_uuid[:8], 16), event.version) for _, event in found.told]


def test_the_newest_version_of_each_order_of_the_customer_is_told_once(log: Log) -> None:
    log.write(changed(1, 1), changed(2, 1), changed(1, 2), changed(3, 2), changed(1, 1))
    log.write(changed(4, 1), key="ANOTHER")
    log.write(b"no event")
    log.tables = Settlements({1: 2, 2: 5, 3: 1})
    _, found = log.find()
    assert told(found) == [(1, 2), (3, 2)]
    assert (found.read, found.foreign, found.undecodable, found.older) == (7, 1, 1, 1)


def test_it_begins_at_an_offset_or_a_time_and_ends_where_it_is_told(log: Log) -> None:
    log.write(*(changed(n, n) for n in range(1, 6)))
    assert told(log.find(from_offset=3)[1]) == [(4, 4), (5, 5)]
    assert told(log.find(since=NOON + timedelta(minutes=4, seconds=30))[1]) == [(5, 5)]
    assert told(log.find(from_offset=1, to_offset=2)[1]) == [(2, 2), (3, 3)]
    assert told(log.find(since=NOON + timedelta(days=1))[1]) == []
    with pytest.raises(errors.Misconfigured, match="ends at offset 5, before 6"):
        log.find(from_offset=6)


def test_what_is_not_retained_is_said_with_the_oldest_and_another_way(log: Log) -> None:
    log.write(*(changed(n, n) for n in range(1, 6)))
    log.expire(3)
    for asked in ({"from_offset": 2}, {"since": NOON + timedelta(minutes=2)}):
        with pytest.raises(errors.Misconfigured, match=r"the oldest is offset 3 of 2026-11-21 12:04:00 UTC.*verify"):
            log.find(**asked)
    assert told(log.find()[1]) == [(4, 4), (5, 5)]
    log.expire(5)
    with pytest.raises(errors.Misconfigured, match="all of it expired"):
        log.find(since=NOON)


def test_stopped_half_way_it_goes_on_with_what_was_its_end_then(log: Log, until: Callable[..., Any]) -> None:
    log.write(*(changed(n, 1) for n in range(1, 5)))
    question = replay.Asked(customer=GREYSON)
    made = log.replayer()
    came = made.came(question)
    made.remember(question, came, 1)
    log.write(changed(9, 3))
    again = log.replayer().came(question)
    assert (again.replay_id, again.start, again.end, again.done) == ("replay-1", 0, 4, 2)
    assert log.replayer().came(replay.Asked(customer=GREYSON, from_offset=1)).done == 1


def test_a_log_that_was_lost_meanwhile_begins_anew(log: Log) -> None:
    log.write(*(changed(n, 1) for n in range(1, 5)))
    question = replay.Asked(customer=GREYSON)
    log.facts.set(question.name, replay.Came(replay_id="old", start=0, end=99, done=50).model_dump())
    came, found = log.find()
    assert (came.replay_id, came.end, len(found.told)) == ("replay-1", 4, 4)
