"""What a person does about failures: see them, dismiss one, have some tried again."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from connectors import database, errors
from connectors.tables.retries import RetryDecision, Way
from mappings.loading import Mappings
from schemas.base import Model
from schemas.failures import FailureType
from streams import retry
from streams.delivery import consumer
from streams.detect.holds import FAMILY as HOLDS
from streams.resources import Resources, utcnow
from streams.runtime import connect
from streams.settings import Settings

CHUNK = 200

Row = dict[str, Any]
# Called after each chunk with how many of how many are done.
Progress = Callable[[int, int], None]


class Filters(Model):
    """Which open failures. Blank fields choose all; `age` chooses those that are at least so old."""

    ids: tuple[int, ...] = ()
    customer: str | None = None
    type: str | None = None
    code: str | None = None
    kind: str | None = None
    age: timedelta | None = None

    @property
    def any(self) -> bool:
        """Does it choose anything at all?"""
        return any(self.model_dump().values())


def listed(settings: Settings, chosen: Filters) -> list[Row]:
    """The chosen open failures, the newest first. Asks SQL alone.

    `next` says what happens, or what to do; `held` that the customer is on hold.
    """
    with connect.database(settings) as parts:
        return _listed(parts, chosen)


def dismiss(settings: Settings, err_id: int, reason: str) -> None:
    """A person will not wait for it: it is on no list any more. Its order stays as it is. Raises Misconfigured."""
    with connect.database(settings) as parts:
        if not parts.failures.dismiss(err_id, reason=reason, by=connect.operator()):
            raise errors.Misconfigured(f"there is no open failure {err_id}: `ordersync errors` lists them")


def again(settings: Settings, chosen: Filters, *, dry_run: bool, progress: Progress) -> list[tuple[Row, RetryDecision]]:
    """Has the chosen failures tried again now. What was refused is detected again by the next pass, or when its
    customer on hold is released; what the board refused is sent again by the worker, whatever the breaker or a hold
    keeps back: it was emitted last. A dry run only says what would be done.
    """
    with connect.database(settings) as parts:
        rows = _wanted(parts, chosen)
        looked = parts.retries.decide(rows)
    if dry_run or not rows:
        return list(zip(rows, looked, strict=True))
    # A broker is asked for only when something is to be sent.
    sends = any(verdict.way is Way.SEND for verdict in looked)
    with (connect.everything if sends else connect.database)(settings) as parts:
        return _again(parts, rows, progress)


def _again(parts: Resources, rows: Sequence[Row], progress: Progress) -> list[tuple[Row, RetryDecision]]:
    done: list[tuple[Row, RetryDecision]] = []
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        verdicts = parts.retries.retry_now(some, utcnow() + retry.CLAIM)
        # Several sizes of one order are one event.
        events = {(v.event.record_uuid, v.event.version): v.event for v in verdicts if v.event is not None}
        if events:
            parts.producer.send_all(consumer.outgoing(list(events.values()), parts.settings.topic_prefix))
        done += zip(some, verdicts, strict=True)
        progress(len(done), len(rows))
    return done


def _wanted(parts: Resources, chosen: Filters) -> list[Row]:
    rows = _listed(parts, chosen)
    if unknown := set(chosen.ids) - {row["err_id"] for row in rows}:
        told = ", ".join(str(one) for one in sorted(unknown))
        raise errors.Misconfigured(f"no open failure {told}: `ordersync errors` lists them")
    return rows


def _listed(parts: Resources, chosen: Filters) -> list[Row]:
    now = utcnow()
    before = None if chosen.age is None else database.to_db_time(now - chosen.age)
    stands = retry.read_breaker(parts.state)
    paused = None if stands.code is None else str(stands)
    held = {_plain(parts.mappings, customer) for customer in parts.state.all_of(HOLDS)}
    rows = [
        row | {"held": _plain(parts.mappings, row["customer"]) in held}
        for row in parts.failures.waiting()
        if _is_chosen(row, chosen, parts.mappings, before)
    ]
    at = database.to_db_time(now)
    return [row | {"next": what_next(row, now=at, paused=paused, held=row["held"])} for row in rows]


def _is_chosen(row: Row, chosen: Filters, mappings: Mappings, before: str | None) -> bool:
    return all(
        (
            not chosen.ids or row["err_id"] in chosen.ids,
            chosen.customer is None or _plain(mappings, row["customer"]) == _plain(mappings, chosen.customer),
            chosen.type is None or row["error_type"].casefold() == chosen.type.casefold(),
            chosen.code is None or str(row["error_code"]).casefold() == chosen.code.casefold(),
            chosen.kind is None or row["kind"] == chosen.kind.upper(),
            before is None or str(row["created_date"]) <= before,
        )
    )


def _plain(mappings: Mappings, customer: str | None) -> str:
    """A customer under its own name, in one case."""
    return mappings.customers.canonical(customer or "").casefold()


NOTHING_KNOWN = "mend what the message names"
# By the code, which formats of the API spell differently: case and underscores do not count.
BY_CODE = {
    "VALIDATION": "mend the row in ORDERS_UNIFIED, the next pass sees it; or mend the mapping",
    "LABEL": "make the label on the board, or let the mapping make it",
    "NO_IDENTITY": "give the row a record_uuid in ORDERS_UNIFIED: every pass looks at it",
    "DUPLICATE_IDENTITY": "give each row a record_uuid of its own in ORDERS_UNIFIED: every pass looks at them",
    "UNDECODABLE": "find who writes such bytes to the topic",
    "ColumnValueException": "mend the value in ORDERS_UNIFIED, the next pass sees it; or mend the board's column",
    "InvalidArgumentException": "mend the value in ORDERS_UNIFIED, the next pass sees it; or mend the mapping",
    "InvalidColumnIdException": "run `ordersync validate` and mend the mapping",
    "ItemNameTooLongException": "shorten the columns that make up the name, or the mapping's name",
    "ResourceNotFoundException": "look whether somebody took its item, group or column away; a retry makes it again",
    "RecordInvalidException": "mend the row in ORDERS_UNIFIED, the next pass sees it",
    "UNSETTLED": "look who else changes this item on the board at the same time",
}
_BY_PLAIN_CODE = {re.sub(r"[^a-z0-9]", "", code.casefold()): text for code, text in BY_CODE.items()}
# What no retry helps: `ordersync retry` says so too.
NEVER_RETRIED = ("NO_IDENTITY", "DUPLICATE_IDENTITY")


def what_next(row: Mapping[str, Any], *, now: str, paused: str | None = None, held: bool = False) -> str:
    """For an open failure as the tables tell it. `now` is a time as the tables write it.

    `paused` says why retries pause, if they do; `held` that its customer is on hold: what was emitted is tried again
    all the same, but no pass looks at its rows.
    """
    err_id, due = row["err_id"], row["next_retry_at"]
    if due is not None:
        if str(due) > now:
            return f"retried by itself at {str(due)[:19].replace('T', ' ')} UTC"
        return f"due; {paused}" if paused else "due: retried within a second or two while a worker runs"
    if row["retryable"] and not row["max_retries_reached"]:
        return "retried by itself: its time is being set"
    if row["error_type"] == FailureType.UNDECODABLE:
        return f"waits for a person: {_mend(row)}; then `ordersync errors --dismiss {err_id} --reason …`"
    if row["error_code"] in NEVER_RETRIED:
        return _mend(row)
    tried = f"tried {row['retry_count'] + 1} times; " if row["retry_count"] else ""
    holding = "its customer is on hold: what is mended is seen after `ordersync release`; " if held else ""
    return f"{holding}{tried}waits for a person: {_mend(row)}; `ordersync retry {err_id}` tries it again"


def _mend(row: Mapping[str, Any]) -> str:
    return _BY_PLAIN_CODE.get(re.sub(r"[^a-z0-9]", "", str(row["error_code"]).casefold()), NOTHING_KNOWN)
