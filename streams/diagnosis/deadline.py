"""An answer within a stated time: the question runs in a thread of its own, which may hang as long as SQL does."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Question(Generic[T]):
    """Asks at most once at a time: who asks while an answer is due waits for that one, so no threads pile up.

    The threads are not those of the event loop, which calls that hang may all occupy. They do not keep a process alive.
    """

    ask: Callable[[], T]
    _running: Future[T] | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def answer(self, within: float) -> T:
        """The answer, or what `ask` raises. Raises TimeoutError when there is none within so many seconds."""
        return self._future().result(within)

    async def wait(self, within: float) -> T:
        """`answer` without blocking the event loop."""
        return await asyncio.wait_for(asyncio.wrap_future(self._future()), within)

    def _future(self) -> Future[T]:
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                # From here on nobody who gives up waiting can cancel it for the others.
                self._running.set_running_or_notify_cancel()
                threading.Thread(target=self._run, args=(self._running,), name="question", daemon=True).start()
            return self._running

    def _run(self, future: Future[T]) -> None:
        try:
            future.set_result(self.ask())
        except BaseException as error:
            future.set_exception(error)
