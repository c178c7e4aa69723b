"""python -m benchmarks.bench_verify: what does a full verify cost, compared with reading its source rows?

On an embedded database of its own it makes sample orders, settles them with the real steps, and times in alternation a
bare SELECT of the watched columns, a thorough verify, and the slices of the worker. The goals are ratios of medians in
this run; all of it is CPU time of one thread, because other programs share the machine.
"""

import argparse
import gc
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from connectors import samples
from connectors.tables import chunks
from mappings import columns, sizes
from schemas import events
from sql import identifiers
from streams.detect import guard
from streams.reconcile import verify
from streams.runtime import verify_slices
from tests.support import factories

# The largest ratio of a full verify to reading its rows, and the share of a core that the slices may take.
GOAL, SHARE = 3.0, 0.05
WITHIN = 900.0
PORTION = 1_000


@dataclass(frozen=True)
class Bench:
    """A settled table and its verifier."""

    world: factories.World
    watched: tuple[str, ...]
    verifier: verify.Verifier

    def bare(self) -> int:
        """Reads the watched columns of every row; returns the number of rows."""
        with self.world.db.read() as session:
            statement = f"SELECT {identifiers.listed(self.watched)} FROM ORDERS_UNIFIED"
            return sum(1 for _ in session.stream(statement))

    def full(self) -> int:
        """Verifies every row; returns the number of rows. Raises RuntimeError if anything is wrong."""
        report = self.verifier.check(thorough=True)
        if report.wrong or report.undetected:
            raise RuntimeError(f"{len(report.wrong)} wrong, {report.undetected} undetected: {report.wrong[:3]}")
        return report.source_rows

    def quick(self) -> int:
        """Counts the states of all rows, as the worker does every minute."""
        return self.verifier.check(thorough=False).source_rows

    def slices(self) -> int:
        """One round of the worker's slices, without its pauses; returns the number of orders."""
        after, rows = "", 0
        while True:
            found = self.verifier.look(after, verify_slices.COUNT)
            rows += found.rows
            if not found.last:
                return rows
            after = found.last


def prepare(world: factories.World, rows: int, seed: int, told: Callable[[str], None]) -> Bench:
    """Fills the tables and settles every order."""
    live = world.orders.columns()
    size_columns = sizes.size_columns(live, world.mappings.board.sizes)
    names = [name for name, _ in live]
    made = samples.generate(seed=seed, orders=rows, columns=names, size_columns=size_columns)
    statement = f"INSERT INTO ORDERS_UNIFIED ({identifiers.listed(names)}) VALUES ({', '.join('?' * len(names))})"
    for some in _portions(made):
        with world.db.write() as session:
            session.execute_many(statement, [tuple(one.row.get(name) for name in names) for one in some])
    told(f"{rows:,} source rows")
    changed: list[events.OrderChanged] = world.passed(
        window=10**9, limits=guard.Limits(deleted=1, changed=1, rows=10 * rows, created=1, created_rows=10 * rows)
    )
    for n, portion in enumerate(chunks.batched(changed, PORTION), start=1):
        world.settle(*portion)
        told(f"{min(n * PORTION, len(changed)):,} of {len(changed):,} orders settled")
    return Bench(world, columns.watched(world.mappings, size_columns), world.verifier())


def main() -> int:
    """Prints the ratios; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()

    def told(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder, factories.world(Path(folder)) as world:
        bench = prepare(world, asked.rows, asked.seed, told)
        # A process that verifies has none of the objects that filled the tables.
        gc.collect()
        gc.freeze()
        timed: dict[str, list[float]] = {name: [] for name in ("bare", "full", "quick", "slices")}
        for _ in range(asked.runs):
            for name, seconds in timed.items():
                began = time.thread_time()
                getattr(bench, name)()
                seconds.append(time.thread_time() - began)
    bare, full, quick, slices = (statistics.median(seconds) for seconds in timed.values())
    each = asked.rows / 1e6
    print(f"{asked.rows:,} rows of {len(bench.watched)} columns, CPU seconds (microseconds a row), medians")
    print(f"  reading them             {bare:7.2f} ({bare / each:.0f})")
    print(f"  full verify              {full:7.2f} ({full / each:.0f})   {full / bare:.2f} x reading, goal {GOAL:g}")
    print(f"  states alone             {quick:7.2f} ({quick / each:.0f})")
    share = slices / WITHIN
    print(f"  the worker's slices      {slices:7.2f} ({slices / each:.0f})   {share:.1%} of a core in "
          f"{WITHIN / 60:g} minutes, goal {SHARE:.0%}")  # fmt: skip
    return int(full > GOAL * bare or share > SHARE)


def _portions(rows: Iterator[samples.SampleRow]) -> Iterator[list[samples.SampleRow]]:
    while some := list(itertools.islice(rows, PORTION)):
        yield some


if __name__ == "__main__":
    sys.exit(main())
