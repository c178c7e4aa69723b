"""`ordersync errors` and `retry`: lists the open failures, dismisses one, retries some."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from connectors import database, errors
from connectors.tables.retries import RetryDecision, Way
from mappings.loading import Mappings
from schemas import detection
from schemas.base import Model
from schemas.failures import FailureType
from schemas.orders import OrderWarning
from streams import retry as retry_step
from streams.delivery import consumer
from streams.detect.holds import FAMILY as HOLDS
from streams.resources import Resources, utcnow
from streams.runtime import connect
from streams.settings import Settings

CHUNK = 200

Row = dict[str, Any]
# Called after each chunk with the number of failures done and the number of all.
Progress = Callable[[int, int], None]


class Filters(Model):
    """A choice of open failures. A blank field chooses all; `age` chooses failures that are at least so old."""

    ids: tuple[int, ...] = ()
    customer: str | None = None
    type: str | None = None
    code: str | None = None
    kind: str | None = None
    age: timedelta | None = None

    @property
    def any(self) -> bool:
        """Whether any field is set."""
        return any(self.model_dump().values())


def listed(settings: Settings, chosen: Filters) -> list[Row]:
    """The chosen open failures, the newest first. Reads SQL only.

    Each row is the ERR row with two more fields: `next`, what happens next or what to do (see `what_next`), and `held`,
    whether the customer is on hold.
    """
    with connect.database(settings) as parts:
        return _listed(parts, chosen)


def warnings(settings: Settings, customer: str | None) -> list[OrderWarning]:
    """The warnings of the orders in production, of all customers or of one. Reads SQL only."""
    with connect.database(settings) as parts:
        wanted = None if customer is None else _folded(parts.mappings, customer)
        return [
            one for one in parts.warnings.listed() if wanted is None or _folded(parts.mappings, one.customer) == wanted
        ]


def warning_fields(warning: OrderWarning) -> Row:
    """A warning as a flat row: the order, then column, value, reason and advice."""
    return warning.model_dump(exclude={"problem"}) | warning.problem.model_dump(mode="json", exclude={"severity"})


def dismiss(settings: Settings, err_id: int, reason: str) -> None:
    """Ends this failure by hand; its order stays as it is. Raises Misconfigured when no open failure has this id."""
    who, subject = connect.operator(), f"failure {err_id}"
    with connect.database(settings) as parts, parts.actions.noted(who, "dismiss", subject=subject, reason=reason):
        if not parts.failures.dismiss(err_id, reason=reason, by=who):
            raise errors.Misconfigured(f"there is no open failure {err_id}: `ordersync errors` lists them")


def retry(settings: Settings, chosen: Filters, *, dry_run: bool, progress: Progress) -> list[tuple[Row, RetryDecision]]:
    """Retries the chosen failures now. Returns each with the decision about it; a dry run only decides.

    The worker sends a version once more that the board has rejected, even while the breaker pauses retries or its
    customer is on hold: it was emitted before. The next pass detects a refused version again; if its customer is on
    hold, the first pass after the release does.
    """
    with connect.database(settings) as parts:
        rows = _chosen(parts, chosen)
        verdicts = parts.retries.decide(rows)
    if dry_run or not rows:
        return list(zip(rows, verdicts, strict=True))
    # The broker is needed only when there is an event to send.
    sends = any(verdict.way is Way.SEND for verdict in verdicts)
    opened = connect.everything if sends else connect.database
    who, subject = connect.operator(), f"{len(rows)} failures"
    with opened(settings) as parts, parts.actions.noted(who, "retry", subject=subject):
        return _retry(parts, rows, progress)


def _retry(parts: Resources, rows: Sequence[Row], progress: Progress) -> list[tuple[Row, RetryDecision]]:
    done: list[tuple[Row, RetryDecision]] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        verdicts = parts.retries.retry_now(chunk, utcnow() + retry_step.CLAIM)
        # Several sizes of one order are one event.
        events = {(v.event.record_uuid, v.event.version): v.event for v in verdicts if v.event is not None}
        if events:
            parts.producer.send_all(consumer.outgoing(list(events.values()), parts.settings.topic_prefix))
        done += zip(chunk, verdicts, strict=True)
        progress(len(done), len(rows))
    return done


def _chosen(parts: Resources, chosen: Filters) -> list[Row]:
    rows = _listed(parts, chosen)
    if unknown := set(chosen.ids) - {row["err_id"] for row in rows}:
        ids = ", ".join(str(err_id) for err_id in sorted(unknown))
        raise errors.Misconfigured(f"no open failure {ids}: `ordersync errors` lists them")
    return rows


def _listed(parts: Resources, chosen: Filters) -> list[Row]:
    now = utcnow()
    before = None if chosen.age is None else database.to_db_time(now - chosen.age)
    breaker = retry_step.read_breaker(parts.state)
    paused = None if breaker.code is None else str(breaker)
    held = {_folded(parts.mappings, customer) for customer in parts.state.all_of(HOLDS)}
    rows = [
        row | {"held": _folded(parts.mappings, row["customer"]) in held}
        for row in parts.failures.waiting()
        if _is_chosen(row, chosen, parts.mappings, before)
    ]
    at = database.to_db_time(now)
    return [row | {"next": what_next(row, now=at, paused=paused, held=row["held"])} for row in rows]


def _is_chosen(row: Row, chosen: Filters, mappings: Mappings, before: str | None) -> bool:
    return all(
        (
            not chosen.ids or row["err_id"] in chosen.ids,
            chosen.customer is None or _folded(mappings, row["customer"]) == _folded(mappings, chosen.customer),
            chosen.type is None or row["error_type"].casefold() == chosen.type.casefold(),
            chosen.code is None or str(row["error_code"]).casefold() == chosen.code.casefold(),
            chosen.kind is None or row["kind"] == chosen.kind.upper(),
            before is None or str(row["created_date"]) <= before,
        )
    )


def _folded(mappings: Mappings, customer: str | None) -> str:
    """The canonical name of a customer, case-folded for a comparison."""
    return mappings.customers.canonical(customer or "").casefold()


NOTHING_KNOWN = "correct what the message names"
# By error code. The API's formats spell codes differently, so case and underscores do not count.
BY_CODE = {
    "VALIDATION": "correct the row in ORDERS_UNIFIED, the next pass detects it; or correct the mapping",
    "LABEL": "create the label on the board, or let the mapping create it",
    "NO_IDENTITY": "give the row a record_uuid in ORDERS_UNIFIED: every pass checks it",
    "NOT_A_UUID": "give the row a UUID in ORDERS_UNIFIED: every pass checks it",
    "UNREADABLE_CELL": "correct the cell in ORDERS_UNIFIED: every pass checks it",
    "UNUSABLE_ROW": "correct the row in ORDERS_UNIFIED: every pass checks it",
    "DUPLICATE_IDENTITY": "give each row a record_uuid of its own in ORDERS_UNIFIED: every pass checks them",
    "UNDECODABLE": "find the program that writes such bytes to the topic",
    "ColumnValueException": (
        "correct the value in ORDERS_UNIFIED, the next pass detects it; or correct the board's column"
    ),
    "InvalidArgumentException": "correct the value in ORDERS_UNIFIED, the next pass detects it; or correct the mapping",
    "InvalidColumnIdException": "run `ordersync validate` and correct the mapping",
    "ItemNameTooLongException": "shorten the columns that make up the name, or the mapping's name",
    "ResourceNotFoundException": "check whether a user removed its item, group or column; a retry creates it",
    "RecordInvalidException": "correct the row in ORDERS_UNIFIED, the next pass detects it",
    "UNSETTLED": "find the user or program that changes this item on the board at the same time",
}
_BY_FOLDED_CODE = {re.sub(r"[^a-z0-9]", "", code.casefold()): text for code, text in BY_CODE.items()}


def what_next(row: Mapping[str, Any], *, now: str, paused: str | None = None, held: bool = False) -> str:
    """What happens next to an open failure, or what the operator has to do. `now` is a time as the tables write it.

    `paused`: why retries pause, if they do. `held`: the customer is on hold, so no pass detects a corrected row before
    the release; a version that was emitted before is retried all the same.
    """
    err_id, due = row["err_id"], row["next_retry_at"]
    if due is not None:
        if str(due) > now:
            return f"retried automatically at {str(due)[:19].replace('T', ' ')} UTC"
        return f"due; {paused}" if paused else "due: retried within a second or two while a worker runs"
    if row["retryable"] and not row["max_retries_reached"]:
        return "retried automatically: its due time is not set yet"
    if row["error_type"] == FailureType.UNDECODABLE:
        return f"waits for an operator: {_advice(row)}; then `ordersync errors --dismiss {err_id} --reason …`"
    if row["error_code"] in detection.REFUSAL_CODES:
        return _advice(row)
    tried = f"tried {row['retry_count'] + 1} times; " if row["retry_count"] else ""
    hold = "its customer is on hold: a corrected row is detected after `ordersync release`; " if held else ""
    return f"{hold}{tried}waits for an operator: {_advice(row)}; `ordersync retry {err_id}` retries it"


def _advice(row: Mapping[str, Any]) -> str:
    return _BY_FOLDED_CODE.get(re.sub(r"[^a-z0-9]", "", str(row["error_code"]).casefold()), NOTHING_KNOWN)
