"""Maps every error of the API to an action and an exception: one shape of error, one table.

The source is the API's error pages and change log as of 2026-10. The error's code chooses the row; for an unlisted
code the message does, then the HTTP status, and last the action is `LOOK_UP`: after an unknown outcome a lookup
precedes the next write.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from connectors import errors
from schemas import base


class Action(Enum):
    """The reaction to an error."""

    WAIT = auto()  # not executed: repeat the same request after the stated wait
    RESEND = auto()  # outcome unknown: repeat the same body and key, while the API remembers the key
    LOOK_UP = auto()  # outcome unknown, and the same body would get the same answer: look it up on the board
    SPLIT = auto()  # too big, not executed: send smaller parts
    ROW_ERROR = auto()  # this mutation can never succeed unchanged
    NO_ROOM = auto()  # not executed: the board is full, so no create can succeed until items are removed
    BOARD_STOP = auto()  # no write to this board can succeed until an operator acts
    ACCOUNT_STOP = auto()  # no request can succeed until an operator acts, or the day ends
    CLIENT_BUG = auto()  # the request is invalid, not executed: never repeat it


class Throttle(Enum):
    """The kind of limit that refused a request. A refusal costs a tenth of a call of the day."""

    COMPLEXITY = auto()
    CALLS = auto()


class ApiError(base.Model):
    """One error in one shape for all formats.

    `status` is the error's own status if it states one, else that of the HTTP answer. `path` starts with the alias
    of the mutation, and is empty for the whole request. `wait` is the stated pause in seconds. `cost`, `left` and
    `limit` are complexity points, if the error states them.
    """

    code: str
    message: str
    status: int
    path: tuple[str | int, ...] = ()
    wait: float | None = None
    request_id: str | None = None
    cost: int | None = None
    left: int | None = None
    limit: int | None = None

    def __str__(self) -> str:
        return f"{self.code} (HTTP {self.status}, request {self.request_id or 'unknown'}): {self.message}"


@dataclass(frozen=True)
class Rule:
    """One row of the table. `wait` is the pause in seconds when the API states none."""

    action: Action
    codes: tuple[str, ...] = ()
    message: str | None = None
    statuses: tuple[int, ...] = ()
    wait: float = 0.0
    throttle: Throttle | None = None


_DAILY = Rule(Action.ACCOUNT_STOP, codes=("DAILY_LIMIT_EXCEEDED",), message=r"daily (call )?limit")

TABLE: tuple[Rule, ...] = (
    # Limits. The request was not executed.
    Rule(
        Action.WAIT,
        codes=("COMPLEXITY_BUDGET_EXHAUSTED", "ComplexityException"),
        message=r"complexity budget exhausted|budget remaining \d+ out of",
        wait=60,
        throttle=Throttle.COMPLEXITY,
    ),
    Rule(
        Action.WAIT,
        codes=("maxConcurrencyExceeded", "CONCURRENCY_LIMIT_EXCEEDED"),
        message=r"max(imum)? concurrency",
        wait=2,
        throttle=Throttle.CALLS,
    ),
    Rule(Action.WAIT, codes=("IP_RATE_LIMIT_EXCEEDED",), wait=10, throttle=Throttle.CALLS),
    Rule(Action.WAIT, codes=("FIELD_LIMIT_EXCEEDED",), wait=15, throttle=Throttle.CALLS),
    # The day precedes the minute: the API may send a daily limit as a 429 with a common message.
    _DAILY,
    Rule(
        Action.WAIT,
        codes=("FIELD_MINUTE_RATE_LIMIT_EXCEEDED", "RATE_LIMIT_EXCEEDED"),
        message=r"minute limit rate exceeded|rate limit exceeded|call limit exceeded for",
        statuses=(429,),
        wait=60,
        throttle=Throttle.CALLS,
    ),
    # Two writes to the board at the same time.
    Rule(Action.WAIT, message=r"resource is currently locked", statuses=(423,), wait=1),
    # The request itself.
    Rule(Action.SPLIT, codes=("REQUEST_MAX_COMPLEXITY_EXCEEDED",), statuses=(413,)),
    Rule(
        Action.CLIENT_BUG,
        codes=(
            "undefinedField",
            "GRAPHQL_VALIDATION_FAILED",
            "GRAPHQL_PARSE_FAILED",
            "ParseError",
            "InvalidVersionException",
        ),
        message=r"^parse error|^syntax error",
    ),
    # One row.
    Rule(
        Action.ROW_ERROR,
        codes=(
            "ColumnValueException",
            "CorrectedValueException",
            "InvalidArgumentException",
            "InvalidColumnIdException",
            "InvalidUserIdException",
            "ItemNameTooLongException",
            "ResourceNotFoundException",
            "JsonParseException",
            "RecordInvalidException",
            "DeleteLastGroupException",
        ),
        statuses=(422,),
    ),
    # Creates on one board, everything on one board, or everything.
    Rule(Action.NO_ROOM, codes=("ItemsLimitationException",)),
    Rule(Action.BOARD_STOP, codes=("InvalidBoardIdException", "UserUnauthorizedException")),
    Rule(
        Action.ACCOUNT_STOP,
        codes=(
            "API_TEMPORARILY_BLOCKED",
            "Unauthorized",
            "USER_ACCESS_DENIED",
            "missingRequiredPermissions",
        ),
        message=r"your ip is restricted|not authenticated|temporarily blocked",
        # A redirect, "not found" or "not allowed" without a code of the API is a wrong address or a proxy.
        statuses=(301, 302, 303, 307, 308, 401, 403, 404, 405, 407),
    ),
    # The outcome is unknown: no answer, or the API still runs an earlier request with this key.
    Rule(Action.RESEND, codes=("IDEMPOTENCY_CONFLICT",), statuses=(409,)),
    Rule(
        Action.RESEND,
        codes=("BAD_JSON",),
        message=r"^internal server error",
        statuses=(408, 500, 502, 503, 504),
    ),
    Rule(Action.CLIENT_BUG, statuses=(400,)),
)

UNLISTED = Rule(Action.LOOK_UP)


class AccountStop(errors.Misconfigured):
    """No request can succeed. `wait`: seconds until the cause may end by itself; None if it needs an operator."""


class BoardStop(errors.Misconfigured):
    """No write to this board can succeed. The API may have executed earlier mutations of the same request."""


class MustLookUp(errors.OutcomeUnknown):
    """The answer does not state the outcome, and a repetition would get the same answer.

    Look the keys up on the board; then send the missing mutations in smaller parts, so that one of them is the cause.
    """

    def __init__(self, error: ApiError) -> None:
        super().__init__(str(error))
        self.error = error


def rule(error: ApiError) -> Rule:
    """The row of an error: by its code, else by its message, else by its status."""
    code = _plain(error.code)
    return _CODES.get(code) or _by_message(error.message) or _by_status(error.status) or UNLISTED


def is_full(code: str) -> bool:
    """Does the code of an error say that the board has no room for another item?"""
    row = _CODES.get(_plain(code))
    return row is not None and row.action is Action.NO_ROOM


def is_about_columns(code: str) -> bool:
    """May the code of an error mean that a column of the board is missing or has another type?"""
    return _plain(code) in _COLUMN_CODES


def is_no_column(code: str) -> bool:
    """Does the code of an error say that the board has no such column?"""
    return _plain(code) == _plain(_NO_COLUMN)


def wait_of(error: ApiError) -> float:
    """The pause in seconds before the next attempt: the stated one, else the one of the table."""
    return error.wait if error.wait is not None else rule(error).wait


def is_daily_limit(error: ApiError) -> bool:
    """Does the error say that the calls of the UTC day are used up?"""
    return rule(error) is _DAILY


def is_unauthorized(error: ApiError) -> bool:
    """Does the error say that the API does not accept the token?"""
    return error.status == 401 or _plain(error.code) == "unauthorized"


def exception(error: ApiError, *, mutations: int) -> errors.OrdersyncError:
    """The exception for an error of a whole request with so many mutations (0 for a read)."""
    row = rule(error)
    match row.action:
        case Action.ACCOUNT_STOP:
            return AccountStop(str(error), code=error.code, wait=error.wait)
        case Action.BOARD_STOP:
            return BoardStop(str(error), code=error.code, wait=error.wait)
        case Action.WAIT:
            return errors.Transient(str(error), wait=wait_of(error))
        case Action.RESEND:
            return errors.OutcomeUnknown(str(error), wait=error.wait)
        case Action.LOOK_UP:
            return MustLookUp(error)
        case Action.ROW_ERROR | Action.NO_ROOM if mutations > 1:
            # The API may have executed the mutations before the bad one, and the answer does not say so.
            return MustLookUp(error)
        case Action.ROW_ERROR | Action.NO_ROOM | Action.SPLIT | Action.CLIENT_BUG:
            return errors.Rejected(str(error), code=error.code, http_status=error.status, request_id=error.request_id)


def _plain(code: str) -> str:
    return re.sub(r"[^a-z0-9]", "", code.casefold())


_NO_COLUMN = "InvalidColumnIdException"
_COLUMN_CODES = {
    _plain(code) for code in (_NO_COLUMN, "ColumnValueException", "CorrectedValueException", "InvalidArgumentException")
}
_CODES = {_plain(code): row for row in TABLE for code in row.codes}
_STATUSES = {status: row for row in TABLE for status in row.statuses}


def _by_message(message: str) -> Rule | None:
    for row in TABLE:
        if row.message is not None and re.search(row.message, message, re.IGNORECASE):
            return row
    return None


def _by_status(status: int) -> Rule | None:
    if status in _STATUSES:
        return _STATUSES[status]
    if status >= 500:
        return _STATUSES[500]
    return _STATUSES[400] if status >= 400 else None
