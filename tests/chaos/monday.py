"""python -m tests.chaos.monday --n 500 --seed 1: seeded fault schedules for the Monday writer, in virtual time.

Real HTTP on loopback, real database files; only time is made up. Every schedule plays to its end, and then the board
has to be equal to the newest versions, with nothing twice, and no version ever after a newer one.
"""

import argparse
import asyncio
import contextlib
import functools
import logging
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sql
from connectors import errors
from connectors.database.sqlite import SqliteDatabase
from schemas import events
from schemas.batches import StagingStatus
from tests.chaos import judge
from tests.chaos import judge_oracle as oracle
from tests.support import virtual
from tests.support.board_script import Pass, Schedule, Strike, schedule
from tests.support.board_world import Killed, Life, World

# A story that needs more tries than this goes in circles.
TRIES = 60
HOLD = 30.0
Batch = tuple[events.OrderStaged, ...]


class Wrong(Exception):
    """The board was wrong before the story was over."""

    def __init__(self, verdict: judge.Verdict) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


@dataclass
class Player:
    """Delivers events at least once, restarts what dies, and lets a second writer in while the first is frozen."""

    world: World
    life: Life | None = None
    tries: int = 0
    staged: int = 0
    upcoming: list[Pass] = field(default_factory=list)
    asleep: list[tuple[Life, "asyncio.Task[list[events.OrderEvent]]"]] = field(default_factory=list)

    async def play(self) -> None:
        self.upcoming = list(self.world.schedule.passes)
        waiting: Batch = ()
        while self.upcoming:
            one = self.upcoming[0]
            await self.world.clock.sleep(one.pause)
            waiting += self._stage()
            if one.version in self.world.schedule.together:
                continue
            # Events of several passes come in one batch, as they do after a pause of the worker.
            await self._deliver(waiting)
            waiting = ()
            # What a later pass would heal is wrong all the same.
            await self.world.simulator.service.rest()
            between = oracle.look(self.world, self.staged)
            if not between.holds:
                raise Wrong(between)
            if one.version in self.world.schedule.again:
                await self._deliver(_events(one))
        await self._deliver(waiting)
        await self._wake()
        await self._nothing_is_left()

    def _stage(self) -> Batch:
        """The next pass; a person may have come before it."""
        one = self.upcoming.pop(0)
        if one.person is not None:
            act, number = one.person
            self.world.act(act, f"00000000-0000-4000-8000-0000000000{number:02d}")
        self.world.staging.write(one.orders)
        self.staged = one.version
        return _events(one)

    async def _deliver(self, batch: Batch) -> None:
        """Until every order of the batch arrived."""
        while batch:
            emitted = await self._step(batch)
            failed = [event for event in emitted if isinstance(event, events.OrderFailed)]
            self._record(failed)
            batch = tuple(
                events.OrderStaged(**event.identity, cause=events.Cause.RETRY, attempt=event.attempt + 1)
                for event in failed
            )

    async def _step(self, batch: Batch) -> list[events.OrderEvent]:
        """Until a life carries the batch through."""
        while True:
            self.tries += 1
            if self.tries > TRIES:
                raise AssertionError(f"not done after {TRIES} tries")
            if self.life is None:
                self.life = Life(self.world)
            life = self.life
            step = asyncio.create_task(life.step(batch))
            freeze = asyncio.create_task(life.frozen.wait())
            await asyncio.wait({step, freeze}, return_when=asyncio.FIRST_COMPLETED)
            freeze.cancel()
            if not step.done():
                self.asleep.append((life, step))
                self.life = None
                continue
            try:
                return step.result()
            except Killed as killed:
                strike: Strike = killed.args[0]
                await self._end(orderly=False)
                await self.world.clock.sleep(strike.seconds)
                if strike.news and self.upcoming:
                    batch += self._stage()
            except errors.LeaseLost:
                self.world.met["lease lost"] += 1
                await self._end(orderly=False)
            except errors.Misconfigured as stop:
                self.world.met["stopped by the API"] += 1
                pause = HOLD if stop.wait is None else stop.wait
                if pause > HOLD:
                    await self._end(orderly=True)
                await self.world.clock.sleep(pause)
            except errors.Transient:
                await self.world.clock.sleep(1.0)

    def _record(self, failed: Sequence[events.OrderFailed]) -> None:
        statement = sql.load("staging")["order_failed"]
        with self.world.db.write() as session:
            for event in failed:
                session.execute(statement, ("", event.message, event.attempt, event.record_uuid, event.version))

    async def _wake(self) -> None:
        """A frozen writer wakes up, and finds that it is the writer no more, or has done nothing that matters."""
        for life, step in self.asleep:
            try:
                await step
                self.world.met["woke up and went on"] += 1
            except (errors.LeaseLost, errors.Misconfigured, errors.Transient, Killed) as end:
                self.world.met[f"woke up: {type(end).__name__}"] += 1
            await life.end(orderly=False)

    async def _nothing_is_left(self) -> None:
        """Every event once more: nothing is in doubt, nothing is sent."""
        last = {order.record_uuid: _event(order, one) for one in self.world.schedule.passes for order in one.orders}
        await self._step(tuple(last.values()))
        before = self.world.simulator.service.stats.mutation_requests
        emitted = await self._step(tuple(last.values()))
        assert self.world.simulator.service.stats.mutation_requests == before, "a redelivered event cost a call"
        assert {type(event) for event in emitted} == {events.OrderSynced}, f"not every order arrived: {emitted}"
        statuses = self.world.staging.versions(sorted(last))
        for uuid, event in last.items():
            assert statuses[uuid][event.version].status is StagingStatus.API_SUCCESS
        await self._end(orderly=True)

    async def _end(self, *, orderly: bool) -> None:
        if self.life is not None:
            await self.life.end(orderly=orderly)
        self.life = None


