"""Each published limit, its answer, and the headers that tell of it."""

import asyncio

import pytest

from tests.connectors.simulator.conftest import Api, Start


async def test_complexity_is_charged_by_mutation_and_whole_again_a_minute_after_the_first(start: Start) -> None:
    api = await start(complexity_per_minute=90_000)
    await api.create()
    api.clock.advance(40)
    reply = await api.batch(["a", "b"])
    assert reply.headers["RateLimit"] == ('"minuteRate";r=998;t=20, "concurrency";r=40, "complexityMinute";r=0;t=20')
    refused = await api.create()
    assert (refused.status, refused.headers["Retry-After"]) == (429, "20")
    (error,) = refused.json["errors"]
    assert error["message"] == (
        "Complexity budget exhausted, query cost 30000 budget remaining 0 out of 90000 reset in 20 seconds"
    )
    assert error["extensions"] == {
        "code": "COMPLEXITY_BUDGET_EXHAUSTED",
        "status_code": 429,
        "retry_in_seconds": 20,
        "complexity": 30_000,
        "complexity_budget_left": 0,
        "complexity_budget_limit": 90_000,
    }
    api.clock.advance(19.9)
    assert (await api.create()).headers["Retry-After"] == "1"
    api.clock.advance(0.1)
    assert (await api.create()).status == 200
    assert len(await api.names()) == 4
    complexity = (await api.stats())["complexity"]
    assert complexity["limit"] == 90_000
    assert complexity["spent"] == 30_000
    assert [window["spent"] for window in complexity["windows"]] == [90_000]


async def test_a_request_that_does_not_fit_the_rest_is_refused_whole(start: Start) -> None:
    api = await start(complexity_per_minute=90_000)
    await api.batch(["a", "b"])
    assert (await api.batch(["c", "d"])).codes == ["COMPLEXITY_BUDGET_EXHAUSTED"]
    assert (await api.batch(["e"])).status == 200
    assert await api.names() == ["a", "b", "e"]


async def test_a_failing_alias_is_mostly_refunded(start: Start) -> None:
    api = await start(complexity_per_minute=90_000)
    await api.create("n" * 300)
    assert (await api.stats())["complexity"]["spent"] == 3_000


async def test_one_request_may_cost_five_million(api: Api) -> None:
    reply = await api.batch(["x"] * 167)
    assert (reply.status, reply.codes) == (200, ["REQUEST_MAX_COMPLEXITY_EXCEEDED"])
    told = reply.json["errors"][0]["extensions"]
    assert (told["cost"], told["max_complexity_per_request"]) == (5_010_000, 5_000_000)
    assert await api.names() == []
    assert len((await api.batch(["x"] * 166)).json["data"]) == 166


async def test_complexity_tells_the_budget_around_this_request(api: Api) -> None:
    reply = await api.post(
        "mutation { complexity { before query after reset_in_x_seconds } "
        'create_item(board_id: 9200517329, item_name: "x") { id } }'
    )
    assert reply.json["data"]["complexity"] == {
        "before": 10_000_000,
        "query": 30_000,
        "after": 9_970_000,
        "reset_in_x_seconds": 60,
    }


async def test_reading_costs_what_was_measured_elsewhere(api: Api) -> None:
    for name in "abc":
        await api.item(name)
    before = (await api.stats())["complexity"]["spent"]
    columns = '["text_mkr5wya6", "text_mkr5ej2x", "date_mkr5zp5", "numeric_mkr5cact", "color_mkr5yf27"]'
    await api.post(
        "{ boards(ids: 9200517329) { items_page(limit: 3) { items { id name "
        f"column_values(ids: {columns}) {{ id text }} }} }} }} }}"
    )
    assert (await api.stats())["complexity"]["spent"] - before == 65


async def test_requests_a_minute(start: Start) -> None:
    api = await start(requests_per_minute=2)
    await api.create("n" * 300)  # failed requests count
    await api.create()
    refused = await api.create()
    assert (refused.status, refused.headers["Retry-After"]) == (429, "60")
    assert refused.json["errors"][0]["message"] == "Minute limit rate exceeded"
    api.clock.advance(60)
    assert (await api.create()).status == 200


