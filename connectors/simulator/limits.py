"""The published limits: requests and complexity a minute, requests at once, calls a day.

A window opens with the first use and is full again `length` seconds later, whatever happened in between.
Failed requests count. A request is a call of the day; a throttled one, or a lone `complexity` query, a tenth.
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
    """A quota that is whole again `length` seconds after the first use in it."""

    def __init__(self, quota: int, length: float) -> None:
        self.quota = quota
        self._length = length
        self._opened: float | None = None
        self._spent = 0
        # What earlier windows came to, newest last: (opened, spent).
        self.closed: collections.deque[tuple[float, int]] = collections.deque(maxlen=1_000)

    def _roll(self, now: float) -> None:
        if self._opened is not None and now >= self._opened + self._length:
            self.closed.append((self._opened, self._spent))
            self._opened, self._spent = None, 0

    def spent(self, now: float) -> int:
        self._roll(now)
        return self._spent

    def left(self, now: float) -> int:
        return max(0, self.quota - self.spent(now))

    def reset_in(self, now: float) -> int | None:
        """Whole seconds until the quota is whole again, rounded up; None when it is."""
        self._roll(now)
        return None if self._opened is None else max(1, math.ceil(self._opened + self._length - now))

    def spend(self, amount: int, now: float) -> float:
        """Open the window if it is closed; returns when it opened."""
        self._roll(now)
        if self._opened is None:
            self._opened = now
        self._spent += amount
        return self._opened

    def refund(self, amount: int, opened: float) -> None:
        """Give back what was taken from the window that opened then; a later one owes nothing."""
        if self._opened == opened:
            self._spent -= amount


@dataclasses.dataclass(frozen=True)
class Charge:
    """What a request was charged by estimate, and the budget before and after it."""

    cost: int
    before: int
    after: int
    reset_in: int
    opened: float


class Ledger(Protocol):
    """Where the day's calls survive a restart, in tenths of a call."""

    def calls_of(self, day: date) -> int: ...

    def add_calls(self, day: date, tenths: int) -> None: ...


class Gate:
    """Lets requests in, counts what they cost, and says how much is left."""

    def __init__(self, settings: config.Config, time: clock.Clock, ledger: Ledger) -> None:
        self._settings = settings
        self._clock = time
        self._ledger = ledger
        self.requests = Window(settings.requests_per_minute, settings.minute)
        self.complexity = Window(settings.complexity_per_minute, settings.minute)
        self.in_flight = 0

    def enter(self) -> None:
        """Count one request in. Refused by the day, the minute or the crowd. Pair with `leave`."""
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
        self.in_flight -= 1

    def charge(self, cost: int) -> Charge:
        """Charge an estimate before anything runs."""
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
        """Refund the estimate, or charge what it fell short of, which may hit the next minute."""
        if actual > charge.cost:
            self.complexity.spend(actual - charge.cost, self._clock.monotonic())
        else:
            self.complexity.refund(charge.cost - actual, charge.opened)

    def was_cheap(self) -> None:
        """The request that entered turned out to be a tenth of a call."""
        self._count_call(CHEAP_CALL - CALL)

    def _count_call(self, tenths: int) -> None:
        self._ledger.add_calls(self._clock.now().date(), tenths)

    def day_exceeded(self) -> answers.Answer:
        """The refusal that holds until 00:00 UTC."""
        now = self._clock.now()
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return answers.day_exceeded(math.ceil((midnight - now).total_seconds()))

    def headers(self) -> dict[str, str]:
        """What every response says about the limits."""
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
