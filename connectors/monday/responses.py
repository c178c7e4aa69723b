"""Reads an HTTP answer into a reply, and a reply into the outcome of each mutation.

`read` never raises: an answer without sense becomes an error in the reply (error_formats.py).
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from connectors import errors
from connectors.monday import answers, daily_calls, error_formats, error_table, limits, minute_window
from schemas import base, items

# Half of a surrogate pair, written as JSON: alone it is no character, and no database stores it.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# More points than any budget has, and more seconds than any minute.
Points = Annotated[int, Field(ge=0, le=10**9)]
Seconds = Annotated[float, Field(ge=0, le=3_600)]


class Complexity(base.Model):
    """Points before and after a request, its cost in points, and seconds until the budget resets."""

    before: Points
    after: Points
    query: Points
    reset_in: Seconds


class Reply(base.Model):
    """One answer. `data` is {} when it has none; `seconds` is the round trip without waits."""

    http_status: int
    data: dict[str, Any] = {}
    errors: tuple[error_table.ApiError, ...] = ()
    complexity: Complexity | None = None
    allowances: dict[str, limits.Allowance] = {}
    request_id: str | None = None
    replayed: bool = False
    seconds: float = 0.0


class Throttled(base.Model):
    """A limit refused one mutation, which was not executed: repeat it under a new key in `wait` seconds."""

    kind: Literal["throttled"] = "throttled"
    wait: float
    code: str


class Stopped(base.Model):
    """One mutation was not executed, and none can be until an operator acts: raise `error()`."""

    kind: Literal["stopped"] = "stopped"
    cause: error_table.ApiError

    def error(self) -> errors.OrdersyncError:
        """The AccountStop or BoardStop of the cause."""
        return error_table.exception(self.cause, mutations=1)


Verdict = items.Outcome | Throttled | Stopped


def read(
    answer: error_formats.Answer, *, seconds: float = 0.0, now: Callable[[], datetime] = daily_calls.utcnow
) -> Reply:
    """Read an answer; the round trip took `seconds`. `now` turns a Retry-After date into a pause."""
    payload = _payload(answer.text)
    data = error_formats.as_object(payload.get("data"))
    body_id = error_formats.as_object(payload.get("extensions")).get("request_id")
    request_id = str(body_id) if body_id else answer.headers.get("x-request-id")
    allowances = limits.read_headers(answer.headers)
    api_errors = error_formats.read_errors(answer, payload, allowances=allowances, request_id=request_id, now=now())
    return Reply(
        http_status=answer.status,
        data=data,
        errors=tuple(api_errors),
        complexity=_complexity(data.get("complexity")),
        allowances=allowances,
        request_id=request_id,
        replayed=answer.headers.get("idempotency-replayed", "").casefold() == "true",
        seconds=seconds,
    )


def request_error(reply: Reply) -> error_table.ApiError | None:
    """The error of the whole request; None when each alias has its own outcome."""
    if not reply.errors or any(value for alias, value in reply.data.items() if alias != "complexity"):
        return None
    invalid = (error_table.Action.CLIENT_BUG, error_table.Action.SPLIT)
    unserved = (error_table.Action.WAIT, error_table.Action.RESEND)
    for error in reply.errors:
        action = error_table.rule(error).action
        # A validation error has a path into the document, and a 429 or 500 is about the request, path or not.
        if action in invalid or (action in unserved and reply.http_status >= 400):
            return error
    return None if any(error.path for error in reply.errors) else reply.errors[0]


def judge(reply: Reply, aliases: Sequence[str]) -> list[Verdict]:
    """The verdict on each mutation in the order of `aliases`, by its own id and its own error.

    A result without a valid id is Unknown: the API did something, and does not say what.
    """
    return [_verdict(reply, alias) for alias in aliases]


def window_report(reply: Reply) -> minute_window.WindowReport:
    """The statements of a reply about the minute's complexity, from its data, headers and errors."""
    complexity, points = reply.complexity, reply.allowances.get("complexityMinute", limits.Allowance())
    error = next((error for error in reply.errors if error.left is not None or error.limit is not None), None)
    # The API writes the headers last: they include refunds, and the points of other requests meanwhile.
    lefts = (points.left, complexity.after if complexity else None, error.left if error else None)
    quotas = (points.quota, error.limit if error else None)
    return minute_window.WindowReport(
        cost=complexity.query if complexity else None,
        before=complexity.before if complexity else None,
        left=next((int(left) for left in lefts if left is not None), None),
        resets_in=complexity.reset_in if complexity else points.resets_in,
        limit=min((int(quota) for quota in quotas if quota), default=None),
    )


def _verdict(reply: Reply, alias: str) -> Verdict:
    result = reply.data.get(alias)
    if result is not None:
        return _done(result) or items.Unknown(
            reason=f"{alias} of request {reply.request_id or 'unknown'} has no valid id: {answers.short(result)}"
        )
    error = next((error for error in reply.errors if error.path[:1] == (alias,)), None)
    if error is None:
        return items.Unknown(reason=f"no id and no error in request {reply.request_id or 'unknown'}")
    row = error_table.rule(error)
    match row.action:
        case error_table.Action.WAIT:
            return Throttled(wait=error_table.wait_of(error), code=error.code)
        case error_table.Action.RESEND | error_table.Action.LOOK_UP:
            return items.Unknown(reason=str(error))
        case error_table.Action.BOARD_STOP | error_table.Action.ACCOUNT_STOP:
            return Stopped(cause=error)
        case (
            error_table.Action.ROW_ERROR
            | error_table.Action.NO_ROOM
            | error_table.Action.CLIENT_BUG
            | error_table.Action.SPLIT
        ):
            return items.Refused(
                code=error.code, message=error.message, http_status=error.status, request_id=error.request_id
            )


def _done(result: object) -> items.Done | None:
    """The outcome of a result with valid ids: of an item with its board, or of a group or a column."""
    fields = error_formats.as_object(result)
    if "board" not in fields:
        name = answers.name_id(fields.get("id"))
        return None if name is None else items.Done(id=name)
    item = answers.number_id(fields.get("id"))
    if item is None:
        return None
    if fields["board"] is None:
        return items.Done(id=item)
    board = answers.number_id(error_formats.as_object(fields["board"]).get("id"))
    return None if board is None else items.Done(id=item, board_id=board)


def _payload(text: str) -> error_formats.Json:
    """The JSON object of a body, {} for any other body."""
    try:
        payload = json.loads(text)
        if _SURROGATE.search(text):
            whole = json.dumps(payload, ensure_ascii=False).encode("utf-16", "surrogatepass")
            payload = json.loads(whole.decode("utf-16", "replace"))
    except (ValueError, RecursionError):
        return {}
    return error_formats.as_object(payload)


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
