"""An event loop whose time is a number, and threads that run when the loop gives them their turn.

Nothing here waits for a socket or a clock: time moves on when nothing else can happen. What production runs in a
thread starts after a seeded moment; some of it runs in a real thread, which gives its turn away between two effects,
so that whatever else the schedule holds may happen there. One thread runs at a time: a seed tells the same story.
"""

import asyncio
import contextvars
import random
import selectors
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

# Half an hour before midnight, so that a day's limit ends within the story, whenever it strikes.
START = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
# No story of ours lasts longer, in made-up seconds.
ENDLESS = 30 * 3600.0
# How long what runs in a thread takes to begin, at most, and how long it may be held up between two effects.
QUICK, SLOW = 0.004, 0.8
SELDOM = 0.02


class Process(Protocol):
    """What runs in the loop and may die (life.Life)."""

    frozen_until: float
    tasks: dict[asyncio.Task[Any], None]

    def check(self) -> None:
        """Raises what ends a process that is dead."""


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("PROCESS", default=None)


class _Selector(selectors.DefaultSelector):
    """There is nothing to wait for but time."""

    loop: "SimLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nobody waits for time: this would never end")
        self.loop.elapsed += max(timeout, 0.0)
        if self.loop.elapsed > ENDLESS:
            raise RuntimeError("this goes on and on")
        return []


class SimLoop(asyncio.SelectorEventLoop):
    """`elapsed` is its time in seconds, from 0. `interleaved` is the share of calls that give their turn away."""

    def __init__(self, seed: int, interleaved: float) -> None:
        self.elapsed = 0.0
        self.rng = random.Random(f"loop {seed}")
        self.interleaved = interleaved
        # The thread that has the turn now; None: the loop's own.
        self.turn: Thread | None = None
        # What the call that runs now takes, beyond the moment at which it took effect.
        self.spent = 0.0
        self.paused: set[_Call] = set()
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.set_task_factory(_task)

    def time(self) -> float:
        return self.elapsed

    def now(self) -> datetime:
        """The moment, in UTC."""
        return START + timedelta(seconds=self.elapsed)

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        process = PROCESS.get()
        if process is not None:
            process.check()
        call = _Call(self, process, func, args)
        seldom = self.rng.random() < SELDOM
        self.call_later(self.rng.random() * (SLOW if seldom else QUICK), call.begin)
        return call.future

    def takes(self, seconds: float) -> None:
        """The call that runs now is answered that much later; one in a thread of its own stands still meanwhile."""
        if self.turn is not None:
            self.turn.give_away(seconds)
        else:
            self.spent += seconds

    def gap(self) -> None:
        """Between two effects: whatever else is due may happen here."""
        if self.turn is not None and self.rng.random() < 0.5:
            seldom = self.rng.random() < 10 * SELDOM
            self.turn.give_away(self.rng.random() * (SLOW if seldom else QUICK))

    def end(self) -> None:
        """Calls that stand still come to their end; their processes have to be dead by now."""
        while self.paused:
            call = self.paused.pop()
            if call.process is not None:
                call.process.frozen_until = 0.0
            call.go_on()


class _Call:
    """What production runs in a thread."""

    def __init__(self, loop: SimLoop, process: Process | None, func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.loop, self.process = loop, process
        self.future: asyncio.Future[Any] = loop.create_future()
        self._func, self._args = func, args
        self._thread: Thread | None = None
        self._result: Any = None
        self._error: BaseException | None = None

    def begin(self) -> None:
        if self._frozen(self.begin):
            return
        if self.loop.rng.random() < self.loop.interleaved:
            self._thread = _idle.pop() if _idle else Thread()
            self._thread.give(self)
            self._look()
        else:
            self.loop.spent = 0.0
            self.work()
            self._answer(self.loop.spent)

    def go_on(self) -> None:
        """The next turn of a call that stood still."""
        self.loop.paused.discard(self)
        if self._thread is not None and not self._frozen(self.go_on):
            self._thread.turn()
            self._look()

    def work(self) -> None:
        try:
            self._result = self._func(*self._args)
        except BaseException as error:
            self._error = error

    def _frozen(self, again: Callable[[], None]) -> bool:
        if self.process is None or self.process.frozen_until <= self.loop.elapsed:
            return False
        self.loop.call_at(self.process.frozen_until, again)
        return True

    def _look(self) -> None:
        thread = self._thread
        assert thread is not None
        if thread.rests:
            _idle.append(thread)
            self._answer(0.0)
        else:
            self.loop.paused.add(self)
            self.loop.call_later(thread.seconds, self.go_on)

    def _answer(self, after: float) -> None:
        frozen = 0.0 if self.process is None else self.process.frozen_until - self.loop.elapsed
        if max(after, frozen) > 0:
            self.loop.call_later(max(after, frozen), self._tell)
        else:
            self._tell()

    def _tell(self) -> None:
        if self.future.done():
            return
        if self._error is not None:
            self.future.set_exception(self._error)
        else:
            self.future.set_result(self._result)


class Thread:
    """A real thread that works one call at a time, while the loop's own stands still."""

    def __init__(self) -> None:
        self.rests = True
        self.seconds = 0.0
        self._call: _Call | None = None
        # Locks in place of semaphores, which are made of several: each is released by the other side.
        self._ours, self._theirs = threading.Lock(), threading.Lock()
        self._ours.acquire()
        self._theirs.acquire()
        threading.Thread(target=self._run, daemon=True, name="sim").start()

    def give(self, call: _Call) -> None:
        """Works the call until its first gap, or its end."""
        self._call, self.rests = call, False
        self.turn()

    def turn(self) -> None:
        """One more turn."""
        assert self._call is not None
        loop = self._call.loop
        loop.turn = self
        self._ours.release()
        self._theirs.acquire()
        loop.turn = None

    def give_away(self, seconds: float) -> None:
        """Called by what it works: goes on after so long."""
        self.seconds = seconds
        self._theirs.release()
        self._ours.acquire()

    def _run(self) -> None:
        while True:
            self._ours.acquire()
            assert self._call is not None
            self._call.work()
            # It would keep its whole story.
            self._call = None
            self.rests = True
            self._theirs.release()


# Threads are used again from story to story.
_idle: list[Thread] = []


def _task(loop: asyncio.AbstractEventLoop, coro: Any, context: contextvars.Context | None = None) -> Any:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, context=context)
    process = PROCESS.get() if context is None else context.get(PROCESS)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda done: process.tasks.pop(done, None))
    return task
