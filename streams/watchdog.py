"""A plain thread that ends the process when the event loop hangs, or when events wait and nobody works.

Faust can stop consuming without an error (after the broker's data was lost and its topics made again it did nothing
for 150 s); nothing inside its loop would notice.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from connectors import errors
from streams import delivery, health

log = logging.getLogger(__name__)

TICK = 30.0
STUCK = 60.0
LOOK = 5.0


class Admin(Protocol):
    """connectors.kafka.Admin."""

    def lag(self, group: str, topics: list[str]) -> dict[tuple[str, int], int]: ...


class Watchdog(threading.Thread):
    """Looks every few seconds. `lanes`: lane name → topic name; `assigned`: the partitions that are ours now."""

    def __init__(
        self,
        state: health.Health,
        admin: Admin,
        *,
        group: str,
        lanes: Mapping[str, str],
        assigned: Callable[[], set[tuple[str, int]]],
        end: Callable[[int, str], None] = delivery.end_process,
    ) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._state = state
        self._admin = admin
        self._group = group
        self._lanes = lanes
        self._assigned = assigned
        self._end = end
        self._stop = threading.Event()

    def run(self) -> None:
        while not self._stop.wait(LOOK):
            reason = self.look()
            if reason is not None:
                self._end(delivery.EXIT_AGAIN, f"watchdog: {reason}")
                return

    def stop(self) -> None:
        """The app stops in order."""
        self._stop.set()

    def look(self) -> str | None:
        """What is wrong, or None."""
        still = self._state.clock() - self._state.ticked
        if still > TICK:
            return f"the event loop has not run for {still:.0f} s"
        idle = [
            (lane, topic)
            for lane, topic in self._lanes.items()
            if lane not in self._state.holding and self._state.idle(lane) > STUCK
        ]
        if not idle:
            return None
        try:
            lag = self._admin.lag(self._group, [topic for _, topic in idle])
        except errors.OrdersyncError as error:
            log.debug("watchdog: %s", error)
            return None
        ours = self._assigned()
        for lane, topic in idle:
            waiting = sum(
                n for (name, partition), n in lag.items() if name == topic and (name, partition) in ours
            )
            if waiting and lane not in self._state.holding and self._state.idle(lane) > STUCK:
                return f"{waiting} events wait on {topic} and none was worked for {STUCK:.0f} s"
            if not ours and any(lag.values()) and self._state.idle(lane) > 2 * STUCK:
                return "this worker has no partitions while events wait"
        return None
