"""lost_events finds orders whose events the log has lost, and has detection emit them again.

Reads: offsets of all topics; snapshot rows, ERR rows, batches, parked orders. Writes: snapshot rows, ERR rows, batches.
Emits: nothing; the next pass detects the orders. Runs in: the poller between its passes, and `ordersync verify --fix`.
Runs twice: a second sweep finds nothing; a false alarm costs one more event, which finds nothing to do.

SQL holds the truth, and a topic that was wiped, deleted or expired takes events with it for whose results SQL waits. A
watermark finds them: the sweep notes the end offsets of the first lane; when the group has committed them, it notes
those of the next lane. A lane acknowledges an event only after its results are confirmed. So when the watermark has
passed the last lane, an order that waited before the watermark started and still waits has no event left in the log.

The exception is a parked order (streams.sync.in_doubt): its event waits in SQL, and the writer re-emits it behind the
watermark. So the watermark does not advance while orders are parked, and starts its lane once more if any was parked. A
repair is an exception too: it waits at a version that is settled already, and detection would replace it by a change.
So the sweep takes a repair only if it had waited for a while when the watermark started.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connectors.tables.lost_events import Emitted

log = logging.getLogger(__name__)

Partition = tuple[str, int]


class Log(Protocol):
    """connectors.kafka.Admin."""

    def start_offsets(self, topics: Collection[str]) -> dict[Partition, int]:
        """The oldest retained offset of each partition. Raises Transient."""

    def end_offsets(self, topics: Collection[str]) -> dict[Partition, int]:
        """The next offset of each partition. Raises Transient."""

    def committed(self, group: str, topics: Collection[str]) -> dict[Partition, int]:
        """The group's offset of each partition that it has committed. Raises Transient."""


class Tables(Protocol):
    """The rows that wait for events (connectors.tables.lost_events.LostEvents)."""

    def newest(self) -> Emitted:
        """A bound of everything that was emitted so far. Raises Transient."""

    def parkings(self) -> int | None:
        """How often the writer has parked orders; None while an order is parked. Raises Transient."""

    def waiting(self, emitted: Emitted) -> int:
        """The number of orders, retries and batches within the bound that wait. Raises Transient."""

    def reschedule(self, emitted: Emitted) -> int:
        """Has waiting orders within the bound detected again; returns their number. Raises Transient."""


@dataclass
class _Watermark:
    """One lane's part of a sweep. `emitted`: the bound at its start; `ends`: the offsets that `lane` has to commit.

    `parkings`: their number before the ends were noted. If it differs now, re-emitted events may lie behind the ends.
    """

    emitted: Emitted
    lane: int
    ends: Mapping[Partition, int]
    parkings: int


@dataclass
class LostEventSweep:
    """Moves one watermark at a time. `lanes`: the topics of each step, in the order in which events take them."""

    log: Log
    tables: Tables
    group: str
    lanes: Sequence[Collection[str]]
    _watermark: _Watermark | None = field(default=None, init=False)

    def advance(self) -> int:
        """Moves the watermark as far as the lanes allow. Returns how many lost orders will be detected again.

        Costs one query while nothing waits, two requests to Kafka otherwise. Raises Transient, and TopicMissing when a
        topic does not exist; the watermark then stays where it is.
        """
        if self._watermark is None:
            emitted = self.tables.newest()
            if not self.tables.waiting(emitted) or not self._enter_lane(emitted, 0):
                return 0
        while self._watermark is not None and self._has_passed(self._watermark):
            emitted, lane = self._watermark.emitted, self._watermark.lane
            if self.tables.parkings() == self._watermark.parkings:
                lane += 1
            if lane == len(self.lanes):
                return self._finish(emitted)
            if not self._enter_lane(emitted, lane):
                return 0
        return 0

    def _enter_lane(self, emitted: Emitted, lane: int) -> bool:
        """Notes the ends of a lane. False while orders are parked: the ends would not cover their events."""
        parkings = self.tables.parkings()
        if parkings is None:
            return False
        self._watermark = _Watermark(emitted, lane, self.log.end_offsets(self.lanes[lane]), parkings)
        return True

    def _has_passed(self, watermark: _Watermark) -> bool:
        topics = self.lanes[watermark.lane]
        done = self._done(topics)
        if all(done.get(partition, 0) >= end for partition, end in watermark.ends.items()):
            return True
        # A topic that was created again ends before its noted end, which the group can never commit.
        now = self.log.end_offsets(topics)
        return all(done.get(p, 0) >= min(end, now.get(p, 0)) for p, end in watermark.ends.items())

    def _done(self, topics: Collection[str]) -> dict[Partition, int]:
        """The offset before which the group has nothing left to read: it has committed it, or the log begins there."""
        committed = self.log.committed(self.group, topics)
        return {p: max(start, committed.get(p, 0)) for p, start in self.log.start_offsets(topics).items()}

    def _finish(self, emitted: Emitted) -> int:
        self._watermark = None
        lost = self.tables.reschedule(emitted)
        if lost:
            log.warning("%d orders waited for events that Kafka has lost: they are detected again", lost)
        return lost
