"""Paces requests so that they use the API's budget and never exceed it.

The budget has four limits: complexity a minute (minute_window.py), requests a minute (an AsyncLimiter), requests at a
time, and calls a day (daily_calls.py). `turn` waits until a request may be sent and reserves its cost; `settle`
corrects the reservation by the answer. One budget belongs to one token and to one event loop.
"""

import asyncio
import collections
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import aiolimiter

from connectors import errors
from connectors.monday import daily_calls, error_table, limits, minute_window, responses
from schemas import base

# The assumed cost of a read that was never sent; afterwards it is the cost of its last answer.
UNMEASURED_READ = 10_000
# A refused request counts a tenth of a call; a burst may take a tenth of the minute's requests at once.
REFUSED_CALL = 0.1
BURST = 0.1


class Kind(StrEnum):
    """Reads and writes may have budgets of their own."""

    READ = "read"
    WRITE = "write"


class Snapshot(base.Model):
    """The state of the write budget. Complexity in points, times in seconds, calls of the UTC day.

    `paused_for`: seconds until the API pause ends. `calls_run_out_at`: the time (UTC) of the day's last call at the
    rate since this process started; None if the calls last until midnight. `calls_resume_at`: the time (UTC) until
    which the API allows no call; None while it does.
    """

    complexity_limit: int
    complexity_spent: int
    resets_in: float
    mutation_weight: int
    paused_for: float
    requests: int
    throttled: int
    calls_today: float
    calls_limit: int
    calls_run_out_at: datetime | None
    calls_resume_at: datetime | None


@dataclass(frozen=True, eq=False)
class Turn:
    """The right to send one request now."""

    kind: Kind
    name: str
    mutations: int
    reservation: minute_window.Reservation


