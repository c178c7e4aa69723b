"""Every published code has the action that the API's pages call for, in every format it may come in."""

import json
import re
from pathlib import Path

import pytest

from connectors import errors
from connectors.monday import error_formats, error_table, responses
from connectors.monday.error_table import Action

FACTS = Path(__file__).resolve().parents[4] / "shared/monday/api-facts.md"

# Code, the HTTP status it is published with, and what we do.
PUBLISHED = [
    ("COMPLEXITY_BUDGET_EXHAUSTED", 429, Action.WAIT),
    ("ComplexityException", 429, Action.WAIT),
    ("maxConcurrencyExceeded", 429, Action.WAIT),
    ("IP_RATE_LIMIT_EXCEEDED", 429, Action.WAIT),
    ("RATE_LIMIT_EXCEEDED", 429, Action.WAIT),
    ("FIELD_MINUTE_RATE_LIMIT_EXCEEDED", 200, Action.WAIT),
    ("FIELD_LIMIT_EXCEEDED", 200, Action.WAIT),
    ("IDEMPOTENCY_CONFLICT", 409, Action.RESEND),
    ("REQUEST_MAX_COMPLEXITY_EXCEEDED", 200, Action.SPLIT),
    ("DAILY_LIMIT_EXCEEDED", 429, Action.ACCOUNT_STOP),
    ("API_TEMPORARILY_BLOCKED", 200, Action.ACCOUNT_STOP),
    ("Unauthorized", 401, Action.ACCOUNT_STOP),
    ("USER_ACCESS_DENIED", 403, Action.ACCOUNT_STOP),
    ("missingRequiredPermissions", 200, Action.ACCOUNT_STOP),
    ("InvalidBoardIdException", 200, Action.BOARD_STOP),
    ("ItemsLimitationException", 200, Action.NO_ROOM),
    ("UserUnauthorizedException", 403, Action.BOARD_STOP),
    ("ColumnValueException", 200, Action.ROW_ERROR),
    ("CorrectedValueException", 200, Action.ROW_ERROR),
    ("InvalidArgumentException", 200, Action.ROW_ERROR),
    ("InvalidColumnIdException", 200, Action.ROW_ERROR),
    ("InvalidUserIdException", 200, Action.ROW_ERROR),
    ("ItemNameTooLongException", 200, Action.ROW_ERROR),
    ("ResourceNotFoundException", 404, Action.ROW_ERROR),
    ("JsonParseException", 400, Action.ROW_ERROR),
    ("RecordInvalidException", 422, Action.ROW_ERROR),
    ("DeleteLastGroupException", 409, Action.ROW_ERROR),
    ("undefinedField", 200, Action.CLIENT_BUG),
    ("GRAPHQL_VALIDATION_FAILED", 400, Action.CLIENT_BUG),
    ("InvalidVersionException", 400, Action.CLIENT_BUG),
]
# What comes without a code that we know.
UNCODED = [
    ("Minute limit rate exceeded", 429, Action.WAIT),
    ("Rate Limit Exceeded", 200, Action.WAIT),
    ("Call limit exceeded for create_board", 200, Action.WAIT),
    ("Resource is currently locked, please try again later", 423, Action.WAIT),
    ("Resource is currently locked, please try again later", 200, Action.WAIT),
    ("Daily limit exceeded", 429, Action.ACCOUNT_STOP),
    ("Your ip is restricted", 401, Action.ACCOUNT_STOP),
    ('Parse error on "}" (RCURLY) at [1, 9]', 200, Action.CLIENT_BUG),
    ("Internal server error", 200, Action.RESEND),
    ("", 500, Action.RESEND),
    ("", 502, Action.RESEND),
    ("", 503, Action.RESEND),
    ("", 504, Action.RESEND),
    ("", 529, Action.RESEND),
    ("", 408, Action.RESEND),
    ("", 429, Action.WAIT),
    ("", 401, Action.ACCOUNT_STOP),
    ("", 403, Action.ACCOUNT_STOP),
    ("moved", 302, Action.ACCOUNT_STOP),
    ("no such page", 404, Action.ACCOUNT_STOP),
    ("", 413, Action.SPLIT),
    ("", 400, Action.CLIENT_BUG),
    ("", 418, Action.CLIENT_BUG),
    ("something new", 200, Action.LOOK_UP),
]


def read_one(status: int, payload: object, **headers: str) -> error_table.ApiError:
    answer = error_formats.Answer(status=status, headers=headers, text=json.dumps(payload))
    (error,) = responses.read(answer).errors
    return error


@pytest.mark.parametrize(("code", "status", "action"), PUBLISHED)
def test_a_published_code_has_its_action_in_both_formats(code: str, status: int, action: Action) -> None:
    modern = read_one(status, {"errors": [{"message": "m", "extensions": {"code": code}}], "data": None})
    legacy = read_one(status, {"error_code": code, "error_message": "m", "status_code": status, "errors": ["m"]})
    assert (modern.code, legacy.code) == (code, code)
    assert error_table.rule(modern).action is action
    assert error_table.rule(legacy).action is action


