"""A stage of real processes for chaos: a broker of its own to kill, restart and wipe, a board, a poller, some workers.

Poller and workers are started by `tests.chaos.real.process`, which is `python -m streams` with named points to die at
and, for the check of the checker, a planted bug.
"""

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from connectors.kafka import embedded as kafka_local
from streams.commands import service as commands
from streams.commands import setup
from streams.demo import stage as demo
from streams.resources import Resources, utcnow
from streams.runtime import embedded
from streams.runtime import supervisor as supervise
from streams.settings import Settings

ROOT = Path(__file__).parents[3]
POLLER = "poller"


@dataclass
class Watched(supervise.Service):
    """A service that remembers how it ended each time: exit codes, minus the signal where one ended it."""

    ends: list[int] = field(default_factory=list)

    def start(self) -> None:
        code = self.child.wait(0) if self.child is not None else None
        if code is not None:
            self.ends.append(code)
        super().start()


@dataclass
class Stage(demo.Stage):
    """A demo stage whose parts can be broken one by one. `strikes` is the folder of points.py, empty at first."""

    broker: kafka_local.LocalKafka = field(kw_only=True)
    board: embedded.Simulator = field(kw_only=True)
    strikes: Path = field(kw_only=True)
    start_worker: Callable[[str], supervise.Service] = field(kw_only=True)

    @property
    def services(self) -> dict[str, supervise.Service]:
        """By name: the poller, and the workers that were started so far."""
        return self.supervisor.services

    @property
    def workers(self) -> list[supervise.Service]:
        return [service for name, service in self.services.items() if name != POLLER]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to a poller or worker; the supervisor starts again what it ends."""
        child = self.services[name].child
        if child is not None:
            child.signal(number)

    def log(self, name: str) -> str:
        """What a process has said since it was first started."""
        return self.services[name].log.read_text(errors="replace")

    def add_worker(self, name: str) -> None:
        """One more, supervised like the others."""
        service = self.start_worker(name)
        service.start()
        # A new dict: the supervisor's thread may be walking through the old one.
        self.supervisor.services = {**self.supervisor.services, name: service}

    def remove_worker(self, name: str) -> None:
        """Stops one in order, and for good."""
        self._unsupervised(name).stop()

    def take_away(self, name: str) -> None:
        """Kills one that nobody starts again, until it is added again."""
        service = self._unsupervised(name)
        if service.child is not None:
            service.child.signal(signal.SIGKILL)
            service.child.wait()
        service.stop()

    def _unsupervised(self, name: str) -> supervise.Service:
        service = self.supervisor.services[name]
        self.supervisor.services = {n: s for n, s in self.supervisor.services.items() if n != name}
        return service


@contextmanager
def stage(
    home: Path,
    *,
    orders: int,
    seed: int,
    workers: int = 1,
    minute: float = 3.0,
    plant: str = "",
    pure: bool = False,
    prepare: Callable[[Resources], object] = lambda parts: None,
    **changed: object,
) -> Iterator[Stage]:
    """Everything started on an empty folder; stopped at the end. `changed` are fields of Settings.

    `plant` names a bug of tests.chaos.planted; `pure` chooses Faust's pure-Python build. The broker is the stage's own
    even if KAFKA_BOOTSTRAP_SERVERS is set: nobody's real broker is killed here.
    """
    home.mkdir(parents=True, exist_ok=True)
    strikes = home / "strikes"
    strikes.mkdir()
    with kafka_local.LocalKafka(home / "kafka") as broker:
        base = Settings(home=home, kafka_bootstrap_servers=broker.bootstrap)
        settings = demo.settings_of(base, minute=minute).model_copy(update={"topic_prefix": "", **changed})
        parts = Resources(settings, bootstrap=broker.bootstrap)
        board = embedded.Simulator(settings, parts.limits)
        try:
            parts.monday_url = board.start()
            prepare(parts)
            parts.db.apply_schema(utcnow())
            if orders:
                setup.fill_with_samples(parts, orders=orders, seed=seed)
            parts.ensure_topics()
            setup.prepare_board(parts)
            environment = {"CHAOS_STRIKES": str(strikes), "CHAOS_PLANT": plant, "PYTHONPATH": str(ROOT)}
            # A crash inside a library says where it was.
            environment["PYTHONFAULTHANDLER"] = "1"
            environment |= {"NO_CYTHON": "1"} if pure else {}
            made = _stage(parts, broker, board, strikes, workers, environment)
            made.supervisor.start()
            try:
                yield made
            finally:
                made.supervisor.stop()
        finally:
            parts.close()
            board.stop()


def _stage(
    parts: Resources,
    broker: kafka_local.LocalKafka,
    board: embedded.Simulator,
    strikes: Path,
    workers: int,
    environment: Mapping[str, str],
) -> Stage:
    settings = parts.settings
    ends = embedded.Endpoints(broker.bootstrap, parts.monday_url, revive=lambda: [])

    def service(name: str, told: Settings, *arguments: str) -> supervise.Service:
        usual, _ = commands.services(told, ends)
        command = [sys.executable, "-m", "tests.chaos.real.process", *arguments]
        return Watched(
            name,
            command,
            {**usual.environment, **environment, "CHAOS_PROCESS": name},
            settings.home / "logs" / f"{name}.log",
            standby=name != POLLER,
        )

    def worker(name: str) -> supervise.Service:
        return service(name, settings.model_copy(update={"worker": name}), "-v", "work")

    poller = service(POLLER, settings, "-v", "detect", "--every", str(settings.poll_every))
    services = [poller, *(worker(f"worker-{n}") for n in range(1, workers + 1))]
    supervisor = supervise.Supervisor(services, ends.revive)
    return Stage(parts, supervisor, broker=broker, board=board, strikes=strikes, start_worker=worker)
