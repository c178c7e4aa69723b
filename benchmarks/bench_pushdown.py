"""python -m benchmarks.bench_pushdown: what does detection on SQL Server cost, against reading the table?

On the server of ORDERSYNC_TEST_SQLSERVER (a full ODBC connection string), in a database of its own that is dropped at
the end: a bare SELECT of the watched columns; the server's compare, with nothing and with some rows changed; and the
compare here, which pulls every row. Medians of runs in turn, so that what disturbs one disturbs all: the ratios count.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from connectors import database, samples
from connectors.tables import chunks, orders, orders_pushdown
from mappings import columns, hashing, loading, sizes
from schemas import detection
from schemas.batches import SyncState
from sql import identifiers
from streams.commands import setup
from tests.contracts import engines

# Against the bare SELECT, and against pulling every row and hashing it here.
GOAL_BARE, GOAL_CLIENT = 1.0, 0.65
CHUNK = 1000


@dataclass(frozen=True)
class Bench:
    """A filled table whose every row has its snapshot, and both ways to look at it."""

    db: database.Database
    pushed: orders_pushdown.PushdownOrders
    client: orders.Orders
    watched: tuple[str, ...]

    def bare(self) -> int:
        """Fetches the watched columns of every row."""
        with self.db.read() as session:
            statement = f"SELECT {identifiers.listed(self.watched)} FROM ORDERS_UNIFIED"
            return sum(1 for _ in session.stream(statement))

    def on_server(self) -> int:
        """Rows that differ and rows that left, as the server finds them."""
        return sum(1 for _ in self.pushed.scan(self.watched)) + len(self.pushed.deleted())

    def here(self) -> int:
        """The same, as they are found here."""
        return sum(known != hashing.row_hash(text) for _, known, text, _ in self.client.scan(self.watched))


def prepare(db: database.Database, *, rows: int, seed: int) -> Bench:
    """Fills the empty tables; the server's first looks note its hashes."""
    client = orders.Orders(db, _now)
    mappings = loading.load()
    live = client.columns()
    size_columns = sizes.size_columns(live, mappings.board.sizes)
    made = samples.generate(seed=seed, orders=rows * 2, columns=[name for name, _ in live], size_columns=size_columns)
    valid = islice((sample.row for sample in made if sample.expected is samples.Expected.VALID), rows)
    while some := list(islice(valid, CHUNK)):
        with db.write() as session:
            for row in some:
                setup.insert_order(session, row)
    pushed = orders_pushdown.PushdownOrders(db, _now, hashing.row_hash)
    bench = Bench(db, pushed, client, columns.watched(mappings, size_columns))
    known = [(uuid, hashing.row_hash(text)) for uuid, _, text, _ in client.scan(bench.watched)]
    for chunk in chunks.batched(known, CHUNK):
        client.move_snapshots([_snapshot(uuid, row_hash) for uuid, row_hash in chunk])
    for _ in range(0, rows, orders_pushdown.AFTER_SCAN):
        bench.on_server()
        pushed.note_unchanged()
    return bench


def change(db: database.Database, rows: int) -> None:
    """Edits one cell of so many rows."""
    uuids = list(islice(orders_pushdown.PushdownOrders(db, _now, hashing.row_hash).identities(), rows))
    with db.write() as session:
        session.execute_many(
            "UPDATE ORDERS_UNIFIED SET NOTES = ? WHERE record_uuid = ?", [("edited", u) for u in uuids]
        )


def measure(bench: Bench, *, rows: int, changed: int, runs: int) -> dict[str, float]:
    """Median seconds by what was done. Each way has to see exactly the changes that there are."""
    taken: dict[str, list[float]] = {}

    def timed(name: str, look: Callable[[], int], expected: int) -> None:
        begun = time.perf_counter()
        seen = look()
        taken.setdefault(name, []).append(time.perf_counter() - begun)
        if seen != expected:
            raise SystemExit(f"{name} saw {seen}, not {expected}")

    for _ in range(runs):
        timed("bare", bench.bare, rows)
        timed("server", bench.on_server, 0)
        timed("client", bench.here, 0)
    change(bench.db, changed)
    for _ in range(runs):
        timed("server, some changed", bench.on_server, changed)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def report(medians: dict[str, float]) -> bool:
    """Prints every figure; whether both goals are met."""
    for name, seconds in medians.items():
        print(f"{name}: {seconds:.2f} s, {seconds / medians['bare']:.2f} x bare")
    met = True
    for against, goal in (("bare", GOAL_BARE), ("client", GOAL_CLIENT)):
        ratio = medians["server"] / medians[against]
        met &= ratio <= goal
        print(f"server / {against} = {ratio:.2f}, goal {goal:.2f}: {'ok' if ratio <= goal else 'MISSED'}")
    return met


def _now() -> datetime:
    return datetime.now(UTC)


def _snapshot(uuid: str, row_hash: str) -> detection.Snapshot:
    return detection.Snapshot(
        record_uuid=uuid,
        row_hash=row_hash,
        version=1,
        customer="C",
        batch_id=None,
        planned_mutations=0,
        state=SyncState.IN_SYNC,
        row={},
    )


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_pushdown", description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--changed", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args(given)
    if reason := engines.why_not("sqlserver"):
        print(f"nothing was measured: {reason}")
        return 1
    with engines.given_server() as server, engines.own_database(server) as text:
        db = engines.sqlserver(text)
        try:
            db.apply_schema(_now())
            bench = prepare(db, rows=told.rows, seed=told.seed)
            medians = measure(bench, rows=told.rows, changed=told.changed, runs=told.runs)
        finally:
            db.close()
    return int(not report(medians))


if __name__ == "__main__":
    sys.exit(main())
