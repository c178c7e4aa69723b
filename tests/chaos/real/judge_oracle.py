"""What must be so once everything is settled: on the board, in the tables, in its history and in the log."""

import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import confluent_kafka
from aiokafka.partitioner import murmur2
from confluent_kafka import TopicPartition

from connectors.tables import lost_events
from schemas import events
from streams import topics
from streams.resources import Resources
from tests.chaos import history, judge
from tests.chaos.real.schedule import Schedule
from tests.chaos.real.stage import Stage

BOARD_WITHIN = 300.0


@dataclass(frozen=True)
class Said:
    """What the source said of each order and size, in its order; and the orders that were made to fail."""

    told: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    bad: frozenset[str] = frozenset()

    @classmethod
    def by(cls, played: Sequence[Schedule]) -> "Said":
        """Of the marks alone: each edit has one of its own."""
        told = {(uuid, ""): marks for one in played for uuid, marks in one.marks.items()}
        return cls(told, frozenset().union(*(one.bad for one in played)))


def watch(parts: Resources) -> None:
    """For a stage's `prepare`: from now on the board writes its history down."""
    history.watch(board_of(parts))


def board_of(parts: Resources) -> Path:
    """The database of a stage's board."""
    return parts.settings.home / "board" / "board.db"


def look(stage: Stage, log: "Log", said: Said, *, wiped: bool = False, skipped: bool = False) -> judge.Verdict:
    """The end of what this source said; all that the stage has ever played must still be right.

    Where the log was `wiped`, the sweep may have found something. Where the group `skipped` events, they lie in the log
    and nobody ever stages them. Of the history that counts which `said` tells of.
    """
    parts = stage.parts
    written = history.read(board_of(parts), parts.mappings) if said.told else []
    known = [one for one in written if (one.record_uuid, one.size) in said.told]
    found = agrees(stage, log, skipped=skipped, history=known, told=said.told, bad=said.bad)
    if said.told and not known:
        found.other.append("the board's history tells of no order of this source, so it shows nothing")
    found.lost += [] if wiped else swept(parts)
    found.inversions += _went_back(parts)
    return found


def agrees(stage: Stage, log: "Log", *, skipped: bool = False, **known: Any) -> judge.Verdict:
    """What holds whatever people did to the board and with our commands. `known` are arguments of the judge."""
    parts = stage.parts
    misplaced = log.read()
    emitted = () if skipped else log.emitted
    found = judge.judge(parts.db, _board(stage), parts.mappings, emitted=emitted, **known)
    found.lost += stage.prove().wrong
    found.other += misplaced
    stats = stage.stats()
    found.other += judge.beside_each_other(stats["max_writes_in_flight"], stats["faults_fired"])
    return found


def _board(stage: Stage) -> dict[str, Any]:
    """The board's content. Of 20,000 orders it is some 100 MB, for which the usual 10 s may be too short."""
    root = stage.parts.monday_url.rsplit("/", 1)[0]
    with urllib.request.urlopen(f"{root}/admin/board", timeout=BOARD_WITHIN) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def _went_back(parts: Resources) -> Iterator[str]:
    """The journal, in the order of its answers, must tell of versions that never fall.

    What was adopted came true before its request ended: a newer version may have been written in between.
    """
    newest: dict[str, int] = {}
    with parts.db.read() as session:
        rows = session.query("SELECT mutations FROM SYNC_Requests WHERE finished_at IS NOT NULL ORDER BY finished_at")
    for row in rows:
        stored = json.loads(row["mutations"])
        ended = {one.get("record_uuid") for at, one in enumerate(stored["mutations"]) if at not in stored["adopted"]}
        for uuid, version in stored["versions"].items():
            if uuid not in ended:
                continue
            if version < newest.get(uuid, 0):
                yield f"{uuid} was written in version {version} after version {newest[uuid]}"
            newest[uuid] = version


def swept(parts: Resources) -> list[str]:
    """What the sweep gave back to detection, in words."""
    found = parts.state.get(lost_events.FOUND) or 0
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
        found: list[str] = []
        consumer = self._consumer()
        try:
            ends = self._ends(consumer)
            places = [TopicPartition(name, at, self._read.get((name, at), 0)) for name, at in ends]
            new = [place for place in places if place.offset < ends[place.topic, place.partition]]
            consumer.assign(new)
            left = {(place.topic, place.partition) for place in new}
            while left:
                # Any: its fields are None only where it tells of an error.
                message: Any = consumer.poll(10.0)
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
