"""How long a command waits for the worker: as long as something moves, and not for ever."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from schemas import workers
from streams.runtime import heartbeat

# Seconds without any progress. A worker may have to wait for the API's minute, or for one that died before it.
WITHIN = 120.0
# Seconds between two looks.
LOOK = 0.5
# A worker that has told nothing for so many seconds is not there.
SILENT = 30.0


class Store(Protocol):
    """connectors.tables.state.State."""

    def all_of(self, family: str) -> dict[str, Any]: ...


@dataclass
class StallDetector:
    """Called, it waits a moment. False: nothing moved for `within` seconds.

    `waiting` gives how many orders of ours are on their way, and changes as they go; `unsettled` how much of anybody's
    is, which others may add to: it moves when it falls. `told` hears how many are waited for.
    """

    waiting: Callable[[], int]
    unsettled: Callable[[], int]
    within: float = WITHIN
    told: Callable[[int], None] = lambda waiting: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _seen: tuple[int, int] | None = field(default=None, init=False)
    _moved: float = field(default=0.0, init=False)

    def __call__(self) -> bool:
        waiting, unsettled = self.waiting(), self.unsettled()
        if self._seen is None or waiting != self._seen[0] or unsettled < self._seen[1]:
            self._moved = self.clock()
        elif self.clock() - self._moved >= self.within:
            return False
        self._seen = waiting, unsettled
        self.told(waiting)
        self.sleep(LOOK)
        return True


def stall_reason(store: Store, now: datetime, seconds: float) -> str:
    """Why nothing moves, as far as the workers tell, and what to do about it: one line."""
    told = [workers.WorkerState.model_validate(one) for one in store.all_of(heartbeat.FAMILY).values()]
    alive = [one for one in told if one.role == "worker" and (now - one.at).total_seconds() <= SILENT]
    holding = [f"{one.name} holds {lane}: {why}" for one in alive for lane, why in sorted(one.holding.items())]
    if not alive:
        return f"nothing moved for {seconds:g} s, and no worker runs: `ordersync run` starts one"
    if holding:
        return f"nothing moved for {seconds:g} s: {'; '.join(holding)}"
    return f"nothing moved for {seconds:g} s: `ordersync status` and the log of the worker tell more"
