"""Requests that take time: alias by alias, beside each other, beyond the gateway's patience and the client's life."""

import asyncio
import gc
import json
from typing import Any

import aiohttp
import pytest

from connectors.simulator import faults, incoming
from tests.connectors.simulator.conftest import Api, Reply, Start

CREATE = json.dumps({"query": 'mutation { create_item(board_id: 9200517329, item_name: "a") { id } }'}).encode()


async def _struck(start: Start, *rules: dict[str, Any], **settings: Any) -> Api:
    """A simulator with these rules, which strike the first mutation request if they name none."""
    chosen = tuple(faults.Rule(**({"at": (1,)} | rule)) for rule in rules)
    return await start(fault_rules=chosen, **settings)


def _slow(seconds: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"kind": "slow_aliases", "seconds": seconds, **more}


def _gives_up(seconds: float, **more: Any) -> dict[str, Any]:
    return {"kind": "gateway_gives_up", "seconds": seconds, **more}


def _begin(api: Api, names: str, **more: Any) -> asyncio.Task[Reply]:
    """Send a request with one create_item for each letter."""
    return asyncio.create_task(api.batch(list(names), **more))


async def _pass(api: Api, *seconds: float, sleepers: int = 1) -> None:
    """Let the time pass in steps, each when so many wait for it; at the end so many wait again."""
    await api.clock.until_sleeping(sleepers)
    for each in seconds:
        api.clock.advance(each)
        await api.clock.until_sleeping(sleepers)


async def _end(api: Api, seconds: float) -> None:
    """Let the time pass until no request runs."""
    api.clock.advance(seconds)
    async with asyncio.timeout(60):
        await api.simulator.service.rest()


async def test_aliases_take_effect_one_after_the_other(start: Start) -> None:
    api = await _struck(start, _slow())
    running = _begin(api, "abc", key="k")
    for done in ([], ["a"], ["a", "b"]):
        await api.clock.until_sleeping(1)
        assert await api.names() == done
        assert (await api.stats())["mutations_done"] == len(done)
        assert (await api.batch(["a", "b", "c"], key="k")).codes == ["IDEMPOTENCY_CONFLICT"]
        api.clock.advance(1)
    first = await running
    assert await api.names() == ["a", "b", "c"]
    assert list(first.json["data"]) == ["m0", "m1", "m2"]
    again = await api.batch(["a", "b", "c"], key="k")
    assert (again.text, again.headers["Idempotency-Replayed"]) == (first.text, "true")
    assert api.clock.sleeping == 0


async def test_the_latency_of_mutations_is_the_same_mechanism(start: Start) -> None:
    api = await _struck(start, _slow(5.0, at=(2,)), latency=3.0, latency_per_mutation=2.0)
    running = _begin(api, "ab")
    await _pass(api, 3)
    assert await api.names() == []
    await _pass(api, 2)
    assert await api.names() == ["a"]
    await _end(api, 2)
    assert (await running).status == 200
    overridden = _begin(api, "c")
    await _pass(api, 3)
    api.clock.advance(4.9)
    assert await api.names() == ["a", "b"]
    await _end(api, 0.1)
    assert (await overridden).status == 200
    assert await api.names() == ["a", "b", "c"]


async def test_an_alias_of_a_slow_request_fails_alone(start: Start) -> None:
    api = await _struck(
        start, _slow(), {"kind": "null_alias", "aliases": (0,)}, {"kind": "partial_aliases", "aliases": (1,)}
    )
    names = ["a", "b", "n" * 300, "d"]
    running = asyncio.create_task(api.batch(names, key="k"))
    await _pass(api, 1, 1, 1)
    assert (await api.stats())["complexity"]["spent"] == 120_000, "the estimate, until the last one is done"
    await _end(api, 1)
    reply = await running
    assert [error["path"] for error in reply.json["errors"]] == [["m1"], ["m2"]]
    assert reply.codes == ["RecordInvalidException", "ItemNameTooLongException"]
    assert [alias for alias, made in reply.json["data"].items() if made] == ["m3"]
    assert await api.names() == ["a", "d"]
    stats = await api.stats()
    assert (stats["mutations"], stats["mutations_done"], stats["complexity"]["spent"]) == (3, 2, 63_000)
    assert (await api.batch(names, key="k")).text == reply.text


