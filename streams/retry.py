"""retry: when a failed order is tried again, and the ones whose time has come.

The times are in SQL, so a restart forgets nothing. What is not retryable waits for a person or for a newer version.
While most retries fail alike, the breaker holds the others back.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from schemas import events
from streams import breaker

# A claimed failure that nobody emitted, because the process died, is due again after this.
CLAIM = timedelta(minutes=5)
# So many are taken at once: the next ones a second later.
MOST = 200


class Failures(Protocol):
    """The ERR tables (connectors.tables.retries.Retries)."""

    def schedule(self, event: events.OrderFailed, due: datetime | None) -> bool: ...
    def is_due(self) -> bool: ...
    def claim_due(self, again_at: datetime, most: int) -> list[events.OrderStaged]: ...


@dataclass(frozen=True)
class Retrier:
    """`first` is the pause before the first retry in seconds; each next one is four times as long."""

    failures: Failures
    breaker: breaker.Breaker
    first: float
    tries: int
    now: Callable[[], datetime]
    rng: random.Random

    def schedule(self, dead: Sequence[events.OrderFailed]) -> None:
        """Sets the time of the next try of each dead letter; after the last one a person is waited for."""
        for event in dead:
            self.failures.schedule(event, self._due(event.attempt) if event.retryable else None)

    def due(self) -> list[events.OrderStaged]:
        """The orders whose time has come, each taken by this process alone."""
        if not self.failures.is_due():
            return []
        now = self.now()
        most = self.breaker.admits(now, MOST)
        return self.failures.claim_due(now + CLAIM, most) if most else []

    def _due(self, attempt: int) -> datetime | None:
        if attempt >= self.tries:
            return None
        # A quarter of jitter either way: orders that failed together do not come back together.
        return self.now() + timedelta(seconds=self.first * 4**attempt * self.rng.uniform(0.75, 1.25))
