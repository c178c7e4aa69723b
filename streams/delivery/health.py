"""How the worker is doing: what it holds and why, when it last got anywhere. Read by the watchdog and by /health."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Health:
    """One worker's state; its own loop writes it, the watchdog's thread only reads. `clock` is monotonic seconds.

    `holding` says of each lane that waits on purpose why it does; `trouble` names those that wait because something is
    wrong, and not for the API's budget or for another worker.
    """

    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)
    ticked: float = field(init=False)
    moved: dict[str, float] = field(default_factory=dict)
    holding: dict[str, str] = field(default_factory=dict)
    trouble: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.started = self.ticked = self.clock()

    def tick(self) -> None:
        """The event loop runs."""
        self.ticked = self.clock()

    def progress(self, lane: str, events: int = 0) -> None:
        """The lane got somewhere: a batch was acknowledged, or a request was answered."""
        self.moved[lane] = self.clock()
        self.counts[lane] = self.counts.get(lane, 0) + events

    def idle(self, lane: str) -> float:
        """Seconds since the lane got anywhere, since the start if it never did."""
        return self.clock() - self.moved.get(lane, self.started)

    @contextmanager
    def hold_in_trouble(self, lane: str, reason: str) -> Iterator[None]:
        """The same as `hold`, and somebody should look."""
        self.trouble.add(lane)
        try:
            with self.hold(lane, reason):
                yield
        finally:
            self.trouble.discard(lane)

    @contextmanager
    def hold(self, lane: str, reason: str) -> Iterator[None]:
        """The lane waits on purpose, and says why. A wait inside a wait gives the outer reason back."""
        outer = self.holding.get(lane)
        self.holding[lane] = reason
        try:
            yield
        finally:
            # Before the reason goes: the watchdog must never see a lane that neither holds nor moved.
            self.progress(lane)
            if outer is None:
                self.holding.pop(lane, None)
            else:
                self.holding[lane] = outer

    def sleeper(self, lane: str, reason: str) -> "Sleeper":
        """A sleep that counts as holding on purpose."""
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
