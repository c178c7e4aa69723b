"""python -m benchmarks.bench_adopt: what does adopting a board in use cost, in calls an item?

It fills a board of the bundled simulator as an earlier workflow leaves one: items of our orders without keys, each with
four sizes. Then it runs the dry run and the adoption over HTTP. The seconds include the simulator.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from connectors.monday import board as boards
from connectors.monday import budget, limits
from mappings import items as mapped
from streams import settings
from streams.adopt import adoption
from streams.resources import Resources
from streams.runtime import connect
from tests.support.legacy_board import fill_source
from tests.support.writer_desk import Desk, desk

# The calls for each item of the board, reading included.
GOAL = 0.06
SIZES = 4


def fill_board(at: Desk, parts: Resources, orders: int) -> int:
    """Adds the item of each valid order with its sizes, in one transaction. Returns their number."""
    board, mappings = parts.mappings.board, parts.mappings
    made = fill_source(parts, orders, seed=7)
    rules, now = at.world.simulator.admin._rules, at.world.clock.now().timestamp()
    with at.world.simulator.service.state.transaction():
        for uuid, order in made.items():
            columns = mapped.board_columns(order.values, uuid, mappings)
            del columns[board.key.id]
            item = rules.create_item(board.board.id, order.item_name, None, json.dumps(columns), True, now)
            labels = [*order.sizes, *(label for label in ("XS", "S", "M", "L") if label not in order.sizes)]
            for label in labels[:SIZES]:
                cells = json.dumps(mapped.subitem_columns(label, order.sizes.get(label, 0), mappings))
                rules.create_subitem(str(item.id), mapped.subitem_name(label, mappings), cells, True, now)
    return len(made)


async def measure(folder: Path, orders: int) -> bool:
    """Prints the figures. Returns whether the goal was reached."""
    async with desk(folder, complexity=10**9, board={"items_limit": 10 * orders}) as at:
        await at.restart()
        # The simulator works in this very process: the lease must outlast it.
        chosen = settings.Settings(
            home=folder, database=str(at.world.path), monday_url=at.world.simulator.url, lease_seconds=600.0
        )
        parts = Resources(chosen)
        parts.db.apply_schema(at.world.clock.now())
        filled = fill_board(at, parts, orders)
        print(f"{filled:,} items with {SIZES * filled:,} sizes", flush=True)
        unlimited = limits.preset("personal", "enterprise", complexity_per_minute=10**9)
        async with at.world.client(budget.Budget(unlimited, sleep=at.world.clock.sleep)) as api:
            board = boards.Board(api, parts.mappings.board.board.id)
            await connect.bind(parts, board, await board.identity())
            began = time.perf_counter()
            plan = await adoption.adopt(parts, api)
            read = time.perf_counter() - began
            at.reset()
            began = time.perf_counter()
            done = await adoption.adopt(parts, api, plan.plan_id, sleep=at.world.clock.sleep)
            took = time.perf_counter() - began
            calls = at.requests
            again = await adoption.adopt(parts, api, plan.plan_id, sleep=at.world.clock.sleep)
        parts.close()
    assert done.written is not None
    assert again.written is not None
    reached = calls <= GOAL * filled and done.written.items == filled and again.written.calls == 0
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"dry run   {plan.reads:,} calls, {read:.1f} s on this machine, simulator included")
    print(f"adoption  {calls:,} calls: {calls / filled:.4f} an item (goal {GOAL}), {took:.1f} s; {done.written}")
    print(f"forecast  {plan.cost}")
    print(f"again     {again.written.calls} calls to write")
    print(f"memory    {memory:,.0f} MB, simulator included")
    return reached


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    with tempfile.TemporaryDirectory() as folder:
        reached = asyncio.run(measure(Path(folder), parser.parse_args().items))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
