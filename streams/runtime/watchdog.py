"""Plain threads that end the process: when its loop hangs, its topics were made anew, or events wait and nobody works.

Faust can stop consuming without an error (after the broker's data was lost and its topics made again it did nothing
for 150 s); nothing inside its loop would notice.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from connectors import errors
from streams.delivery import exits, health

log = logging.getLogger(__name__)

TICK = 30.0
# Above the longest wait for one answer of the API, 60 s.
STUCK = 90.0
LOOK = 5.0

Partition = tuple[str, int]


class Admin(Protocol):
    """connectors.kafka.Admin."""

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]: ...
    def committed(self, group: str, topics: Collection[str]) -> dict[Partition, int]: ...
    def lag(self, group: str, topics: Collection[str]) -> dict[Partition, int]: ...


class Watchdog:
    """Two threads, which look every `every` seconds: one at the loop, one at the log, where a broker in trouble may
    take a minute to answer. Made by the thread of the event loop.

    `lanes`: lane name → topic name; `topic_ids`: Kafka's ids of these topics from before the app started; `assigned`:
    the partitions that are ours now; `rebalancing`: whether the group is dealing out its partitions. The loop may
    stand still for `tick` seconds, anything else for `stuck`.
    """

    def __init__(
        self,
        state: health.Health,
        admin: Admin,
        *,
        group: str,
        lanes: Mapping[str, str],
        topic_ids: Mapping[str, str],
        assigned: Callable[[], set[Partition]],
        rebalancing: Callable[[], bool],
        tick: float = TICK,
        stuck: float = STUCK,
        every: float = LOOK,
        end: Callable[[int, str], None] = exits.end_process,
    ) -> None:
        self._state = state
        self._admin = admin
        self._group = group
        self._lanes = lanes
        self._topic_ids = topic_ids
        self._assigned = assigned
        self._rebalancing = rebalancing
        self._tick = tick
        self._stuck = stuck
        self._every = every
        self._end = end
        self._loop = threading.get_ident()
        self._done = threading.Event()
        # What stands still → how it stood, and since when.
        self._still: dict[str, tuple[object, float]] = {}
        self._threads = [
            threading.Thread(target=self._watch, args=(look,), name=f"watchdog-{look.__name__}", daemon=True)
            for look in (self.hangs, self.look)
        ]

    def start(self) -> None:
        """The app has started."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """The app stops in order."""
        self._done.set()

    def join(self, timeout: float) -> bool:
        """Whether both threads have ended, each at the latest after `timeout` seconds."""
        for thread in self._threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def _watch(self, look: Callable[[], str | None]) -> None:
        try:
            while not self._done.wait(self._every):
                reason = look()
                if reason is not None:
                    return self._end(exits.EXIT_AGAIN, f"watchdog: {reason}")
        except BaseException as error:
            # A watchdog that died in silence would be worse than none.
            log.exception("watchdog: unknown error")
            self._end(exits.EXIT_UNKNOWN, f"watchdog: {type(error).__name__}")

    def hangs(self) -> str | None:
        """What is wrong with the loop, or None."""
        still = self._state.clock() - self._state.ticked
        if still > self._tick:
            return f"the event loop has not run for {still:.0f} s, it is in {self._where()}"
        return None

    def look(self) -> str | None:
        """What is wrong with the log and our part of it, or None. Takes as long as the broker does."""
        if self._stands_still("rebalancing", True if self._rebalancing() else None):
            return f"the group has been rebalancing for {self._stuck:.0f} s"
        # Asked before the broker is: what moves meanwhile does not stand still.
        moved = {lane: self._state.moved.get(lane, 0.0) for lane in self._lanes}
        topics = list(self._lanes.values())
        try:
            ids = self._admin.topic_ids(topics)
            if anew := [topic for topic in topics if ids.get(topic) != self._topic_ids.get(topic)]:
                # Faust goes on with offsets and connections of topics that are no more; nobody's error tells it so.
                return f"{', '.join(anew)} was deleted or made anew"
            lag = self._admin.lag(self._group, topics)
            committed = self._admin.committed(self._group, topics)
        except errors.OrdersyncError as error:
            # A broker that is away is not this worker's fault, and a restart would not bring it back.
            log.debug("watchdog: %s", error)
            return None
        ours = self._assigned()
        for lane, topic in self._lanes.items():
            waiting = sum(n for partition, n in lag.items() if partition[0] == topic and partition in ours)
            idle = waiting and lane not in self._state.holding
            if self._stands_still(lane, moved[lane] if idle else None):
                return f"{waiting} events wait on {topic} and none was worked for {self._stuck:.0f} s"
        # Other workers may hold every partition; then what the group has committed moves.
        left_out = not ours and any(lag.values())
        if self._stands_still("partitions", tuple(sorted(committed.items())) if left_out else None):
            return f"events wait and this worker has had no partitions for {self._stuck:.0f} s"
        return None

    def _stands_still(self, what: str, how: object) -> bool:
        """Whether it has stood like this for too long; None: it need not move."""
        now = self._state.clock()
        if how is None:
            self._still.pop(what, None)
            return False
        before, since = self._still.get(what, (how, now))
        since = since if before == how else now
        self._still[what] = (how, since)
        return now - since > self._stuck

    def _where(self) -> str:
        frame = sys._current_frames().get(self._loop)
        if frame is None:
            return "no code of Python"
        found = traceback.extract_stack(frame)[-1]
        return f"{found.name}, {found.filename}:{found.lineno}"
