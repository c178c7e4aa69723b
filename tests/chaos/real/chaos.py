"""python -m tests.chaos.real.chaos --n 200 --seed 1: seeded schedules on real processes, then the named scenarios.

A stage (a Kafka of its own, the bundled board, a supervised poller, two workers) serves twenty schedules, one after the
other; every second stage runs Faust's pure-Python build. After each schedule source, production and board have to be
equal, nothing may be there twice, no version after a newer one, and every event has to be accounted for.
"""

import argparse
import functools
import importlib
import itertools
import logging
import math
import multiprocessing
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from streams.sync.in_doubt import API_TIMEOUT
from tests.chaos.judge import Verdict
from tests.chaos.real import play, recovery
from tests.chaos.real.outcome import Outcome, Scenario

PER_STAGE = 20
SCENARIOS_OF = ("tests.chaos.real.trouble", "tests.chaos.real.in_flight", "tests.chaos.real.scale")
# So many schedules measure everything; fewer may not bring it about.
MANY = 100


@dataclass
class Result:
    """What became of many schedules."""

    verdicts: dict[int, Verdict] = field(default_factory=dict)
    times: recovery.Times = field(default_factory=recovery.Times)

    @property
    def holds(self) -> bool:
        return all(verdict.holds for verdict in self.verdicts.values())

    @property
    def met(self) -> Counter[str]:
        return sum((verdict.met for verdict in self.verdicts.values()), Counter())

    def count(self, name: str) -> int:
        """How many deviations of a kind."""
        return sum(len(verdict.wrong[name]) for verdict in self.verdicts.values())

    def told(self, seconds: float) -> Iterator[str]:
        """What is printed in the end."""
        yield "met: " + ", ".join(f"{name} {n}" for name, n in sorted(self.met.items()))
        yield from self.times.by_place()
        wrong = " ".join(f"{name}={self.count(name)}" for name in Verdict().wrong)
        p99 = " ".join(f"{name}_p99_s={_measured(self.p99(name))}" for name in recovery.GOALS)
        yield f"schedules={len(self.verdicts)} {wrong} {p99} seconds={seconds:.0f}"

    def p99(self, name: str) -> float:
        """Of a field of recovery.Times, in seconds; NaN when it was not measured."""
        return recovery.percentile(itertools.chain.from_iterable(getattr(self.times, name).values()), 99)

    def slow(self) -> list[str]:
        """The goals that were missed; by many schedules also what none of them measured: that proves nothing."""
        found = [(name, self.p99(name), goal) for name, goal in recovery.GOALS.items()]
        missed = [f"{name} p99 is {seconds:.1f} s, not {goal:g}" for name, seconds, goal in found if seconds > goal]
        if len(self.verdicts) >= MANY:
            missed += [
                f"{name} was not measured in {len(self.verdicts)} schedules"
                for name, seconds, _ in found
                if math.isnan(seconds)
            ]
            if not self.met[play.JOINED]:
                missed.append(f"no worker joined in {len(self.verdicts)} schedules")
        return missed


def _measured(seconds: float) -> str:
    return "not measured" if math.isnan(seconds) else f"{seconds:.1f}"


