"""Paces requests so that the API's budget is used up and never overdrawn.

Four limits meet here: complexity a minute (window.py), requests a minute (an AsyncLimiter), requests at a
time, calls a day. A request asks for its turn, which sets its cost aside and waits as long as it must; the
answer settles the turn. One budget belongs to one token and to one event loop.
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

# What a read is thought to cost before it was ever asked; from then on, what it cost last.
UNMEASURED_READ = 10_000
# A refused request counts a tenth of a call; a burst may take a tenth of the minute's requests at once.
REFUSED_CALL = 0.1
BURST = 0.1


class Kind(StrEnum):
    """Reads and writes may have budgets of their own."""

    READ = "read"
    WRITE = "write"


class Snapshot(base.Model):
    """How the write budget stands. Complexity in points, times in seconds, calls of the UTC day.

    `held_for`: until a pause that the API asked for is over. `calls_run_out_at`: when the day's calls end if
    they go on as they did since this process started, None if they last.
    """

    complexity_limit: int
    complexity_spent: int
    resets_in: float
    mutation_weight: int
    held_for: float
    requests: int
    throttled: int
    calls_today: float
    calls_limit: int
    calls_run_out_at: datetime | None


@dataclass(frozen=True, eq=False)
class Turn:
    """The right to send one request now."""

    kind: Kind
    name: str
    mutations: int
    reservation: minute_window.Reservation


class Budget:
    """`calls_today` is what this token is known to have used of the current UTC day already."""

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
        writes = minute_window.Window(limit.complexity_per_minute, limit.minute_seconds)
        apart = minute_window.Window(limit.complexity_per_minute, limit.minute_seconds) if limit.reads_apart else writes
        self._windows = {Kind.WRITE: writes, Kind.READ: apart}
        self._places = {
            Kind.WRITE: asyncio.Semaphore(limit.writers),
            Kind.READ: asyncio.Semaphore(limit.readers),
        }
        self._limiter: aiolimiter.AsyncLimiter | None = None
        self._requests_per_minute = float(limit.requests_per_minute)
        self._held_until = -math.inf
        # Kinds of mutations may differ in weight: the heaviest of the latest answers is the safe guess.
        self._weights: collections.deque[int] = collections.deque(maxlen=16)
        self._read_costs: dict[str, int] = {}
        self._requests = 0
        self._throttled = 0
        self._day = daily_calls.Day(limit.calls_per_day, used=calls_today, now=utcnow)

    @property
    def weight(self) -> int:
        """What one mutation costs, in points: measured, or the published guess."""
        return max(self._weights, default=self._limit.mutation_weight)

    def room(self, weight: int | None = None) -> int:
        """How many mutations of `weight` points fit into what is left of this minute, and into one request.

        0 means: send a whole batch, its turn comes when the minute resets.
        """
        now = self._clock()
        if now < self._held_until:
            return 0
        left = self._windows[Kind.WRITE].left(now)
        return min(left, self._limit.complexity_per_request) // (weight or self.weight)

    def place(self, kind: Kind) -> asyncio.Semaphore:
        """The places for requests at a time, to be entered; a write keeps its place through its waits."""
        return self._places[kind]

    async def turn(self, kind: Kind, *, name: str = "", mutations: int = 0) -> Turn:
        """Wait until one more request may be sent, and set its cost aside.

        Raises AccountStop when the day is used up, and Rejected (OVER_BUDGET) for several mutations that no
        minute could ever hold together: nothing was sent then.
        """
        self._check_day(kind)
        await self._request_limiter().acquire()
        points = self._windows[kind]
        while True:
            cost, now = self._cost(name, mutations), self._clock()
            if mutations > 1 and cost > min(points.capacity, self._limit.complexity_per_request):
                raise errors.Rejected(
                    f"{mutations} mutations cost {cost} points, a minute holds {points.capacity}",
                    code="OVER_BUDGET",
                )
            pause = max(points.delay(cost, now), self._held_until - now)
            if pause <= 0:
                break
            await self._sleep(pause)
        self._check_day(kind)
        self._requests += 1
        self._day.add(1)
        return Turn(kind, name, mutations, points.reserve(cost, now))

    def cancel(self, turn: Turn) -> None:
        """The request never left."""
        self._day.add(-1)
        self._windows[turn.kind].cancel(turn.reservation)

    def lose(self, turn: Turn) -> None:
        """The request left and no answer came: it stays counted."""
        self._windows[turn.kind].lose(turn.reservation)

    def settle(self, turn: Turn, reply: responses.Reply) -> None:
        """Correct everything by an answer."""
        told = responses.told(reply)
        # A request that was too big tells its cost as well, though nobody is charged for it.
        cost = told.cost or next((error.cost for error in reply.errors if error.cost), None)
        if cost and turn.mutations:
            self._weights.append(math.ceil(cost / turn.mutations))
        elif cost:
            self._read_costs[turn.name] = cost
        self._windows[turn.kind].settle(turn.reservation, told, self._clock())
        self._learn_rate(reply)

    def throttled(self, turn: Turn, error: error_table.ApiError, wait: float, reply: responses.Reply) -> None:
        """The request was refused without being executed: hold everything for `wait` seconds."""
        now = self._clock()
        self._learn_rate(reply)
        throttle = error_table.rule(error).throttle
        if throttle is not None:
            self._throttled += 1
            self._day.add(REFUSED_CALL - 1)
        if throttle is error_table.Throttle.COMPLEXITY:
            told = responses.told(reply).model_copy(update={"cost": None})
            self._windows[turn.kind].refuse(turn.reservation, told, wait, now)
        else:
            self._windows[turn.kind].cancel(turn.reservation)
            self.hold(wait)

    def hold(self, seconds: float) -> None:
        """Send nothing at all for so long."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    def end_day(self) -> float:
        """The API says that the day's calls are used up. Gives the seconds until midnight UTC."""
        self._day.exhaust()
        return self._day.resets_in()

    def snapshot(self) -> Snapshot:
        now = self._clock()
        points = self._windows[Kind.WRITE]
        return Snapshot(
            complexity_limit=points.capacity,
            complexity_spent=points.spent(now),
            resets_in=points.resets_in(now),
            mutation_weight=self.weight,
            held_for=max(0.0, self._held_until - now),
            requests=self._requests,
            throttled=self._throttled,
            calls_today=round(self._day.used, 1),
            calls_limit=self._day.limit,
            calls_run_out_at=self._day.runs_out_at(),
        )

    def _cost(self, name: str, mutations: int) -> int:
        return mutations * self.weight if mutations else self._read_costs.get(name, UNMEASURED_READ)

    def _request_limiter(self) -> aiolimiter.AsyncLimiter:
        # A limiter belongs to the loop it was made in, so it is made with the first request. It is a leaky
        # bucket: burst and flow together stay within the limit of any minute.
        if self._limiter is None:
            burst = max(1.0, self._requests_per_minute * BURST)
            flow = max(1.0, self._requests_per_minute - burst)
            self._limiter = aiolimiter.AsyncLimiter(burst, self._limit.minute_seconds * burst / flow)
        return self._limiter

    def _learn_rate(self, reply: responses.Reply) -> None:
        told = reply.allowances.get("minuteRate")
        if told is None:
            return
        if told.quota and told.quota < self._requests_per_minute:
            self._requests_per_minute, self._limiter = told.quota, None
        if told.left == 0 and told.resets_in:
            self.hold(told.resets_in)

    def _check_day(self, kind: Kind) -> None:
        share = 1 - self._limit.daily_reserve if kind is Kind.WRITE else 1
        if self._day.used >= self._day.limit * share:
            raise error_table.AccountStop(
                f"{self._day.used:.0f} of {self._day.limit} calls of this day are used",
                code="DAILY_BUDGET_SPENT",
                wait=self._day.resets_in(),
            )
