"""The verify timer: each check when it is due, by the first worker; and the calls of a day that commands share."""

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from streams.runtime import api_calls, verify_timer
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