async def test_requests_at_once(start: Start) -> None:
    api = await start(concurrency=2, latency=1.0)
    running = [asyncio.create_task(api.create(name)) for name in "ab"]
    await api.clock.until_sleeping(2)
    refused = await api.create("c")
    assert (refused.status, refused.codes) == (429, ["maxConcurrencyExceeded"])
    assert refused.headers["Retry-After"] == "1"
    assert '"concurrency";r=0' in refused.headers["RateLimit"]
    api.clock.advance(1)
    assert [reply.status for reply in await asyncio.gather(*running)] == [200, 200]
    stats = await api.stats()
    assert (stats["max_writes_in_flight"], stats["in_flight"], stats["throttled"]) == (2, 0, 1)


async def test_calls_a_day_are_counted_in_tenths_until_midnight_utc(start: Start) -> None:
    api = await start(calls_per_day=2, complexity_per_minute=30_000)
    await api.post("{ complexity { after } }")
    await api.create()
    assert (await api.create()).codes == ["COMPLEXITY_BUDGET_EXHAUSTED"]
    assert (await api.stats())["calls_today"] == pytest.approx(1.2)
    api.clock.advance(3600)
    assert (await api.create()).status == 200
    refused = await api.create()
    assert (refused.status, refused.codes) == (429, ["DAILY_LIMIT_EXCEEDED"])
    assert refused.headers["Retry-After"] == str(11 * 3600)
    api.clock.advance(11 * 3600)
    assert (await api.create()).status == 200
    assert (await api.stats())["calls_today"] == 1.0


async def test_a_batch_is_one_call(api: Api) -> None:
    await api.batch(["x"] * 25)
    stats = await api.stats()
    assert (stats["calls_today"], stats["mutations"], stats["mutation_requests"]) == (1.0, 25, 1)


@pytest.mark.parametrize(("minute", "w", "t"), [(60, 60, 60), (2, 2, 2), (0.5, 1, 1)])
async def test_the_minute_can_be_shorter(start: Start, minute: float, w: int, t: int) -> None:
    api = await start(minute=minute, complexity_per_minute=30_000)
    reply = await api.create()
    assert reply.headers["RateLimit-Policy"] == (
        f'"minuteRate";q=1000;w={w}, "concurrency";q=40;qu="concurrent-requests", '
        f'"complexityMinute";q=30000;w={w};qu="content-bytes"'
    )
    assert f'"complexityMinute";r=0;t={t}' in reply.headers["RateLimit"]
    assert (await api.create()).headers["Retry-After"] == str(t)
    api.clock.advance(minute)
    assert (await api.create()).status == 200


async def test_every_answer_tells_the_limits_and_its_request_id(start: Start) -> None:
    api = await start(token="secret", requests_per_minute=4)
    replies = [
        await api.create(token="secret"),
        await api.create(token="wrong"),
        await api.post("mutation {", token="secret"),
        await api.post("{ nothing }", token="secret"),
        await api.send("no json", {"Authorization": "secret"}),
        await api.create(token="secret"),
    ]
    assert [reply.status for reply in replies] == [200, 401, 400, 400, 400, 429]
    ids = {reply.json["extensions"]["request_id"] for reply in replies}
    assert len(ids) == len(replies)
    for reply in replies:
        assert "RateLimit" in reply.headers
        assert "RateLimit-Policy" in reply.headers
        assert reply.headers["API-Version"] == "2026-10"


async def test_a_refund_never_reaches_the_next_minute(start: Start) -> None:
    api = await start(complexity_per_minute=90_000, latency=30.0)
    failing = asyncio.create_task(api.create("n" * 300))
    await api.clock.until_sleeping(1)
    api.clock.advance(29)
    late = asyncio.create_task(api.create("n" * 300))
    await api.clock.until_sleeping(2)
    api.clock.advance(1)
    assert (await failing).codes == ["ItemNameTooLongException"]
    assert (await api.stats())["complexity"]["spent"] == 33_000
    api.clock.advance(28)
    still = asyncio.create_task(api.create("n" * 300))
    await api.clock.until_sleeping(2)
    api.clock.advance(1)
    await late
    api.clock.advance(2)
    other = asyncio.create_task(api.create("in the next minute"))
    await api.clock.until_sleeping(2)
    api.clock.advance(27)
    assert (await still).codes == ["ItemNameTooLongException"]
    assert (await api.stats())["complexity"]["spent"] == 30_000
    api.clock.advance(3)
    assert (await other).codes == []