async def test_a_slow_request_that_runs_nothing_is_not_remembered(start: Start) -> None:
    api = await _struck(start, _slow(), {"kind": "throttle_200"})
    running = _begin(api, "ab", key="k")
    await _pass(api, 1)
    await _end(api, 1)
    assert (await running).codes == ["FIELD_MINUTE_RATE_LIMIT_EXCEEDED"] * 2
    assert "Idempotency-Replayed" not in (await api.batch(["a", "b"], key="k")).headers


async def test_an_undone_label_of_a_failing_alias_leaves_the_other_labels(start: Start) -> None:
    api = await _struck(start, _slow())
    style = {"dropdown_mkr5tgaa": {"labels": ["S/M"]}}
    bad = {"dropdown_mkr5tgaa": {"labels": ["XL"]}, "date_mkr5zp5": "never"}
    aliases = " ".join(
        f'm{n}: create_item(board_id: 9200517329, item_name: "x", create_labels_if_missing: true, '
        f"column_values: {json.dumps(json.dumps(columns))}) {{ id }}"
        for n, columns in enumerate((style, bad, style))
    )
    running = asyncio.create_task(api.post(f"mutation {{ {aliases} }}"))
    await _pass(api, 1, 1)
    await _end(api, 1)
    assert [error["path"] for error in (await running).json["errors"]] == [["m1"]]
    board = api.simulator.service.state
    assert list(board.labels[api.board, "dropdown_mkr5tgaa"]) == ["S/M"]


async def test_requests_at_the_same_time_interleave_by_alias(start: Start) -> None:
    api = await _struck(start, _slow(2.0), _slow(2.0, at=(2,)))
    first = _begin(api, "ace")
    await _pass(api)
    api.clock.advance(1)
    second = _begin(api, "bdf")
    await _pass(api, 1, 1, 1, 1, sleepers=2)
    api.clock.advance(1)
    assert (await first).status == 200
    await _pass(api)
    await _end(api, 1)
    assert (await second).status == 200
    assert await api.names() == list("abcdef")
    stats = await api.stats()
    assert (stats["max_writes_in_flight"], stats["mutations_done"], stats["in_flight"]) == (2, 6, 0)


async def test_a_fast_request_and_a_user_act_between_two_aliases(start: Start) -> None:
    api = await _struck(start, _slow())
    running = _begin(api, "ad")
    await _pass(api, 1)
    assert (await api.batch(["b", "n" * 300])).codes == ["ItemNameTooLongException"]
    assert (await api.admin("admin/edit", {"action": "add", "name": "c"})).status == 200
    await _end(api, 1)
    assert (await running).status == 200
    assert await api.names() == list("abcd")


async def test_the_lag_of_searches_counts_from_the_commit_of_each_alias(start: Start) -> None:
    api = await _struck(start, _slow(2.0), lookup_lag=3.0)

    async def found() -> list[str]:
        reply = await api.post("{ boards(ids: 9200517329) { items_page { items { name } } } }")
        return [item["name"] for item in reply.json["data"]["boards"][0]["items_page"]["items"]]

    running = _begin(api, "ab")
    await _pass(api, 2)
    await _end(api, 2)
    await running
    assert await found() == []
    api.clock.advance(1)
    assert await found() == ["a"]
    api.clock.advance(1.9)
    assert await found() == ["a"]
    api.clock.advance(0.1)
    assert await found() == ["a", "b"]


async def test_the_largest_request_runs_slowly_too(start: Start) -> None:
    api = await _struck(start, _slow(0.1))
    running = _begin(api, "x" * 166)
    await _pass(api, *[0.1] * 165)
    await _end(api, 0.1)
    assert (await running).codes == []
    assert len(await api.names()) == 166


async def test_statistics_may_be_reset_while_a_request_writes(start: Start) -> None:
    api = await _struck(start, _slow())
    running = _begin(api, "abc")
    await _pass(api, 1)
    await api.admin("admin/stats/reset", {})
    assert (await api.stats())["max_writes_in_flight"] == 1
    await _pass(api, 1)
    await _end(api, 1)
    await running
    await api.create()
    stats = await api.stats()
    assert (stats["max_writes_in_flight"], stats["mutations_done"]) == (1, 3)


