"""Two threads that end the worker: when its event loop hangs, its topics were created again, or its events wait in
vain.

Faust can stop consuming without an error: after a broker lost its data and the topics were created again, it consumed
nothing for 150 s. Code inside its loop cannot notice that.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from connectors import errors
from streams.delivery import exits, health

log = logging.getLogger(__name__)

Partition = tuple[str, int]


class Admin(Protocol):
    """connectors.kafka.Admin."""

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        """Kafka's ids of the topics that exist. Raises Transient."""

    def committed(self, group: str, topics: Collection[str]) -> dict[Partition, int]:
        """The group's offset of each partition that it has committed. Raises Transient."""

    def lag(self, group: str, topics: Collection[str]) -> dict[Partition, int]:
        """The number of events of each partition that the group has yet to read. Raises Transient."""


@dataclass(frozen=True)
class WatchedLanes:
    """The lanes of this worker in its consumer group. `topics`: lane name → topic name.

    `topic_ids`: Kafka's ids of these topics before the app started; `assigned`: the partitions of this worker now;
    `rebalancing`: whether the group is assigning its partitions.
    """

    group: str
    topics: Mapping[str, str]
    topic_ids: Mapping[str, str]
    assigned: Callable[[], set[Partition]]
    rebalancing: Callable[[], bool]


@dataclass(frozen=True)
class Limits:
    """Seconds. The event loop may stand still for `tick`, anything else for `stuck`; `every`: between two checks."""

    tick: float = 30.0
    # Above the longest wait for one answer of the API, 60 s.
    stuck: float = 90.0
    every: float = 5.0


class Watchdog:
    """Checks the event loop in one thread and the log in the other, where an ill broker may take a minute to answer.

    The thread of the event loop must create it.
    """

    def __init__(
        self,
        state: health.Health,
        admin: Admin,
        lanes: WatchedLanes,
        limits: Limits | None = None,
        *,
        end: Callable[[int, str], None] = exits.end_process,
    ) -> None:
        self._state = state
        self._admin = admin
        self._lanes = lanes
        self._limits = limits or Limits()
        self._end = end
        self._loop = threading.get_ident()
        self._done = threading.Event()
        # Name of something that stands still → its value, and since when it has this value.
        self._still: dict[str, tuple[object, float]] = {}
        self._threads = [
            threading.Thread(target=self._watch, args=(check,), name=f"watchdog-{check.__name__}", daemon=True)
            for check in (self.check_loop, self.check_log)
        ]

    def start(self) -> None:
        """Starts both threads; called after the app has started."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the checks; called before the app stops in order."""
        self._done.set()

    def join(self, timeout: float) -> bool:
        """Whether both threads have ended, each within `timeout` seconds."""
        for thread in self._threads:
            thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def check_loop(self) -> str | None:
        """The reason to end the process for its event loop, or None."""
        idle = self._state.clock() - self._state.ticked
        if idle > self._limits.tick:
            return f"the event loop has not run for {idle:.0f} s, it is in {self._where()}"
        return None

    def check_log(self) -> str | None:
        """The reason to end the process for its topics or its events, or None. Blocks until the broker answers."""
        stuck, topics = self._limits.stuck, list(self._lanes.topics.values())
        if self._stands_still("rebalancing", True if self._lanes.rebalancing() else None):
            return f"the group has been rebalancing for {stuck:.0f} s"
        # Read before the requests to the broker: a lane that moves during them does not stand still.
        moved = {lane: self._state.moved.get(lane, 0.0) for lane in self._lanes.topics}
        try:
            ids = self._admin.topic_ids(topics)
            if changed := [topic for topic in topics if ids.get(topic) != self._lanes.topic_ids.get(topic)]:
                # Faust would go on with offsets and connections of the deleted topics, without an error.
                return f"{', '.join(changed)} was deleted or created again"
            lag = self._admin.lag(self._lanes.group, topics)
            committed = self._admin.committed(self._lanes.group, topics)
        except errors.OrdersyncError as error:
            # A restart would not bring an absent broker back.
            log.debug("watchdog: %s", error)
            return None
        assigned = self._lanes.assigned()
        for lane, topic in self._lanes.topics.items():
            waiting = sum(n for partition, n in lag.items() if partition[0] == topic and partition in assigned)
            idle = waiting and lane not in self._state.holding
            if self._stands_still(lane, moved[lane] if idle else None):
                return f"{waiting} events wait on {topic} and none was worked for {stuck:.0f} s"
        # Other workers may have every partition; then the committed offsets of the group move.
        unassigned = not assigned and any(lag.values())
        if self._stands_still("partitions", tuple(sorted(committed.items())) if unassigned else None):
            return f"events wait and this worker has had no partitions for {stuck:.0f} s"
        return None

    def _watch(self, check: Callable[[], str | None]) -> None:
        try:
            while not self._done.wait(self._limits.every):
                reason = check()
                if reason is not None:
                    return self._end(exits.EXIT_AGAIN, f"watchdog: {reason}")
        except BaseException as error:
            # The worker would go on without a watchdog, and no log line would say so.
            log.exception("watchdog: unknown error")
            self._end(exits.EXIT_UNKNOWN, f"watchdog: {type(error).__name__}")

    def _stands_still(self, name: str, value: object) -> bool:
        """Whether the value has been the same for too long; None: it need not change."""
        now = self._state.clock()
        if value is None:
            self._still.pop(name, None)
            return False
        before, since = self._still.get(name, (value, now))
        since = since if before == value else now
        self._still[name] = (value, since)
        return now - since > self._limits.stuck

    def _where(self) -> str:
        frame = sys._current_frames().get(self._loop)
        if frame is None:
            return "no Python code"
        line = traceback.extract_stack(frame)[-1]
        return f"{line.name}, {line.filename}:{line.lineno}"
