"""The verify timer: each check when it is due, by the first worker; and the calls of a day that commands share."""

import asyncio
import threading
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from streams.reconcile import findings, verify
from streams.runtime import api_calls, verify_slices, verify_timer
from tests.support import factories, fakes


class Checks:
    """Counts the checks. `trouble` is raised by the next check of the tables."""

    def __init__(self, clock: fakes.Clock) -> None:
        self.clock, self.tables_seen, self.boards_seen = clock, 0, 0
        self.trouble: errors.OrdersyncError | None = None
        self.seen = threading.Event()

    def tables(self) -> dict[str, Any]:
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble
        self.tables_seen += 1
        self.seen.set()
        return {"at": self.clock().isoformat(), "wrong": 0}

    async def board(self) -> dict[str, Any] | None:
        self.boards_seen += 1
        return {"at": self.clock().isoformat(), "wrong": 3}


@pytest.mark.parametrize(("board_every", "boards"), [(0.0, 0), (3600.0, 2)])
def test_each_check_runs_when_it_is_due(tmp_path: Path, board_every: float, boards: int) -> None:
    with factories.world(tmp_path) as world:
        checks = Checks(world.clock)

        def worker() -> verify_timer.VerifyTimer:
            return verify_timer.VerifyTimer(world.state, checks.tables, checks.board, 60.0, board_every, world.clock)

        for seconds in (0, 30, 30, 3600):
            world.clock.advance(seconds)
            asyncio.run(worker().step())
            asyncio.run(worker().step())
        assert (checks.tables_seen, checks.boards_seen) == (3, boards)
        assert world.state.get(verify_timer.LAST)["wrong"] == 0


class Slices:
    """A table of `total` orders, of which order 3 may be wrong; each look takes `cost` seconds of a core."""

    def __init__(self, total: int, cost: float) -> None:
        self.total, self.cost, self.spent, self.wrong = total, cost, 0.0, True

    def look(self, after: str, count: int, also: Collection[str]) -> verify.Slice:
        self.spent += self.cost
        begin = int(after or 0)
        end = min(self.total, begin + count)
        found = self.wrong and (begin < 3 <= end or "3" in also)
        finding = findings.Finding(kind=findings.Kind.PRODUCTION_EDITED, record_uuid="3", customer="X")
        return verify.Slice(end - begin, str(end) if end < self.total else "", (finding,) if found else ())


@pytest.mark.parametrize(("cost", "minutes", "share"), [(0.1, 15, 0.0022), (1.0, 15, 0.0222), (9.0, 60, 0.05)])
def test_a_round_takes_its_time_and_never_more_than_its_share(
    tmp_path: Path, cost: float, minutes: float, share: float
) -> None:
    with factories.world(tmp_path) as world:
        world.state.set(verify_timer.LAST, {"rows": 10_000})
        table = Slices(10_000, cost)
        slices = verify_slices.VerifySlices(
            world.state, table.look, within=900.0, share=0.05, now=world.clock, busy=lambda: table.spent
        )
        ends: list[datetime] = []
        looked = 0
        while len(ends) < 3:
            before = table.spent
            pause = slices.step()
            looked += table.spent > before
            assert pause > 0, "two steps at one moment are one slice"
            known = verify_slices.read(world.state)
            assert known is not None
            if known.ended is not None and known.ended not in ends:
                ends.append(known.ended)
            world.clock.advance(pause)
        assert (ends[2] - ends[1]).total_seconds() == pytest.approx(60 * minutes, rel=0.01)
        assert known is not None
        assert (looked, known.compared) == (3 * 10_000 // verify_slices.COUNT, 10_000)
        assert known.share == pytest.approx(share, rel=0.1)


def test_what_a_slice_found_stays_until_it_is_right_again(tmp_path: Path) -> None:
    with factories.world(tmp_path) as world:
        table = Slices(2_000, 0.1)
        slices = verify_slices.VerifySlices(
            world.state, table.look, within=900.0, share=0.05, now=world.clock, busy=lambda: table.spent
        )
        seen = []
        for step in range(6):
            table.wrong = step < 5
            world.clock.advance(slices.step())
            seen.append(verify_slices.wrong(world.state))
        assert seen == [{"3"}] * 5 + [set()]


async def test_a_database_that_is_away_is_asked_the_next_time(tmp_path: Path) -> None:
    with factories.world(tmp_path) as world:
        checks = Checks(world.clock)
        checks.trouble = errors.Transient("busy")
        made = verify_timer.VerifyTimer(world.state, checks.tables, checks.board, 0.01, 0.0, world.clock)
        running = asyncio.create_task(made.run())
        async with asyncio.timeout(60):
            await asyncio.to_thread(checks.seen.wait, 60)
        running.cancel()
        assert checks.trouble is None
        assert checks.tables_seen == 1


def test_the_calls_of_a_day_are_those_of_the_writer_and_of_commands_together(tmp_path: Path) -> None:
    with factories.world(tmp_path) as world:
        now = world.clock()
        api_calls.note(world.state, 5, now)
        api_calls.note(world.state, 7, now)
        told = {"budget": {"calls_today": 40.0}, "at": now.isoformat()}
        world.state.set("worker.a", told)
        world.state.set("worker.b", {"budget": None, "at": now.isoformat()})
        assert api_calls.calls_today(world.state, lambda since: 3, now) == 52
        tomorrow = now + timedelta(days=1)
        assert api_calls.calls_today(world.state, lambda since: 3, tomorrow) == 3
