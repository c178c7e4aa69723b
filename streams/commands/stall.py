"""How long a command waits for the worker: as long as something moves, and then a limited time more."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from schemas import workers
from streams.diagnosis import heartbeat

# Seconds without any progress. A worker may have to wait for the API's minute, or for the lease of one that crashed.
WITHIN = 120.0
# Seconds between two checks.
CHECK_EVERY = 0.5


class Store(Protocol):
    """The named values (connectors.tables.state.State)."""

    def all_of(self, family: str) -> dict[str, Any]:
        """The values of a family, by name without the family. Raises Transient while the database is away."""


@dataclass
class StallDetector:
    """A call waits `CHECK_EVERY` seconds and returns True; it returns False when nothing moved for `within` seconds.

    `waiting` counts the orders that this command emitted and that are not settled yet; any change of it is progress.
    `unsettled` counts the unsettled mutations of all orders; other processes add to it, so only a decrease is progress.
    `report` gets the number of waiting orders before each wait.
    """

    waiting: Callable[[], int]
    unsettled: Callable[[], int]
    within: float = WITHIN
    report: Callable[[int], None] = lambda waiting: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _last: tuple[int, int] | None = field(default=None, init=False)
    _moved_at: float = field(default=0.0, init=False)

    def __call__(self) -> bool:
        waiting, unsettled = self.waiting(), self.unsettled()
        if self._last is None or waiting != self._last[0] or unsettled < self._last[1]:
            self._moved_at = self.clock()
        elif self.clock() - self._moved_at >= self.within:
            return False
        self._last = waiting, unsettled
        self.report(waiting)
        self.sleep(CHECK_EVERY)
        return True


def stall_reason(store: Store, now: datetime, seconds: float) -> str:
    """One line: why nothing moves, by the heartbeats of the workers, and what to do."""
    states = [workers.WorkerState.model_validate(value) for value in store.all_of(heartbeat.FAMILY).values()]
    running = [
        state for state in states if state.role == heartbeat.WORKER and not state.stopped and not state.silent(now)
    ]
    paused = [f"{state.name} pauses {lane}: {why}" for state in running for lane, why in sorted(state.holding.items())]
    if not running:
        return f"nothing moved for {seconds:g} s, and no worker runs: `ordersync run` starts one"
    if paused:
        return f"nothing moved for {seconds:g} s: {'; '.join(paused)}"
    return f"nothing moved for {seconds:g} s: see `ordersync status` and the log of the worker"
