"""Reads the API's formats of errors into one shape (error_table.ApiError).

1. GraphQL, 2025 and later: `errors` of {message, path, extensions {code, status_code, error_data,
   retry_in_seconds}}, mostly with HTTP 200.
2. Legacy: `error_code`, `error_message`, `status_code`, `error_data` beside or instead of `errors`.
3. Transport: only an HTTP status and headers, with any body.
"""

import email.utils
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.monday import error_table, limits
from schemas import base

Json = dict[str, Any]

# Seconds. A longer stated wait is not believed: the longest limit of the API is that of a day.
LONGEST_WAIT = 2 * 86_400.0


class Answer(base.Model):
    """One HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str] = {}
    text: str = ""


def read_errors(
    answer: Answer,
    payload: Json,
    *,
    allowances: Mapping[str, limits.Allowance],
    request_id: str | None,
    now: datetime,
) -> Iterator[error_table.ApiError]:
    """Every error of an answer with the JSON object `payload` ({} without one); `now` is UTC, for Retry-After dates."""
    listed = list(_raw_errors(payload))
    for raw in listed:
        yield _error(raw, answer, allowances, request_id, now)
    if not listed and (answer.status >= 300 or not as_object(payload.get("data"))):
        uncoded: Json = {"message": answer.text[:200] or "empty answer", "extensions": {}}
        if answer.status < 300:
            uncoded["extensions"]["code"] = "BAD_JSON"
        yield _error(uncoded, answer, allowances, request_id, now)


def as_object(value: object) -> Json:
    """A JSON object unchanged, and any other value as an empty object."""
    return value if isinstance(value, dict) else {}


def _raw_errors(payload: Json) -> Iterator[Json]:
    if payload.get("error_code") or payload.get("error_message"):
        yield {
            "message": payload.get("error_message") or payload.get("error_code"),
            "extensions": {
                **as_object(payload.get("error_data")),
                "code": payload.get("error_code"),
                "status_code": payload.get("status_code"),
            },
        }
        return
    listed = payload.get("errors")
    for error in listed if isinstance(listed, list) else []:
        if isinstance(error, dict):
            extensions = as_object(error.get("extensions"))
            yield {**error, "extensions": {**as_object(extensions.get("error_data")), **extensions}}
        else:
            yield {"message": str(error), "extensions": {"status_code": payload.get("status_code")}}


def _error(
    raw: Json,
    answer: Answer,
    allowances: Mapping[str, limits.Allowance],
    request_id: str | None,
    now: datetime,
) -> error_table.ApiError:
    extensions, message = raw["extensions"], str(raw.get("message") or "")
    code = extensions.get("code") or (f"HTTP_{answer.status}" if answer.status >= 300 else "UNCODED")
    path = raw.get("path")
    error = error_table.ApiError(
        code=str(code),
        message=message,
        status=int(_number(extensions.get("status_code")) or answer.status),
        path=tuple(part for part in path if isinstance(part, str | int)) if isinstance(path, list) else (),
        request_id=request_id,
        cost=_points(extensions, message, ("cost", "complexity"), r"query cost (\d+)"),
        left=_points(extensions, message, ("complexity_budget_left",), r"budget remaining (\d+)"),
        limit=_points(extensions, message, ("complexity_budget_limit",), r"budget remaining \d+ out of (\d+)"),
    )
    waits = _stated_waits(error, answer.headers, extensions, allowances, now)
    return error.model_copy(update={"wait": max(waits, default=None)})


def _stated_waits(
    error: error_table.ApiError,
    headers: Mapping[str, str],
    extensions: Json,
    allowances: Mapping[str, limits.Allowance],
    now: datetime,
) -> list[float]:
    """Each pause in seconds that the answer states, in headers or body: the longest one counts."""
    if error_table.rule(error).action not in (error_table.Action.WAIT, error_table.Action.ACCOUNT_STOP):
        return []
    milliseconds = _number(extensions.get("retryAfterMs"))
    legacy = re.search(r"reset in (\d+) seconds?", error.message)
    stated = [
        _retry_after(headers.get("retry-after", ""), now),
        _number(extensions.get("retry_in_seconds")),
        None if milliseconds is None else milliseconds / 1000,
        float(legacy[1]) if legacy else None,
    ]
    if not error_table.is_daily_limit(error):
        # The headers are about the minute, and say nothing about the day.
        stated += [allowance.resets_in for allowance in allowances.values() if allowance.left == 0]
    waits = [min(wait, LONGEST_WAIT) for wait in stated if wait is not None]
    points = allowances.get("complexityMinute")
    complexity = error_table.rule(error).throttle is error_table.Throttle.COMPLEXITY
    if not waits and complexity and points is not None and points.resets_in is not None:
        # Some points are left, but not enough for this request.
        return [points.resets_in]
    return waits


def _retry_after(value: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header: a number, or a date."""
    if (number := _number(value)) is not None:
        return number
    try:
        until = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def _points(extensions: Json, message: str, names: tuple[str, ...], pattern: str) -> int | None:
    for name in names:
        if (number := _number(extensions.get(name))) is not None:
            return int(number)
    match = re.search(pattern, message)
    return int(match[1]) if match else None


def _number(value: object) -> float | None:
    """A finite number at or above zero, written as a number or as text; None for anything else."""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            return None
        return number if 0 <= number < float("inf") else None
    return None
