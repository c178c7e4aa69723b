"""`ordersync replay` as a command: what it would do, and doing it portion by portion."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from connectors import errors
from connectors.kafka import reader
from connectors.tables import repairs
from schemas import events
from streams import (
    announce,
    commands,
    delivery,
    hold,
    mending,
    patience,
    repair,
    replay,
    replay_preview,
    topics,
)
from streams.resources import Resources, new_id, utcnow
from streams.security import security
from streams.settings import Settings


@dataclass(frozen=True)
class Result:
    """What a replay did: `told` orders now, out of what was found.

    `left` orders are for the next run, because nothing moved: `stalled` says why.
    """

    found: replay.Found
    told: int
    left: int = 0
    stalled: str | None = None


class NoSuchCustomer(errors.Misconfigured):
    """Nobody knows a customer of this name."""


def run(
    settings: Settings,
    asked: replay.Asked,
    progress: mending.Progress = mending.silent,
    say: Callable[[str], None] = lambda line: None,
    *,
    anew: bool = False,
    within: float = patience.WITHIN,
) -> Result:
    """Tells the orders once more, as the window has room for them. Stopped, the same command goes on, unless `anew`.

    It stops by itself when nothing moved `within` so many seconds. `say` is told what a person should know meanwhile.
    """
    with _opened(settings, asked, progress, say, anew=anew) as (parts, replayer, found):
        emitter = mending.repairer(parts)
        wait = mending.waits(
            parts, emitter, within, lambda waiting: progress("waiting for the worker to have room", waiting, None)
        )
        parts.state.set(asked.name, found.came.model_dump(mode="json"))
        done, total = 0, len(found.places)
        for some in repair.portions(replayer.events(found)):
            offsets = {told.event.record_uuid: told.offset for told in some}

            def publish(changed: Sequence[events.OrderChanged], offsets: dict[str, int] = offsets) -> None:
                messages = delivery.outgoing(changed, parts.settings.topic_prefix)
                parts.producer.send_all(
                    [
                        dataclasses.replace(message, headers=_headers(found.came, offsets[event.record_uuid]))
                        for message, event in zip(messages, changed, strict=True)
                    ]
                )

            if not emitter.emit([told.event for told in some], publish, wait):
                stalled = patience.standstill(parts.state, utcnow(), within)
                return Result(found, done, total - done, stalled)
            done += len(some)
            progress("replaying", done, total)
        with parts.db.write() as session:
            parts.state.erase(asked.name)(session)
        return Result(found, done)


def dry_run(
    settings: Settings,
    asked: replay.Asked,
    progress: mending.Progress = mending.silent,
    say: Callable[[str], None] = lambda line: None,
    *,
    anew: bool = False,
) -> replay_preview.Preview:
    """What `run` would do now. Reads the log, the tables and the board; emits, writes and sends nothing."""
    with _opened(settings, asked, progress, say, anew=anew) as (parts, replayer, found):
        return asyncio.run(replay_preview.preview(parts, replayer, found, progress))


def customers(settings: Settings, names: Sequence[str]) -> tuple[str, ...]:
    """The names under which the events of these customers travel; an alias does, in any case. Raises NoSuchCustomer."""
    with commands.database_only(settings) as parts:
        canonical = parts.mappings.customers.canonical
        known = {canonical(name) for name in parts.orders.customer_names() if name}
        known |= {str(row["customer"]) for row in parts.orders.states() if row["customer"]}
        by_name = {name.casefold(): name for name in known}
        found: set[str] = set()
        for name in names:
            one = by_name.get(canonical(name).casefold())
            if one is None:
                raise NoSuchCustomer(f"no order of customer {name!r}: `ordersync status` lists the customers")
            found.add(one[: announce.KEY])
        return tuple(sorted(found))


@contextmanager
def _opened(
    settings: Settings,
    asked: replay.Asked,
    progress: mending.Progress,
    say: Callable[[str], None],
    *,
    anew: bool,
) -> Iterator[tuple[Resources, replay.Replayer, replay.Found]]:
    """The log, read; and what an earlier run of the same replay has done."""
    with commands.opened(settings) as parts:
        topic = topics.named(topics.CHANGED, settings.topic_prefix)
        with reader.TopicReader(parts.bootstrap, topic, security(settings)) as log:
            replayer = replay.Replayer(
                log,
                parts.state,
                repairs.Repairs(parts.db, utcnow),
                held=frozenset(hold.holds(parts.state)),
                kept_since=utcnow() - timedelta(days=topics.CHANGED.days),
                now=utcnow,
                new_id=lambda: f"replay-{new_id()[:8]}",
                say=say,
                progress=lambda done, total: progress("reading the log", done, total),
            )
            came, again = replayer.came(asked, anew=anew)
            found = replayer.find(asked, came, again=again)
            if again:
                say(_goes_on(found))
            yield parts, replayer, found


def _goes_on(found: replay.Found) -> str:
    began, total = f"{found.came.began:%Y-%m-%d %H:%M:%S} UTC", found.before + len(found.places)
    at = ""
    if found.places:
        partition, offset, _ = found.places[0]
        at = f" at offset {offset} of partition {partition}"
    return (
        f"goes on{at}: {found.before} of {total} orders were told by the run that began at {began} and was stopped "
        "(--anew begins again)"
    )


def _headers(came: replay.Came, offset: int) -> dict[str, str]:
    return {replay.ID: came.replay_id, replay.ORIGIN: str(offset)}
