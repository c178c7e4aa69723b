"""`ordersync replay` as a command: what it would do, and doing it portion by portion."""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from connectors import errors
from connectors.kafka import reader
from connectors.monday import board as boards
from mappings import columns
from schemas import events, items
from schemas.orders import Order, StagedOrder
from schemas.versions import Version
from streams import topics
from streams.commands import fix, stall
from streams.commands import preview as previews
from streams.delivery import consumer
from streams.detect import events as detect_events
from streams.detect import holds
from streams.progress import Progress, silent
from streams.reconcile import compare, fields, repair, replay
from streams.resources import Resources, new_id, utcnow
from streams.runtime import api_calls, connect
from streams.settings import Settings, kafka_security
from streams.sync import board as board_view
from streams.sync import plan, refresh


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
    progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,
    *,
    anew: bool = False,
    within: float = stall.WITHIN,
) -> Result:
    """Tells the orders once more, as the window has room for them. Stopped, the same command goes on, unless `anew`.

    It stops by itself when nothing moved `within` so many seconds. `say` is told what a person should know meanwhile.
    """
    with _opened(settings, asked, progress, say, anew=anew) as (parts, replayer, found):
        emitter = parts.repairer()
        wait = fix.waits(
            parts, emitter, within, lambda waiting: progress("waiting for the worker to have room", waiting, None)
        )
        parts.state.set(asked.name, found.came.model_dump(mode="json"))
        done, total = 0, len(found.places)
        for some in repair.portions(replayer.events(found)):
            offsets = {told.event.record_uuid: told.offset for told in some}

            def publish(changed: Sequence[events.OrderChanged], offsets: dict[str, int] = offsets) -> None:
                messages = consumer.outgoing(changed, parts.settings.topic_prefix)
                parts.producer.send_all(
                    [
                        dataclasses.replace(message, headers=_headers(found.came, offsets[event.record_uuid]))
                        for message, event in zip(messages, changed, strict=True)
                    ]
                )

            if not emitter.emit([told.event for told in some], publish, wait):
                stalled = stall.stall_reason(parts.state, utcnow(), within)
                return Result(found, done, total - done, stalled)
            done += len(some)
            progress("replaying", done, total)
        with parts.db.write() as session:
            parts.state.erase(asked.name)(session)
        return Result(found, done)


def dry_run(
    settings: Settings,
    asked: replay.Asked,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,
    *,
    anew: bool = False,
) -> "Preview":
    """What `run` would do now. Reads the log, the tables and the board; emits, writes and sends nothing."""
    with _opened(settings, asked, progress, say, anew=anew) as (parts, replayer, found):
        return asyncio.run(preview(parts, replayer, found, progress))


def customers(settings: Settings, names: Sequence[str]) -> tuple[str, ...]:
    """The names under which the events of these customers travel; an alias does, in any case. Raises NoSuchCustomer."""
    with connect.database(settings) as parts:
        canonical = parts.mappings.customers.canonical
        known = {canonical(name) for name in parts.orders.customer_names() if name}
        known |= {str(row["customer"]) for row in parts.orders.states() if row["customer"]}
        by_name = {name.casefold(): name for name in known}
        found: set[str] = set()
        for name in names:
            one = by_name.get(canonical(name).casefold())
            if one is None:
                raise NoSuchCustomer(f"no order of customer {name!r}: `ordersync status` lists the customers")
            found.add(one[: detect_events.KEY])
        return tuple(sorted(found))


