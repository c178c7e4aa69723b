"""The daily clean-up: removes settled staged versions and answered requests that are older than `keep`.

Reads: STG tables, SYNC_Requests. Writes: the same, SYNC_State. Emits: nothing. Runs in: the first worker that checks
after a day, in small steps. Runs twice: the second one finds nothing to remove.

The clean-up keeps failed versions and the newest version of every order of the source.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors.tables.cleanup import ENDED

log = logging.getLogger(__name__)

# The named value with the UTC time of the last clean-up.
LAST = "cleanup.last"
EVERY = timedelta(days=1)
# The number of staged versions, or of requests, in one transaction.
STEP = 200


class Tables(Protocol):
    """The growing tables (connectors.tables.cleanup.Cleanup). Both raise Transient or Misconfigured."""

    def orders(self, before: datetime, most: int, status: str, after: int = 0) -> tuple[int, int]:
        """Removes staged versions of that status with keys above `after`. Returns their number and the last key."""

    def requests(self, before: datetime, most: int) -> int:
        """Removes requests that were answered before that UTC time, at most `most`. Returns their number."""


class Store(Protocol):
    """Named values (connectors.tables.state.State). Both raise Transient or Misconfigured."""

    def get(self, name: str) -> Any:
        """The value of that name, None when there is none."""

    def set(self, name: str, value: Any) -> None:
        """Stores a value under that name, in a transaction of its own."""


@dataclass
class Cleaner:
    """Cleans up in steps. `keep` is the age at which settled versions and answered requests are removed."""

    tables: Tables
    store: Store
    keep: timedelta
    now: Callable[[], datetime]
    _kinds_left: list[str] = field(default_factory=list, init=False)
    _after: int = field(default=0, init=False)
    _removed: int = field(default=0, init=False)

    def step(self) -> bool:
        """Runs one step if the clean-up is due. Returns whether there is more to remove.

        Raises Transient or Misconfigured for the database; a repeated step continues.
        """
        now = self.now()
        if not self._kinds_left and not self._claim(now):
            return False
        before, status = now - self.keep, self._kinds_left[0]
        if status in ENDED:
            removed, self._after = self.tables.orders(before, STEP, status, self._after)
        else:
            removed = self.tables.requests(before, STEP)
        self._removed += removed
        if removed < STEP:
            self._kinds_left, self._after = self._kinds_left[1:], 0
        if not self._kinds_left and self._removed:
            log.info(
                "clean-up: removed %d staged versions and requests older than %d days", self._removed, self.keep.days
            )
        return bool(self._kinds_left)

    def _claim(self, now: datetime) -> bool:
        last = self.store.get(LAST)
        if last is not None and now - datetime.fromisoformat(last) < EVERY:
            return False
        self.store.set(LAST, now.isoformat())
        self._kinds_left, self._after, self._removed = [*ENDED, "requests"], 0, 0
        return True