class Budget:
    """The budget of one token. `calls_today`: calls of the current UTC day that this token has used already."""

    def __init__(
        self,
        limit: limits.Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        utcnow: Callable[[], datetime] = daily_calls.utcnow,
        calls_today: float = 0.0,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._utcnow = utcnow
        writes = minute_window.Window(limit.complexity_per_minute, limit.minute_seconds)
        reads = minute_window.Window(limit.complexity_per_minute, limit.minute_seconds) if limit.reads_apart else writes
        self._windows = {Kind.WRITE: writes, Kind.READ: reads}
        self._places = {
            Kind.WRITE: asyncio.Semaphore(limit.writers),
            Kind.READ: asyncio.Semaphore(limit.readers),
        }
        self._limiter: aiolimiter.AsyncLimiter | None = None
        self._requests_per_minute = float(limit.requests_per_minute)
        self._paused_until = -math.inf
        # Kinds of mutations differ in weight: the heaviest of the latest answers is the safe estimate.
        self._weights: collections.deque[int] = collections.deque(maxlen=16)
        self._read_costs: dict[str, int] = {}
        self._requests = 0
        self._throttled = 0
        self._day = daily_calls.Day(limit.calls_per_day, used=calls_today, now=utcnow)

    @property
    def weight(self) -> int:
        """The cost of one mutation in points: measured, or the reported first estimate."""
        return max(self._weights, default=self._limit.mutation_weight)

    def mutations_left(self, weight: int | None = None) -> int:
        """The number of mutations of `weight` points that still fit into this minute, and into one request.

        0 means: send a full request, which waits for its turn until the minute resets.
        """
        now = self._clock()
        if now < self._paused_until:
            return 0
        left = self._windows[Kind.WRITE].left(now)
        return min(left, self._limit.complexity_per_request) // (weight or self.weight)

    def place(self, kind: Kind) -> asyncio.Semaphore:
        """The semaphore of the requests at a time; a write keeps its place while it waits."""
        return self._places[kind]

    async def turn(self, kind: Kind, *, name: str = "", mutations: int = 0) -> Turn:
        """Wait until one more request may be sent, and reserve its cost.

        Raises AccountStop when the calls of the day are used up or the API allows none, and Rejected (OVER_BUDGET) for
        several mutations that exceed the points of any minute. Then nothing was sent.
        """
        self._check_day(kind)
        await self._request_limiter().acquire()
        points = self._windows[kind]
        while True:
            cost, now = self._cost(name, mutations), self._clock()
            if mutations > 1 and cost > min(points.capacity, self._limit.complexity_per_request):
                raise errors.Rejected(
                    f"{mutations} mutations cost {cost} points, a minute has {points.capacity}",
                    code="OVER_BUDGET",
                )
            pause = max(points.delay(cost, now), self._paused_until - now)
            if pause <= 0:
                break
            await self._sleep(pause)
        self._check_day(kind)
        self._requests += 1
        self._day.add(1)
        return Turn(kind, name, mutations, points.reserve(cost, now))

    def cancel(self, turn: Turn) -> None:
        """Return the reserved cost: the request was never sent."""
        self._day.add(-1)
        self._windows[turn.kind].cancel(turn.reservation)

    def lose(self, turn: Turn) -> None:
        """Keep the reserved cost: the request was sent, and no answer arrived."""
        self._windows[turn.kind].lose(turn.reservation)

    def settle(self, turn: Turn, reply: responses.Reply) -> None:
        """Correct window, weights and rate by an answer, and obey each wait that its errors state.

        An answer with outcomes may hold the error of a limit for one alias: no other request may leave meanwhile.
        """
        report = responses.window_report(reply)
        # The error of a request that was too big states its cost as well, although the API does not charge it.
        cost = report.cost or next((error.cost for error in reply.errors if error.cost), None)
        if cost and turn.mutations:
            self._weights.append(math.ceil(cost / turn.mutations))
        elif cost:
            self._read_costs[turn.name] = cost
        self._windows[turn.kind].settle(turn.reservation, report, self._clock())
        self._learn_rate(reply)
        for error in reply.errors:
            if error_table.is_daily_limit(error):
                self.end_day(error.wait)
            elif error_table.rule(error).action is error_table.Action.WAIT:
                self.pause(error_table.wait_of(error))

    def throttled(self, turn: Turn, error: error_table.ApiError, wait: float, reply: responses.Reply) -> None:
        """Pause all requests for `wait` seconds: the API refused this one without executing it."""
        now = self._clock()
        self._learn_rate(reply)
        throttle = error_table.rule(error).throttle
        if throttle is not None:
            self._throttled += 1
            self._day.add(REFUSED_CALL - 1)
        if throttle is error_table.Throttle.COMPLEXITY:
            report = responses.window_report(reply).model_copy(update={"cost": None})
            self._windows[turn.kind].refuse(turn.reservation, report, wait, now)
        else:
            self._windows[turn.kind].cancel(turn.reservation)
            self.pause(wait)

    def pause(self, seconds: float) -> None:
        """Send nothing for so many seconds: an API pause."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def end_day(self, wait: float | None) -> None:
        """Allow no call for `wait` seconds, or until midnight UTC, as the API says."""
        self._day.close(wait or None)

    def no_calls_for(self) -> float:
        """Seconds until the API allows calls again; 0 while it does."""
        until = self._day.closed_until()
        return 0.0 if until is None else (until - self._utcnow()).total_seconds()

    def snapshot(self) -> Snapshot:
        """The state of the write budget now."""
        now = self._clock()
        points = self._windows[Kind.WRITE]
        return Snapshot(
            complexity_limit=points.capacity,
            complexity_spent=points.spent(now),
            resets_in=points.resets_in(now),
            mutation_weight=self.weight,
            paused_for=max(0.0, self._paused_until - now),
            requests=self._requests,
            throttled=self._throttled,
            calls_today=round(self._day.used, 1),
            calls_limit=self._day.limit,
            calls_run_out_at=self._day.runs_out_at(),
            calls_resume_at=self._day.closed_until(),
        )

    def _cost(self, name: str, mutations: int) -> int:
        return mutations * self.weight if mutations else self._read_costs.get(name, UNMEASURED_READ)

    def _request_limiter(self) -> aiolimiter.AsyncLimiter:
        # A limiter belongs to the event loop that created it, so the first request creates it. It is a leaky bucket:
        # burst and flow together stay within the limit of any minute.
        if self._limiter is None:
            burst = max(1.0, self._requests_per_minute * BURST)
            flow = max(1.0, self._requests_per_minute - burst)
            self._limiter = aiolimiter.AsyncLimiter(burst, self._limit.minute_seconds * burst / flow)
        return self._limiter

    def _learn_rate(self, reply: responses.Reply) -> None:
        allowance = reply.allowances.get("minuteRate")
        if allowance is None:
            return
        if allowance.quota and allowance.quota < self._requests_per_minute:
            self._requests_per_minute, self._limiter = allowance.quota, None
        if allowance.left == 0 and allowance.resets_in:
            self.pause(allowance.resets_in)

    def _check_day(self, kind: Kind) -> None:
        if (until := self._day.closed_until()) is not None:
            raise error_table.AccountStop(
                f"the API allows no call before {until:%Y-%m-%d %H:%M:%S} UTC",
                code="DAILY_LIMIT_EXCEEDED",
                wait=self.no_calls_for(),
            )
        share = 1 - self._limit.daily_reserve if kind is Kind.WRITE else 1
        if self._day.used >= self._day.limit * share:
            raise error_table.AccountStop(
                f"{self._day.used:.0f} of {self._day.limit} calls of this day are used",
                code="DAILY_BUDGET_SPENT",
                wait=self._day.resets_in(),
            )