def _event(order: object, one: Pass) -> events.OrderStaged:
    return next(event for event in _events(one) if event.record_uuid == order.record_uuid)  # type: ignore[attr-defined]


def _events(one: Pass) -> Batch:
    return tuple(
        events.OrderStaged(
            customer=order.customer,
            record_uuid=order.record_uuid,
            version=order.version,
            row_hash=order.row_hash,
            batch_id=order.batch_id,
        )
        for order in one.orders
    )


async def _story(chosen: Schedule, folder: Path, template: Path) -> judge.Verdict:
    world = World(chosen, folder, template)
    player = Player(world)
    await world.start()
    try:
        await player.play()
        await world.simulator.service.rest()
        return oracle.judge(world)
    finally:
        await player._end(orderly=False)
        await world.stop()


@contextlib.contextmanager
def empty_database() -> Iterator[Path]:
    """A file with all tables, to be copied for each story."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        path = Path(folder) / "empty.db"
        db = SqliteDatabase(path)
        db.apply_schema(virtual.START, with_source=False)
        db.close()
        yield path


def verdict(seed: int, template: Path) -> judge.Verdict:
    """Plays the story of a seed. What it raises is a deviation too."""
    with tempfile.TemporaryDirectory(prefix=f"chaos-{seed}-") as folder:
        try:
            return virtual.run(_story(schedule(seed), Path(folder), template))
        except Wrong as wrong:
            return wrong.verdict
        except Exception:
            return judge.Verdict(other=[traceback.format_exc()])


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.monday", description=__doc__)
    parser.add_argument("--n", type=int, default=500, help="how many schedules")
    parser.add_argument("--seed", type=int, default=1, help="the first one; the others follow")
    parser.add_argument("--only", type=int, help="play this one alone, and tell it")
    parser.add_argument("-x", "--exitfirst", action="store_true", help="end with the first that fails")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    told = parser.parse_args(given)
    logging.basicConfig(level=logging.INFO if told.only else logging.CRITICAL, format="%(name)s: %(message)s")
    seeds = [told.only] if told.only is not None else range(told.seed, told.seed + told.n)
    started = time.monotonic()
    with empty_database() as template:
        if told.only is not None:
            print(schedule(told.only))
            found = {told.only: verdict(told.only, template)}
        else:
            found = {}
            with multiprocessing.Pool(told.jobs) as pool:
                for seed, one in zip(
                    seeds, pool.imap(functools.partial(verdict, template=template), seeds), strict=False
                ):
                    found[seed] = one
                    if told.exitfirst and not one.holds:
                        break
    failed = {seed: one for seed, one in found.items() if not one.holds}
    for seed, one in failed.items():
        print(f"seed {seed} (again: python -m tests.chaos.monday --only {seed})\n{one}")
    met = sum((one.met for one in found.values()), Counter())
    print("met: " + ", ".join(f"{name} {n}" for name, n in sorted(met.items())))
    counts = {name: sum(len(one.wrong[name]) for one in found.values()) for name in judge.Verdict().wrong}
    print(
        f"schedules={len(found)} lost={counts['lost']} duplicates={counts['duplicates']} "
        f"inversions={counts['inversions']} other={counts['other']} seconds={time.monotonic() - started:.0f}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
