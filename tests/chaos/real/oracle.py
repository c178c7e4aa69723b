"""What must be so once everything is settled: on the board, in the tables, in its history and in the log."""

import contextlib
import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import confluent_kafka
from aiokafka.partitioner import murmur2
from confluent_kafka import TopicPartition

from connectors import lost
from schemas.batches import StagingStatus
from streams import topics
from streams.resources import Resources
from tests.chaos.oracle import VERSION_COLUMN, Verdict
from tests.chaos.real.schedule import Schedule
from tests.chaos.real.stage import Stage

ENDED = (StagingStatus.PROMOTED, StagingStatus.SUPERSEDED, StagingStatus.API_FAILED)


def watch(board: Path) -> None:
    """From now on the board's database writes down every value that a cell ever had."""
    with contextlib.closing(sqlite3.connect(board)) as db:
        db.executescript(
            "CREATE TABLE history (n INTEGER PRIMARY KEY, item_id INTEGER, column_id TEXT, written TEXT);"
            "CREATE TRIGGER told AFTER INSERT ON cells BEGIN INSERT INTO history (item_id, column_id, written)"
            " VALUES (NEW.item_id, NEW.column_id, NEW.written); END;"
        )


def judge(stage: Stage, board: Path, played: Schedule, bad: frozenset[str]) -> Verdict:
    """The end of a schedule. `bad` are the orders of the whole stage that must have been refused."""
    found = Verdict()
    for wrong in stage.prove().wrong:
        (found.duplicates if wrong.startswith("the board") else found.lost).append(wrong)
    titles = Counter(group["title"] for group in stage.ask("board")["groups"])
    found.duplicates += [f"group {title} is there {n} times" for title, n in titles.items() if n > 1]
    found.inversions += [*_went_back(stage.parts), *_shown_out_of_order(stage.parts, board, played.marks)]
    found.lost += _swept(stage.parts)
    found.other += _unaccounted(stage.parts, bad)
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


def _shown_out_of_order(parts: Resources, board: Path, marks: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What the board showed of an order, one after the other, must be some of what the source had, in its order."""
    key = parts.mappings.board.key.id
    with contextlib.closing(sqlite3.connect(f"file:{board}?mode=ro", uri=True)) as db:
        told = db.execute(
            "SELECT item_id, column_id, written FROM history WHERE column_id IN (?, ?) ORDER BY n",
            (key, VERSION_COLUMN),
        ).fetchall()
    uuids = {item: json.loads(written) for item, column, written in told if column == key}
    shown: dict[str, list[str]] = {}
    for item, column, written in told:
        if column == VERSION_COLUMN:
            shown.setdefault(uuids.get(item, "?"), []).append(json.loads(written))
    for uuid, edits in marks.items():
        left = iter(edits)
        once = [mark for mark, _ in itertools.groupby(shown.get(uuid, []))]
        if not all(mark in left for mark in once):
            yield f"{uuid} showed {once} of {list(edits)}"


def _swept(parts: Resources) -> list[str]:
    found = parts.state.get(lost.FOUND) or 0
    return [f"the sweep found {found} events lost, and the log was never wiped"] if found else []


def _unaccounted(parts: Resources, bad: frozenset[str]) -> Iterator[str]:
    """Everything that began must have ended, and the ends must add up."""
    with parts.db.read() as session:
        for row in session.query("SELECT record_uuid FROM ORDERS_UNIFIED_SNAPSHOT WHERE sync_state = 'WAITING'"):
            yield f"{row['record_uuid']} still waits"
        for row in session.query(
            "SELECT batch_id, status, total_records, successful_records + failed_records + superseded_records AS ends"
            " FROM MON_BatchProcessing WHERE end_time IS NULL"
            " OR total_records <> successful_records + failed_records + superseded_records"
        ):
            yield f"batch {row['batch_id']} is {row['status']} with {row['ends']} of {row['total_records']} ended"
        for row in session.query("SELECT source_uuid, version, stg_status FROM STG_MON_CustMasterSchedule"):
            if row["stg_status"] not in ENDED:
                yield f"{row['source_uuid']} version {row['version']} is {row['stg_status']}"
        for row in session.query("SELECT request_key FROM SYNC_Requests WHERE finished_at IS NULL"):
            yield f"request {row['request_key']} is still in doubt"
    for failure in parts.failures.waiting():
        if failure["record_uuid"] not in bad:
            yield f"{failure['record_uuid']} failed, and nobody made it: {failure['error_message']}"


@dataclass
class Log:
    """Reads every event once, to see that it lies where its key says."""

    bootstrap: str
    _read: dict[tuple[str, int], int] = field(default_factory=dict)

    def misplaced(self) -> list[str]:
        """Of all events since the last look."""
        found = []
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.bootstrap, "group.id": "chaos-oracle"})
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
        finally:
            consumer.close()
        self._read = ends
        return found

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