@pytest.mark.parametrize(("message", "status", "action"), UNCODED)
def test_without_a_code_the_message_decides_and_then_the_status(message: str, status: int, action: Action) -> None:
    assert error_table.rule(read_one(status, {"errors": [{"message": message}]})).action is action
    assert error_table.rule(read_one(status, {"errors": [message]})).action is action
    assert error_table.rule(read_one(200, {"error_message": message or "m", "status_code": status})).action is action


@pytest.mark.parametrize("text", ["", "<html>Bad gateway</html>", "[]", "null", "{", '"x"', '{"data":null}'])
def test_an_answer_that_makes_no_sense_is_an_unknown_outcome(text: str) -> None:
    (error,) = responses.read(error_formats.Answer(status=200, text=text)).errors
    assert error.code == "BAD_JSON"
    assert error_table.rule(error).action is Action.RESEND


@pytest.mark.parametrize(("status", "action"), [(502, Action.RESEND), (429, Action.WAIT), (404, Action.ACCOUNT_STOP)])
def test_a_bare_http_answer_is_judged_by_its_status(status: int, action: Action) -> None:
    (error,) = responses.read(error_formats.Answer(status=status, text="<html>")).errors
    assert error.code == f"HTTP_{status}"
    assert error_table.rule(error).action is action


def test_the_table_knows_every_code_of_the_fact_sheet() -> None:
    if not FACTS.exists():
        pytest.skip("the fact sheet is not here")
    section = FACTS.read_text("utf-8").split("## 3. Errors")[1].split("**Aliased mutations:**")[0]
    rows = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    codes = set(re.findall(r"\b(?:[A-Z]+_[A-Z_]+|[A-Z]\w+Exception|maxConcurrencyExceeded|undefinedField)\b", rows))
    codes |= {"missingRequiredPermissions", "Unauthorized"}
    assert len(codes) > 25
    unlisted = {code for code in codes if error_table.rule(error(code)) is error_table.UNLISTED}
    # A mention of the key's HTTP header or of a state is not a code.
    assert unlisted == set()


def test_a_code_is_listed_once_and_so_is_a_status() -> None:
    codes = [code for row in error_table.TABLE for code in row.codes]
    statuses = [status for row in error_table.TABLE for status in row.statuses]
    assert len(codes) == len(set(codes))
    assert len(statuses) == len(set(statuses))


@pytest.mark.parametrize("code", ["complexity_budget_exhausted", "ComplexityBudgetExhausted"])
def test_the_spelling_of_a_code_does_not_matter(code: str) -> None:
    assert error_table.rule(error(code)).throttle is error_table.Throttle.COMPLEXITY


def error(code: str, *, status: int = 200, wait: float | None = None) -> error_table.ApiError:
    return error_table.ApiError(code=code, message="m", status=status, wait=wait, request_id="r-1")


@pytest.mark.parametrize(
    ("code", "mutations", "expected"),
    [
        ("DAILY_LIMIT_EXCEEDED", 5, error_table.AccountStop),
        ("InvalidBoardIdException", 5, error_table.BoardStop),
        ("ItemsLimitationException", 1, errors.Rejected),
        ("ItemsLimitationException", 5, error_table.MustLookUp),
        ("FIELD_LIMIT_EXCEEDED", 0, errors.Transient),
        ("BAD_JSON", 5, errors.OutcomeUnknown),
        ("something new", 5, error_table.MustLookUp),
        ("undefinedField", 5, errors.Rejected),
        ("REQUEST_MAX_COMPLEXITY_EXCEEDED", 5, errors.Rejected),
        ("ColumnValueException", 1, errors.Rejected),
        ("ColumnValueException", 0, errors.Rejected),
        # The mutations before the bad one may have happened.
        ("ColumnValueException", 2, error_table.MustLookUp),
    ],
)
def test_an_error_for_the_whole_request_becomes_one_exception(
    code: str, mutations: int, expected: type[errors.OrdersyncError]
) -> None:
    exception = error_table.exception(error(code), mutations=mutations)
    assert type(exception) is expected
    assert "r-1" in str(exception)


def test_a_rejection_and_a_stop_carry_the_code() -> None:
    rejected = error_table.exception(error("undefinedField", status=400), mutations=3)
    assert isinstance(rejected, errors.Rejected)
    assert (rejected.code, rejected.http_status, rejected.request_id) == ("undefinedField", 400, "r-1")
    stopped = error_table.exception(error("Unauthorized", wait=9.0), mutations=3)
    assert isinstance(stopped, errors.Misconfigured)
    assert (stopped.code, stopped.wait) == ("Unauthorized", 9.0)
