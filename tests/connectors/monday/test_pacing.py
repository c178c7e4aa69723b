"""A backlog against an API that keeps its own minute: all of the budget is used, and nothing is refused.

Both sides share one clock that nobody waits for; the API's side knows nothing of ours.
"""

import json
import math
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors import errors
from connectors.monday import budget, client, error_formats, limits

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BATCH = 25


class FakeTime:
    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def utcnow(self) -> datetime:
        return NOON + timedelta(seconds=self.now)


class FakeApi:
    """Keeps one fixed window of complexity. `tells` is what its answers say about it."""

    def __init__(
        self,
        time: FakeTime,
        points: int,
        *,
        latency: float = 0.5,
        weight: int = 30_000,
        tells: frozenset[str] = frozenset({"complexity", "headers"}),
        whole_seconds: Any = math.ceil,
        minute: float = 60.0,
        seed: int = 1,
    ) -> None:
        self.time, self.points, self.latency, self.weight = time, points, latency, weight
        self.tells, self.whole_seconds, self.minute = tells, whole_seconds, minute
        self.rng = random.Random(seed)
        self.ends = -math.inf
        self.spent = 0
        self.windows: list[int] = []
        self.refused: list[float] = []
        self.requests = 0

    def charge(self, cost: int) -> bool:
        if self.time.now >= self.ends:
            self.ends, self.spent = self.time.now + self.minute, 0
            self.windows.append(0)
        if self.spent + cost > self.points:
            return False
        self.spent += cost
        self.windows[-1] = self.spent
        return True

    async def post(self, body: str, headers: Mapping[str, str]) -> error_formats.Answer:
        mutations = json.loads(body)["mutations"]
        way = self.rng.uniform(0.5, 1.5) * self.latency / 2
        self.time.now += way
        answer = self.answer(mutations)
        self.time.now += way
        return answer

    def answer(self, mutations: int) -> error_formats.Answer:
        self.requests += 1
        before = self.points - (self.spent if self.time.now < self.ends else 0)
        cost = mutations * self.weight + 1
        granted = self.charge(cost)
        resets_in = self.whole_seconds(self.ends - self.time.now)
        headers = {}
        if "headers" in self.tells:
            headers["ratelimit-policy"] = f'"complexityMinute";q={self.points};w=60'
            headers["ratelimit"] = f'"complexityMinute";r={self.points - self.spent};t={resets_in}'
        if not granted:
            self.refused.append(self.time.now)
            extensions = {
                "code": "COMPLEXITY_BUDGET_EXHAUSTED",
                "retry_in_seconds": math.ceil(self.ends - self.time.now),
            }
            payload: dict[str, Any] = {"errors": [{"message": "Complexity budget exhausted", "extensions": extensions}]}
            return error_formats.Answer(status=429, headers=headers, text=json.dumps(payload))
        data: dict[str, Any] = {f"m{index}": {"id": str(index)} for index in range(mutations)}
        if "complexity" in self.tells:
            data["complexity"] = {
                "before": before,
                "after": self.points - self.spent,
                "query": cost,
                "reset_in_x_seconds": resets_in,
            }
        return error_formats.Answer(status=200, headers=headers, text=json.dumps({"data": data}))


def connect(time: FakeTime, api: FakeApi, limit: limits.Limits) -> client.Client:
    paces = budget.Budget(limit, clock=time.clock, sleep=time.sleep, utcnow=time.utcnow)
    return client.Client(
        "http://nowhere", "t", budget=paces, clock=time.clock, sleep=time.sleep, rng=random.Random(1), post=api.post
    )


