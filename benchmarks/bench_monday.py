"""python -m benchmarks.bench_monday: does the client use the whole budget of the API, and never exceed it?

Sample orders go through Stager and Syncer, wired as in a worker, to the simulator in its own process. There are three
runs: the budget of a personal token; half of it, unknown to the client in advance; and GREYSON PO 4755 alone. The API's
minute is shortened, so that a run has many of them; the goals are ratios.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from connectors import samples
from connectors.monday import board as boards
from connectors.monday import budget, client
from connectors.simulator.config import TOKEN
from mappings import columns, sizes
from schemas import events, versions
from streams.delivery import health
from streams.resources import Resources
from streams.runtime import board_writer
from streams.settings import BUNDLED, Settings

BUDGET = 10_000_000
# As many events as a worker's sync lane takes at once.
TAKE = 50
GREYSON = 69
GOALS = {"budget_share": 0.97, "calls_per_mutation": 0.06, "greyson_calls": 20}


@dataclass(frozen=True)
class Figures:
    """The simulator's counters of one run. `shares`: the spent share of the budget, for each full minute of the run."""

    orders: int
    mutations: int
    calls: int
    throttled: int
    writes_at_once: int
    shares: tuple[float, ...]
    seconds: float

    def __str__(self) -> str:
        share = f"{min(self.shares):.4f}" if self.shares else "none"
        return (
            f"budget_share={share} throttled={self.throttled} calls_per_mutation={self.calls / self.mutations:.4f} "
            f"orders={self.orders} mutations={self.mutations} calls={self.calls} minutes={len(self.shares)} "
            f"seconds={self.seconds:.1f}"
        )


