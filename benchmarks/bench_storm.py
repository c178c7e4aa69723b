"""How soon the writer has its usual pace again after five minutes in which every request was answered 503.

    python -m benchmarks.bench_storm

The real writer, the real simulator over HTTP, and virtual time: the API executes each request, and the gateway answers
503 in its place. Prints the pace before, and the seconds from the last 503 to the first minute with that pace.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections import deque
from pathlib import Path

from connectors import errors
from connectors.simulator.faults import Kind, Rule
from schemas import events
from tests.support import virtual
from tests.support.writer_desk import Desk, desk, event, order

ORDERS, BATCH = 1_400, 25
BEGINS, SECONDS, GOAL = 120.0, 300.0, 120.0
USUAL = 0.9
STORM = tuple(
    Rule(kind=Kind.GATEWAY_GIVES_UP, rate=1.0, of=of, seconds=0.0, status=503) for of in ("mutation", "query")
)


async def _drive(subject: Desk, confirmed: list[float]) -> None:
    """Works all orders as the sync lane does: what is in doubt is parked, and comes back once it is decided."""
    clock, life = subject.world.clock, subject.life
    syncer = await life.begin()
    numbers = range(1, ORDERS + 1)
    made = [order(1, 1, sizes={}).model_copy(update=_identity(number)) for number in numbers]
    subject.world.staging.write(made)
    pending: deque[events.OrderStaged] = deque(event(one) for one in made)
    while len(confirmed) < ORDERS:
        batch = [pending.popleft() for _ in range(min(BATCH, len(pending)))]
        try:
            emitted = await syncer.run(batch)
            confirmed += [clock.monotonic() for one in emitted if isinstance(one, events.OrderSynced)]
        except errors.Transient as error:
            pending.extendleft(reversed(batch))
            await clock.sleep(error.wait or 1.0)
        with contextlib.suppress(errors.Transient):
            await syncer.in_doubt.advance()
        pending.extend(life.reemitted)
        life.reemitted.clear()
        if not pending:
            await clock.sleep(0.5)


def _identity(number: int) -> dict[str, object]:
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    return {"record_uuid": uuid, "stg_id": 1 << 28 | number << 11, "item_name": f"POLO {number}"}


async def _storm(subject: Desk) -> None:
    await subject.world.clock.sleep(BEGINS)
    subject.trouble(*STORM)
    await subject.world.clock.sleep(SECONDS)
    subject.trouble()


def _pace(confirmed: list[float], begins: float) -> int:
    return sum(begins <= at < begins + 60 for at in confirmed)


async def _play(folder: Path) -> tuple[int, float, int]:
    """The usual pace of a minute, the seconds until it is back, and the items that are there twice."""
    async with desk(folder, complexity=5_000_000) as subject:
        began, confirmed = subject.world.clock.monotonic(), list[float]()
        await asyncio.gather(_storm(subject), _drive(subject, confirmed))
        times = [at - began for at in confirmed]
        usual, ends = _pace(times, BEGINS - 60), BEGINS + SECONDS
        back = next((s for s in range(600) if _pace(times, ends + s) >= USUAL * usual), 600)
        items = [one for one in subject.world.simulator.admin.board()["items"] if one["state"] == "active"]
        return usual, float(back), len(items) - ORDERS


def main() -> int:
    """0 if the pace is back within the goal and no item is there twice."""
    with tempfile.TemporaryDirectory() as folder:
        usual, back, twice = virtual.run(_play(Path(folder)))
    holds = back <= GOAL and twice == 0
    print(f"usual_mutations_per_minute={usual} back_s={back:.0f} goal_s={GOAL:.0f} twice={twice} ok={holds}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
