"""What must be so once everything is settled: on the board, in the tables, in its history and in the log."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka
from aiokafka.partitioner import murmur2
from confluent_kafka import TopicPartition

from connectors import lost
from schemas import events
from streams import topics
from streams.resources import Resources
from tests.chaos import judge
from tests.chaos.real.schedule import Schedule
from tests.chaos.real.stage import Stage


def watch(board: Path) -> None:
    """From now on the board's database writes down every value that a cell ever had."""
    with contextlib.closing(sqlite3.connect(board)) as db:
        db.executescript(
            "CREATE TABLE history (n INTEGER PRIMARY KEY, item_id INTEGER, column_id TEXT, written TEXT);"
            "CREATE TRIGGER told AFTER INSERT ON cells BEGIN INSERT INTO history (item_id, column_id, written)"
            " VALUES (NEW.item_id, NEW.column_id, NEW.written); END;"
        )


def look(
    stage: Stage, board: Path, log: "Log", played: Sequence[Schedule] = (), *, wiped: bool = False
) -> judge.Verdict:
    """The end of the last of these schedules; all that the stage has ever played must still be right.

    Where the log was `wiped`, the sweep may have found something.
    """
    parts = stage.parts
    misplaced = log.read()
    told = {(uuid, ""): marks for one in played for uuid, marks in one.marks.items()}
    shown = stage.ask("board")
    history = [written for written in _history(parts, board) if (written.record_uuid, written.size) in told]
    found = judge.judge(parts.db, shown, parts.mappings, emitted=log.emitted, history=history, told=told)
    found.lost += stage.prove().wrong
    found.lost += [] if wiped else swept(parts)
    found.inversions += _went_back(parts)
    bad = frozenset().union(*(one.bad for one in played))
    found.other += [
        f"{failure['record_uuid']} failed, and nobody made it: {failure['error_message']}"
        for failure in parts.failures.waiting()
        if failure["record_uuid"] not in bad
    ]
    found.other += misplaced
    if (writes := stage.stats()["max_writes_in_flight"]) > 1:
        found.other.append(f"{writes} writes were in flight at once")
    return found


def _went_back(parts: Resources) -> Iterator[str]:
    """The journal, in the order of its answers, must tell of versions that never fall."""
    newest: dict[str, int] = {}
    with parts.db.read() as session:
        rows = session.query("SELECT mutations FROM SYNC_Requests WHERE finished_at IS NOT NULL ORDER BY finished_at")
    for row in rows:
        for uuid, version in json.loads(row["mutations"])["versions"].items():
            if version < newest.get(uuid, 0):
                yield f"{uuid} was written in version {version} after version {newest[uuid]}"
            newest[uuid] = version


def _history(parts: Resources, board: Path) -> list[judge.Written]:
    """Every mark that the board ever showed."""
    key = parts.mappings.board.key.id
    with contextlib.closing(sqlite3.connect(f"file:{board}?mode=ro", uri=True)) as db:
        told = db.execute(
            "SELECT item_id, column_id, written FROM history WHERE column_id IN (?, ?) ORDER BY n", (key, judge.STAMP)
        ).fetchall()
    uuids = {item: json.loads(written) for item, column, written in told if column == key}
    return [
        judge.Written(uuids.get(item, "?"), "", json.loads(written))
        for item, column, written in told
        if column == judge.STAMP
    ]


def swept(parts: Resources) -> list[str]:
    """What the sweep gave back to detection, in words."""
    found = parts.state.get(lost.FOUND) or 0
    return [f"the sweep found {found} events lost, and the log was never wiped"] if found else []


@dataclass
class Log:
    """Reads every event once, to see that it lies where its key says."""

    bootstrap: str
    group: str
    emitted: set[tuple[str, int]] = field(default_factory=set)
    _read: dict[tuple[str, int], int] = field(default_factory=dict)

    def read(self) -> list[str]:
        """All events since the last look. Those that lie elsewhere, in words."""
        found = []
        consumer = self._consumer()
        try:
            ends = self._ends(consumer)
            places = [TopicPartition(name, at, self._read.get((name, at), 0)) for name, at in ends]
            new = [place for place in places if place.offset < ends[place.topic, place.partition]]
            consumer.assign(new)
            left = {(place.topic, place.partition) for place in new}
            while left:
                message = consumer.poll(10.0)
                if message is None or message.error():
                    raise RuntimeError(f"the log cannot be read: {message and message.error()}, {left} is left")
                place = (message.topic(), message.partition())
                if message.offset() + 1 >= ends[place]:
                    left.discard(place)
                found += _misplaced(message)
                if message.topic() == topics.CHANGED.name:
                    event = events.OrderChanged.model_validate_json(message.value())
                    self.emitted.add((event.record_uuid, event.version))
        finally:
            consumer.close()
        self._read = ends
        return found

    def behind(self) -> list[str]:
        """The partitions that hold events which the group has not acknowledged, in words.

        Asked by a consumer: the admin client's question for offsets crashes librdkafka 2.16 while a group has no
        coordinator.
        """
        consumer = self._consumer()
        try:
            ends = self._ends(consumer)
            done = consumer.committed([TopicPartition(*place) for place in ends], timeout=10.0)
        except confluent_kafka.KafkaException as error:
            return [f"Kafka does not tell offsets: {error}"]
        finally:
            consumer.close()
        lag = {(one.topic, one.partition): ends[one.topic, one.partition] - max(0, one.offset) for one in done}
        return [f"{n} events of {topic} {partition} are not worked" for (topic, partition), n in lag.items() if n > 0]

    def _consumer(self) -> confluent_kafka.Consumer:
        settings = {"bootstrap.servers": self.bootstrap, "group.id": self.group, "enable.auto.commit": False}
        return confluent_kafka.Consumer({**settings, "log_level": 0})

    def _ends(self, consumer: confluent_kafka.Consumer) -> dict[tuple[str, int], int]:
        places = [(topic.name, partition) for topic in topics.ALL for partition in range(topic.partitions)]
        return {
            (name, at): consumer.get_watermark_offsets(TopicPartition(name, at), timeout=10.0)[1] for name, at in places
        }


def _misplaced(message: confluent_kafka.Message) -> Iterator[str]:
    partitions = next(topic.partitions for topic in topics.ALL if topic.name == message.topic())
    # As every Kafka client but librdkafka does by itself.
    wanted = (murmur2(message.key()) & 0x7FFFFFFF) % partitions
    if wanted != message.partition():
        yield f"{message.topic()} has key {message.key()!r} in partition {message.partition()}, not {wanted}"
