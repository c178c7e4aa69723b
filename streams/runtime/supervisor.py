"""The parent process of `ordersync run`: it starts poller and worker, and restarts them whenever they end.

A child ends at once when it meets an unknown error, so a restart is the one cure. The pauses before the restarts of a
child that keeps ending grow.
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

# All times are seconds. A child that ran this long had started and worked: the pauses begin from the first one again.
# Each start costs some 1.5 s of CPU.
WELL_AFTER = 5.0
# A standby loads its modules as soon as the last one took over. The first child needs the CPU itself: this much later.
STANDBY_AFTER = 2.0
CHECK_EVERY = 0.1
# The time that a child has to stop in order.
GRACE = 8.0
# The size at which a log moves to `.log.1` at the next start of its child.
LOG_BYTES = 10_000_000
TAIL_BYTES = 4096


@dataclass
class Pauses:
    """The pauses before the restarts of one child: none at first, then growing ones until it runs for WELL_AFTER."""

    clock: Callable[[], float] = time.monotonic
    ends: int = 0
    _started: float = 0.0
    _restart_at: float | None = None

    def started(self) -> None:
        """Notes a start."""
        self._started, self._restart_at = self.clock(), None

    def ended(self) -> float | None:
        """Notes an end and returns the pause before the restart in seconds; None when this end is noted already."""
        if self._restart_at is not None:
            return None
        now = self.clock()
        self.ends = 0 if now - self._started > WELL_AFTER else self.ends
        pause = backoff.RESTART_PAUSES[min(self.ends, len(backoff.RESTART_PAUSES) - 1)]
        self.ends, self._restart_at = self.ends + 1, now + pause
        return pause

    @property
    def over(self) -> bool:
        """Whether the pause has passed, so that a restart is due."""
        return self._restart_at is None or self.clock() >= self._restart_at


@dataclass
class Service:
    """One supervised command. With `standby` a second process with all modules loaded waits to take over."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    clock: Callable[[], float] = time.monotonic
    standby: bool = False
    child: processes.Child | None = None
    restarts: int = 0
    pauses: Pauses = field(init=False)
    _standby_child: processes.Child | None = field(default=None, init=False)
    _standby_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.pauses = Pauses(self.clock)

    def start(self) -> None:
        """Starts the child: the standby takes over if it runs, otherwise a new process starts."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES:
            # Copied and truncated, because the standby has opened this file.
            shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
            os.truncate(self.log, 0)
        self.pauses.started()
        ready, self._standby_child = self._standby_child, None
        self._standby_at = self.clock()
        if ready is not None and ready.running:
            self.child = ready
            ready.take_over()
        else:
            self.child = processes.Child(self.command, log=self.log, environment=self.environment)
            self._standby_at += STANDBY_AFTER

    def check(self) -> None:
        """Restarts an ended child when its pause has passed; starts a standby beside a running one."""
        if self.child is None:
            return
        if self.child.running:
            if self.standby and self._standby_child is None and self.clock() >= self._standby_at:
                self._standby_child = processes.Child(
                    self.command, log=self.log, environment=self.environment, standby=True
                )
            return
        pause = self.pauses.ended()
        if pause is not None:
            when = f"in {pause:g} s" if pause else "at once"
            log.warning("%s ended (%s), restart %s: %s", self.name, self.child.wait(0), when, self._last_line())
        if self.pauses.over:
            self.restarts += 1
            self.start()

    def stop(self) -> None:
        """Stops child and standby within GRACE seconds; kills a child that does not stop."""
        if self._standby_child is not None:
            self._standby_child.stop(0)
        if self.child is not None:
            self.child.stop(GRACE)

    def _last_line(self) -> str:
        with self.log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else f"no output in {self.log}"


def ordersync(*arguments: str) -> list[str]:
    """The command line of an ordersync command."""
    return [sys.executable, "-m", "streams", *arguments]


class Supervisor:
    """Keeps services running from `start` to `stop`.

    `revive` restarts the embedded servers that have ended, and returns a line for each.
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
        """Starts all services, and a thread that checks them."""
        for service in self.services.values():
            service.start()
        self._thread.start()

    def stop(self) -> None:
        """Stops all services, the last one started first."""
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
            while not self._stop.wait(CHECK_EVERY):
                self._revive_servers()
                for service in self.services.values():
                    service.check()
        except BaseException as error:
            # The children would run unsupervised. They end with this process, which its own supervisor restarts.
            log.exception("supervisor: unknown error")
            self._end(exits.EXIT_UNKNOWN, f"supervisor: {type(error).__name__}")

    def _revive_servers(self) -> None:
        if not self._revival.over:
            return
        self._revival.started()
        try:
            for line in self._revive():
                log.warning("%s", line)
        except errors.OrdersyncError as error:
            log.error("%s; next attempt in %g s", error, self._revival.ended() or 0.0)
        else:
            self._revival.ends = 0
