"""The parent of `ordersync run`: starts poller and worker, and starts them again whenever they end.

Crash only: a child that meets what it does not know ends at once, so starting again is the cure for everything. A
child that keeps ending is started at growing pauses.
"""

import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from connectors import backoff, errors, processes
from streams.delivery import exits

log = logging.getLogger(__name__)

# What lived this long had started and worked: its next end is its first. A child that keeps ending costs some 1.5 s
# of CPU each time.
WELL_AFTER = 5.0
# A standby is loaded as soon as the former one has gone on. The first start needs the CPU more: so long after it.
STANDBY_AFTER = 2.0
LOOK = 0.1
GRACE = 8.0
# A log that has grown beyond this makes room at the next start; one older log is kept.
LOG_BYTES = 10_000_000
TAIL_BYTES = 4096


@dataclass
class Pauses:
    """When to start again what ended: at once, then at growing pauses, until it has been well for a while."""

    clock: Callable[[], float] = time.monotonic
    ends: int = 0
    _started: float = 0.0
    _again_at: float | None = None

    def started(self) -> None:
        """It runs, as far as we know."""
        self._started, self._again_at = self.clock(), None

    def ended(self) -> float | None:
        """The pause before its next start, when this end is told for the first time; else None."""
        if self._again_at is not None:
            return None
        now = self.clock()
        self.ends = 0 if now - self._started > WELL_AFTER else self.ends
        pause = backoff.RESTART_PAUSES[min(self.ends, len(backoff.RESTART_PAUSES) - 1)]
        self.ends, self._again_at = self.ends + 1, now + pause
        return pause

    @property
    def over(self) -> bool:
        """Whether it may be started now."""
        return self._again_at is None or self.clock() >= self._again_at


@dataclass
class Service:
    """One supervised command.

    With `standby` a second process has everything loaded and waits: when the first one ends, it goes on at once.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    clock: Callable[[], float] = time.monotonic
    standby: bool = False
    child: processes.Child | None = None
    restarts: int = 0
    pauses: Pauses = field(init=False)
    _next: processes.Child | None = field(default=None, init=False)
    _next_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.pauses = Pauses(self.clock)

    def start(self) -> None:
        """Starts the child."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            # Not moved: the standby has opened it.
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)
        self.pauses.started()
        ready, self._next = self._next, None
        self._next_at = self.clock()
        if ready is not None and ready.running:
            self.child = ready
            ready.take_over()
        else:
            self.child = processes.Child(self.command, log=self.log, environment=self.environment)
            self._next_at += STANDBY_AFTER

    def look(self) -> None:
        """Starts it again when it ended and its pause is over; sees to its standby while it runs."""
        if self.child is None:
            return
        if self.child.running:
            if self.standby and self._next is None and self.clock() >= self._next_at:
                self._next = processes.Child(self.command, log=self.log, environment=self.environment, standby=True)
            return
        pause = self.pauses.ended()
        if pause is not None:
            when = f"in {pause:g} s" if pause else "at once"
            log.warning("%s ended (%s), again %s: %s", self.name, self.child.wait(0), when, self._last_line())
        if self.pauses.over:
            self.restarts += 1
            self.start()

    def stop(self) -> None:
        """In order, within a few seconds."""
        if self._next is not None:
            self._next.stop(0)
        if self.child is not None:
            self.child.stop(GRACE)

    def _last_line(self) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else f"it said nothing in {self.log}"


def ordersync(*arguments: str) -> list[str]:
    """The command line of one of our own commands."""
    return [sys.executable, "-m", "streams", *arguments]


class Supervisor:
    """Keeps services alive from `start` to `stop`. `revive` sees to what this process owns itself, broker and board,
    and says what it did.
    """

    def __init__(
        self,
        services: Sequence[Service],
        revive: Callable[[], list[str]],
        *,
        end: Callable[[int, str], None] = exits.end_process,
    ) -> None:
        self.services = {service.name: service for service in services}
        self._revive = revive
        self._revival = Pauses()
        self._end = end
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Starts all of them, and a thread that looks after them."""
        for service in self.services.values():
            service.start()
        self._thread.start()

    def stop(self) -> None:
        """Stops all of them, the last one started first."""
        self._stop.set()
        self._thread.join()
        for service in reversed(self.services.values()):
            service.stop()

    def wait(self) -> None:
        """Returns on SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._stop.wait()

    def _watch(self) -> None:
        try:
            while not self._stop.wait(LOOK):
                self._see_to_ours()
                for service in self.services.values():
                    service.look()
        except BaseException as error:
            # Nobody would look after the children any more. They end with this process; who started it starts it again.
            log.exception("supervisor: unknown error")
            self._end(exits.EXIT_UNKNOWN, f"supervisor: {type(error).__name__}")

    def _see_to_ours(self) -> None:
        if not self._revival.over:
            return
        self._revival.started()
        try:
            for said in self._revive():
                log.warning("%s", said)
        except errors.OrdersyncError as error:
            log.error("%s; again in %g s", error, self._revival.ended() or 0.0)
        else:
            self._revival.ends = 0
