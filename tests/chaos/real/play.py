"""Plays schedules on a stage of real processes, one after the other, and says how each ended."""

import json
import math
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from connectors.simulator.faults import Rule, Rules
from mappings import sizes
from streams.delivery import exits
from streams.demo import stage as demo
from streams.resources import utcnow
from tests.chaos.judge import Verdict
from tests.chaos.real import judge_oracle as oracle
from tests.chaos.real import recovery, rest
from tests.chaos.real.points import OF_WORKER, Strikes
from tests.chaos.real.schedule import JOINER, WRITER, Act, Arm, Author, Away, Join, Kill, Leave, Schedule, Trouble
from tests.chaos.real.stage import POLLER, Stage, Watched, stage

SETTLE_WITHIN = 300.0
WORKERS = 2
# Short pauses everywhere; the lease lives as long as in production.
QUICK = {"poll_every": 0.3, "retry_first": 0.3, "retry_tries": 4}
MINUTE = 0.5
JOINED = "rebalance: joined and left"


@dataclass
class Player:
    """One stage and what it has seen. `said` gets a line for everything that happens."""

    stage: Stage
    author: Author
    told: bool = False
    _played: list[Schedule] = field(default_factory=list)
    _away: list[tuple[float, float]] = field(default_factory=list)
    _held: dict[str, float] = field(default_factory=dict)
    _returning: threading.Thread | None = None
    _told_before: int = 0

    def __post_init__(self) -> None:
        self.strikes = Strikes(self.stage.strikes)
        self.log = oracle.Log(self.stage.parts.bootstrap, self.stage.parts.settings.group)

    def play(self, seed: int) -> tuple[Verdict, recovery.Times]:
        """The whole schedule of a seed, to its verdict. What happened is counted in `met`."""
        played = self.author.schedule(seed)
        met: Counter[str] = Counter()
        faults, began = self._faults(), time.time()
        killed: list[recovery.WorkerDeath] = []
        self._played.append(played)
        for service in self.stage.services.values():
            service.pauses.ends = 0
        started = time.monotonic()
        for at, act in played.steps:
            time.sleep(max(0.0, started + at - time.monotonic()))
            self._say(f"{at:.1f} s: {act if not isinstance(act, tuple) else f'{len(act)} changes'}")
            self._act(act, met, killed)
        story = self.settle(utcnow())
        down = min(self._held.values(), default=math.inf)
        self._end(played)
        deaths = self.strikes.deaths()
        for death in deaths:
            met[f"died at {death.point}"] += 1
        if story:
            return Verdict(other=[f"not settled within {SETTLE_WITHIN:.0f} s: {'; '.join(story)}"], met=met), (
                recovery.Times()
            )
        found = oracle.look(self.stage, self.log, oracle.Said.by(self._played))
        found.other += self._ends(met)
        met.update(self._faults() - faults)
        found.met = met
        killed += [
            recovery.WorkerDeath(death.at, str(death.point), death.writer)
            for death in deaths
            if death.point in OF_WORKER
        ]
        self._say(f"settled {time.time() - began:.1f} s after the start; {dict(met)}")
        return found, self._times(played, killed, down)

    def _act(self, act: Act, met: Counter[str], killed: list[recovery.WorkerDeath]) -> None:
        if isinstance(act, tuple):
            demo.apply(self.stage.parts, act)
        elif isinstance(act, Arm):
            self.strikes.arm(act.point, act.passages)
        elif isinstance(act, Kill):
            writer = self._writer()
            name = (writer or "worker-1") if act.name == WRITER else act.name
            died = recovery.WorkerDeath(time.time(), "held down" if act.held else "kill", name == writer)
            if act.held:
                self.stage.take_away(name)
                self._held[name] = died.at
            else:
                self.stage.kill(name)
            met["killed, and held down" if act.held else "killed at a random time"] += 1
            if name != POLLER:
                killed.append(died)
        elif isinstance(act, Away):
            self._broker_away(act.seconds)
            met["broker killed"] += 1
        elif isinstance(act, Join):
            self.stage.add_worker(JOINER)
            self._told_before = self._works(JOINER)
        elif isinstance(act, Leave):
            joined = self._works(JOINER) > self._told_before
            met[JOINED if joined else "left before it had joined"] += 1
            self.stage.remove_worker(JOINER)
        elif isinstance(act, Trouble):
            self._trouble(act.rules)

    def _broker_away(self, seconds: float) -> None:
        """The schedule goes on meanwhile."""
        began = time.time()
        self.stage.broker.kill()

        def bring_back() -> None:
            time.sleep(seconds)
            self.stage.broker.start()
            self._away.append((began, time.time()))

        self._returning = threading.Thread(target=bring_back, name="broker returns")
        self._returning.start()

    def _writer(self) -> str | None:
        """The worker that notes a grant of the lease as its own."""
        locks = self.stage.parts.settings.home / "locks"
        names = [name for name in self.stage.services if (locks / f"{name}.lease").exists()]
        return names[0] if names else None

    def _works(self, name: str) -> int:
        """How often a worker has said so on this stage."""
        return self.stage.log(name).count(f"worker {name} works")

    def settle(self, since: datetime, *, within: float = SETTLE_WITHIN) -> list[str]:
        """Waits until nothing is on its way. What still was at the deadline, in words."""
        if self._returning is not None:
            self._returning.join()
            self._returning = None
            since = utcnow()
        return rest.settle(self.stage, self.log, since, within=within)

    def _end(self, played: Schedule) -> None:
        """The stage is whole again, for the next schedule."""
        self.strikes.disarm()
        if any(isinstance(act, Trouble) for _, act in played.steps):
            self._trouble(())
        for name in self._held:
            self.stage.add_worker(name)
        self._held.clear()

    def _ends(self, met: Counter[str]) -> list[str]:
        """How processes ended that nobody killed: what the program knows is counted, what it does not is wrong."""
        wrong = []
        for name, service in self.stage.services.items():
            assert isinstance(service, Watched)
            for code in service.ends:
                if code in (0, 1, exits.EXIT_AGAIN):
                    met[f"ended by itself ({code})"] += 1
                elif code != -signal.SIGKILL:
                    wrong.append(f"{name} ended by itself ({code})")
            service.ends.clear()
        return wrong

    def _trouble(self, rules: Sequence[Rule]) -> None:
        root = self.stage.parts.monday_url.rsplit("/", 1)[0]
        asked = urllib.request.Request(f"{root}/admin/faults", data=Rules.dump_json(tuple(rules)), method="POST")
        with urllib.request.urlopen(asked, timeout=10) as answer:
            json.load(answer)

    def _faults(self) -> Counter[str]:
        return Counter(self.stage.stats()["faults_fired"])

    def _times(self, played: Schedule, deaths: Sequence[recovery.WorkerDeath], down: float) -> recovery.Times:
        """`down`: when a worker was taken away."""
        times = recovery.Times()
        troubled = any(isinstance(act, Trouble) and act.hides for _, act in played.steps)
        for death in deaths:
            waited = recovery.to_next_write(self.stage.parts, death.at, self._away) if death.writer else None
            # A writer that died again meanwhile counts from its last death.
            if waited is None or any(other.writer and death.at < other.at < death.at + waited[0] for other in deaths):
                continue
            seconds, under_load = waited
            usual = times.recovery if recovery.alone(death, deaths, seconds) else times.several_died
            # Who stays down is waited for by its group, whoever else is back.
            usual = times.takeover if down < death.at + seconds else usual
            kind = times.board_in_trouble if troubled else usual if under_load else times.all_in_doubt
            kind.setdefault(death.where, []).append(seconds)
        return times

    def _say(self, text: str) -> None:
        if self.told:
            print(f"    {text}", flush=True)


@contextmanager
def player(
    home: Path, *, orders: int = 0, seed: int = 0, workers: int = WORKERS, pure: bool = False, plant: str = "",
    told: bool = False, in_flight: float = demo.IN_FLIGHT,
) -> Iterator[Player]:  # fmt: skip
    """On a fresh stage, which may have sample orders to begin with. On every stage a seed plays the same schedule."""
    with ExitStack() as stack:
        made = stack.enter_context(
            stage(
                home,
                orders=orders,
                seed=seed,
                workers=workers,
                minute=MINUTE,
                pure=pure,
                plant=plant,
                prepare=oracle.watch,
                monday_in_flight=in_flight,
                **QUICK,
            )
        )
        live = made.parts.orders.columns()
        author = Author([name for name, _ in live], sizes.size_columns(live, made.parts.mappings.board.sizes))
        yield Player(made, author, told)
