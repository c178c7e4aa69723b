"""Each kind of trouble: what the client sees, and what happened to the board."""

import asyncio
from typing import Any

import aiohttp
import pytest

from connectors.simulator import faults
from tests.connectors.simulator.conftest import Api, Start


async def _struck(start: Start, **rule: Any) -> Api:
    """A simulator whose first mutation request is struck, and never another."""
    return await start(fault_rules=(faults.Rule(at=(1,), **rule),))


async def test_a_lost_response_was_executed_and_is_replayed(start: Start) -> None:
    api = await _struck(start, kind="lost_response")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.create(key="k")
    assert len(await api.names()) == 1
    assert (await api.create(key="k")).headers["Idempotency-Replayed"] == "true"
    assert len(await api.names()) == 1


async def test_a_lost_response_without_a_key_is_a_duplicate_in_the_making(start: Start) -> None:
    api = await _struck(start, kind="lost_response")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.create()
    await api.create()
    assert len(await api.names()) == 2


async def test_a_reset_comes_before_anything_ran(start: Start) -> None:
    api = await _struck(start, kind="reset")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.create(key="k")
    assert await api.names() == []
    assert "Idempotency-Replayed" not in (await api.create(key="k")).headers
    assert len(await api.names()) == 1


@pytest.mark.parametrize(("kind", "items"), [("error_500_before", 0), ("error_500_after", 1)])
async def test_a_500_says_nothing_about_what_happened(start: Start, kind: str, items: int) -> None:
    api = await _struck(start, kind=kind)
    reply = await api.create(key="k")
    assert (reply.status, reply.codes) == (500, ["INTERNAL_SERVER_ERROR"])
    assert len(await api.names()) == items
    assert (await api.create(key="k")).status == 200
    assert len(await api.names()) == 1


@pytest.mark.parametrize(("executed", "items"), [(None, 0), (False, 0), (True, 1)])
async def test_a_bad_gateway_answers_in_html(start: Start, executed: bool | None, items: int) -> None:
    api = await _struck(start, kind="bad_gateway_html", executed=executed)
    reply = await api.create(key="k")
    assert (reply.status, reply.headers["Content-Type"].split(";")[0]) == (502, "text/html")
    assert "<html>" in reply.text
    assert len(await api.names()) == items


@pytest.mark.parametrize(("late", "seen_while_hanging"), [(False, 1), (True, 0)])
async def test_a_hang_that_commits_at_its_start_or_its_end(start: Start, late: bool, seen_while_hanging: int) -> None:
    api = await _struck(start, kind="hang", seconds=90, late=late)
    hanging = asyncio.create_task(api.create(key="k"))
    await api.clock.until_sleeping(1)
    assert len(await api.names()) == seen_while_hanging
    again = await api.create(key="k")
    if late:
        assert again.codes == ["IDEMPOTENCY_CONFLICT"]
    else:
        assert again.headers["Idempotency-Replayed"] == "true"
    api.clock.advance(90)
    assert (await hanging).status == 200
    assert len(await api.names()) == 1
    assert (await api.stats())["max_writes_in_flight"] == 1, "who only hangs is not writing"


async def test_a_hang_that_never_commits(start: Start) -> None:
    api = await _struck(start, kind="hang", seconds=90, executed=False)
    hanging = asyncio.create_task(api.create(key="k"))
    await api.clock.until_sleeping(1)
    assert "Idempotency-Replayed" not in (await api.create(key="k")).headers
    api.clock.advance(90)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await hanging
    assert len(await api.names()) == 1


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("conflict_409", 409, "IDEMPOTENCY_CONFLICT"),
        ("locked_423", 423, "ResourceLockedException"),
        ("throttle_429", 429, "COMPLEXITY_BUDGET_EXHAUSTED"),
    ],
)
async def test_refusals_that_state_a_wait(start: Start, kind: str, status: int, code: str) -> None:
    api = await _struck(start, kind=kind, seconds=17)
    reply = await api.create(key="k")
    assert (reply.status, reply.codes, reply.headers["Retry-After"]) == (status, [code], "17")
    assert await api.names() == []
    assert (await api.stats())["complexity"]["spent"] == 0
    assert (await api.create(key="k")).status == 200


async def test_a_throttle_may_carry_another_code(start: Start) -> None:
    api = await _struck(start, kind="throttle_429", code="IP_RATE_LIMIT_EXCEEDED", seconds=5)
    reply = await api.create()
    assert reply.codes == ["IP_RATE_LIMIT_EXCEEDED"]
    assert reply.json["errors"][0]["extensions"]["retry_in_seconds"] == 5


async def test_a_throttle_in_http_200_runs_nothing_and_is_not_remembered(start: Start) -> None:
    api = await _struck(start, kind="throttle_200", seconds=18)
    reply = await api.batch(["a", "b"], key="k")
    assert (reply.status, reply.json["data"]) == (200, {"m0": None, "m1": None})
    for error in reply.json["errors"]:
        assert error["extensions"] == {
            "code": "FIELD_MINUTE_RATE_LIMIT_EXCEEDED",
            "status_code": 429,
            "retry_in_seconds": 18,
        }
    assert (await api.stats())["throttled"] == 1
    assert (await api.batch(["a", "b"], key="k")).codes == []
    assert await api.names() == ["a", "b"]


