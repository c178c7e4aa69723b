"""The published limits: requests and complexity a minute, requests at a time, calls a day.

The first use opens a window, which resets `length` seconds later. Failed requests count. A request is one call of the
day; a throttled one, or a query of `complexity` alone, is a tenth.
"""

import collections
import dataclasses
import math
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from connectors.simulator import answers, clock, config

# The day is counted in tenths of a call.
CALL, CHEAP_CALL = 10, 1


class Window:
    """A quota that resets `length` seconds after its first use."""

    def __init__(self, quota: int, length: float) -> None:
        self.quota = quota
        self._length = length
        self._opened: float | None = None
        self._spent = 0
        # Earlier windows, newest last: (opened, spent).
        self.closed: collections.deque[tuple[float, int]] = collections.deque(maxlen=1_000)

    def _roll(self, now: float) -> None:
        if self._opened is not None and now >= self._opened + self._length:
            self.closed.append((self._opened, self._spent))
            self._opened, self._spent = None, 0

    def spent(self, now: float) -> int:
        """The amount that was spent in the current window."""
        self._roll(now)
        return self._spent

    def left(self, now: float) -> int:
        """The amount that is left in the current window."""
        return max(0, self.quota - self.spent(now))

    def reset_in(self, now: float) -> int | None:
        """Whole seconds until the reset, rounded up; None when no window is open."""
        self._roll(now)
        return None if self._opened is None else max(1, math.ceil(self._opened + self._length - now))

    def spend(self, amount: int, now: float) -> float:
        """Spend an amount, in a new window if none is open; returns the opening time of the window."""
        self._roll(now)
        if self._opened is None:
            self._opened = now
        self._spent += amount
        return self._opened

    def refund(self, amount: int, opened: float) -> None:
        """Return an amount to the window that opened at this time, unless it is over."""
        if self._opened == opened:
            self._spent -= amount


@dataclasses.dataclass(frozen=True)
class Charge:
    """The estimated points that a request was charged, and the budget before and after it."""

    cost: int
    before: int
    after: int
    reset_in: int
    opened: float


class Ledger(Protocol):
    """The calls of each day, stored so that they outlive a restart. Raises sqlite3.Error."""

    def calls_of(self, day: date) -> int:
        """The calls of a UTC day, in tenths of a call."""

    def add_calls(self, day: date, tenths: int) -> None:
        """Add to the calls of a UTC day, in tenths of a call."""


class Gate:
    """Admits requests, counts their cost, and states the remaining budget."""

    def __init__(self, settings: config.Config, time: clock.Clock, ledger: Ledger) -> None:
        self._settings = settings
        self._clock = time
        self._ledger = ledger
        self.requests = Window(settings.requests_per_minute, settings.minute)
        self.complexity = Window(settings.complexity_per_minute, settings.minute)
        self.in_flight = 0

    def enter(self) -> None:
        """Admit and count one request. Raises Refused for day, minute or requests at a time. Call `leave` after it."""
        now = self._clock.monotonic()
        utc = self._clock.now()
        if self._ledger.calls_of(utc.date()) >= self._settings.calls_per_day * CALL:
            raise answers.Refused(self.day_exceeded())
        if not self.requests.left(now):
            self._count_call(CHEAP_CALL)
            raise answers.Refused(answers.minute_exceeded(self.requests.reset_in(now) or 1))
        self.requests.spend(1, now)
        if self.in_flight >= self._settings.concurrency:
            self._count_call(CHEAP_CALL)
            raise answers.Refused(answers.concurrency_exceeded())
        self.in_flight += 1
        self._count_call(CALL)

    def leave(self) -> None:
        """Count an admitted request as ended."""
        self.in_flight -= 1

    def charge(self, cost: int) -> Charge:
        """Charge an estimate before the request runs. Raises Refused."""
        if cost > self._settings.complexity_per_request:
            raise answers.Refused(answers.too_complex(cost, self._settings.complexity_per_request))
        now = self._clock.monotonic()
        before = self.complexity.left(now)
        if cost > before:
            wait = self.complexity.reset_in(now) or 1
            raise answers.Refused(answers.budget_exhausted(cost, before, self.complexity.quota, wait))
        opened = self.complexity.spend(cost, now)
        return Charge(cost, before, before - cost, self.complexity.reset_in(now) or 1, opened)

    def settle(self, charge: Charge, actual: int) -> None:
        """Correct the estimate by a refund, or by a charge, which may belong to the next minute."""
        if actual > charge.cost:
            self.complexity.spend(actual - charge.cost, self._clock.monotonic())
        else:
            self.complexity.refund(charge.cost - actual, charge.opened)

    def was_cheap(self) -> None:
        """Count the admitted request as a tenth of a call."""
        self._count_call(CHEAP_CALL - CALL)

    def _count_call(self, tenths: int) -> None:
        self._ledger.add_calls(self._clock.now().date(), tenths)

    def day_exceeded(self) -> answers.Answer:
        """The refusal until 00:00 UTC."""
        now = self._clock.now()
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return answers.day_exceeded(math.ceil((midnight - now).total_seconds()))

    def headers(self) -> dict[str, str]:
        """The headers about the limits, which every response has."""
        now = self._clock.monotonic()
        w = math.ceil(self._settings.minute)

        def state(window: Window) -> str:
            reset = window.reset_in(now)
            return f"r={window.left(now)}" + ("" if reset is None else f";t={reset}")

        return {
            "RateLimit-Policy": f'"minuteRate";q={self.requests.quota};w={w}, '
            f'"concurrency";q={self._settings.concurrency};qu="concurrent-requests", '
            f'"complexityMinute";q={self.complexity.quota};w={w};qu="content-bytes"',
            "RateLimit": f'"minuteRate";{state(self.requests)}, '
            f'"concurrency";r={self._settings.concurrency - self.in_flight}, '
            f'"complexityMinute";{state(self.complexity)}',
        }
