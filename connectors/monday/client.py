"""Sends every request to the API as a paced POST; the answer becomes a reply or an error of connectors/errors.py.

The client repeats only a request that the API did not execute. It raises an unknown outcome at once: the caller's
journal has stored the body before it was sent, and decides whether to repeat it.
"""

import asyncio
import contextlib
import logging
import random
import time
import types
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Self

import pydantic

from connectors import backoff, errors
from connectors.monday import api_version as api_versions
from connectors.monday import budget as budgets
from connectors.monday import documents, error_table, responses, transport

log = logging.getLogger(__name__)

Leave = Callable[[], Awaitable[None]]
# From this HTTP status on it is not the API that answers, but what stands before it.
SERVER_ERROR = 500


class Client:
    """One token at one URL. Use it as an async context manager, in the event loop of its budget.

    `timeout` limits one round trip, in seconds. `tries` limits the attempts of a request that a limit refuses, and of a
    read. `read_token` reads the token once more after the API refused it; it may raise Misconfigured. The token appears
    in no repr, log or error.

    `silence`: since when no request got an answer, and why, in one line for the operator; None while the API answers.
    """

    def __init__(
        self,
        url: str,
        token: str | pydantic.SecretStr,
        *,
        budget: budgets.Budget,
        api_version: str = api_versions.VERSION,
        timeout: float = 60.0,
        tries: int = 6,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        rng: random.Random | None = None,
        proxy: str | None = None,
        post: transport.Transport | None = None,
        read_token: Callable[[], pydantic.SecretStr] | None = None,
    ) -> None:
        self.budget = budget
        self.silence: str | None = None
        self._url = url
        self._token = pydantic.SecretStr(token) if isinstance(token, str) else token
        self._read_token = read_token
        self._api_version = api_version
        self._tries = tries
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()
        self._http = transport.Http(url, timeout=timeout, proxy=proxy)
        self._post: transport.Transport = post or self._http
        self._stack = contextlib.AsyncExitStack()

    def __repr__(self) -> str:
        return f"Client({self._url!r}, api_version={self._api_version!r})"

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._http)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def send(self, body: str, *, key: str | None, mutations: int, leave: Leave | None = None) -> responses.Reply:
        """Send a body of so many aliased mutations under an idempotency key; `responses.judge` reads the reply.

        `leave` runs before each attempt, after all waits for the budget; if it raises, the body is not sent and the
        error passes through.

        Raises OutcomeUnknown (the API may have executed it: repeat the same body and key, or look it up), its child
        MustLookUp (the same body would get the same answer: look it up), Transient (not executed), Rejected (not
        executed, and never as a whole: send halves), AccountStop or BoardStop.
        """
        return await self._ask(budgets.Kind.WRITE, body, key=key, mutations=mutations, leave=leave)

    async def query(self, name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Send one read document and return its complete data: an error in a part fails the whole read.

        It retries a temporary error with growing pauses, and raises Transient after the last attempt. It also raises
        Rejected, AccountStop or BoardStop.
        """
        body = documents.query_body(name, variables)
        pauses = backoff.delays(rng=self._rng, tries=self._tries - 1)
        while True:
            try:
                reply = await self._ask(budgets.Kind.READ, body, name=name)
                if not reply.errors:
                    return reply.data
                raise error_table.exception(reply.errors[0], mutations=0)
            except errors.Transient as error:
                pause = next(pauses, None)
                if pause is None:
                    # A read changes nothing: for the caller an unknown outcome is only a delay.
                    raise errors.Transient(f"{name}: {error}", wait=error.wait) from error
                log.warning("retrying the read %s: %s", name, error)
                await self._sleep(pause if error.wait is None else error.wait)

    async def _ask(
        self,
        kind: budgets.Kind,
        body: str,
        *,
        key: str | None = None,
        mutations: int = 0,
        name: str = "",
        leave: Leave | None = None,
    ) -> responses.Reply:
        """Send until neither a limit nor an old token refuses the request. The next turn obeys each stated wait."""
        stale = backoff.delays(rng=self._rng)
        refused: error_table.ApiError | None = None
        wait = 0.0
        async with self.budget.place(kind):
            for attempt in range(self._tries):
                turn = await self.budget.turn(kind, name=name, mutations=mutations)
                token = self._token
                reply = await self._round_trip(turn, body, self._headers(token, key), leave)
                error = responses.request_error(reply)
                if error is None:
                    self.budget.settle(turn, reply)
                    return reply
                rule = error_table.rule(error)
                if rule.action is not error_table.Action.WAIT or reply.replayed:
                    self.budget.settle(turn, reply)
                    if error_table.is_unauthorized(error) and await self._has_new_token(token):
                        # The API checks the token first: it executed nothing.
                        refused = error
                        continue
                    raise self._exception(error, reply, mutations)
                # The first wait is exactly the stated one. After a wait that was too short, a growing surplus is added.
                wait = error_table.wait_of(error)
                wait += next(stale) if attempt else 0.0
                log.warning("the API refused a request, next attempt in %.1f s: %s", wait, error)
                self.budget.throttled(turn, error, wait, reply)
                refused = error
        raise errors.Transient(f"refused {self._tries} times: {refused}", wait=wait)

    async def _has_new_token(self, refused: pydantic.SecretStr) -> bool:
        """Read the token again, and return whether it is another one than the refused one."""
        if self._read_token is not None:
            try:
                read = await asyncio.to_thread(self._read_token)
            except errors.Misconfigured as error:
                log.warning("the API refused the token, and there is no new one: %s", error)
            else:
                if _is_usable(read):
                    self._token = read
        if self._token == refused:
            return False
        log.warning("the API refused the token: going on with the new one")
        return True

    async def _round_trip(
        self, turn: budgets.Turn, body: str, headers: Mapping[str, str], leave: Leave | None
    ) -> responses.Reply:
        if leave is not None:
            try:
                await leave()
            except BaseException:
                self.budget.cancel(turn)
                raise
        started = self._clock()
        try:
            answer = await self._post(body, headers)
        except BaseException as error:
            sent = isinstance(error, errors.OutcomeUnknown) or not isinstance(error, errors.OrdersyncError)
            (self.budget.lose if sent else self.budget.cancel)(turn)
            if isinstance(error, errors.OrdersyncError):
                self._note_silence(str(error))
            raise
        if answer.status < SERVER_ERROR:
            self.silence = None
        else:
            self._note_silence(f"HTTP {answer.status}")
        reply = responses.read(answer, seconds=self._clock() - started)
        log.debug("request %s: HTTP %s in %.3f s", reply.request_id, reply.http_status, reply.seconds)
        return reply

    def _note_silence(self, why: str) -> None:
        """Notes the first of several requests in a row without an answer: a server's error in its place is none."""
        if self.silence is None:
            at = datetime.now(UTC)
            self.silence = f"{self._url} gives no answer since {at:%H:%M:%S} UTC: {why}"

    def _exception(self, error: error_table.ApiError, reply: responses.Reply, mutations: int) -> errors.OrdersyncError:
        if error_table.is_daily_limit(error):
            return error_table.AccountStop(str(error), code=error.code, wait=self.budget.no_calls_for())
        exception = error_table.exception(error, mutations=mutations)
        if reply.replayed and isinstance(exception, errors.Transient):
            # The API repeats its earlier answer: this key never gets another one.
            return error_table.MustLookUp(error)
        return exception

    def _headers(self, token: pydantic.SecretStr, key: str | None) -> dict[str, str]:
        headers = {
            "Authorization": token.get_secret_value(),
            "Content-Type": "application/json",
            "API-Version": self._api_version,
        }
        if key is not None:
            headers["Idempotency-Key"] = key
        return headers


def _is_usable(token: pydantic.SecretStr) -> bool:
    """Is it a token that a header may hold? A file that is being written may be empty for a moment."""
    text = token.get_secret_value()
    return bool(text) and text.isascii() and text.isprintable()
