"""The API's formats of errors.

Application errors travel in HTTP 200 with `data` and `errors[].extensions.code`; transport errors have their own
status. The bodies of the daily limit and of the minute limit are not published: they are our assumption.
"""

import dataclasses
from http import HTTPStatus
from typing import Any

from graphql import GraphQLError

JSON = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer: a JSON object or, as text, HTML. `cut`: the server ends the connection instead."""

    status: int
    body: JSON | str = ""
    codes: tuple[str, ...] = ()
    retry_after: int | None = None
    throttled: bool = False
    replayed: bool = False
    cut: bool = False


class Refused(Exception):
    """A request that gets this answer without being executed."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(", ".join(answer.codes))
        self.answer = answer


def failed(code: str, message: str, *, status_code: int = 200, **error_data: Any) -> GraphQLError:
    """The error of one alias; the others are executed."""
    extensions = {"code": code, "status_code": status_code, "error_data": error_data}
    return GraphQLError(message, extensions=extensions)


def error(status: int, code: str, message: str, *, retry_after: int | None = None, **extensions: Any) -> Answer:
    """One error about the whole request."""
    coded = {"code": code, **extensions}
    return Answer(status, {"errors": [{"message": message, "extensions": coded}]}, (code,), retry_after)


def throttled(code: str, message: str, seconds: int, **extensions: Any) -> Answer:
    """HTTP 429: not executed, to be repeated after `seconds`."""
    answer = error(429, code, message, retry_after=seconds, status_code=429, retry_in_seconds=seconds, **extensions)
    return dataclasses.replace(answer, throttled=True)


def unauthorized() -> Answer:
    return error(401, "Unauthorized", "Not Authenticated", status_code=401)


def malformed(message: str) -> Answer:
    return error(400, "JsonParseException", message, status_code=400)


def bad_version(version: str) -> Answer:
    return error(400, "InvalidVersionException", f"API version {version!r} is not a version", status_code=400)


def unreadable(message: str) -> Answer:
    return error(400, "GRAPHQL_PARSE_FAILED", message)


def invalid(errors: list[GraphQLError]) -> Answer:
    """The text or its variables do not fit the schema: nothing of the request ran."""
    codes = tuple(
        "undefinedField" if each.message.startswith("Cannot query field") else "GRAPHQL_VALIDATION_FAILED"
        for each in errors
    )
    coded = [{**e.formatted, "extensions": {"code": code}} for e, code in zip(errors, codes, strict=True)]
    return Answer(400, {"errors": coded}, codes)


def too_complex(cost: int, limit: int) -> Answer:
    message = f"Query has complexity of {cost}, which exceeds max complexity of {limit}"
    return error(200, "REQUEST_MAX_COMPLEXITY_EXCEEDED", message, cost=cost, max_complexity_per_request=limit)


def budget_exhausted(cost: int, left: int, limit: int, seconds: int) -> Answer:
    return throttled(
        "COMPLEXITY_BUDGET_EXHAUSTED",
        f"Complexity budget exhausted, query cost {cost} budget remaining {left} out of {limit} "
        f"reset in {seconds} seconds",
        seconds,
        complexity=cost,
        complexity_budget_left=left,
        complexity_budget_limit=limit,
    )


def minute_exceeded(seconds: int) -> Answer:
    return throttled("RATE_LIMIT_EXCEEDED", "Minute limit rate exceeded", seconds)


def concurrency_exceeded() -> Answer:
    """Requests at a time exceeded. The published sample states no time in its body."""
    answer = error(429, "maxConcurrencyExceeded", "Max concurrency exceeded", retry_after=1)
    return dataclasses.replace(answer, throttled=True)


def day_exceeded(seconds: int) -> Answer:
    return throttled("DAILY_LIMIT_EXCEEDED", "Daily limit exceeded", seconds)


def in_flight(seconds: int) -> Answer:
    message = "A request with this idempotency key is being processed"
    return error(409, "IDEMPOTENCY_CONFLICT", message, retry_after=seconds, status_code=409)


def locked(seconds: int) -> Answer:
    message = "Resource is currently locked, please try again later"
    return error(423, "ResourceLockedException", message, retry_after=seconds, status_code=423)


def internal() -> Answer:
    return error(500, "INTERNAL_SERVER_ERROR", "Internal server error", status_code=500)


def gateway(status: int = HTTPStatus.BAD_GATEWAY) -> Answer:
    """The HTML page of the gateway: it says nothing about the request."""
    known = HTTPStatus(status)
    title = f"{known.value} {known.phrase}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Answer(known.value, page, (known.name,))


def board_missing(board_id: int) -> Answer:
    answer = error(200, "InvalidBoardIdException", "Board does not exist", error_data={"board_id": board_id})
    assert isinstance(answer.body, dict)
    return dataclasses.replace(answer, body={"data": None, **answer.body})


def legacy_throttle(status: int, left: int, limit: int, seconds: int) -> Answer:
    """The format before 2025-01, observed in HTTP 200 as late as 2024."""
    message = (
        f"Complexity budget exhausted, query cost 30001 budget remaining {left} out of {limit} "
        f"reset in {seconds} seconds"
    )
    body = {
        "error_code": "ComplexityException",
        "status_code": 429,
        "error_message": message,
        "error_data": {},
        "errors": [message],
    }
    return Answer(status, body, ("ComplexityException",), throttled=True)


def cut() -> Answer:
    """The connection ends without an answer."""
    return Answer(0, cut=True, codes=("CONNECTION_CUT",))
