"""python -m benchmarks.bench_recovery: how long is the board without a writer when that is killed with SIGKILL?

Two supervised workers on a stage of real processes, with a backlog that outlasts the run. The writer is killed at
random times: its supervisor has a standby go on; or it is held down, and the other worker takes over. Measured from the
death to the next request that the journal closes as done. The logs of the workers say where the time goes.
"""

import argparse
import json
import math
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors import database
from tests.chaos.real import recovery
from tests.chaos.real.stage import Stage, stage

GOALS = {"restarted": recovery.GOALS["recovery"], "taken over": recovery.GOALS["takeover"]}
# 40 mutations a second: work waits all the time, and the machine is not kept busy by writing.
MINUTE = 1.0
LIMITS = {"complexity_per_minute": 1_200_000, "calls_per_day": 1_000_000}
# Until it is killed, the writer writes for so long, in seconds: its standby is loaded by then.
WRITES = (4.0, 6.0)
GIVE_UP = 60.0
SAID = re.compile(r"^(\S+ \S+) INFO \S+: (worker \S+ works|the lease of the board is ours)", re.MULTILINE)


@dataclass(frozen=True)
class Recovery:
    """Seconds from a death to the heir's word that it works (None if it did before), to its lease, to its first
    confirmed write. `by_another`: the heir is not the one that died.
    """

    by_another: bool
    started: float | None
    leased: float
    wrote: float


def writer(shown: Stage) -> str:
    """The worker that noted the newest grant of the lease."""
    notes = (shown.parts.settings.home / "locks").glob("*.lease")
    newest = max(notes, key=lambda note: int(json.loads(note.read_text())["token"]))
    return newest.stem


def last_write(shown: Stage) -> float:
    """When the newest confirmed request was closed, in seconds since the epoch; 0 when there is none."""
    with shown.parts.db.read() as session:
        found = session.value("SELECT MAX(finished_at) FROM SYNC_Requests WHERE outcome = 'DONE'")
    return database.from_db_time(str(found)).timestamp() if found else 0.0


def written_after(shown: Stage, moment: float) -> float:
    """When the first request after a moment was closed."""
    deadline = time.monotonic() + GIVE_UP
    while (found := last_write(shown)) <= moment:
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing was written for {GIVE_UP:g} s: {shown.parts.settings.home / 'logs'}")
        time.sleep(0.02)
    return found


def strike(shown: Stage, *, held: bool) -> Recovery:
    """Kills the writer, and waits for the next write."""
    name = writer(shown)
    service = shown.services[name]
    child = service.child
    assert child is not None
    if held:
        shown.take_away(name)
    else:
        # Its growing pauses are for a worker that keeps ending by itself.
        service.pauses.ends = 0
        shown.kill(name)
        child.wait()
    died = time.time()
    wrote = written_after(shown, died)
    heir = writer(shown)
    said = [(text, at) for text, at in _said(shown.log(heir)) if died <= at <= wrote]
    leased = max(at for text, at in said if "lease" in text)
    started = next((at for text, at in said if "works" in text), None)
    if held:
        bring_back(shown, name, service.log)
    return Recovery(heir != name, None if started is None else started - died, leased - died, wrote - died)


def bring_back(shown: Stage, name: str, log: Path) -> None:
    """Starts a worker that was held down, and waits until it works: the next heir must not be just starting."""
    before = len(_said(log.read_text()))
    shown.add_worker(name)
    deadline = time.monotonic() + GIVE_UP
    while len(_said(log.read_text())) == before:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} did not start within {GIVE_UP:g} s: {shown.parts.settings.home / 'logs'}")
        time.sleep(0.05)


def _said(log: str) -> list[tuple[str, float]]:
    """What a log tells of it, and when: local time, to the millisecond."""
    return [
        (text, time.mktime(time.strptime(at[:19], "%Y-%m-%d %H:%M:%S")) + int(at[20:]) / 1000)
        for at, text in SAID.findall(log)
    ]


def told(name: str, found: Sequence[Recovery]) -> bool:
    """Prints one line; whether its goal is met. Nothing was measured, nothing is told."""
    if not found:
        return True
    whole = [one.wrote for one in found]
    p99 = recovery.percentile(whole, 99)
    good = p99 <= GOALS[name]
    parts: dict[str, Callable[[Recovery], float | None]] = {
        "to_works": lambda one: one.started,
        "to_lease": lambda one: one.leased,
        "to_write": lambda one: one.wrote,
    }
    medians = {
        part: recovery.percentile([s for one in found if (s := of(one)) is not None], 50) for part, of in parts.items()
    }
    shares = " ".join(f"{part}={seconds:.1f}" for part, seconds in medians.items() if not math.isnan(seconds))
    print(
        f"{name}: n={len(found)} by_another={sum(one.by_another for one in found)} "
        f"p50_s={recovery.percentile(whole, 50):.1f} p99_s={p99:.1f} max_s={max(whole):.1f} "
        f"goal_p99_s={GOALS[name]:g} medians: {shares} "
        f"{'ok' if good else 'MISSED'}",
        flush=True,
    )
    return good


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_recovery", description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="of a writer that is started again")
    parser.add_argument("--held", type=int, default=15, help="of a writer that is held down")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(given)
    rng = random.Random(chosen.seed)
    # Some 7 mutations an order, at 40 a second, for the 10 s that a kill and what follows may take.
    orders = max(200, (chosen.kills + chosen.held) * 60)
    with (
        tempfile.TemporaryDirectory(prefix="bench-recovery-") as name,
        stage(
            Path(name) / "stage", orders=orders, seed=chosen.seed, workers=2, minute=MINUTE, monday_limits=LIMITS
        ) as shown,
    ):
        written_after(shown, 0.0)

        def strikes(count: int, *, held: bool) -> list[Recovery]:
            found = []
            for _ in range(count):
                time.sleep(rng.uniform(*WRITES))
                found.append(strike(shown, held=held))
            return found

        good = told("restarted", strikes(chosen.kills, held=False))
        good &= told("taken over", strikes(chosen.held, held=True))
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
