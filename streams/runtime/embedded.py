"""The embedded broker and the bundled board: attached to where they run already, started where they do not.

Whoever starts one owns it and ends it. So every command works by itself, and two commands in two terminals share.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors import errors, locks, processes
from connectors.kafka import embedded
from connectors.monday import limits as monday_limits
from connectors.simulator import config
from streams.settings import Settings

# A machine that does other work too takes its time; a start that failed is told at once.
START_WITHIN = 120.0


@dataclass(frozen=True)
class Endpoints:
    """Where the broker and the board answer. `revive` starts again what this process owns and what died."""

    bootstrap: str
    monday_url: str
    revive: Callable[[], list[str]]


@contextmanager
def endpoints(settings: Settings, limits: monday_limits.Limits) -> Iterator[Endpoints]:
    """Both, for the time of a command. Raises Misconfigured, in one line, when one cannot be had."""
    with ExitStack() as stack:
        revivers: list[Callable[[], str | None]] = []
        bootstrap, monday_url = settings.kafka_bootstrap_servers, settings.monday_url
        if not bootstrap:
            folder = settings.home / "kafka"
            kafka = embedded.LocalKafka(folder)
            stack.callback(kafka.stop)
            broker = Shared("the embedded Kafka", lambda: embedded.LocalKafka.attach(folder), kafka.start)
            bootstrap = broker.had()
            revivers.append(broker.revive)
        if not monday_url:
            simulator = Simulator(settings, limits)
            stack.callback(simulator.stop)
            board = Shared("the bundled board", lambda: Simulator.attach(settings.home), simulator.start)
            monday_url = board.had()
            revivers.append(board.revive)
        yield Endpoints(bootstrap, monday_url, lambda: [said for one in revivers if (said := one()) is not None])


@dataclass
class Shared:
    """What one process of a home folder runs and the others use. Whoever finds that it is gone becomes its owner."""

    name: str
    attach: Callable[[], str | None]
    start: Callable[[], str]
    address: str = ""

    def had(self) -> str:
        """Its address: where it runs already, or where it was started now."""
        deadline = time.monotonic() + START_WITHIN
        while True:
            found = self.attach()
            if found is not None:
                self.address = found
                return found
            try:
                self.address = self.start()
                return self.address
            except errors.Misconfigured as error:
                # Its owner is about to start it, or about to end.
                if error.code != "LOCKED" or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def revive(self) -> str | None:
        """Starts it again if it ended, at its old address. What was done, if anything was."""
        if self.attach() is not None:
            return None
        try:
            address = self.start()
        except errors.Misconfigured as error:
            if error.code == "LOCKED":
                return None
            raise
        if address != self.address:
            raise errors.Misconfigured(f"{self.name} answers at {address} now: stop everything and start again")
        return f"{self.name} had ended: started again"


class Simulator:
    """The bundled board as a child process on one folder, with one owner. Its address survives a restart."""

    def __init__(self, settings: Settings, limits: monday_limits.Limits) -> None:
        self._folder = (settings.home / "board").resolve()
        self._limits = limits
        self._lock = locks.FileLock(self._folder / "lock", purpose=f"the board folder {self._folder}")
        self._child: processes.Child | None = None

    @staticmethod
    def attach(home: Path) -> str | None:
        """The address of the board that a living owner runs in this home folder."""
        folder = (home / "board").resolve()
        url, identity = _running(folder)
        if locks.owner(folder / "lock") is None or identity is None or not identity.alive():
            return None
        return url

    def start(self) -> str:
        """Its address, once it answers: the last one again, unless it was stopped in order since."""
        self._lock.acquire()
        port = _running(self._folder)[0].rsplit(":", 1)[-1].split("/")[0]
        output = self._folder / "simulator.log"
        if output.exists():
            output.replace(output.with_suffix(".log.1"))
        limits = self._limits
        self._child = processes.Child(
            [
                sys.executable, "-m", "connectors.simulator",
                "--state", str(self._folder / "board.db"), "--port", port or "0", "--token", config.TOKEN,
                "--minute", str(limits.minute_seconds),
                "--complexity-per-minute", str(limits.complexity_per_minute),
                "--requests-per-minute", str(limits.requests_per_minute),
                "--concurrency", str(limits.concurrency), "--calls-per-day", str(limits.calls_per_day),
            ],
            log=output,
        )  # fmt: skip
        url = self._ready(self._child, output)
        (self._folder / "running").write_text(f"{url} {processes.Identity.of(self._child.pid)}")
        return url

    def stop(self) -> None:
        """Ends it and lets the folder go; nothing happens if it is another's."""
        if not self._lock.held:
            return
        if self._child is not None:
            self._child.stop(5.0)
        (self._folder / "running").unlink(missing_ok=True)
        self._lock.release()

    def _ready(self, child: processes.Child, output: Path) -> str:
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline and child.running:
            for line in output.read_text().splitlines():
                if line.startswith("{"):
                    return str(json.loads(line)["url"])
            time.sleep(0.05)
        child.stop(0)
        said = output.read_text().splitlines() or ["it said nothing"]
        raise errors.Misconfigured(f"the bundled board did not start: {said[-1]} ({output})")


def _running(folder: Path) -> tuple[str, processes.Identity | None]:
    """Where the folder's board answers, or did when its owner was killed, and which process it is."""
    try:
        url, _, identity = (folder / "running").read_text().partition(" ")
    except FileNotFoundError:
        return "", None
    return url, processes.Identity.parse(identity)
