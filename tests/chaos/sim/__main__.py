"""python -m tests.chaos.sim --n 10000 --seed 1: seeded schedules of the whole flow, in one process, in made-up time."""

import argparse
import sys
import time
from collections import Counter

from tests.chaos.judge import Verdict
from tests.chaos.sim import play, pool, world
from tests.chaos.sim.script import schedule


def tell(seed: int) -> Verdict:
    """The story of a seed: what was in store, every effect, and how it ended."""
    world.silent()
    print(schedule(seed))
    told: list[str] = []
    with play.prepared() as made:
        found = play.verdict(schedule(seed), made, told=told)
    print("\n".join(told))
    return found


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.sim", description=__doc__)
    parser.add_argument("--n", type=int, default=1000, help="how many schedules")
    parser.add_argument("--seed", type=int, default=1, help="the first one; the others follow")
    parser.add_argument("--only", type=int, help="play this one alone, and tell it")
    parser.add_argument("-x", "--exitfirst", action="store_true", help="end with the first that fails")
    parser.add_argument("--jobs", type=int, default=0, help="processes; one a core if not given")
    asked = parser.parse_args(given)
    started = time.monotonic()
    found: dict[int, Verdict] = {}
    if asked.only is not None:
        found[asked.only] = tell(asked.only)
    else:
        for seed, one in pool.verdicts(range(asked.seed, asked.seed + asked.n), asked.jobs):
            found[seed] = one
            if asked.exitfirst and not one.holds:
                break
    for seed, one in found.items():
        if not one.holds:
            print(f"seed {seed} (again: python -m tests.chaos.sim --only {seed})\n{one}")
    met: Counter[str] = Counter()
    for one in found.values():
        met.update(one.met)
    print("met: " + ", ".join(f"{name} {n}" for name, n in sorted(met.items())))
    counts = {name: sum(len(one.wrong[name]) for one in found.values()) for name in Verdict().wrong}
    print(
        f"schedules={len(found)} lost={counts['lost']} duplicates={counts['duplicates']} "
        f"inversions={counts['inversions']} other={counts['other']} seconds={time.monotonic() - started:.0f}"
    )
    return 0 if all(one.holds for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
