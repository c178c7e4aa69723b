"""retry: schedules failed orders and emits those that are due.

Reads: orders.dead-letter, due ERR rows. Writes: ERR rows (due times). Emits: orders.staged. Runs in: the worker.
Runs twice: one process claims a due failure; a claim that it never emitted is due once more after CLAIM.

The due times are in SQL, so a restart loses no retry. A permanent failure waits for an operator or for a newer
version. While most of the newest retries fail with one code, the breaker pauses the others:

closed     retries go on
open       no retry is sent; those that are due stay due
half open  after the pause one retry is sent: if it fails with the same code the pause doubles, else the breaker closes

The state of the breaker is in SYNC_State, so it outlives the process, and every worker and `ordersync status` read the
same state. Two workers that ask at the same moment may send two retries in place of one.
"""

import logging
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from connectors import backoff
from schemas import events
from schemas.base import Model

log = logging.getLogger(__name__)

# A claimed failure is due once more after this time, if the process ended before it emitted the retry.
CLAIM = timedelta(minutes=5)
# The maximum of retries that one run of the timer claims.
MOST = 200
# The state of the breaker in SYNC_State.
BREAKER = "retry.breaker"
# The breaker opens when this share of the newest retries, of this time at most, failed with one code.
NEWEST, WITHIN, SHARE = 20, timedelta(hours=1), 0.8
# The longest pause of the breaker, as a multiple of its first one.
LONGEST = 64
EVER = datetime(2000, 1, 1, tzinfo=UTC)


class State(Protocol):
    """Named values (connectors.tables.state.State)."""

    def get(self, name: str) -> Any:
        """The value of that name, None when there is none. Raises Transient."""

    def set(self, name: str, value: Any) -> None:
        """Stores a value under that name, in a transaction of its own. Raises Transient."""


class BreakerState(Model):
    """`code` is the code of the failures that opened the breaker, None while it is closed.

    `since` is the UTC time at which it opened or closed, `next_at` that of the next retry, `pause` the wait in seconds.
    """

    code: str | None = None
    since: datetime = EVER
    next_at: datetime = EVER
    pause: float = 0.0

    def __str__(self) -> str:
        if self.code is None:
            return "retries go on"
        return (
            f"retries pause since {self.since:%Y-%m-%d %H:%M:%S} UTC, most of the newest failed with {self.code}; "
            f"the next one is tried at {self.next_at:%H:%M:%S} UTC"
        )


def read_breaker(state: State) -> BreakerState:
    """The stored state of the breaker; closed when there is none."""
    stored = state.get(BREAKER)
    return BreakerState() if stored is None else BreakerState.model_validate(stored)


@dataclass(frozen=True)
class Breaker:
    """`outcomes` returns the codes of the newest retries since a UTC time, the newest first; "" for one that arrived.

    `first` is the first pause in seconds.
    """

    state: State
    outcomes: Callable[[datetime, int], Sequence[str]]
    first: float

    def admits(self, now: datetime, most: int) -> int:
        """The number of retries to send now: `most`, 1 or 0. It opens or closes the breaker. `now` is in UTC."""
        known = read_breaker(self.state)
        if known.code is None:
            newest = self.outcomes(max(known.since, now - WITHIN), NEWEST)
            code, alike = _most_common(newest)
            if len(newest) < NEWEST or alike < SHARE * NEWEST:
                return most
            opened = BreakerState(code=code, since=now, next_at=now + timedelta(seconds=self.first), pause=self.first)
            self._set(opened)
            log.warning("%s", opened)
            return 0
        # A retry that was on its way when the breaker opened counts like the one that the half-open breaker sends.
        last = self.outcomes(known.since, 1)
        if last and last[0] != known.code:
            log.warning("retries go on: the newest did not fail with %s", known.code)
            self._set(BreakerState(since=now))
            return most
        if now < known.next_at:
            return 0
        pause = min(known.pause * 2, self.first * LONGEST)
        self._set(known.model_copy(update={"pause": pause, "next_at": now + timedelta(seconds=pause)}))
        return 1

    def _set(self, known: BreakerState) -> None:
        self.state.set(BREAKER, known.model_dump(mode="json"))


def _most_common(codes: Sequence[str]) -> tuple[str, int]:
    counted = Counter(code for code in codes if code).most_common(1)
    return counted[0] if counted else ("", 0)


class Failures(Protocol):
    """The ERR tables (connectors.tables.retries.Retries)."""

    def schedule(self, event: events.OrderFailed, due: datetime | None) -> bool:
        """Stores the due time (UTC, None: no retry). False when the failure has ended. Raises Transient."""

    def is_due(self) -> bool:
        """Is any retry due? A cheap query, because the timer repeats it every second. Raises Transient."""

    def claim_due(self, again_at: datetime, most: int) -> list[events.OrderStaged]:
        """Claims due retries, the longest waiting first; each is due once more at `again_at`. Raises Transient."""


@dataclass(frozen=True)
class Retrier:
    """`first` is the pause before the first retry in seconds; each next one is four times as long."""

    failures: Failures
    breaker: Breaker
    first: float
    tries: int
    now: Callable[[], datetime]
    rng: random.Random

    def schedule(self, dead: Sequence[events.OrderFailed]) -> None:
        """Sets the due time of the next retry of each dead letter. After `tries` attempts the failure is permanent.

        Raises Transient or Misconfigured for the database.
        """
        for event in dead:
            self.failures.schedule(event, self._due(event.attempt) if event.retryable else None)

    def due(self) -> list[events.OrderStaged]:
        """Claims the due retries, for this process alone. Raises Transient or Misconfigured for the database."""
        if not self.failures.is_due():
            return []
        now = self.now()
        most = self.breaker.admits(now, MOST)
        return self.failures.claim_due(now + CLAIM, most) if most else []

    def _due(self, attempt: int) -> datetime | None:
        if attempt >= self.tries:
            return None
        return self.now() + timedelta(seconds=backoff.retry_pause(self.first, attempt, rng=self.rng))