# Keys that are forgotten.


async def test_a_key_that_is_forgotten_while_its_request_runs(start: Start) -> None:
    forgotten = {"kind": "drop_idempotency", "while_running": True, "at": (2,)}
    api = await _struck(start, _slow(2.0), _slow(2.0, at=(2,)), forgotten)
    first = _begin(api, "ab", key="k")
    await _pass(api)
    api.clock.advance(1)
    second = _begin(api, "ab", key="k")
    await _pass(api, 1, 1, sleepers=2)
    assert await api.names() == ["a", "a"]
    assert (await api.batch(["a", "b"], key="k")).codes == ["IDEMPOTENCY_CONFLICT"], "the first still holds it"
    api.clock.advance(1)
    answered = await first
    await _pass(api)
    assert (await api.batch(["a", "b"], key="k")).text == answered.text
    await _end(api, 1)
    assert (await second).json["data"] != answered.json["data"]
    assert await api.names() == ["a", "a", "b", "b"]
    assert (await api.stats())["max_writes_in_flight"] == 2


async def test_the_request_whose_key_is_forgotten_at_once_holds_nobody_up(start: Start) -> None:
    api = await _struck(start, _slow(), {"kind": "drop_idempotency", "while_running": True})
    first = _begin(api, "a", key="k")
    await _pass(api)
    second = await api.batch(["a"], key="k")
    assert second.status == 200
    await _end(api, 1)
    assert (await first).json["data"] != second.json["data"]
    assert (await api.batch(["a"], key="k")).text == second.text, "the first stored nothing"


async def test_a_dropped_key_is_a_conflict_while_its_request_runs_unless_the_rule_says_so(start: Start) -> None:
    api = await _struck(start, _slow(), {"kind": "drop_idempotency", "at": (), "rate": 1.0})
    first = _begin(api, "a", key="k")
    await _pass(api)
    assert (await api.batch(["a"], key="k")).codes == ["IDEMPOTENCY_CONFLICT"]
    await _end(api, 1)
    assert (await first).status == 200
    assert (await api.batch(["a"], key="k")).status == 200
    assert await api.names() == ["a", "a"]


# The gateway.


@pytest.mark.parametrize(
    ("more", "status", "title"),
    [({}, 502, "502 Bad Gateway"), ({"status": 504}, 504, "504 Gateway Timeout"), ({"cut": True}, None, "")],
)
async def test_the_api_goes_on_when_the_gateway_gave_up(
    start: Start, more: dict[str, Any], status: int | None, title: str
) -> None:
    api = await _struck(start, _slow(), _gives_up(1.5, **more))
    running = _begin(api, "abc", key="k")
    await _pass(api, 1, sleepers=2)
    assert not running.done()
    api.clock.advance(0.5)
    if status is None:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await running
    else:
        reply = await running
        assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (status, "text/html")
        assert f"<h1>{title}</h1>" in reply.text
    assert await api.names() == ["a"]
    assert (await api.batch(["a", "b", "c"], key="k")).codes == ["IDEMPOTENCY_CONFLICT"]
    assert (await api.stats())["in_flight"] == 1, "it still counts among the requests at a time"
    await _pass(api, 0.5)
    assert await api.names() == ["a", "b"]
    await _end(api, 1)
    assert await api.names() == ["a", "b", "c"]
    assert (await api.batch(["a", "b", "c"], key="k")).headers["Idempotency-Replayed"] == "true"
    stats = await api.stats()
    assert (stats["in_flight"], stats["mutations_done"], stats["complexity"]["spent"]) == (0, 3, 90_000)
    assert stats["faults_fired"] == {"slow_aliases": 1, "gateway_gives_up": 1}


async def test_a_request_that_ends_before_the_gateway_gives_up_is_answered_as_usual(start: Start) -> None:
    api = await _struck(start, _slow(), _gives_up(3))
    running = _begin(api, "ab")
    await _pass(api, 1, sleepers=2)
    await api.clock.until_sleeping(2)
    await _end(api, 1)
    assert (await running).json["data"].keys() == {"m0", "m1"}
    assert api.clock.sleeping == 0, "nothing waits for the gateway any more"


