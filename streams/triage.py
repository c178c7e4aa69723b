"""What a person does about failures: see them, dismiss one, have some tried again."""

import getpass
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from connectors import database, errors
from connectors.tables.retries import Verdict, Way
from mappings.loading import Mappings
from schemas.base import Model
from streams import advice, breaker, commands, delivery, retry
from streams.hold import FAMILY as HOLDS
from streams.resources import Resources, utcnow
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
    with commands.database_only(settings) as parts:
        return _listed(parts, chosen)


def dismiss(settings: Settings, err_id: int, reason: str) -> None:
    """A person will not wait for it: it is on no list any more. Its order stays as it is. Raises Misconfigured."""
    with commands.database_only(settings) as parts:
        if not parts.failures.dismiss(err_id, reason=reason, by=person()):
            raise errors.Misconfigured(f"there is no open failure {err_id}: `ordersync errors` lists them")


def again(settings: Settings, chosen: Filters, *, dry_run: bool, progress: Progress) -> list[tuple[Row, Verdict]]:
    """Has the chosen failures tried again now. What was refused is detected again by the next pass, or when its
    customer on hold is released; what the board refused is sent again by the worker, whatever the breaker or a hold
    keeps back: it was emitted last. A dry run only says what would be done.
    """
    with commands.database_only(settings) as parts:
        rows = _wanted(parts, chosen)
        looked = parts.retries.look(rows)
    if dry_run or not rows:
        return list(zip(rows, looked, strict=True))
    # A broker is asked for only when something is to be sent.
    sends = any(verdict.way is Way.SEND for verdict in looked)
    with (commands.opened if sends else commands.database_only)(settings) as parts:
        return _again(parts, rows, progress)


def person() -> str:
    """Who gives this command, as far as the machine knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A container may have no name for its user.
        return "a person"


def _again(parts: Resources, rows: Sequence[Row], progress: Progress) -> list[tuple[Row, Verdict]]:
    done: list[tuple[Row, Verdict]] = []
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        verdicts = parts.retries.again(some, utcnow() + retry.CLAIM)
        # Several sizes of one order are one event.
        events = {(v.event.record_uuid, v.event.version): v.event for v in verdicts if v.event is not None}
        if events:
            parts.producer.send_all(delivery.outgoing(list(events.values()), parts.settings.topic_prefix))
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
    stands = breaker.read(parts.state)
    paused = None if stands.code is None else str(stands)
    held = {_plain(parts.mappings, customer) for customer in parts.state.all_of(HOLDS)}
    rows = [
        row | {"held": _plain(parts.mappings, row["customer"]) in held}
        for row in parts.failures.waiting()
        if _is_chosen(row, chosen, parts.mappings, before)
    ]
    at = database.to_db_time(now)
    return [row | {"next": advice.what_next(row, now=at, paused=paused, held=row["held"])} for row in rows]


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
