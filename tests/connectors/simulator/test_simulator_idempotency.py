"""Idempotency-Key: what is remembered, for how long, and what is not."""

import asyncio

from tests.connectors.simulator.conftest import Api, Start


async def test_the_same_key_replays_the_answer_and_runs_nothing(api: Api) -> None:
    first = await api.create(key="batch-1")
    again = await api.create(key="batch-1")
    assert again.text == first.text, "the request id too: it is the answer of the first"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(await api.names()) == 1
    stats = await api.stats()
    assert (stats["replays"], stats["keys_reused_with_other_body"]) == (1, 0)
    assert stats["complexity"]["spent"] == 30_000, "a replay is not charged"


async def test_a_key_lives_30_minutes(start: Start) -> None:
    api = await start(minute=2)
    await api.create(key="k")
    api.clock.advance(59)
    await api.create(key="k")
    assert len(await api.names()) == 1
    api.clock.advance(1)
    await api.create(key="k")
    assert len(await api.names()) == 2


async def test_without_a_key_nothing_is_remembered(api: Api) -> None:
    await api.create(key="")
    await api.create(key="")
    assert len(await api.names()) == 2


async def test_a_key_with_another_body_replays_and_is_counted(api: Api) -> None:
    first = await api.create("Polo", key="k")
    other = await api.create("Shirt", key="k")
    assert other.text == first.text
    assert await api.names() == ["Polo"]
    assert (await api.stats())["keys_reused_with_other_body"] == 1


async def test_a_duplicate_in_flight_is_409(start: Start) -> None:
    api = await start(latency=1.0)
    running = asyncio.create_task(api.create(key="k"))
    await api.clock.until_sleeping(1)
    conflict = await api.create(key="k")
    assert (conflict.status, conflict.codes) == (409, ["IDEMPOTENCY_CONFLICT"])
    assert conflict.headers["Retry-After"] == "1"
    api.clock.advance(1)
    first = await running
    assert (await api.create(key="k")).text == first.text
    assert len(await api.names()) == 1


async def test_a_throttled_request_leaves_its_key_unused(start: Start) -> None:
    api = await start(complexity_per_minute=30_000)
    await api.create("a", key="a")
    assert (await api.create("b", key="b")).status == 429
    api.clock.advance(60)
    reply = await api.create("b", key="b")
    assert reply.status == 200
    assert "Idempotency-Replayed" not in reply.headers
    assert await api.names() == ["a", "b"]


async def test_partial_answers_are_remembered_too(api: Api) -> None:
    names = ["a", "n" * 300]
    first = await api.batch(names, key="k")
    assert first.codes == ["ItemNameTooLongException"]
    again = await api.batch(names, key="k")
    assert again.text == first.text
    assert await api.names() == ["a"]


async def test_a_large_answer_is_not_remembered(start: Start) -> None:
    api = await start(remembered_bytes=500)
    await api.batch(["a"], key="small")
    await api.batch(["b"] * 20, key="large")
    assert "Idempotency-Replayed" in (await api.batch(["a"], key="small")).headers
    assert "Idempotency-Replayed" not in (await api.batch(["b"] * 20, key="large")).headers


async def test_queries_ignore_the_key(api: Api) -> None:
    query = "{ boards(ids: 9200517329) { items_count } }"
    assert (await api.post(query, key="k")).json["data"]["boards"][0]["items_count"] == 0
    await api.create()
    assert (await api.post(query, key="k")).json["data"]["boards"][0]["items_count"] == 1
