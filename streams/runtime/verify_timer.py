"""The worker's periodic verify of the tables and, if a setting says so, of the whole board.

The results are the named values `verify.last` and `verify.board`, which `status` shows. Of several workers, the first
one whose check is due runs it. The timer repairs nothing: the operator does, with `ordersync verify --fix`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors import errors
from streams.diagnosis import evidence

log = logging.getLogger(__name__)

LAST, BOARD = evidence.VERIFIED, evidence.AUDITED
# Seconds between two checks whether a verify is due.
CHECK_EVERY = 5.0

# The result of a verify as JSON values, among them `at` (UTC) and `wrong`, a number of orders.
Summary = dict[str, Any]


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any:
        """The named value; None if it was never stored. Raises Transient."""

    def set(self, name: str, value: Any) -> None:
        """Stores a named value. Raises Transient."""


@dataclass(frozen=True)
class VerifyTimer:
    """Runs `tables` and `board`, each when it is due. `board` returns None while this worker is not the lease holder.

    `every` and `board_every` are seconds; 0 for the board means never. `now` is UTC.
    """

    store: Store
    tables: Callable[[], Summary]
    board: Callable[[], Awaitable[Summary | None]]
    every: float
    board_every: float
    now: Callable[[], datetime]

    async def run(self) -> None:
        """Runs until the task is cancelled. An OrdersyncError is logged, and the check is due once more."""
        while True:
            await asyncio.sleep(min(CHECK_EVERY, self.every))
            try:
                await self.step()
            except errors.OrdersyncError as error:
                log.warning("verify: %s", error)

    async def step(self) -> None:
        """Runs the checks that are due now. Raises what they raise."""
        if await self._due(LAST, self.every):
            await self._store(LAST, await asyncio.to_thread(self.tables))
        if self.board_every and await self._due(BOARD, self.board_every):
            summary = await self.board()
            if summary is not None:
                await self._store(BOARD, summary)

    async def _due(self, name: str, every: float) -> bool:
        last = await asyncio.to_thread(self.store.get, name)
        return last is None or self.now() - datetime.fromisoformat(last["at"]) >= timedelta(seconds=every)

    async def _store(self, name: str, summary: Summary) -> None:
        before = await asyncio.to_thread(self.store.get, name) or {}
        if summary["wrong"] and summary["wrong"] != before.get("wrong"):
            log.error("verify: %d orders or groups are wrong: `ordersync verify` lists them", summary["wrong"])
        await asyncio.to_thread(self.store.set, name, summary)
