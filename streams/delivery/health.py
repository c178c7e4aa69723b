"""The health of a worker: which lanes are paused and why, and when each made progress last.

The watchdog, the heartbeat and the page /live read it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Health:
    """One worker's state. Only its event loop writes it; the watchdog's threads read. `clock` is monotonic seconds.

    `holding` has the reason of each paused lane; `trouble` has those of them that wait because of an error, and not for
    the API's budget or for another worker; `asks` has those of these that only an operator can end. `moved` and
    `counts` have, per lane, the time of its last progress and the number of its acknowledged events. `waiting` has what
    else waits for an operator while its lane goes on, by name.
    """

    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    ticked: float = field(init=False)
    moved: dict[str, float] = field(default_factory=dict)
    holding: dict[str, str] = field(default_factory=dict)
    trouble: set[str] = field(default_factory=set)
    asks: set[str] = field(default_factory=set)
    waiting: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self.ticked = self.clock()

    def tick(self) -> None:
        """Notes that the event loop runs."""
        self.ticked = self.clock()

    def progress(self, lane: str, events: int = 0) -> None:
        """Notes progress of a lane: it acknowledged so many events, or a request was answered."""
        self.moved[lane] = self.clock()
        self.counts[lane] = self.counts.get(lane, 0) + events

    def note_waiting(self, name: str, reason: str | None) -> None:
        """Notes why something of this name waits while its lane goes on; None: it does not wait."""
        if reason is None:
            self.waiting.pop(name, None)
        else:
            self.waiting[name] = reason

    def idle(self, lane: str) -> float:
        """Seconds since the lane's last progress, or since the start."""
        return self.clock() - self.moved.get(lane, self.started)

    @contextmanager
    def hold_in_trouble(self, lane: str, reason: str, *, asks: bool = False) -> Iterator[None]:
        """The same as `hold`, because of an error that an operator should know; `asks`: that only one can end."""
        self.trouble.add(lane)
        if asks:
            self.asks.add(lane)
        try:
            with self.hold(lane, reason):
                yield
        finally:
            self.trouble.discard(lane)
            self.asks.discard(lane)

    @contextmanager
    def hold(self, lane: str, reason: str) -> Iterator[None]:
        """The lane is paused for this reason. After a pause inside a pause, the outer reason is back."""
        outer = self.holding.get(lane)
        self.holding[lane] = reason
        try:
            yield
        finally:
            # Before the reason is removed: the watchdog must never see a lane that is neither paused nor moving.
            self.progress(lane)
            if outer is None:
                self.holding.pop(lane, None)
            else:
                self.holding[lane] = outer

    def sleeper(self, lane: str, reason: str) -> "Sleeper":
        """A sleep that shows the lane as paused."""
        return Sleeper(self, lane, reason)


@dataclass(frozen=True)
class Sleeper:
    """Replaces asyncio.sleep where a connector waits for the other side."""

    health: Health
    lane: str
    reason: str

    async def __call__(self, seconds: float) -> None:
        with self.health.hold(self.lane, self.reason):
            await asyncio.sleep(max(0.0, seconds))
