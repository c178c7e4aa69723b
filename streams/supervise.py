"""The parent of `ordersync run`: starts poller and worker, and starts them again whenever they end.

Crash only: a child that meets what it does not know ends at once, so starting again is the cure for everything. A
child that keeps ending is started at growing pauses.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from connectors import processes

log = logging.getLogger(__name__)

PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# A child that lived this long is well again: its next end is its first.
WELL_AFTER = 60.0
LOOK = 0.1
GRACE = 8.0


@dataclass
class Service:
    """One supervised command. `ends` counts how often it ended since it was last well."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    clock: Callable[[], float] = time.monotonic
    child: processes.Child | None = None
    ends: int = 0
    started: float = 0.0
    again_at: float = 0.0
    restarts: int = field(default=0)

    def start(self) -> None:
        """Starts the child."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.child = processes.Child(self.command, log=self.log, environment=self.environment)
        self.started = self.clock()

    def look(self) -> None:
        """Starts it again when it ended and its pause is over."""
        if self.child is None or self.child.running:
            return
        now = self.clock()
        if not self.again_at:
            self.ends = 0 if now - self.started > WELL_AFTER else self.ends
            pause = PAUSES[min(self.ends, len(PAUSES) - 1)]
            log.warning("%s ended with %s: again in %.1f s (%s)", self.name, self.child.wait(0), pause, self.log)
            self.ends, self.again_at = self.ends + 1, now + pause
        if now >= self.again_at:
            self.again_at = 0.0
            self.restarts += 1
            self.start()

    def stop(self) -> None:
        """In order, within a few seconds."""
        if self.child is not None:
            self.child.stop(GRACE)


def ordersync(*arguments: str) -> list[str]:
    """The command line of one of our own commands."""
    return [sys.executable, "-m", "streams", *arguments]


class Supervisor:
    """Keeps services alive from `start` to `stop`. `revive` sees to what this process owns itself."""

    def __init__(self, services: Sequence[Service], revive: Callable[[], list[str]]) -> None:
        self.services = {service.name: service for service in services}
        self._revive = revive
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def start(self) -> None:
        """Starts all of them, and a thread that looks after them."""
        for service in self.services.values():
            service.start()
        self._thread.start()

    def stop(self) -> None:
        """Stops all of them, in order."""
        self._stop.set()
        self._thread.join()
        for service in self.services.values():
            service.stop()

    def wait(self) -> None:
        """Returns on SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._stop.wait()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK):
            try:
                for said in self._revive():
                    log.warning("%s", said)
            except Exception as error:
                log.error("starting again failed: %s", error)
            for service in self.services.values():
                service.look()
