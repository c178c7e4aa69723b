"""From an HTTP answer to a reply, and from a reply to what became of each mutation.

Reading never raises: an answer that makes no sense is an error too (formats.py).
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal

from connectors import errors
from connectors.monday import daily_calls, error_formats, error_table, limits, minute_window
from schemas import base, items


class Complexity(base.Model):
    """Points before and after a request, what it cost, and seconds until the budget resets."""

    before: int
    after: int
    query: int
    reset_in: float


class Reply(base.Model):
    """An answer that was read. `data` is {} when there is none; `seconds` is the round trip alone."""

    http_status: int
    data: dict[str, Any] = {}
    errors: tuple[error_table.ApiError, ...] = ()
    complexity: Complexity | None = None
    allowances: dict[str, limits.Allowance] = {}
    request_id: str | None = None
    replayed: bool = False
    seconds: float = 0.0


class Throttled(base.Model):
    """A limit kept one mutation from being executed: send it again, under a new key, in `wait` seconds."""

    kind: Literal["throttled"] = "throttled"
    wait: float
    code: str


class Stopped(base.Model):
    """One mutation was not executed, and none will be until a person acts: raise `error()`."""

    kind: Literal["stopped"] = "stopped"
    cause: error_table.ApiError

    def error(self) -> errors.OrdersyncError:
        return error_table.exception(self.cause, mutations=1)


Verdict = items.Outcome | Throttled | Stopped


def read(
    answer: error_formats.Answer, *, seconds: float = 0.0, now: Callable[[], datetime] = daily_calls.utcnow
) -> Reply:
    """Read an answer; the round trip took `seconds`. `now` turns a Retry-After date into a pause."""
    payload = _payload(answer.text)
    data = error_formats.as_object(payload.get("data"))
    told_id = error_formats.as_object(payload.get("extensions")).get("request_id")
    request_id = str(told_id) if told_id else answer.headers.get("x-request-id")
    allowances = limits.read_headers(answer.headers)
    found = error_formats.read_errors(answer, payload, allowances=allowances, request_id=request_id, now=now())
    return Reply(
        http_status=answer.status,
        data=data,
        errors=tuple(found),
        complexity=_complexity(data.get("complexity")),
        allowances=allowances,
        request_id=request_id,
        replayed=answer.headers.get("idempotency-replayed", "").casefold() == "true",
        seconds=seconds,
    )


def whole(reply: Reply) -> error_table.ApiError | None:
    """The error that speaks for the whole request; None when each alias has to be judged by itself."""
    if not reply.errors or any(value for alias, value in reply.data.items() if alias != "complexity"):
        return None
    refused = (error_table.Action.CLIENT_BUG, error_table.Action.SPLIT)
    unserved = (error_table.Action.WAIT, error_table.Action.RESEND)
    for error in reply.errors:
        action = error_table.rule(error).action
        # A validation error has a path into the document, and a 429 or 500 is about the request, path or not.
        if action in refused or (action in unserved and reply.http_status >= 400):
            return error
    return None if any(error.path for error in reply.errors) else reply.errors[0]


def judge(reply: Reply, aliases: Sequence[str]) -> list[Verdict]:
    """What became of each mutation, in the order of `aliases`: by its own id and its own error."""
    return [_verdict(reply, alias) for alias in aliases]


def told(reply: Reply) -> minute_window.Told:
    """What a reply says about the minute's complexity, from wherever it says it."""
    seen, points = reply.complexity, reply.allowances.get("complexityMinute", limits.Allowance())
    error = next((error for error in reply.errors if error.left is not None or error.limit is not None), None)
    # The headers are written last, after refunds and with what others took meanwhile.
    lefts = (points.left, seen.after if seen else None, error.left if error else None)
    quotas = (points.quota, error.limit if error else None)
    return minute_window.Told(
        cost=seen.query if seen else None,
        before=seen.before if seen else None,
        left=next((int(left) for left in lefts if left is not None), None),
        resets_in=seen.reset_in if seen else points.resets_in,
        limit=min((int(quota) for quota in quotas if quota), default=None),
    )


def _verdict(reply: Reply, alias: str) -> Verdict:
    made = reply.data.get(alias)
    if isinstance(made, dict) and made.get("id"):
        board = error_formats.as_object(made.get("board")).get("id")
        return items.Done(id=str(made["id"]), board_id=str(board) if board else None)
    error = next((error for error in reply.errors if error.path[:1] == (alias,)), None)
    if error is None:
        return items.Unknown(reason=f"no id and no error in request {reply.request_id or 'unknown'}")
    row = error_table.rule(error)
    match row.action:
        case error_table.Action.WAIT:
            return Throttled(wait=error.wait if error.wait is not None else row.wait, code=error.code)
        case error_table.Action.RESEND | error_table.Action.LOOK_UP:
            return items.Unknown(reason=str(error))
        case error_table.Action.BOARD_STOP | error_table.Action.ACCOUNT_STOP:
            return Stopped(cause=error)
        case error_table.Action.ROW_ERROR | error_table.Action.CLIENT_BUG | error_table.Action.SPLIT:
            return items.Refused(
                code=error.code, message=error.message, http_status=error.status, request_id=error.request_id
            )


def _payload(text: str) -> error_formats.Json:
    try:
        return error_formats.as_object(json.loads(text))
    except ValueError:
        return {}


def _complexity(value: object) -> Complexity | None:
    fields = error_formats.as_object(value)
    try:
        return Complexity(
            before=fields["before"],
            after=fields["after"],
            query=fields["query"],
            reset_in=fields["reset_in_x_seconds"],
        )
    except (KeyError, ValueError):
        return None
