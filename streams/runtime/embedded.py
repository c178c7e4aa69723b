"""The embedded broker and board: a process attaches to the running ones of its home folder, or starts them.

The process that starts a server owns it and stops it. So every command works alone, and two commands share one server.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors import errors, locks, processes
from connectors.kafka import embedded
from connectors.monday import limits as monday_limits
from connectors.simulator import config
from streams.settings import Settings

# Seconds. A busy machine takes this long; a failed start is reported at once.
START_WITHIN = 120.0


@dataclass(frozen=True)
class Endpoints:
    """The addresses of broker and board. `revive` restarts those that have ended, and returns a line for each."""

    bootstrap: str
    monday_url: str
    revive: Callable[[], list[str]]


@contextmanager
def endpoints(settings: Settings, limits: monday_limits.Limits) -> Iterator[Endpoints]:
    """Both for the duration of a command. Raises Misconfigured, in one line, when one of them cannot start.

    It also raises Misconfigured for a SQL Server without a board (Settings.check_board).
    """
    settings.check_board()
    with ExitStack() as stack:
        revivers: list[Callable[[], str | None]] = []
        bootstrap, monday_url = settings.kafka_bootstrap_servers, settings.api_url
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
        yield Endpoints(bootstrap, monday_url, lambda: [line for revive in revivers if (line := revive()) is not None])


@dataclass
class Shared:
    """A server that one process of a home folder runs and the others use. Any of them may restart it.

    `attach` returns the address of the running server, or None; `start` starts it and returns its address.
    """

    name: str
    attach: Callable[[], str | None]
    start: Callable[[], str]
    address: str = ""

    def had(self) -> str:
        """The address of the running server, or of the one started here. Raises Misconfigured when it cannot start."""
        deadline = time.monotonic() + START_WITHIN
        while True:
            address = self.attach()
            if address is not None:
                self.address = address
                return address
            try:
                self.address = self.start()
                return self.address
            except errors.Misconfigured as error:
                # Another process has the lock: it is about to start the server, or about to end.
                if error.code != "LOCKED" or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def revive(self) -> str | None:
        """Restarts an ended server at its old address and returns a line for the log; None if nothing was done.

        Raises Misconfigured when it cannot start, or answers at another address.
        """
        if self.attach() is not None:
            return None
        try:
            address = self.start()
        except errors.Misconfigured as error:
            if error.code == "LOCKED":
                return None
            raise
        if address != self.address:
            raise errors.Misconfigured(f"{self.name} answers at {address} now: stop everything, then start again")
        return f"{self.name} had ended: started again"


class Simulator:
    """The bundled board as a child process on one folder, with one owner. A restart keeps the address.

    `options`: further arguments of its command line.
    """

    def __init__(self, settings: Settings, limits: monday_limits.Limits, options: Sequence[str] = ()) -> None:
        self._folder = (settings.home / "board").resolve()
        self._limits = limits
        self._options = options
        self._lock = locks.FileLock(self._folder / "lock", purpose=f"the board folder {self._folder}")
        self._child: processes.Child | None = None

    @staticmethod
    def attach(home: Path) -> str | None:
        """The address of the board that a running owner has in this home folder; None without one."""
        folder = (home / "board").resolve()
        url, identity = _running(folder)
        if locks.owner(folder / "lock") is None or identity is None or not identity.alive():
            return None
        return url

    def start(self) -> str:
        """Starts the board and returns its address once it answers; the address of a killed board is used once more.

        Raises Misconfigured with code LOCKED while another process owns it, or with the reason of a failed start.
        """
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
                *self._options,
            ],
            log=output,
        )  # fmt: skip
        url = self._ready(self._child, output)
        (self._folder / "running").write_text(f"{url} {processes.Identity.of(self._child.pid)}")
        return url

    def stop(self) -> None:
        """Ends the board and unlocks the folder; does nothing if another process owns it."""
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
        lines = output.read_text().splitlines() or ["no output"]
        raise errors.Misconfigured(f"the bundled board did not start: {lines[-1]} ({output})")


def _running(folder: Path) -> tuple[str, processes.Identity | None]:
    """Address and process of the folder's last board, as its file holds them; "" and None without the file.

    The file stays when the owner is killed.
    """
    try:
        url, _, identity = (folder / "running").read_text().partition(" ")
    except FileNotFoundError:
        return "", None
    return url, processes.Identity.parse(identity)