async def work_off(subject: client.Client, time: FakeTime, *, until: float, batch: int = BATCH) -> int:
    """What a writer with a backlog does: a whole batch, or what the end of the minute still holds."""
    written = 0
    while time.now < until:
        size = min(batch, subject.budget.mutations_left()) or batch
        try:
            await subject.send(json.dumps({"mutations": size}), key=None, mutations=size)
            written += size
        except errors.Rejected as rejected:
            if rejected.code != "OVER_BUDGET":
                raise
            batch = max(1, batch // 2)
    return written


ALL = frozenset({"complexity", "headers"})


@pytest.mark.parametrize("whole_seconds", [math.ceil, math.floor])
@pytest.mark.parametrize("latency", [0.05, 0.9, 4.0])
@pytest.mark.parametrize("tells", [ALL, {"complexity"}, {"headers"}, set()])
@pytest.mark.parametrize("token", ["personal", "app", "trial"])
async def test_each_minute_is_spent_and_nothing_is_refused(
    token: str, tells: set[str], latency: float, whole_seconds: Any
) -> None:
    time = FakeTime()
    limit = limits.preset(token, "pro")
    api = FakeApi(
        time, limit.complexity_per_minute, latency=latency, tells=frozenset(tells), whole_seconds=whole_seconds
    )
    written = await work_off(connect(time, api, limit), time, until=900)
    assert api.refused == []
    # The first and the last window may be cut; a window opens with its first call, so none is idle between.
    shares = [spent / limit.complexity_per_minute for spent in api.windows[1:-1]]
    assert len(shares) >= 12
    if latency < 4 or token != "personal":  # 14 round trips of 4 s hardly fit into a minute
        assert min(shares) >= 0.97
        assert api.requests <= 0.061 * written


async def test_a_scaled_minute_is_paced_alike() -> None:
    time = FakeTime()
    limit = limits.preset("app", "pro", minute_seconds=1.0)
    api = FakeApi(time, limit.complexity_per_minute, latency=0.01, minute=1.0)
    await work_off(connect(time, api, limit), time, until=20)
    assert api.refused == []
    assert min(api.windows[1:-1]) >= 0.97 * limit.complexity_per_minute
    assert len(api.windows) >= 18


@pytest.mark.parametrize("batch", [10, 25, 100, 166])
@pytest.mark.parametrize("tells", [ALL, {"complexity"}, {"headers"}, set()])
async def test_half_the_expected_budget_costs_two_refusals_at_most(tells: set[str], batch: int) -> None:
    time = FakeTime()
    api = FakeApi(time, 2_500_000, tells=frozenset(tells))
    await work_off(connect(time, api, limits.preset("app", "pro")), time, until=900, batch=batch)
    assert len(api.refused) <= 2
    assert all(moment < 121 for moment in api.refused)
    # Told nothing, we stay with what was once granted.
    assert min(api.windows[3:-1]) >= (0.97 if tells else 0.5) * 2_500_000


async def test_a_heavier_mutation_than_published_is_learned() -> None:
    time = FakeTime()
    api = FakeApi(time, 5_000_000, weight=47_000)
    await work_off(connect(time, api, limits.preset("app", "pro")), time, until=600)
    assert api.refused == []
    assert min(api.windows[1:-1]) >= 0.97 * 5_000_000


async def test_a_restart_within_a_minute_costs_one_refusal_at_most() -> None:
    time = FakeTime()
    limit = limits.preset("app", "pro")
    api = FakeApi(time, limit.complexity_per_minute)
    await work_off(connect(time, api, limit), time, until=3)
    assert api.spent > 4_000_000
    await work_off(connect(time, api, limit), time, until=400)
    assert len(api.refused) <= 1
    assert min(api.windows[:-1]) >= 0.97 * limit.complexity_per_minute


async def test_another_user_of_the_token_is_made_room_for() -> None:
    time = FakeTime()
    limit = limits.preset("app", "pro")

    class Shared(FakeApi):
        def answer(self, mutations: int) -> error_formats.Answer:
            # Between two of our requests somebody else takes an eighth of the minute.
            if self.requests % 7 == 3:
                self.charge(limit.complexity_per_minute // 8)
            return super().answer(mutations)

    api = Shared(time, limit.complexity_per_minute)
    await work_off(connect(time, api, limit), time, until=1_200)
    # What was taken while a request was on its way can still collide with it, now and then.
    assert len(api.refused) <= len(api.windows) // 4
    assert min(api.windows[1:-1]) >= 0.85 * limit.complexity_per_minute


async def test_a_stated_wait_is_obeyed_to_the_second() -> None:
    time = FakeTime()
    sent: list[float] = []

    async def post(body: str, headers: Mapping[str, str]) -> error_formats.Answer:
        sent.append(time.now)
        if len(sent) == 1:
            extensions = {"code": "IP_RATE_LIMIT_EXCEEDED", "retry_in_seconds": 7}
            text = json.dumps({"errors": [{"message": "m", "extensions": extensions}]})
            return error_formats.Answer(status=429, headers={"retry-after": "9"}, text=text)
        return error_formats.Answer(status=200, text='{"data":{"m0":{"id":"1"}}}')

    paces = budget.Budget(limits.preset("app", "pro"), clock=time.clock, sleep=time.sleep, utcnow=time.utcnow)
    subject = client.Client("http://nowhere", "t", budget=paces, sleep=time.sleep, clock=time.clock, post=post)
    await subject.send("{}", key="k", mutations=1)
    assert sent == [0, 9]