@contextmanager
def _opened(
    settings: Settings,
    asked: replay.Asked,
    progress: Progress,
    say: Callable[[str], None],
    *,
    anew: bool,
) -> Iterator[tuple[Resources, replay.Replayer, replay.Found]]:
    """The log, read; and what an earlier run of the same replay has done."""
    with connect.everything(settings) as parts:
        topic = topics.named(topics.CHANGED, settings.topic_prefix)
        with reader.TopicReader(parts.bootstrap, topic, kafka_security(settings)) as log:
            replayer = replay.Replayer(
                log,
                parts.state,
                parts.repairs,
                held=frozenset(holds.holds(parts.state)),
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


def _headers(came: replay.ReplayRun, offset: int) -> dict[str, str]:
    return {replay.ID: came.replay_id, replay.ORIGIN: str(offset)}


# What is said of an order that the board does not show: field, expected, shown.
NO_ITEM = ("(item)", "one item", None)


@dataclass
class Preview:
    """What a replay would do. `ordinary` orders are newer than what is settled, and take the ordinary way.

    `differences`: field by field, what the event says and what the board shows now. API calls: `reads`, as many as this
    look took, and `writes`, if each portion fills its own.
    """

    found: replay.Found
    ordinary: int = 0
    planned: list[plan.Planned] = field(default_factory=list)
    differences: list[compare.Difference] = field(default_factory=list)
    reads: int = 0
    writes: int = 0


async def preview(parts: Resources, replayer: replay.Replayer, found: replay.Found, progress: Progress) -> Preview:
    """Reads the log once more, the tables and the board; writes nothing but how many calls that took."""
    used = api_calls.calls_today(parts.state, parts.journal.calls_since, utcnow())
    shown, looked = Preview(found), 0
    async with parts.board_client(calls_today=used) as client:
        board = boards.Board(client, parts.mappings.board.board.id)
        planner = plan.Planner(parts.mappings, await board_view.read_labels(board, parts.mappings))
        groups = set(await board.groups())
        before = client.budget.snapshot().requests
        view, tables = board_view.BoardView(board, parts.mappings), parts.repairs
        for some in repair.portions(told.event for told in replayer.events(found)):
            settled = tables.settled([event.record_uuid for event in some])
            again = [e for e in some if e.record_uuid in settled and e.version == settled[e.record_uuid].version]
            shown.ordinary += len(some) - len(again)
            orders = _orders(parts, again)
            seen = await refresh.Refresher(view, parts.ledger, tables, parts.mappings).look(orders)
            shown.differences += _differences(parts, orders, seen)
            wanted = [
                plan.Wanted(
                    events.OrderStaged(**event.identity),
                    plan.replayed(order),
                    seen[order.record_uuid].known,
                    seen[order.record_uuid].copies,
                )
                for event, order in zip(again, orders, strict=True)
            ]
            plans = planner.plan_all(wanted, groups)
            groups |= {m.group_name for one in plans for m in one.mutations if isinstance(m, items.CreateGroup)}
            planned = [one for one in plans if one.mutations or one.problems]
            shown.planned += planned
            cost = previews.cost(planned, batch_size=parts.settings.batch_size, per_minute=1.0)
            shown.writes += cost.requests
            looked += len(some)
            progress("reading the board", looked, len(found.places))
    shown.reads = client.budget.snapshot().requests - before
    api_calls.note(parts.state, client.budget.snapshot().requests, utcnow())
    return shown


def _orders(parts: Resources, changed: Sequence[events.OrderChanged]) -> list[StagedOrder]:
    """As they were staged, or as they would be."""
    stager, staged = (
        parts.stager(),
        parts.staging.load([Version(event.record_uuid, event.version) for event in changed]),
    )
    return [staged.get(Version(event.record_uuid, event.version)) or stager.order(event) for event in changed]


def _differences(
    parts: Resources, orders: Sequence[StagedOrder], seen: dict[str, refresh.Seen]
) -> list[compare.Difference]:
    mappings, people = parts.mappings, columns.owned_by_people(parts.mappings)
    expected: list[fields.FieldValue] = []
    missing: list[compare.Difference] = []
    for order in orders:
        if not order.removed and seen[order.record_uuid].read is None:
            missing.append(compare.Difference(order.record_uuid, "", *NO_ITEM))
        elif not order.removed:
            whole = Order(
                customer=order.customer,
                group_name=order.group_name,
                item_name=order.item_name,
                values=order.values,
                sizes=plan.replayed(order).sizes,
            )
            expected += fields.of_source(order.record_uuid, whole, mappings, people=people)
    shown = {uuid: one.read for uuid, one in seen.items() if one.read is not None}
    whose = {item.id: uuid for uuid, item in shown.items()}
    told = fields.of_board(shown.values(), mappings, people=people, whose=whose)
    found = compare.differences(compare.frame(expected), compare.frame(told))
    return missing + [dataclasses.replace(one, field=fields.title(one.field, mappings)) for one in found]