async def test_a_throttle_in_http_200_may_strike_one_alias(start: Start) -> None:
    api = await _struck(start, kind="throttle_200", aliases=(1,))
    reply = await api.batch(["a", "b", "c"], key="k")
    assert [error["path"] for error in reply.json["errors"]] == [["m1"]]
    assert await api.names() == ["a", "c"]
    assert (await api.batch(["a", "b", "c"], key="k")).headers["Idempotency-Replayed"] == "true"


async def test_partial_aliases_fail_with_an_error_and_do_not_run(start: Start) -> None:
    api = await _struck(start, kind="partial_aliases", aliases=(0, 2))
    reply = await api.batch(["a", "b", "c"])
    assert reply.status == 200
    assert [error["path"] for error in reply.json["errors"]] == [["m0"], ["m2"]]
    assert reply.codes == ["RecordInvalidException"] * 2
    assert reply.json["data"]["m0"] is None
    assert reply.json["data"]["m1"]["id"]
    assert await api.names() == ["b"]


async def test_partial_aliases_are_chosen_by_share_and_seed(start: Start) -> None:
    async def struck(seed: int) -> list[str]:
        api = await start(seed=seed, fault_rules=(faults.Rule(kind="partial_aliases", at=(1,), share=0.3),))
        reply = await api.batch([f"n{n}" for n in range(10)])
        return [error["path"][0] for error in reply.json["errors"]]

    first = await struck(1)
    assert len(first) == 3
    assert await struck(1) == first
    assert [await struck(seed) for seed in (2, 3, 4)] != [first] * 3


@pytest.mark.parametrize(("executed", "names"), [(True, ["a", "b"]), (False, ["b"])])
async def test_a_null_alias_says_nothing(start: Start, executed: bool | None, names: list[str]) -> None:
    api = await _struck(start, kind="null_alias", aliases=(0,), executed=executed)
    reply = await api.batch(["a", "b"])
    assert reply.json["data"]["m0"] is None
    assert reply.json["data"]["m1"]["id"]
    assert "errors" not in reply.json
    assert await api.names() == names


async def test_the_legacy_form_of_a_throttle(start: Start) -> None:
    api = await _struck(start, kind="legacy_error", seconds=3)
    reply = await api.create()
    body = reply.json
    assert (reply.status, body["error_code"], body["status_code"]) == (200, "ComplexityException", 429)
    assert body["error_message"].endswith("reset in 3 seconds")
    assert body["errors"] == [body["error_message"]]
    assert body["error_data"] == {}
    assert await api.names() == []


async def test_account_and_board_wide_stops(start: Start) -> None:
    kinds = ("daily_limit", "unauthorized", "board_missing")
    api = await start(fault_rules=tuple(faults.Rule(kind=k, at=(n,)) for n, k in enumerate(kinds, 1)))
    replies = [await api.create() for _ in kinds]
    assert [(reply.status, reply.codes) for reply in replies] == [
        (429, ["DAILY_LIMIT_EXCEEDED"]),
        (401, ["Unauthorized"]),
        (200, ["InvalidBoardIdException"]),
    ]
    assert replies[0].headers["Retry-After"] == str(12 * 3600)
    assert replies[2].json["data"] is None
    assert await api.names() == []


async def test_slow(start: Start) -> None:
    api = await _struck(start, kind="slow", seconds=7)
    running = asyncio.create_task(api.create())
    await api.clock.until_sleeping(1)
    assert await api.names() == []
    api.clock.advance(7)
    assert (await running).status == 200


async def test_a_dropped_key_runs_again(start: Start) -> None:
    api = await start(
        fault_rules=(faults.Rule(kind="lost_response", at=(1,)), faults.Rule(kind="drop_idempotency", at=(1,)))
    )
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.create(key="k")
    await api.create(key="k")
    assert len(await api.names()) == 2
    assert (await api.stats())["faults_fired"] == {"lost_response": 1, "drop_idempotency": 1}


async def test_a_key_may_be_forgotten_between_two_requests(start: Start) -> None:
    api = await start(fault_rules=(faults.Rule(kind="drop_idempotency", at=(2,)),))
    replayed = [(await api.create(key="k")).headers.get("Idempotency-Replayed") for _ in range(3)]
    assert replayed == [None, None, "true"]
    assert len(await api.names()) == 2


async def test_a_query_may_hang(start: Start) -> None:
    api = await start(fault_rules=(faults.Rule(kind="hang", at=(1,), of="query", seconds=90),))
    hanging = asyncio.create_task(api.post("{ me { id } }"))
    await api.clock.until_sleeping(1)
    api.clock.advance(90)
    assert (await hanging).json["data"] == {"me": {"id": "1"}}