def run_beside(seeds: Sequence[int], jobs: int) -> Result:
    """The same on so many stages at once, each with a broker and a board of its own."""
    result = Result()
    blocks = [list(some) for _, some in itertools.groupby(seeds, key=lambda seed: (seed - 1) // PER_STAGE)]
    with _processes(jobs) as pool:
        for one in pool.map(run, blocks):
            result.verdicts |= one.verdicts
            result.times.add(one.times)
    return result


def _processes(jobs: int) -> ProcessPoolExecutor:
    quiet = functools.partial(logging.basicConfig, level=logging.CRITICAL)
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=quiet)


def run(
    seeds: Sequence[int], *, plant: str = "", told: bool = False, first: bool = False, in_flight: float = API_TIMEOUT
) -> Result:
    """Plays these seeds. A stage that failed serves no further seed; `first` ends with the first that fails.

    `in_flight`: seconds for which a request without an answer may still be carried out.
    """
    play_on = functools.partial(play.player, plant=plant, told=told, in_flight=in_flight)
    result = Result()
    for pure, some in itertools.groupby(seeds, key=lambda seed: (seed - 1) // PER_STAGE % 2 == 1):
        left = list(some)
        while left:
            left = _on_one_stage(left[:PER_STAGE], result, functools.partial(play_on, pure=pure)) + left[PER_STAGE:]
            if first and not result.holds:
                return result
    return result


def _on_one_stage(
    seeds: list[int], result: Result, player_on: Callable[[Path], AbstractContextManager[play.Player]]
) -> list[int]:
    """Plays until one fails. The seeds that are left."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="chaos-real-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        player = stack.enter_context(player_on(home / "stage"))
        for at, seed in enumerate(seeds, start=1):
            began, times = time.monotonic(), recovery.Times()
            try:
                verdict, times = player.play(seed)
            except Exception:
                verdict = Verdict(other=[traceback.format_exc()])
            result.verdicts[seed] = verdict
            result.times.add(times)
            slow = times.over()
            _progress(seed, verdict, slow, time.monotonic() - began)
            if slow or not verdict.holds:
                kept = Path(tempfile.gettempdir()) / f"chaos-real-logs-{seed}"
                shutil.copytree(player.stage.parts.settings.home / "logs", kept, dirs_exist_ok=True)
                print(f"  logs of the stage: {kept}", flush=True)
            if not verdict.holds:
                return seeds[at:]
    return []


def _progress(seed: int, verdict: Verdict, slow: Sequence[str], seconds: float) -> None:
    state = "ok" if verdict.holds else f"FAILED (again: python -m tests.chaos.real.chaos --only {seed})\n{verdict}"
    print(f"seed {seed}: {', '.join([state, *slow])}, {seconds:.1f} s", flush=True)


def scenarios(module: str) -> dict[str, Scenario]:
    """The named scenarios of a module. Raises ImportError when it is not there."""
    found: dict[str, Scenario] = importlib.import_module(module).SCENARIOS
    return found


def play_scenario(module: str, name: str, seed: int) -> bool:
    """Plays one in an empty folder, and prints its line. Whether all was well."""
    with tempfile.TemporaryDirectory(prefix=f"chaos-{name}-", ignore_cleanup_errors=True) as folder:
        began = time.monotonic()
        try:
            outcome = scenarios(module)[name](Path(folder), seed)
        except Exception:
            outcome = Outcome(ok=False, wrong=[traceback.format_exc()])
    outcome.figures.setdefault("seconds", time.monotonic() - began)
    print("\n".join([outcome.line(name), *(f"  {wrong}" for wrong in outcome.wrong)]), flush=True)
    return outcome.ok


def play_scenarios(seed: int, jobs: int) -> bool:
    """Plays all of them, those of one module beside each other: most of them wait for most of their time."""
    good = True
    for module in SCENARIOS_OF:
        with _processes(jobs) as pool:
            playing = [pool.submit(play_scenario, module, name, seed) for name in scenarios(module)]
            good &= all([one.result() for one in playing])
    return good


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.real.chaos", description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="how many schedules")
    parser.add_argument("--seed", type=int, default=1, help="the first one; the others follow")
    parser.add_argument("--only", type=int, help="play this one alone on a fresh stage, and tell it")
    parser.add_argument("--jobs", type=int, default=1, help="how many stages, then scenarios, at once")
    parser.add_argument("--scenario", help="play this named scenario alone")
    parser.add_argument("--scenarios", choices=("all", "none"), default="all", help="after the schedules")
    parser.add_argument("-x", "--exitfirst", action="store_true", help="end with the first schedule that fails")
    told = parser.parse_args(given)
    logging.basicConfig(level=logging.INFO if told.only else logging.CRITICAL, format="%(name)s: %(message)s")
    if told.scenario:
        named = {name: module for module in SCENARIOS_OF for name in scenarios(module)}
        if told.scenario not in named:
            parser.error(f"no scenario {told.scenario!r}: {', '.join(named)}")
        return 0 if play_scenario(named[told.scenario], told.scenario, told.seed) else 1
    seeds = [told.only] if told.only is not None else range(told.seed, told.seed + told.n)
    began = time.monotonic()
    if told.jobs > 1:
        result = run_beside(seeds, told.jobs)
    else:
        result = run(seeds, told=told.only is not None, first=told.exitfirst)
    print("\n".join(result.told(time.monotonic() - began)), flush=True)
    for slow in result.slow():
        print(slow)
    played = told.scenarios == "none" or told.only is not None or play_scenarios(told.seed, told.jobs)
    return 0 if result.holds and not result.slow() and played else 1


if __name__ == "__main__":
    sys.exit(main())
