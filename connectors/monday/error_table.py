"""What every error of the API means for us: one shape of error, one table, one exception for each action.

The facts are the API's error pages and change log as of 2026-10. A row is chosen by the error's code; a
code that nobody listed is judged by the message, then by the HTTP status, and last as `LOOK_UP`: when we
do not know what happened, we look before we write again.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from connectors import errors
from schemas import base


class Action(Enum):
    """What to do about an error."""

    WAIT = auto()  # it was not executed: send the same again after the stated wait
    RESEND = auto()  # nobody knows: send the same body with the same key, while the key is remembered
    LOOK_UP = auto()  # nobody knows, and the same body would get the same answer: look on the board
    SPLIT = auto()  # too big: nothing was executed, send smaller parts
    ROW_ERROR = auto()  # this one mutation can never succeed as it is
    BOARD_STOP = auto()  # nothing can be written to this board until a person acts
    ACCOUNT_STOP = auto()  # nothing can be sent at all until a person acts, or the day ends
    CLIENT_BUG = auto()  # the request is wrong: nothing was executed, never send it again


class Throttle(Enum):
    """Which limit refused a request. A refusal costs a tenth of a call of the day."""

    COMPLEXITY = auto()
    CALLS = auto()


class ApiError(base.Model):
    """One error in one shape, whichever of the formats it came in.

    `status` is the error's own status if it states one, else that of the HTTP answer. `path` starts with the
    alias it belongs to, and is empty for the whole request. `wait` is the stated pause in seconds.
    `cost`, `left` and `limit` are complexity points, where the error tells of them.
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
    """One row of the table. `wait` holds, in seconds, when the API states none."""

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
    # The day before the minute: a daily limit may well be sent as a 429 with a common message.
    _DAILY,
    Rule(
        Action.WAIT,
        codes=("FIELD_MINUTE_RATE_LIMIT_EXCEEDED", "RATE_LIMIT_EXCEEDED"),
        message=r"minute limit rate exceeded|rate limit exceeded|call limit exceeded for",
        statuses=(429,),
        wait=60,
        throttle=Throttle.CALLS,
    ),
    # Two writers at once: on the board, or with the same key.
    Rule(Action.WAIT, message=r"resource is currently locked", statuses=(423,), wait=1),
    Rule(Action.WAIT, codes=("IDEMPOTENCY_CONFLICT",), statuses=(409,), wait=2),
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
    # Everything on one board, or everything.
    Rule(
        Action.BOARD_STOP,
        codes=("InvalidBoardIdException", "ItemsLimitationException", "UserUnauthorizedException"),
    ),
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
    # Nobody knows.
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
    """Nothing can be sent. `wait` is the time in seconds until it may pass by itself, if it may."""


class BoardStop(errors.Misconfigured):
    """Nothing can be written to this board. Earlier mutations of the same request may have happened."""


class MustLookUp(errors.OutcomeUnknown):
    """An answer came that does not say what happened, and asking again would get the same answer.

    Look on the board by key; then send what is missing in smaller parts, so that the cause stands alone.
    """

    def __init__(self, error: ApiError) -> None:
        super().__init__(str(error))
        self.error = error


def rule(error: ApiError) -> Rule:
    """The row for an error: by its code, else by its message, else by its status."""
    code = _plain(error.code)
    return _CODES.get(code) or _by_message(error.message) or _by_status(error.status) or UNLISTED


def is_daily_limit(error: ApiError) -> bool:
    """Whether the calls of the UTC day are used up."""
    return rule(error) is _DAILY


def exception(error: ApiError, *, mutations: int) -> errors.OrdersyncError:
    """The exception for an error that speaks for a whole request of so many mutations (0 for a read)."""
    row = rule(error)
    match row.action:
        case Action.ACCOUNT_STOP:
            return AccountStop(str(error), code=error.code, wait=error.wait)
        case Action.BOARD_STOP:
            return BoardStop(str(error), code=error.code, wait=error.wait)
        case Action.WAIT:
            return errors.Transient(str(error), wait=error.wait if error.wait is not None else row.wait)
        case Action.RESEND:
            return errors.OutcomeUnknown(str(error), wait=error.wait)
        case Action.LOOK_UP:
            return MustLookUp(error)
        case Action.ROW_ERROR if mutations > 1:
            # Mutations before the bad one may have happened, and the answer does not tell.
            return MustLookUp(error)
        case Action.ROW_ERROR | Action.SPLIT | Action.CLIENT_BUG:
            return errors.Rejected(str(error), code=error.code, http_status=error.status, request_id=error.request_id)


def _plain(code: str) -> str:
    return re.sub(r"[^a-z0-9]", "", code.casefold())


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
