"""An answer is read once; each mutation is judged by its own id and its own error."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.monday import error_formats, error_table, responses
from schemas import items

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
DONE = {"id": "11", "board": {"id": "7"}}


def read(payload: object, *, status: int = 200, headers: dict[str, str] | None = None) -> responses.Reply:
    answer = error_formats.Answer(status=status, headers=headers or {}, text=json.dumps(payload))
    return responses.read(answer, now=lambda: NOW)


def failing(code: str, *path: str, **extensions: Any) -> dict[str, Any]:
    return {"message": f"about {code}", "path": list(path), "extensions": {"code": code, **extensions}}


def test_a_batch_is_judged_alias_by_alias() -> None:
    reply = read(
        {
            "data": {
                "m0": DONE, "m1": None, "m2": None, "m3": None, "m4": None, "m5": {"id": "g"}, "m6": None, "m7": None,
                "complexity": {"before": 10, "after": 9, "query": 1, "reset_in_x_seconds": 3},
            },
            "errors": [
                failing("ColumnValueException", "m1", status_code=200),
                failing("FIELD_MINUTE_RATE_LIMIT_EXCEEDED", "m2", status_code=429, retry_in_seconds=7),
                failing("UserUnauthorizedException", "m4"),
                failing("ItemsLimitationException", "m7"),
                failing("INTERNAL_SERVER_ERROR", "m6", status_code=500),
            ],
            "extensions": {"request_id": "r-1"},
        }
    )  # fmt: skip
    assert responses.request_error(reply) is None
    verdicts = responses.judge(reply, [f"m{index}" for index in range(8)])
    assert verdicts[0] == items.Done(id="11", board_id="7")
    assert verdicts[1] == items.Refused(
        code="ColumnValueException", message="about ColumnValueException", http_status=200, request_id="r-1"
    )
    assert verdicts[2] == responses.Throttled(wait=7, code="FIELD_MINUTE_RATE_LIMIT_EXCEEDED")
    assert isinstance(verdicts[3], items.Unknown)
    assert isinstance(verdicts[4], responses.Stopped)
    assert isinstance(verdicts[4].error(), error_table.BoardStop)
    assert verdicts[5] == items.Done(id="g")
    assert isinstance(verdicts[6], items.Unknown)
    assert isinstance(verdicts[7], items.Refused)
    assert error_table.is_full(verdicts[7].code)


def test_an_id_counts_even_beside_an_error_below_it() -> None:
    reply = read({"data": {"m0": {"id": "11", "board": None}}, "errors": [failing("X", "m0", "board")]})
    assert responses.judge(reply, ["m0"]) == [items.Done(id="11")]


def test_an_error_that_names_no_alias_refuses_nobody() -> None:
    reply = read({"data": {"m0": DONE, "m1": None}, "errors": [failing("ColumnValueException")]})
    assert responses.request_error(reply) is None
    verdicts = responses.judge(reply, ["m0", "m1"])
    assert isinstance(verdicts[0], items.Done)
    assert isinstance(verdicts[1], items.Unknown)


def test_errors_with_paths_are_judged_by_alias_even_without_data() -> None:
    reply = read({"data": None, "errors": [failing("ColumnValueException", "m1")]}, status=422)
    assert responses.request_error(reply) is None
    first, second = responses.judge(reply, ["m0", "m1"])
    assert isinstance(first, items.Unknown)
    assert isinstance(second, items.Refused)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, failing("undefinedField", "mutation Batch", "m0", "nope")),
        (200, failing("REQUEST_MAX_COMPLEXITY_EXCEEDED")),
        (429, failing("COMPLEXITY_BUDGET_EXHAUSTED", "m0")),
        (500, failing("INTERNAL_SERVER_ERROR", "m0")),
        (200, failing("COMPLEXITY_BUDGET_EXHAUSTED")),
        (200, failing("Unauthorized")),
    ],
)
def test_some_errors_speak_for_the_whole_request(status: int, error: dict[str, Any]) -> None:
    whole = responses.request_error(read({"data": None, "errors": [error]}, status=status))
    assert whole is not None
    assert whole.code == error["extensions"]["code"]


@pytest.mark.parametrize(
    ("headers", "extensions", "message", "wait"),
    [
        ({"retry-after": "17"}, {}, "", 17),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:42 GMT"}, {}, "", 42),
        ({"retry-after": "soon"}, {"retry_in_seconds": 5}, "", 5),
        ({"retry-after": "3"}, {"retry_in_seconds": 30}, "", 30),
        ({}, {"retryAfterMs": 2500}, "", 2.5),
        ({}, {}, "query cost 30001 budget remaining 19986 out of 1000000 reset in 3 seconds", 3),
        ({"ratelimit": '"complexityMinute";r=20;t=45, "minuteRate";r=9;t=50'}, {}, "", 45),
        ({"ratelimit": '"complexityMinute";r=20;t=45, "minuteRate";r=0;t=50'}, {}, "", 50),
        ({"ratelimit": '"complexityMinute";r=20;t=45'}, {"retry_in_seconds": 2}, "", 2),
        ({}, {"retry_in_seconds": 1e300}, "", 2 * 86_400),
        ({}, {}, "", None),
        ({"retry-after": "-5"}, {"retry_in_seconds": "nan"}, "", None),
    ],
)
def test_the_longest_stated_wait_holds(
    headers: dict[str, str], extensions: dict[str, Any], message: str, wait: float | None
) -> None:
    raw = {"message": message, "extensions": {"code": "COMPLEXITY_BUDGET_EXHAUSTED", **extensions}}
    (error,) = read({"errors": [raw]}, status=429, headers=headers).errors
    assert error.wait == wait


def test_the_legacy_complexity_error_tells_its_figures() -> None:
    reply = read(
        {
            "error_code": "ComplexityException",
            "status_code": 429,
            "error_message": "Complexity budget exhausted, query cost 30001 budget remaining 19986 out of 1000000 "
            "reset in 3 seconds",
            "error_data": {},
            "errors": ["Complexity budget exhausted"],
        }
    )
    (error,) = reply.errors
    assert (error.cost, error.left, error.limit, error.wait, error.status) == (30001, 19986, 1000000, 3, 429)
    told = responses.window_report(reply)
    assert (told.left, told.limit) == (19986, 1000000)


def test_a_reply_tells_the_minute_from_complexity_and_headers() -> None:
    reply = read(
        {
            "data": {
                "m0": DONE,
                "complexity": {"before": 5000000, "after": 4969999, "query": 30001, "reset_in_x_seconds": 60},
            },
            "extensions": {"request_id": "r-2"},
        },
        headers={
            "ratelimit-policy": '"minuteRate";q=5000;w=60, "concurrency";q=250;qu="concurrent-requests", '
            '"complexityMinute";q=5000000;w=60;qu="content-bytes"',
            "ratelimit": '"minuteRate";r=4999;t=38, "concurrency";r=249, "complexityMinute";r=4950000;t=45',
            "idempotency-replayed": "true",
        },
    )
    assert (reply.request_id, reply.replayed) == ("r-2", True)
    assert reply.allowances["minuteRate"].quota == 5000
    assert reply.allowances["concurrency"].resets_in is None
    told = responses.window_report(reply)
    assert (told.cost, told.before, told.left, told.limit, told.resets_in) == (
        30001, 5000000, 4950000, 5000000, 60,
    )  # fmt: skip


def test_a_broken_complexity_is_left_out() -> None:
    reply = read({"data": {"m0": DONE, "complexity": {"before": "many"}}})
    assert reply.complexity is None
    assert reply.errors == ()
