"""The client over real HTTP: what is sent, what is waited for, and what each trouble becomes."""

import asyncio
import functools
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pydantic
import pytest
from aiohttp import test_utils, web

from connectors import errors
from connectors.monday import budget, client, error_table, limits, responses

TOKEN = "secret-token-of-the-test"
OK = {"data": {"m0": {"id": "1"}}, "extensions": {"request_id": "r-ok"}}
BODY = '{"query":"mutation { m0: x }","variables":{}}'

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Scripted:
    """An API that answers as the script says, then goes on with its last line; keeps what it was sent."""

    def __init__(self) -> None:
        self.script: list[Handler] = []
        self.seen: list[tuple[dict[str, str], str]] = []
        self.server = test_utils.TestServer(self._app())

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v2", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((dict(request.headers), await request.text()))
        handler = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await handler(request)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/v2"))


def says(payload: Any, status: int = 200, **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(payload, str):
            return web.Response(text=payload, status=status, headers=named)
        return web.json_response(payload, status=status, headers=named)

    return handler


def error(code: str, *, path: list[str] | None = None, **extensions: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {"message": f"about {code}", "extensions": {"code": code, **extensions}}
    return {"errors": [raw | ({"path": path} if path else {})], "data": None}


@pytest.fixture
async def api() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    await scripted.server.start_server()
    yield scripted
    await scripted.server.close()


class Waits(list[float]):
    """Notes each pause and takes none; the budget's clock moves by it."""

    now = 0.0

    def clock(self) -> float:
        return self.now

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        self.now += seconds


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
async def subject(api: Scripted, waits: Waits) -> AsyncIterator[client.Client]:
    async with connect(api.url, waits) as connected:
        yield connected


def connect(url: str, waits: Waits, **settings: Any) -> client.Client:
    paces = budget.Budget(limits.preset("app", "pro"), clock=waits.clock, sleep=waits)
    return client.Client(url, TOKEN, budget=paces, sleep=waits, rng=random.Random(1), **settings)


async def test_what_is_sent(api: Scripted, subject: client.Client) -> None:
    api.script = [says(OK)]
    reply = await subject.send(BODY, key="batch-1", mutations=1)
    ((headers, body),) = api.seen
    assert body == BODY
    assert headers["Authorization"] == TOKEN
    assert headers["API-Version"] == "2026-10"
    assert headers["Idempotency-Key"] == "batch-1"
    assert headers["Content-Type"] == "application/json"
    assert (reply.data, reply.request_id, reply.http_status) == (OK["data"], "r-ok", 200)
    assert reply.seconds > 0


async def test_the_api_is_silent_from_the_first_request_without_an_answer_to_the_next_answer(
    api: Scripted, waits: Waits
) -> None:
    async with connect("http://127.0.0.1:1/v2", waits) as alone:
        with pytest.raises(errors.Transient):
            await alone.send(BODY, key="k", mutations=1)
        assert alone.silence is not None
        assert "http://127.0.0.1:1/v2 gives no answer since" in alone.silence
        assert TOKEN not in alone.silence
    async with connect(api.url, waits) as subject:
        api.script = [says("down", 503), says("down", 502), says(error("maxConcurrencyExceeded"), 429), says(OK)]
        for _ in range(2):
            with pytest.raises(errors.Transient):
                await subject.send(BODY, key="k", mutations=1)
            assert subject.silence is not None
            assert subject.silence.endswith("HTTP 503")
        # A refusal is an answer.
        await subject.send(BODY, key="k", mutations=1)
        assert subject.silence is None


async def test_a_request_without_a_key_has_no_such_header(api: Scripted, subject: client.Client) -> None:
    api.script = [says(OK)]
    await subject.send(BODY, key=None, mutations=1)
    assert "Idempotency-Key" not in api.seen[0][0]


@pytest.mark.parametrize(
    ("refusal", "wait"),
    [
        (says(error("COMPLEXITY_BUDGET_EXHAUSTED", retry_in_seconds=41), 429), 41),
        (says(error("COMPLEXITY_BUDGET_EXHAUSTED", retry_in_seconds=41), 200), 41),
        (says({"error_code": "ComplexityException", "status_code": 429, "error_message": "budget remaining 5 out of "
               "5000000 reset in 3 seconds"}), 3),
        (says(error("maxConcurrencyExceeded"), 429), 2),
        (says({"errors": [{"message": "Minute limit rate exceeded"}]}, 429, Retry_After="12"), 12),
        (says("slow down", 429), 60),
        (says({"error_message": "Resource is currently locked, please try again later"}, 423), 1),
    ],
)  # fmt: skip
async def test_what_was_not_executed_is_sent_again_alike_after_the_stated_wait(
    api: Scripted, subject: client.Client, waits: Waits, refusal: Handler, wait: float
) -> None:
    api.script = [refusal, says(OK)]
    reply = await subject.send(BODY, key="k", mutations=1)
    assert reply.data == OK["data"]
    assert waits == [wait]
    (first, body), (second, again) = api.seen
    assert body == again
    assert first["Idempotency-Key"] == second["Idempotency-Key"]


async def test_a_wait_that_proved_too_short_grows_and_the_tries_end(
    api: Scripted, subject: client.Client, waits: Waits
) -> None:
    api.script = [says(error("maxConcurrencyExceeded", retry_in_seconds=2), 429)]
    with pytest.raises(errors.Transient) as raised:
        await subject.send(BODY, key="k", mutations=1)
    assert not isinstance(raised.value, errors.OutcomeUnknown)
    assert len(api.seen) == 6
    assert waits[0] == 2
    assert all(wait > 2 for wait in waits[1:])


async def test_a_request_that_is_in_flight_is_an_unknown_outcome(api: Scripted, subject: client.Client) -> None:
    api.script = [says(error("IDEMPOTENCY_CONFLICT"), 409, Retry_After="1")]
    with pytest.raises(errors.OutcomeUnknown, match="IDEMPOTENCY_CONFLICT"):
        await subject.send(BODY, key="k", mutations=1)
    assert len(api.seen) == 1


async def cut(request: web.Request) -> web.StreamResponse:
    """Take the request, then break the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_short(request: web.Request) -> web.StreamResponse:
    """Promise more than is sent."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"data":')
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.mark.parametrize(
    "trouble",
    [
        cut,
        cut_short,
        says("<html>", 502),
        says({"error_message": "Internal server error", "status_code": 500}),
        says(error("INTERNAL_SERVER_ERROR"), 500),
        says('{"data":{"m0":', 200),
        says("", 200),
        says({"data": None}),
    ],
)
async def test_an_unknown_outcome_is_raised_at_once(
    api: Scripted, subject: client.Client, waits: Waits, trouble: Handler
) -> None:
    api.script = [trouble]
    with pytest.raises(errors.OutcomeUnknown) as raised:
        await subject.send(BODY, key="k", mutations=1)
    assert not isinstance(raised.value, error_table.MustLookUp)
    assert (len(api.seen), waits) == (1, [])


async def test_no_answer_in_time_is_an_unknown_outcome(api: Scripted, waits: Waits) -> None:
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    api.script = [hang]
    # Long enough for the request to arrive, also where the machine does other work too.
    async with connect(api.url, waits, timeout=1.0) as impatient:
        with pytest.raises(errors.OutcomeUnknown, match="Timeout"):
            await impatient.send(BODY, key="k", mutations=1)
    released.set()
    assert len(api.seen) == 1


async def test_a_refused_connection_was_surely_not_sent(api: Scripted, waits: Waits) -> None:
    url = api.url
    await api.server.close()
    async with connect(url, waits) as alone:
        with pytest.raises(errors.Transient, match="not sent") as raised:
            await alone.send(BODY, key="k", mutations=1)
        assert not isinstance(raised.value, errors.OutcomeUnknown)
        assert alone.budget.snapshot().calls_today == 0
        assert alone.budget.snapshot().complexity_spent == 0


async def test_an_unknown_host_was_surely_not_sent(waits: Waits) -> None:
    async with connect("http://host.invalid/v2", waits) as alone:
        with pytest.raises(errors.Transient, match="not sent"):
            await alone.send(BODY, key="k", mutations=1)


async def test_an_address_that_is_none_is_misconfigured(waits: Waits) -> None:
    async with connect("nowhere", waits) as alone:
        with pytest.raises(errors.Misconfigured):
            await alone.send(BODY, key="k", mutations=1)


@pytest.mark.parametrize(
    ("answer", "mutations", "expected", "code"),
    [
        (says(error("undefinedField", path=["mutation Batch", "m0"])), 5, errors.Rejected, "undefinedField"),
        (says({"errors": [{"message": "Parse error on }"}]}), 5, errors.Rejected, "UNCODED"),
        (says(error("REQUEST_MAX_COMPLEXITY_EXCEEDED", error_data={"cost": 6_000_000})), 5, errors.Rejected,
         "REQUEST_MAX_COMPLEXITY_EXCEEDED"),
        (says(error("JsonParseException"), 400), 1, errors.Rejected, "JsonParseException"),
        (says("too much", 413), 5, errors.Rejected, "HTTP_413"),
        (says(error("InvalidBoardIdException")), 5, error_table.BoardStop, "InvalidBoardIdException"),
        (says(error("Unauthorized"), 401), 5, error_table.AccountStop, "Unauthorized"),
        (says("who are you", 403), 5, error_table.AccountStop, "HTTP_403"),
        (says("", 302, Location="/elsewhere"), 5, error_table.AccountStop, "HTTP_302"),
    ],
)  # fmt: skip
async def test_a_whole_refusal_names_its_code(
    api: Scripted,
    subject: client.Client,
    answer: Handler,
    mutations: int,
    expected: type[errors.OrdersyncError],
    code: str,
) -> None:
    api.script = [answer]
    with pytest.raises(expected) as raised:
        await subject.send(BODY, key="k", mutations=mutations)
    assert isinstance(raised.value, errors.Rejected | errors.Misconfigured)
    assert raised.value.code == code
    assert len(api.seen) == 1


async def test_a_row_error_without_a_place_in_a_batch_must_be_looked_up(api: Scripted, subject: client.Client) -> None:
    api.script = [says(error("JsonParseException"), 400)]
    with pytest.raises(error_table.MustLookUp) as raised:
        await subject.send(BODY, key="k", mutations=2)
    assert raised.value.error.code == "JsonParseException"


@pytest.mark.parametrize(
    "answer",
    [
        says(error("INTERNAL_SERVER_ERROR"), 500, Idempotency_Replayed="true"),
        says(error("maxConcurrencyExceeded"), 429, Idempotency_Replayed="true"),
    ],
)
async def test_a_replayed_failure_will_never_be_another_answer(
    api: Scripted, subject: client.Client, waits: Waits, answer: Handler
) -> None:
    api.script = [answer]
    with pytest.raises(error_table.MustLookUp):
        await subject.send(BODY, key="k", mutations=1)
    assert waits == []


async def test_a_partial_throttle_is_given_back_to_be_judged(
    api: Scripted, subject: client.Client, waits: Waits
) -> None:
    payload = error("FIELD_MINUTE_RATE_LIMIT_EXCEEDED", path=["m1"], retry_in_seconds=8)
    api.script = [says(payload | {"data": {"m0": {"id": "1"}, "m1": None}})]
    reply = await subject.send(BODY, key="k", mutations=2)
    done, throttled = responses.judge(reply, ["m0", "m1"])
    assert done.kind == "done"
    assert throttled == responses.Throttled(wait=8, code="FIELD_MINUTE_RATE_LIMIT_EXCEEDED")
    assert waits == []


@pytest.mark.parametrize(("stated", "wait"), [((8, 31, 5), 31), ((None, 8), 60)])
async def test_after_a_throttled_alias_nothing_leaves_before_the_longest_wait_is_over(
    api: Scripted, subject: client.Client, waits: Waits, stated: tuple[int | None, ...], wait: float
) -> None:
    throttled = [
        error(
            "FIELD_MINUTE_RATE_LIMIT_EXCEEDED",
            path=[f"m{number}"],
            status_code=429,
            **({} if seconds is None else {"retry_in_seconds": seconds}),
        )["errors"][0]
        for number, seconds in enumerate(stated, start=1)
    ]
    data = {"m0": {"id": "1"}} | {f"m{number}": None for number in range(1, len(stated) + 1)}
    left: list[float] = []

    async def note(request: web.Request) -> web.StreamResponse:
        left.append(waits.now)
        return await says(OK)(request)

    for ask in (subject.query("board_groups", {"board": "7"}), subject.send(BODY, key="l", mutations=1)):
        api.script = [says({"data": data, "errors": throttled}), note]
        before = waits.now
        await subject.send(BODY, key="k", mutations=4)
        assert subject.budget.snapshot().paused_for == wait
        await ask
        assert left.pop() == before + wait
    assert len(api.seen) == 4


class TokenFile:
    """The token as it stands in its file; None is a file that cannot be read."""

    def __init__(self, *contents: str | None) -> None:
        self.contents = list(contents)
        self.reads = 0

    def __call__(self) -> pydantic.SecretStr:
        self.reads += 1
        content = self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]
        if content is None:
            raise errors.Misconfigured("monday_token_file: No such file")
        return pydantic.SecretStr(content)


async def accept_only(token: str, request: web.Request) -> web.StreamResponse:
    allowed = request.headers["Authorization"] == token
    return await (says(OK) if allowed else says(error("Unauthorized"), 401))(request)


async def test_a_refused_token_is_read_again_and_the_request_repeated_alike(
    api: Scripted, waits: Waits, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = TokenFile("the-new-token")
    api.script = [functools.partial(accept_only, "the-new-token")]
    left: list[int] = []

    async def leave() -> None:
        left.append(len(api.seen))

    async with connect(api.url, waits, read_token=file) as subject:
        for _ in range(2):
            reply = await subject.send(BODY, key="k", mutations=1, leave=leave)
            assert reply.data == OK["data"]
    assert [headers["Authorization"] for headers, _ in api.seen] == [TOKEN, "the-new-token", "the-new-token"]
    assert len({(headers["Idempotency-Key"], body) for headers, body in api.seen}) == 1
    assert (left, file.reads, waits) == ([0, 1, 2], 1, [])
    assert "the-new-token" not in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("content", [TOKEN, None, "", "two\nlines", "tökén"])
async def test_without_a_new_token_the_account_stops_and_each_try_reads_the_file(
    api: Scripted, waits: Waits, content: str | None
) -> None:
    file = TokenFile(content, content, "the-new-token")
    api.script = [functools.partial(accept_only, "the-new-token")]
    async with connect(api.url, waits, read_token=file) as subject:
        for _ in range(2):
            with pytest.raises(error_table.AccountStop, match="Unauthorized"):
                await subject.send(BODY, key="k", mutations=1)
        assert len(api.seen) == 2
        assert (await subject.send(BODY, key="k", mutations=1)).data == OK["data"]
    assert file.reads == 3


async def test_a_file_whose_every_token_is_refused_ends_the_tries(api: Scripted, waits: Waits) -> None:
    api.script = [says(error("Unauthorized"), 401)]
    async with connect(api.url, waits, read_token=TokenFile(*(f"t{n}" for n in range(20)))) as subject:
        with pytest.raises(errors.Transient, match="refused 6 times"):
            await subject.send(BODY, key="k", mutations=1)
    assert len(api.seen) == 6


async def test_requests_at_the_same_time_all_go_on_with_the_new_token(api: Scripted, waits: Waits) -> None:
    api.script = [functools.partial(accept_only, "the-new-token")]
    async with connect(api.url, waits, read_token=TokenFile("the-new-token")) as subject:
        asked = (subject.query("board_groups", {"board": "7"}) for _ in range(4))
        assert await asyncio.gather(*asked) == [OK["data"]] * 4


async def test_the_end_of_the_day_stops_every_later_request_unsent(api: Scripted, subject: client.Client) -> None:
    api.script = [says(error("DAILY_LIMIT_EXCEEDED"), 429)]
    for _ in range(2):
        with pytest.raises(error_table.AccountStop) as stopped:
            await subject.send(BODY, key="k", mutations=1)
        assert stopped.value.wait is not None
        assert 0 < stopped.value.wait <= 86_400
    assert len(api.seen) == 1


async def test_a_stated_wait_of_a_daily_limit_counts_and_not_the_reset_of_the_minute(
    api: Scripted, subject: client.Client
) -> None:
    spent = '"minuteRate";r=0;t=38'
    api.script = [says(error("DAILY_LIMIT_EXCEEDED", retry_in_seconds=600), 429, RateLimit=spent)]
    with pytest.raises(error_table.AccountStop) as stopped:
        await subject.send(BODY, key="k", mutations=1)
    assert stopped.value.wait == pytest.approx(600, abs=5)
    api.script = [says(error("DAILY_LIMIT_EXCEEDED"), 429, RateLimit=spent)]
    with pytest.raises(error_table.AccountStop, match="no call before"):
        await subject.send(BODY, key="k", mutations=1)
    assert len(api.seen) == 1


async def test_too_complex_a_request_teaches_the_weight(api: Scripted, subject: client.Client) -> None:
    api.script = [says(error("REQUEST_MAX_COMPLEXITY_EXCEEDED", error_data={"cost": 6_000_000}))]
    with pytest.raises(errors.Rejected):
        await subject.send(BODY, key="k", mutations=100)
    assert subject.budget.weight == 60_000


async def test_writes_go_one_after_the_other(api: Scripted, subject: client.Client) -> None:
    at_once, most = 0, 0

    async def count(request: web.Request) -> web.StreamResponse:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        for _ in range(20):
            await asyncio.sleep(0)
        at_once -= 1
        return web.json_response(OK)

    api.script = [count]
    await asyncio.gather(*(subject.send(BODY, key=str(number), mutations=1) for number in range(5)))
    assert (most, len(api.seen)) == (1, 5)


async def test_a_read_is_asked_again_until_it_is_answered(api: Scripted, subject: client.Client, waits: Waits) -> None:
    locked = error("FIELD_LIMIT_EXCEEDED", path=["items"], retry_in_seconds=15) | {"data": {"items": None}}
    api.script = [cut, says("<html>", 502), says(locked), says({"data": {"items": []}})]
    assert await subject.query("item_states", {"items": ["1"], "limit": 100}) == {"items": []}
    assert len(api.seen) == 4
    # Full jitter after the first two, of one and two seconds at most; then as stated.
    assert 0 < waits[0] <= 1
    assert 0 < waits[1] <= 2
    assert waits[2] == 15


async def test_a_read_that_stays_late_is_no_unknown_outcome(api: Scripted, subject: client.Client) -> None:
    api.script = [says("<html>", 502)]
    with pytest.raises(errors.Transient, match="item_states") as raised:
        await subject.query("item_states", {"items": [], "limit": 1})
    assert type(raised.value) is errors.Transient
    assert len(api.seen) == 6


@pytest.mark.parametrize(
    ("code", "expected"),
    [("undefinedField", errors.Rejected), ("Unauthorized", error_table.AccountStop)],
)
async def test_a_read_that_cannot_succeed_is_asked_once(
    api: Scripted, subject: client.Client, code: str, expected: type[Exception]
) -> None:
    api.script = [says(error(code))]
    with pytest.raises(expected):
        await subject.query("item_states", {"items": [], "limit": 1})
    assert len(api.seen) == 1


async def test_the_token_is_never_shown(api: Scripted, waits: Waits, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    shown: list[str] = []
    for trouble in (cut, says("<html>", 502), says(error("Unauthorized"), 401), says("slow", 429), says("", 302)):
        api.script = [trouble]
        async with connect(api.url, waits) as subject:
            with pytest.raises(errors.OrdersyncError) as raised:
                await subject.send(BODY, key="k", mutations=1)
            shown += [repr(subject), str(vars(subject)), repr(raised.value), repr(raised.value.__cause__)]
    assert api.seen[0][0]["Authorization"] == TOKEN
    assert "Client('http://" in shown[0]
    assert TOKEN not in "".join(shown) + caplog.text
    assert any(record.name == "connectors.monday.client" for record in caplog.records)


async def test_a_secret_token_and_a_closed_client(api: Scripted, waits: Waits) -> None:
    paces = budget.Budget(limits.preset("app", "pro"), clock=waits.clock, sleep=waits)
    closed = client.Client(api.url, pydantic.SecretStr(TOKEN), budget=paces)
    with pytest.raises(RuntimeError, match="async with"):
        await closed.send(BODY, key=None, mutations=1)
    api.script = [says(OK)]
    async with closed:
        await closed.send(BODY, key=None, mutations=1)
    assert json.loads(api.seen[0][1]) == json.loads(BODY)


async def test_aiohttp_never_repeats_a_post_on_a_connection_that_died(api: Scripted, subject: client.Client) -> None:
    api.script = [says(OK), cut, says(OK)]
    await subject.send(BODY, key="a", mutations=1)
    with pytest.raises(errors.OutcomeUnknown):
        await subject.send(BODY, key="b", mutations=1)
    assert len(api.seen) == 2
    assert "POST" not in aiohttp.client.IDEMPOTENT_METHODS
