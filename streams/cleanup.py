"""The daily clean-up: the tables that grow with every change stay bounded by time.

Whichever worker looks first when a day has passed does it, in small steps; `ordersync status` shows what there is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors.tables.cleanup import ENDED

log = logging.getLogger(__name__)

FACT = "cleanup.last"
EVERY = timedelta(days=1)
# Staged versions, or requests, in one transaction.
STEP = 200


class Tables(Protocol):
    """connectors.tables.cleanup.Growth."""

    def orders(self, before: datetime, most: int, status: str, after: int = 0) -> tuple[int, int]: ...
    def requests(self, before: datetime, most: int) -> int: ...


class Store(Protocol):
    """Named facts (connectors.tables.state.State)."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...


@dataclass
class Cleaner:
    """`keep` is how long what has ended stays. Two that clean at once find nothing of each other."""

    tables: Tables
    store: Store
    keep: timedelta
    now: Callable[[], datetime]
    _left: list[str] = field(default_factory=list, init=False)
    _after: int = field(default=0, init=False)
    _removed: int = field(default=0, init=False)

    def step(self) -> bool:
        """One small step, if one is due. Whether there is more to do: then it is worth to ask again soon."""
        now = self.now()
        if not self._left and not self._claim(now):
            return False
        before, status = now - self.keep, self._left[0]
        if status in ENDED:
            removed, self._after = self.tables.orders(before, STEP, status, self._after)
        else:
            removed = self.tables.requests(before, STEP)
        self._removed += removed
        if removed < STEP:
            self._left, self._after = self._left[1:], 0
        if not self._left and self._removed:
            log.info("clean-up: %d staged versions and requests were older than %d days", self._removed, self.keep.days)
        return bool(self._left)

    def _claim(self, now: datetime) -> bool:
        last = self.store.get(FACT)
        if last is not None and now - datetime.fromisoformat(last) < EVERY:
            return False
        self.store.set(FACT, now.isoformat())
        self._left, self._after, self._removed = [*ENDED, "requests"], 0, 0
        return True