@contextlib.contextmanager
def simulator(folder: Path, *, minute: float, points: int) -> Iterator[str]:
    """The simulator in its own process; yields its address."""
    command = [
        sys.executable, "-m", "connectors.simulator", "--state", str(folder / "board.db"), "--with-parent",
        "--minute", str(minute), "--complexity-per-minute", str(points), "--token", TOKEN,
        "--requests-per-minute", "2500", "--concurrency", "100", "--calls-per-day", "10000",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield str(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()


def staged(parts: Resources, count: int, seed: int) -> list[events.OrderStaged]:
    """Stage valid sample orders; returns their events."""
    live = parts.orders.columns()
    size_columns = sizes.size_columns(live, parts.mappings.board.sizes)
    watched = set(columns.watched(parts.mappings, size_columns))
    rows = samples.generate(seed=seed, orders=count, columns=[name for name, _ in live], size_columns=size_columns)
    valid = [sample for sample in rows if sample.expected is samples.Expected.VALID]
    changed = [
        events.OrderChanged(
            customer=str(sample.row["CUSTOMER NAME"]),
            record_uuid=sample.record_uuid,
            version=1,
            row_hash=str(position),
            batch_id="00000000-0000-4000-8000-000000000001",
            change=events.Change.CREATED,
            position=position,
            detected_at=datetime.now(UTC),
            row=_filled(sample.row, watched - set(size_columns)),
            sizes=_filled(sample.row, size_columns),
        )
        for position, sample in enumerate(valid)
    ]
    stager = parts.stager()
    emitted: list[events.OrderStaged] = []
    for batch in _batches(changed, 200):
        emitted += [event for event in stager.run(batch) if isinstance(event, events.OrderStaged)]
    return emitted


async def measure(*, orders: int, seed: int, minute: float, points: int) -> Figures:
    """One run on a fresh board and a fresh database."""
    with tempfile.TemporaryDirectory(prefix="bench-monday-") as name:
        folder = Path(name)
        with simulator(folder, minute=minute, points=points) as url:
            (folder / "locks").mkdir()
            settings = Settings(
                home=folder, monday_url=BUNDLED, monday_minute=minute, monday_token_tier="personal", monday_plan="pro"
            )
            parts = Resources(settings, monday_url=url)
            parts.db.apply_schema(datetime.now(UTC))
            waiting = staged(parts, orders, seed)
            await _set_up(parts)
            await _admin(url, "POST", "stats/reset")
            started = time.monotonic()
            await _sync(parts, waiting)
            seconds = time.monotonic() - started
            stats = await _admin(url, "GET", "stats")
            _check(await _admin(url, "GET", "board"), parts, waiting)
            parts.close()
    # The run began within the first of these minutes, and ended within one that is still open.
    full = stats["complexity"]["windows"][1:]
    return Figures(
        orders=len(waiting),
        mutations=stats["mutations_done"],
        calls=stats["requests"],
        throttled=stats["throttled"],
        writes_at_once=stats["max_writes_in_flight"],
        shares=tuple(window["spent"] / points for window in full),
        seconds=seconds,
    )


async def _sync(parts: Resources, waiting: Sequence[events.OrderStaged]) -> None:
    """Write the orders to the board, wired as in the worker."""
    async with board_writer.open_board_writer(parts, health.Health()) as writer:
        lease = asyncio.create_task(writer.hold_lease(lambda: True))
        for batch in _batches(waiting, TAKE):
            for event in await writer.step(list(batch)):
                assert isinstance(event, events.OrderSynced), event
        lease.cancel()


def _check(board: dict[str, Any], parts: Resources, waiting: Sequence[events.OrderStaged]) -> None:
    """The figures count only if the board has every order and every size once."""
    loaded = parts.staging.load([versions.Version(event.record_uuid, event.version) for event in waiting])
    wanted = {uuid: sorted(f"Size {size}" for size in order.sizes) for (uuid, _), order in loaded.items()}
    key = parts.mappings.board.key.id
    shown = [(item["columns"][key], sorted(subitem["name"] for subitem in item["subitems"])) for item in board["items"]]
    assert len(shown) == len(wanted), f"{len(shown)} items for {len(wanted)} orders"
    assert dict(shown) == wanted, "an order's sizes are not its subitems"


async def _set_up(parts: Resources) -> None:
    key = parts.mappings.board.key
    async with client.Client(parts.monday_url, parts.token(), budget=budget.Budget(parts.limits)) as api:
        board = boards.Board(api, parts.mappings.board.board.id)
        await board.ensure_key_column(key.id, key.title)


async def _admin(url: str, method: str, path: str) -> dict[str, Any]:
    root = url.removesuffix("/v2")
    async with aiohttp.ClientSession() as session, session.request(method, f"{root}/admin/{path}") as response:
        answer: dict[str, Any] = await response.json()
        return answer


def _filled(row: Any, names: Any) -> dict[str, Any]:
    return {name: row[name] for name in names if row[name] is not None}


def _batches(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_monday", description=__doc__)
    parser.add_argument("--orders", type=int, default=2_000, help="at least 69")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minute", type=float, default=5.0, help="seconds that the API's minute lasts")
    options = parser.parse_args(given)
    runs = {
        "known budget": (options.orders, BUDGET, 0),
        "half of it, unknown": (max(GREYSON, options.orders // 2), BUDGET // 2, 2),
    }
    failed = False
    for name, (orders, points, throttles) in runs.items():
        figures = asyncio.run(measure(orders=orders, seed=options.seed, minute=options.minute, points=points))
        good = (
            figures.throttled <= throttles
            and figures.calls / figures.mutations <= GOALS["calls_per_mutation"]
            and figures.writes_at_once == 1
            and all(share >= GOALS["budget_share"] for share in figures.shares)
        )
        failed |= not good
        print(f"{name}: {figures} {'ok' if good else 'MISSED'}", flush=True)
    greyson = asyncio.run(measure(orders=GREYSON, seed=options.seed, minute=options.minute, points=BUDGET))
    good = greyson.calls <= GOALS["greyson_calls"] and greyson.throttled == 0
    print(f"GREYSON PO 4755: calls={greyson.calls} mutations={greyson.mutations} {'ok' if good else 'MISSED'}")
    return int(failed or not good)


if __name__ == "__main__":
    sys.exit(main())
