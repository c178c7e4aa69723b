"""sweep: find what was lost with the log, and give it back to detection.

Kafka is the backbone and SQL is the truth: a topic that was wiped, deleted or expired takes events with it that SQL
still knows as waiting. A watermark shows which: the ends of the first lane's topics are noted, and once the group has
committed them, those of the next lane. An event is acknowledged only after its results are confirmed, so when the
watermark has passed the last lane, every order that waited before it and waits still has no event left in the log.
The exception is a parked order (streams.sync.in_doubt): its event waits in SQL, and the writer re-emits it behind the
watermark. So the watermark does not advance while orders are parked, and starts its lane again if any was parked.

A false alarm costs one more event, which finds nothing to do; so nothing here needs to be exact about time. But it
would take the place of a repair, which is told in a version that is settled: of these, only what has waited for a while
when the watermark sets out is its business.
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

    def start_offsets(self, topics: Collection[str]) -> dict[Partition, int]: ...
    def end_offsets(self, topics: Collection[str]) -> dict[Partition, int]: ...
    def committed(self, group: str, topics: Collection[str]) -> dict[Partition, int]: ...


class Tables(Protocol):
    """What waits for events (connectors.tables.lost_events.Lost)."""

    def newest(self) -> Emitted: ...
    def parkings(self) -> int | None: ...
    def waiting(self, emitted: Emitted) -> int: ...
    def reschedule(self, emitted: Emitted) -> int: ...


@dataclass
class _Watermark:
    """On its way through the lanes. `emitted`: what was so before it; `ends`: what `lane` has to commit.

    `parkings`: their number before the ends were noted. If it differs now, re-emitted events may lie behind the ends.
    """

    emitted: Emitted
    lane: int
    ends: Mapping[Partition, int]
    parkings: int


@dataclass
class LostEventSweep:
    """The poller's, between its passes. `lanes`: the topics of each step, in the order that events take."""

    log: Log
    tables: Tables
    group: str
    lanes: Sequence[Collection[str]]
    _mark: _Watermark | None = field(default=None, init=False)

    def advance(self) -> int:
        """Moves the watermark as far as it goes. How many orders were found lost, and will be detected again.

        Costs one query while nothing waits, two questions to Kafka otherwise. Raises what they raise, Transient above
        all; the watermark stays where it is.
        """
        if self._mark is None:
            emitted = self.tables.newest()
            if not self.tables.waiting(emitted) or not self._set_out(emitted, 0):
                return 0
        while self._mark is not None and self._passed(self._mark):
            emitted, lane = self._mark.emitted, self._mark.lane
            if self.tables.parkings() == self._mark.parkings:
                lane += 1
            if lane == len(self.lanes):
                return self._over(emitted)
            if not self._set_out(emitted, lane):
                return 0
        return 0

    def _set_out(self, emitted: Emitted, lane: int) -> bool:
        """Notes the ends of a lane. False while orders are parked: the ends would not cover their events."""
        parkings = self.tables.parkings()
        if parkings is None:
            return False
        self._mark = _Watermark(emitted, lane, self.log.end_offsets(self.lanes[lane]), parkings)
        return True

    def _passed(self, mark: _Watermark) -> bool:
        topics = self.lanes[mark.lane]
        behind = self._behind(topics)
        if all(behind.get(partition, 0) >= end for partition, end in mark.ends.items()):
            return True
        # A topic that was made anew ends earlier than it did; what it lost nobody will ever commit.
        now = self.log.end_offsets(topics)
        return all(behind.get(p, 0) >= min(end, now.get(p, 0)) for p, end in mark.ends.items())

    def _behind(self, topics: Collection[str]) -> dict[Partition, int]:
        """The offset up to which the group has nothing to read any more: it committed it, or the log begins there."""
        committed = self.log.committed(self.group, topics)
        return {p: max(start, committed.get(p, 0)) for p, start in self.log.start_offsets(topics).items()}

    def _over(self, emitted: Emitted) -> int:
        self._mark = None
        found = self.tables.reschedule(emitted)
        if found:
            log.warning("%d orders waited for events that Kafka has lost: they are detected again", found)
        return found
