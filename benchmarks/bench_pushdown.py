"""python -m benchmarks.bench_pushdown: what does detection on SQL Server cost, compared with a read of the table?

On the server of ORDERSYNC_TEST_SQLSERVER (a full ODBC connection string), in its own database that is dropped at the
end, it times a bare SELECT of the watched columns; the comparison on the server, without and with changed rows; and the
comparison in this process, which reads every row. The runs alternate, so that a disturbance affects all of them, and
the goals are ratios of medians.
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

# The largest ratios to the bare SELECT, and to reading and hashing every row here.
GOAL_BARE, GOAL_CLIENT = 1.0, 0.65
CHUNK = 1000


@dataclass(frozen=True)
class Bench:
    """A filled table with a snapshot row for each row, and both ways of detection."""

    db: database.Database
    pushed: orders_pushdown.PushdownOrders
    client: orders.Orders
    watched: tuple[str, ...]

    def bare(self) -> int:
        """Read the watched columns of every row; returns the number of rows."""
        with self.db.read() as session:
            statement = f"SELECT {identifiers.listed(self.watched)} FROM ORDERS_UNIFIED"
            return sum(1 for _ in session.stream(statement))

    def on_server(self) -> int:
        """The number of changed and deleted rows, compared on the server."""
        return sum(1 for _ in self.pushed.scan(self.watched)) + len(self.pushed.deleted())

    def here(self) -> int:
        """The number of changed rows, compared in this process."""
        row_hash = hashing.RowHasher(self.watched)
        return sum(known != row_hash(text) for _, known, text, _ in self.client.scan(self.watched))


def prepare(db: database.Database, *, rows: int, seed: int) -> Bench:
    """Fill the empty tables; the first scans on the server store its hashes."""
    client = orders.Orders(db, _now)
    mappings = loading.load()
    live = client.columns()
    size_columns = sizes.size_columns(live, mappings.board.sizes)
    generated = samples.generate(
        seed=seed, orders=rows * 2, columns=[name for name, _ in live], size_columns=size_columns
    )
    valid = islice((sample.row for sample in generated if sample.expected is samples.Expected.VALID), rows)
    while chunk := list(islice(valid, CHUNK)):
        with db.write() as session:
            for row in chunk:
                setup.insert_order(session, row)
    pushed = orders_pushdown.PushdownOrders(db, _now, hashing.RowHasher)
    bench = Bench(db, pushed, client, columns.watched(mappings, size_columns))
    snapshots = [
        _snapshot(uuid, hashing.RowHasher(bench.watched)(text)) for uuid, _, text, _ in client.scan(bench.watched)
    ]
    for part in chunks.batched(snapshots, CHUNK):
        client.move_snapshots(part)
    for _ in range(0, rows, orders_pushdown.AFTER_SCAN):
        bench.on_server()
        pushed.note_unchanged()
    return bench


def change(db: database.Database, rows: int) -> None:
    """Edit one cell in so many rows."""
    uuids = list(islice(orders_pushdown.PushdownOrders(db, _now, hashing.RowHasher).identities(), rows))
    with db.write() as session:
        session.execute_many(
            "UPDATE ORDERS_UNIFIED SET NOTES = ? WHERE record_uuid = ?", [("edited", u) for u in uuids]
        )


def measure(bench: Bench, *, rows: int, changed: int, runs: int) -> dict[str, float]:
    """The median seconds of each way. Every run must count exactly the changed rows."""
    taken: dict[str, list[float]] = {}

    def timed(name: str, count_rows: Callable[[], int], expected: int) -> None:
        started = time.perf_counter()
        counted = count_rows()
        taken.setdefault(name, []).append(time.perf_counter() - started)
        if counted != expected:
            raise SystemExit(f"{name} counted {counted} rows, not {expected}")

    for _ in range(runs):
        timed("bare", bench.bare, rows)
        timed("server", bench.on_server, 0)
        timed("client", bench.here, 0)
    change(bench.db, changed)
    for _ in range(runs):
        timed("server, some changed", bench.on_server, changed)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def report(medians: dict[str, float]) -> bool:
    """Print every figure; returns whether both goals are met."""
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
    options = parser.parse_args(given)
    if reason := engines.why_not("sqlserver"):
        print(f"nothing was measured: {reason}")
        return 1
    with engines.given_server() as server, engines.own_database(server) as text:
        db = engines.sqlserver(text)
        try:
            db.apply_schema(_now())
            bench = prepare(db, rows=options.rows, seed=options.seed)
            medians = measure(bench, rows=options.rows, changed=options.changed, runs=options.runs)
        finally:
            db.close()
    return int(not report(medians))


if __name__ == "__main__":
    sys.exit(main())
