"""An event loop whose time is a number: it moves on only when nothing else can happen.

Sockets and files are real; sleeps, time-outs and rate limits take no time. Threads are not used: what would run in
one runs at once, so that a seed gives the same story every time.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Ten minutes before midnight, so that a day's limit ends within the story.
START = datetime(2026, 11, 21, 23, 50, tzinfo=UTC)
# What one end of a loopback socket wrote is at the other end at once; this is the scheduler's share, in real seconds.
GRACE = 0.001
STUCK = 5.0
# No story of ours lasts longer, in made-up seconds.
ENDLESS = 30 * 3600.0


class _Selector(selectors.DefaultSelector):
    """Waits for sockets, but never for time."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        ready = super().select(STUCK if timeout is None else GRACE)
        if not ready and timeout is None:
            raise RuntimeError("nobody waits for time, and no socket has anything to say: this would never end")
        if not ready and timeout is not None:
            self.loop.elapsed += timeout
            if self.loop.elapsed > ENDLESS:
                raise RuntimeError("this goes on and on")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`elapsed` is its time in seconds, from 0."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.elapsed

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except BaseException as error:
            done.set_exception(error)
        return done


class Clock:
    """The loop's time for the simulator, the client and the writer."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.monotonic())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run(story: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)


def timeless(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A test that takes no longer than its work, however long it sleeps."""

    @functools.wraps(test)
    def run_it(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return run_it
