"""python -m tests.chaos.mutants: which planted bug is caught by which level of the crash harness.

The simulated level goes first; real processes try what it does not see. 1 if a bug is caught by neither, or if a trial
on real processes finds fault without any bug: such a trial would prove nothing.
"""

import argparse
import functools
import importlib
import logging
import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from tests.chaos import planted
from tests.chaos.real import mutants as real

SIMULATED = "tests.chaos.sim.mutants"
SCHEDULES = 200


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutants", description=__doc__)
    parser.add_argument("--plant", choices=[*planted.PLANTS], help="this bug alone")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--level", choices=("both", "simulated", "real"), default="both")
    told = parser.parse_args(given)
    logging.basicConfig(level=logging.CRITICAL)
    names = [told.plant] if told.plant else [*planted.PLANTS]
    table = Table("bug", "what it is", "simulated", "real", title="Planted bugs, and what catches them")
    missed, tried = [], []
    for name in names:
        simulated = _simulated(name, told.seed) if told.level != "real" else None
        by_real = None
        if simulated is None and told.level != "simulated":
            by_real = _timed(name, functools.partial(real.caught, name, told.seed))
            tried.append(real.TRIALS.get(name, real.schedules))
        if simulated is None and by_real is None:
            missed.append(name)
        table.add_row(name, planted.PLANTS[name].what, _cell(simulated), _cell(by_real))
    for trial in dict.fromkeys(tried):
        if fault := _timed(f"no bug: {trial.__name__}", functools.partial(trial, "", told.seed)):
            missed.append(f"no bug, and yet {trial.__name__} finds: {fault}")
    Console(width=180).print(table)
    print(f"bugs={len(names)} missed={len(missed)}")
    print("\n".join(f"  {one}" for one in missed))
    return 1 if missed else 0


def _simulated(name: str, seed: int) -> str | None:
    """Imported here: `--level real` needs nothing of it."""
    caught: Callable[..., str | None] = importlib.import_module(SIMULATED).caught
    return _timed(f"{name}, simulated", lambda: caught(name, n=SCHEDULES, seed=seed))


def _timed(what: str, trial: Callable[[], str | None]) -> str | None:
    began = time.monotonic()
    found = trial()
    print(f"{what}: {_cell(found)} ({time.monotonic() - began:.0f} s)", flush=True)
    return found


def _cell(found: str | None) -> str:
    return "-" if found is None else found.strip().splitlines()[0][:120]


if __name__ == "__main__":
    sys.exit(main())
