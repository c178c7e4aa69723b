"""Presets, the day's calls, requests a minute, and what the status page is told."""

import asyncio
import selectors
from datetime import UTC, datetime, timedelta
from typing import Any

import pydantic
import pytest

from connectors import errors
from connectors.monday import budget, daily_calls, error_table, limits, responses

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class FakeTime:
    """Seconds since noon; sleeping is what makes them pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def utcnow(self) -> datetime:
        return NOON + timedelta(seconds=self.now)


def make(
    time: FakeTime, token: str = "app", plan: str = "pro", *, calls_today: float = 0, **overrides: Any
) -> budget.Budget:
    return budget.Budget(
        limits.preset(token, plan, **overrides),
        clock=time.clock,
        sleep=time.sleep,
        utcnow=time.utcnow,
        calls_today=calls_today,
    )


def reply(cost: int | None = None, *, headers: dict[str, str] | None = None) -> responses.Reply:
    seen = (
        None
        if cost is None
        else responses.Complexity(before=5_000_000, after=5_000_000 - cost, query=cost, reset_in=60)
    )
    return responses.Reply(http_status=200, complexity=seen, allowances=limits.read_headers(headers or {}))


@pytest.mark.parametrize(
    ("token", "plan", "points", "requests", "at_once", "calls"),
    [
        ("personal", "standard", 10_000_000, 1_000, 40, 1_000),
        ("app", "pro", 5_000_000, 2_500, 100, 10_000),
        ("trial", "enterprise", 1_000_000, 5_000, 250, 25_000),
    ],
)
def test_presets_are_the_published_limits(
    token: str, plan: str, points: int, requests: int, at_once: int, calls: int
) -> None:
    limit = limits.preset(token, plan)
    assert limit.complexity_per_minute == points
    assert (limit.requests_per_minute, limit.concurrency, limit.calls_per_day) == (requests, at_once, calls)
    assert limit.reads_apart == (token == "app")
    assert limit.writers == 1


def test_a_preset_can_be_overridden_and_checks_itself() -> None:
    assert limits.preset("app", "pro", minute_seconds=2.0).minute_seconds == 2.0
    with pytest.raises(pydantic.ValidationError, match="exceed 40"):
        limits.preset("app", "standard", readers=40)
    with pytest.raises(pydantic.ValidationError, match="extra"):
        limits.preset("app", "standard", speed=9)
    with pytest.raises(ValueError, match="gold"):
        limits.preset("app", "gold")


async def test_the_weight_of_a_mutation_is_measured() -> None:
    subject = make(FakeTime())
    assert (subject.weight, subject.mutations_left()) == (30_000, 166)
    subject.settle(await subject.turn(budget.Kind.WRITE, mutations=10), reply(100_001))
    assert subject.weight == 10_001
    # The heaviest of the latest answers is the safe guess.
    subject.settle(await subject.turn(budget.Kind.WRITE, mutations=1), reply(40_000))
    assert subject.weight == 40_000
    for _ in range(16):
        subject.settle(await subject.turn(budget.Kind.WRITE, mutations=1), reply(20_000))
    assert subject.weight == 20_000


async def test_mutations_left_is_limited_by_one_request_and_by_a_pause() -> None:
    time = FakeTime()
    subject = make(time, "personal")
    assert subject.mutations_left() == 5_000_000 // 30_000
    assert subject.mutations_left(weight=1_000_000) == 5
    subject.pause(10)
    assert subject.mutations_left() == 0
    await time.sleep(10)
    assert subject.mutations_left() == 166


async def test_a_batch_that_no_minute_holds_is_rejected_before_it_is_sent() -> None:
    subject = make(FakeTime(), "trial")
    with pytest.raises(errors.Rejected) as raised:
        await subject.turn(budget.Kind.WRITE, mutations=34)
    assert raised.value.code == "OVER_BUDGET"
    with pytest.raises(errors.Rejected):
        await make(FakeTime(), "personal").turn(budget.Kind.WRITE, mutations=167)
    assert subject.snapshot().requests == 0
    await subject.turn(budget.Kind.WRITE, mutations=33)


async def test_an_app_reads_from_a_budget_of_its_own() -> None:
    for token, left in (("app", 166), ("personal", 166)):
        subject = make(FakeTime(), token, complexity_per_request=5_000_000, complexity_per_minute=5_000_000)
        turn = await subject.turn(budget.Kind.READ, name="items_page")
        subject.settle(turn, responses.Reply(http_status=200))
        assert subject.snapshot().complexity_spent == (0 if token == "app" else budget.UNMEASURED_READ)
        assert subject.mutations_left() == left


async def test_a_read_costs_what_it_cost_last() -> None:
    time = FakeTime()
    subject = make(time, "personal")
    cost = responses.Complexity(before=10_000_000, after=9_100_000, query=900_000, reset_in=60)
    turn = await subject.turn(budget.Kind.READ, name="items_page")
    subject.settle(turn, responses.Reply(http_status=200, complexity=cost))
    await subject.turn(budget.Kind.READ, name="items_page")
    assert subject.snapshot().complexity_spent == 1_800_000


async def test_calls_are_counted_a_tenth_when_refused_and_not_at_all_when_never_sent() -> None:
    time = FakeTime()
    subject = make(time)
    refusal = error_table.ApiError(code="maxConcurrencyExceeded", message="", status=429)
    locked = error_table.ApiError(code="LOCKED", message="", status=423)
    subject.settle(await subject.turn(budget.Kind.WRITE, mutations=1), reply())
    subject.throttled(await subject.turn(budget.Kind.WRITE, mutations=1), refusal, 2.0, reply())
    assert subject.snapshot().paused_for == 2.0
    subject.cancel(await subject.turn(budget.Kind.WRITE, mutations=1))
    assert time.now == 2.0
    subject.lose(await subject.turn(budget.Kind.WRITE, mutations=1))
    subject.throttled(await subject.turn(budget.Kind.WRITE, mutations=1), locked, 1.0, reply())
    seen = subject.snapshot()
    assert (seen.calls_today, seen.throttled, seen.requests) == (3.1, 1, 5)
    # Settled and lost stay spent; refused, locked and never sent do not.
    assert seen.complexity_spent == 2 * 30_000


async def test_writes_stop_before_the_last_call_of_the_day_and_reads_at_it() -> None:
    time = FakeTime()
    subject = make(time, calls_today=9_799)
    subject.settle(await subject.turn(budget.Kind.WRITE, mutations=1), reply())
    with pytest.raises(error_table.AccountStop) as stopped:
        await subject.turn(budget.Kind.WRITE, mutations=1)
    assert (stopped.value.code, stopped.value.wait) == ("DAILY_BUDGET_SPENT", 12 * 3600)
    for _ in range(200):
        subject.settle(await subject.turn(budget.Kind.READ), reply())
    with pytest.raises(error_table.AccountStop):
        await subject.turn(budget.Kind.READ)
    await time.sleep(12 * 3600)
    await subject.turn(budget.Kind.WRITE, mutations=1)
    assert subject.snapshot().calls_today == 1


def refused_for_the_day(wait: float | None) -> responses.Reply:
    refusal = error_table.ApiError(code="DAILY_LIMIT_EXCEEDED", message="", status=429, wait=wait)
    return responses.Reply(http_status=429, errors=(refusal,))


@pytest.mark.parametrize(("stated", "seconds"), [(None, 12 * 3600), (600, 600), (20 * 3600, 20 * 3600), (0, 12 * 3600)])
async def test_the_api_may_end_the_day_and_its_stated_wait_counts(stated: float | None, seconds: float) -> None:
    time = FakeTime()
    # Our own count is near its end too: the API's word is more.
    subject = make(time, calls_today=9_790)
    subject.settle(await subject.turn(budget.Kind.WRITE, mutations=1), refused_for_the_day(stated))
    seen = subject.snapshot()
    assert seen.calls_resume_at == NOON + timedelta(seconds=seconds)
    assert (seen.calls_run_out_at, seen.calls_today) == (None, 9_791)
    for kind in budget.Kind:
        with pytest.raises(error_table.AccountStop) as stopped:
            await subject.turn(kind)
        assert (stopped.value.code, stopped.value.wait) == ("DAILY_LIMIT_EXCEEDED", seconds)
    await time.sleep(seconds - 1)
    with pytest.raises(error_table.AccountStop):
        await subject.turn(budget.Kind.READ)
    await time.sleep(1)
    for _ in range(20):
        subject.settle(await subject.turn(budget.Kind.WRITE, mutations=1), reply())
        await time.sleep(60)
    assert subject.snapshot().calls_resume_at is None
    assert subject.snapshot().calls_today == 20


async def test_a_daily_limit_of_one_alias_ends_the_day_too() -> None:
    time = FakeTime()
    subject = make(time)
    refusal = error_table.ApiError(code="DAILY_LIMIT_EXCEEDED", message="", status=200, path=("m1",), wait=30)
    answer = responses.Reply(http_status=200, data={"m0": {"id": "1"}, "m1": None}, errors=(refusal,))
    subject.settle(await subject.turn(budget.Kind.WRITE, mutations=2), answer)
    assert subject.no_calls_for() == 30
    with pytest.raises(error_table.AccountStop, match="2026-11-21 12:00:30 UTC"):
        await subject.turn(budget.Kind.READ)


def test_the_end_of_the_days_calls_is_foreseen() -> None:
    time = FakeTime()
    count = daily_calls.Day(1_000, used=400, now=time.utcnow)
    assert count.runs_out_at() is None
    time.now = 3600
    count.add(100)
    assert count.runs_out_at() == NOON + timedelta(hours=6)
    time.now = 5 * 3600
    assert count.runs_out_at() is None
    count.close(None)
    assert (count.runs_out_at(), count.closed_until()) == (None, NOON + timedelta(hours=12))


async def test_a_spent_minute_rate_holds_everything_until_it_resets() -> None:
    time = FakeTime()
    subject = make(time)
    headers = {"ratelimit": '"minuteRate";r=0;t=38'}
    subject.settle(await subject.turn(budget.Kind.WRITE, mutations=1), reply(headers=headers))
    await subject.turn(budget.Kind.READ)
    assert time.now == 38


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes at once: it waits for no timer, it moves its clock."""

    def __init__(self) -> None:
        self._virtual = 0.0
        super().__init__(_Hurried(self))

    def time(self) -> float:
        return self._virtual

    def pass_time(self, seconds: float) -> None:
        self._virtual += seconds


class _Hurried(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Never not at all: a timer set for "now, but for a rounding error" would ring for ever.
        self._loop.pass_time((timeout or 0.0) + 1e-6)
        return super().select(0)


@pytest.mark.parametrize("told", [None, 500])
def test_no_minute_holds_more_requests_than_allowed(told: int | None) -> None:
    async def send_all() -> list[float]:
        loop = asyncio.get_running_loop()
        subject = budget.Budget(limits.preset("personal", "standard"), clock=loop.time, utcnow=lambda: NOON)
        headers = {"ratelimit-policy": f'"minuteRate";q={told};w=60'} if told else {}
        sent = []
        for _ in range(990):
            turn = await subject.turn(budget.Kind.READ, name="cheap")
            sent.append(loop.time())
            subject.settle(turn, reply(1, headers=headers))
        return sent

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        sent = runner.run(send_all())
    allowed = told or 1_000
    busiest = max(sum(start <= moment < start + 60 for moment in sent) for start in sent)
    assert 0.9 * min(allowed, len(sent)) <= busiest <= allowed
    assert sent[-1] > 30
