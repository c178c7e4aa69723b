"""python -m benchmarks.bench_recovery: how long is the board without a writer after SIGKILL?

Two supervised workers run on a stage of real processes, with a backlog that outlasts the run. The benchmark kills the
writer at random times: either its supervisor continues with a standby, or the writer stays down and the other worker
takes over. The figure is the time from the kill to the next request that the journal closes as done. The logs of the
workers show the parts of this time.
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
# 40 mutations a second: work waits all the time, and writing does not keep the machine busy.
MINUTE = 1.0
LIMITS = {"complexity_per_minute": 1_200_000, "calls_per_day": 1_000_000}
# The seconds that a writer writes before the kill: by then its standby has loaded.
WRITES = (4.0, 6.0)
GIVE_UP = 60.0
LINES = re.compile(r"^(\S+ \S+) INFO \S+: (worker \S+ works|the lease of the board is ours)", re.MULTILINE)


@dataclass(frozen=True)
class Recovery:
    """Seconds from the kill until the next writer logs that it works (None if it worked already), has the lease, and
    has its first confirmed write. `by_another`: the next writer is the other worker.
    """

    by_another: bool
    started: float | None
    leased: float
    wrote: float


def writer(shown: Stage) -> str:
    """The name of the worker with the newest grant of the lease."""
    notes = (shown.parts.settings.home / "locks").glob("*.lease")
    newest = max(notes, key=lambda note: int(json.loads(note.read_text())["token"]))
    return newest.stem


def last_write(shown: Stage) -> float:
    """The time when the newest confirmed request was closed, in seconds since 1970; 0 without one."""
    with shown.parts.db.read() as session:
        finished = session.value("SELECT MAX(finished_at) FROM SYNC_Requests WHERE outcome = 'DONE'")
    return database.from_db_time(str(finished)).timestamp() if finished else 0.0


def written_after(shown: Stage, moment: float) -> float:
    """Wait for the first request that is closed after `moment`; returns its time. Raises TimeoutError."""
    deadline = time.monotonic() + GIVE_UP
    while (written := last_write(shown)) <= moment:
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing was written for {GIVE_UP:g} s: {shown.parts.settings.home / 'logs'}")
        time.sleep(0.02)
    return written


def strike(shown: Stage, *, stays_down: bool) -> Recovery:
    """Kill the writer and wait for the next write. `stays_down`: the writer stays down until then."""
    name = writer(shown)
    service = shown.services[name]
    child = service.child
    assert child is not None
    if stays_down:
        shown.take_away(name)
    else:
        # The supervisor's growing pauses are for a worker that ends repeatedly by itself.
        service.pauses.ends = 0
        shown.kill(name)
        child.wait()
    killed = time.time()
    wrote = written_after(shown, killed)
    successor = writer(shown)
    lines = [(text, at) for text, at in _log_lines(shown.log(successor)) if killed <= at <= wrote]
    leased = max(at for text, at in lines if "lease" in text)
    started = next((at for text, at in lines if "works" in text), None)
    if stays_down:
        bring_back(shown, name, service.log)
    return Recovery(successor != name, None if started is None else started - killed, leased - killed, wrote - killed)


def bring_back(shown: Stage, name: str, log: Path) -> None:
    """Start a worker that was down, and wait until it works, so that it can be the next writer. Raises TimeoutError."""
    before = len(_log_lines(log.read_text()))
    shown.add_worker(name)
    deadline = time.monotonic() + GIVE_UP
    while len(_log_lines(log.read_text())) == before:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} did not start within {GIVE_UP:g} s: {shown.parts.settings.home / 'logs'}")
        time.sleep(0.05)


def _log_lines(log: str) -> list[tuple[str, float]]:
    """The lines of a log that match LINES, with their times to the millisecond; the log has local time."""
    return [
        (text, time.mktime(time.strptime(at[:19], "%Y-%m-%d %H:%M:%S")) + int(at[20:]) / 1000)
        for at, text in LINES.findall(log)
    ]


def report(name: str, recoveries: Sequence[Recovery]) -> bool:
    """Print one line, unless nothing was measured; returns whether the goal is met."""
    if not recoveries:
        return True
    seconds = [each.wrote for each in recoveries]
    p99 = recovery.percentile(seconds, 99)
    good = p99 <= GOALS[name]
    parts: dict[str, Callable[[Recovery], float | None]] = {
        "to_works": lambda each: each.started,
        "to_lease": lambda each: each.leased,
        "to_write": lambda each: each.wrote,
    }
    medians = {
        part: recovery.percentile([s for each in recoveries if (s := read(each)) is not None], 50)
        for part, read in parts.items()
    }
    shares = " ".join(f"{part}={median:.1f}" for part, median in medians.items() if not math.isnan(median))
    print(
        f"{name}: n={len(recoveries)} by_another={sum(each.by_another for each in recoveries)} "
        f"p50_s={recovery.percentile(seconds, 50):.1f} p99_s={p99:.1f} max_s={max(seconds):.1f} "
        f"goal_p99_s={GOALS[name]:g} medians: {shares} "
        f"{'ok' if good else 'MISSED'}",
        flush=True,
    )
    return good


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_recovery", description=__doc__)
    parser.add_argument("--kills", type=int, default=60, help="kills after which the writer is restarted")
    parser.add_argument("--held", type=int, default=15, help="kills after which the writer stays down")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(given)
    rng = random.Random(options.seed)
    # About 7 mutations for each order, at 40 a second, for the 10 s that one kill and its recovery may take.
    orders = max(200, (options.kills + options.held) * 60)
    with (
        tempfile.TemporaryDirectory(prefix="bench-recovery-") as name,
        stage(
            Path(name) / "stage", orders=orders, seed=options.seed, workers=2, minute=MINUTE, monday_limits=LIMITS
        ) as shown,
    ):
        written_after(shown, 0.0)

        def strikes(count: int, *, stays_down: bool) -> list[Recovery]:
            recoveries = []
            for _ in range(count):
                time.sleep(rng.uniform(*WRITES))
                recoveries.append(strike(shown, stays_down=stays_down))
            return recoveries

        good = report("restarted", strikes(options.kills, stays_down=False))
        good &= report("taken over", strikes(options.held, stays_down=True))
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
