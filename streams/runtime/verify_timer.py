"""The worker's own verify: how every row stands, each minute; and the whole board now and then, if a setting says so.

It only looks and tells: the facts `verify.last` and `verify.board` are what status shows. Of several workers, whoever
comes first does it. To mend is for a person to ask (`ordersync verify --fix`).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors import errors

log = logging.getLogger(__name__)

LAST, BOARD = "verify.last", "verify.board"
# Seconds between two looks at the time.
LOOK = 5.0

Summary = dict[str, Any]


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...


@dataclass(frozen=True)
class Rounds:
    """`tables` and `board` look and give what to tell, `board` None when this worker is not the one that writes.

    The pauses are seconds; with 0 the board is never read.
    """

    store: Store
    tables: Callable[[], Summary]
    board: Callable[[], Awaitable[Summary | None]]
    every: float
    board_every: float
    now: Callable[[], datetime]

    async def run(self) -> None:
        """For as long as the worker lives. A database or an API that is away is asked the next time."""
        while True:
            await asyncio.sleep(min(LOOK, self.every))
            try:
                await self.step()
            except errors.OrdersyncError as error:
                log.warning("verify: %s", error)

    async def step(self) -> None:
        """What is due now."""
        if await self._due(LAST, self.every):
            await self._tell(LAST, await asyncio.to_thread(self.tables))
        if self.board_every and await self._due(BOARD, self.board_every):
            seen = await self.board()
            if seen is not None:
                await self._tell(BOARD, seen)

    async def _due(self, name: str, every: float) -> bool:
        last = await asyncio.to_thread(self.store.get, name)
        return last is None or self.now() - datetime.fromisoformat(last["at"]) >= timedelta(seconds=every)

    async def _tell(self, name: str, seen: Summary) -> None:
        before = await asyncio.to_thread(self.store.get, name) or {}
        if seen["wrong"] and seen["wrong"] != before.get("wrong"):
            log.error("verify: %d orders are not as they shall be: `ordersync verify` lists them", seen["wrong"])
        await asyncio.to_thread(self.store.set, name, seen)