@pytest.mark.parametrize(
    ("rule", "items"),
    [({"kind": "slow"}, 1), ({"kind": "hang", "late": True}, 1), ({"kind": "hang", "executed": False}, 0)],
)
async def test_the_gateway_gives_up_whatever_takes_the_time(start: Start, rule: dict[str, Any], items: int) -> None:
    api = await _struck(start, {"seconds": 60, **rule}, _gives_up(22))
    running = _begin(api, "a")
    await api.clock.until_sleeping(2)
    api.clock.advance(22)
    assert (await running).status == 502
    assert await api.names() == []
    await _end(api, 38)
    assert len(await api.names()) == items


async def test_the_gateway_gives_up_a_refused_request(start: Start) -> None:
    api = await _struck(start, _gives_up(1), {"kind": "slow", "seconds": 2}, complexity_per_minute=20_000)
    running = _begin(api, "a")
    await api.clock.until_sleeping(2)
    api.clock.advance(1)
    assert (await running).status == 502
    await _end(api, 1)
    assert await api.names() == []
    stats = await api.stats()
    assert (stats["calls_today"], stats["errors_by_code"]) == (pytest.approx(0.1), {"BAD_GATEWAY": 1})


async def test_the_gateway_gives_up_a_query(start: Start) -> None:
    api = await _struck(start, _gives_up(1, of="query"), latency=2.0)
    running = asyncio.create_task(api.post("{ me { id } }"))
    await api.clock.until_sleeping(2)
    api.clock.advance(1)
    assert (await running).status == 502
    await _end(api, 1)


# Clients that are gone, and the stop.


async def test_the_api_goes_on_when_the_handler_is_cancelled(start: Start) -> None:
    for rules in ([_slow()], [_slow(), _gives_up(9)]):
        api = await _struck(start, *rules)
        handler = asyncio.create_task(api.simulator.service.handle(incoming.Call(CREATE, "t")))
        await api.clock.until_sleeping(len(rules))
        handler.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handler
        assert api.clock.sleeping == 1
        await _end(api, 1)
        assert await api.names() == ["a"]


@pytest.mark.parametrize("cancels", [False, True])
async def test_the_api_goes_on_when_the_client_is_gone(start: Start, cancels: bool) -> None:
    api = await _struck(start, _slow())
    runner = api.simulator._runner
    assert runner
    assert runner.server
    # Whether aiohttp cancels the handler of a lost connection.
    runner.server.handler_cancellation = cancels
    host, port = api.simulator.admin_url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /v2 HTTP/1.1\r\nHost: {host}\r\nAuthorization: t\r\nContent-Length: {len(CREATE)}\r\n\r\n"
    writer.write(head.encode() + CREATE)
    await api.clock.until_sleeping(1)
    (connection,) = runner.server.connections
    writer.transport.abort()
    async with asyncio.timeout(60):
        # The server notices the lost connection by itself, and has no event for it.
        while connection.transport is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert await api.names() == []
    await _end(api, 1)
    assert await api.names() == ["a"]


async def test_the_stop_ends_what_still_runs_and_leaves_its_key_unused(start: Start) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    api = await _struck(start, _slow(), _gives_up(1.5))
    running = _begin(api, "abc", key="k")
    await _pass(api, 1, sleepers=2)
    api.clock.advance(0.5)
    assert (await running).status == 502
    await api.simulator.stop()
    gc.collect()
    assert told == [], "no task was destroyed while it was pending"
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert api.clock.sleeping == 0
    again = await start(state=api.simulator.service.settings.state)
    assert await again.names() == ["a"]
    assert "Idempotency-Replayed" not in (await again.batch(["a", "b", "c"], key="k")).headers
    assert await again.names() == ["a", "a", "b", "c"]


async def test_the_stop_ends_a_request_whose_client_still_waits(start: Start) -> None:
    api = await _struck(start, _slow())
    running = _begin(api, "abc")
    await _pass(api, 1)
    await api.simulator.stop()
    with pytest.raises(aiohttp.ClientError):
        await running
    assert api.clock.sleeping == 0


def test_rules_that_cannot_be_meant_are_refused() -> None:
    for rule in (_slow(0), _gives_up(1, status=500), _slow(of="query")):
        with pytest.raises(ValueError, match=r"seconds|status|query"):
            faults.Rule(at=(1,), **rule)
