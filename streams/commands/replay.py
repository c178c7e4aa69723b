"""`ordersync replay`: re-emits orders out of the log, portion by portion, or prints what that would change.

An interrupted replay continues: `streams.reconcile.replay` finds in the log which orders were re-emitted.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
from streams.delivery.kafka_login import kafka_security
from streams.detect import events as detect_events
from streams.detect import holds, plans
from streams.progress import Progress, silent
from streams.reconcile import compare, fields, repair, replay
from streams.resources import Resources, new_id, utcnow
from streams.runtime import api_calls, connect
from streams.settings import Settings
from streams.sync import board as board_view
from streams.sync import outline as outlines
from streams.sync import plan, refresh


@dataclass(frozen=True)
class Result:
    """The result of a replay: `emitted` orders of those that were `found`.

    `left` orders remain for the next run if nothing moved; `stalled` says why.
    """

    found: replay.Found
    emitted: int
    left: int = 0
    stalled: str | None = None


class NoSuchCustomer(errors.Misconfigured):
    """No order has a customer of this name."""


def run(
    settings: Settings,
    asked: replay.Asked,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,
    *,
    anew: bool = False,
    within: float = stall.WITHIN,
    plan_id: str | None = None,
    reason: str = "",
) -> Result:
    """Re-emits the orders as the admission window has room. A stopped replay continues, unless `anew` is given.

    It ends early when nothing moved for `within` seconds. `say` gets lines for the operator, `progress` the numbers.
    With the `plan_id` of a dry run, it raises Misconfigured if it would emit other orders by now. Raises what SQL and
    Kafka raise.
    """
    with _opened(settings, asked, progress, say, anew=anew) as (parts, replayer, found):
        if plan_id is not None:
            plans.require_same(plan_id, _plan_id(found))
        subject = ", ".join(asked.customers) or "all customers"
        with parts.actions.noted(connect.operator(), "replay", subject=subject, reason=reason) as note:
            result = _emit(parts, replayer, found, asked, progress, within)
            note.effect = f"{result.emitted} of {len(found.places)} orders re-emitted"
        return result


def _emit(
    parts: Resources,
    replayer: replay.Replayer,
    found: replay.Found,
    asked: replay.Asked,
    progress: Progress,
    within: float,
) -> Result:
    repairer = parts.repairer()
    wait = fix.stall_detector(
        parts, repairer, within, lambda waiting: progress("waiting for room in the window", waiting, None)
    )
    parts.state.set(asked.name, found.run.model_dump(mode="json"))
    done, total = 0, len(found.places)
    for portion in repair.portions(replayer.events(found)):
        publish = _publisher(parts, found, portion)
        if not repairer.emit([item.event for item in portion], publish, wait):
            return Result(found, done, total - done, stall.stall_reason(parts.state, utcnow(), within))
        done += len(portion)
        progress("replaying", done, total)
    with parts.db.write() as session:
        parts.state.erase(asked.name)(session)
    return Result(found, done)


def _plan_id(found: replay.Found) -> str:
    """The id of the plan to re-emit exactly these events."""
    return plans.digest(f"{place}" for place in found.places)


def _publisher(parts: Resources, found: replay.Found, portion: Sequence[replay.ReplayEvent]) -> repair.Publish:
    """Sends events of this portion with the name of the replay and their offset in the headers."""
    offsets = {item.event.record_uuid: item.offset for item in portion}

    def publish(changed: Sequence[events.OrderChanged]) -> None:
        messages = consumer.outgoing(changed, parts.settings.topic_prefix)
        parts.producer.send_all(
            [
                dataclasses.replace(message, headers=_headers(found.run, offsets[event.record_uuid]))
                for message, event in zip(messages, changed, strict=True)
            ]
        )

    return publish


def dry_run(
    settings: Settings,
    asked: replay.Asked,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda line: None,
    *,
    anew: bool = False,
) -> "Preview":
    """What `run` would change now. Reads the log, the tables and the board; emits and sends nothing."""
    with _opened(settings, asked, progress, say, anew=anew) as (parts, replayer, found):
        return asyncio.run(preview(parts, replayer, found, progress))


def customers(settings: Settings, names: Sequence[str]) -> tuple[str, ...]:
    """The message keys of these customers, each given by its name or an alias in any case. Raises NoSuchCustomer."""
    with connect.database(settings) as parts:
        canonical = parts.mappings.customers.canonical
        known = {canonical(name) for name in parts.orders.customer_names() if name}
        known |= {str(row["customer"]) for row in parts.orders.states() if row["customer"]}
        by_name = {name.casefold(): name for name in known}
        keys: set[str] = set()
        for name in names:
            customer = by_name.get(canonical(name).casefold())
            if customer is None:
                raise NoSuchCustomer(f"no order of customer {name!r}: `ordersync status` lists the customers")
            keys.add(detect_events.message_key(customer))
        return tuple(sorted(keys))


def request(
    customers: tuple[str, ...], *, from_offset: int | None, since: datetime | None, to_offset: int | None
) -> replay.Asked:
    """The orders to replay: of these customers (none: all), from an offset, a time in UTC, or the oldest event."""
    return replay.Asked(customers=customers, from_offset=from_offset, since=since, to_offset=to_offset)


@contextmanager
def _opened(
    settings: Settings,
    asked: replay.Asked,
    progress: Progress,
    say: Callable[[str], None],
    *,
    anew: bool,
) -> Iterator[tuple[Resources, replay.Replayer, replay.Found]]:
    """Reads the log, and finds the orders that a stopped run of the same replay left."""
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
            replay_run, resumed = replayer.resume_or_start(asked, anew=anew)
            found = replayer.find(asked, replay_run, resumed=resumed)
            if resumed:
                say(_resume_text(found))
            yield parts, replayer, found


def _resume_text(found: replay.Found) -> str:
    began, total = f"{found.run.began:%Y-%m-%d %H:%M:%S} UTC", found.before + len(found.places)
    at = ""
    if found.places:
        partition, offset, _ = found.places[0]
        at = f" at offset {offset} of partition {partition}"
    return (
        f"continues{at}: the run that began at {began} and was stopped re-emitted {found.before} of {total} orders "
        "(--anew starts from the beginning)"
    )


def _headers(replay_run: replay.ReplayRun, offset: int) -> dict[str, str]:
    return {replay.ID: replay_run.replay_id, replay.ORIGIN: str(offset)}


# The difference of an order that the board does not show: field, expected, shown.
NO_ITEM = ("(item)", "one item", None)


@dataclass
class Preview:
    """What a replay would change. `ordinary` orders are newer than their settled version: sync plans them as usual.

    `differences`: field by field, the value of the event and the value on the board. API calls: `reads` is the number
    that this preview took, `writes` the number of requests if no two portions share one.
    """

    found: replay.Found
    plan_id: str
    ordinary: int = 0
    planned: list[plan.Planned] = field(default_factory=list)
    differences: list[compare.Difference] = field(default_factory=list)
    reads: int = 0
    writes: int = 0


async def preview(parts: Resources, replayer: replay.Replayer, found: replay.Found, progress: Progress) -> Preview:
    """Reads the log once more, the tables and the board. Writes nothing but the number of API calls."""
    used = api_calls.calls_today(parts.state, parts.journal.calls_since, utcnow())
    result, done = Preview(found, _plan_id(found)), 0
    async with parts.board_client(calls_today=used) as client:
        board = boards.Board(client, parts.mappings.board.board.id)
        outline = await outlines.read(board, parts.ledger, parts.mappings)
        groups, renames = set(outline.groups.ids), outline.renames
        before = client.budget.snapshot().requests
        view, tables = board_view.BoardView(board, parts.mappings, outline), parts.repairs
        for portion in repair.portions(item.event for item in replayer.events(found)):
            settled = tables.settled([event.record_uuid for event in portion])
            repeated = [e for e in portion if e.record_uuid in settled and e.version == settled[e.record_uuid].version]
            result.ordinary += len(portion) - len(repeated)
            orders = _orders(parts, repeated)
            refreshed = await refresh.Refresher(view, parts.ledger, tables, parts.mappings, outline).read(orders)
            result.differences += _differences(parts, orders, refreshed)
            wanted = [
                plan.Wanted(
                    events.OrderStaged(**event.identity),
                    plan.replayed(order),
                    refreshed[order.record_uuid].known,
                    refreshed[order.record_uuid].copies,
                )
                for event, order in zip(repeated, orders, strict=True)
            ]
            plans = plan.Planner(parts.mappings, outline, renames).plan_all(wanted, groups)
            sent = [
                mutation for one in plans for mutation in one.mutations if isinstance(mutation, items.GroupMutation)
            ]
            groups |= {mutation.group_name for mutation in sent}
            renames = [rename for rename in renames if rename not in sent]
            planned = [one for one in plans if one.mutations or one.problems]
            result.planned += planned
            cost = previews.cost(planned, batch_size=parts.settings.batch_size, per_minute=1.0)
            result.writes += cost.requests
            done += len(portion)
            progress("reading the board", done, len(found.places))
    result.reads = client.budget.snapshot().requests - before
    api_calls.note(parts.state, client.budget.snapshot().requests, utcnow())
    return result


def _orders(parts: Resources, changed: Sequence[events.OrderChanged]) -> list[StagedOrder]:
    """The staged orders of these events; built from the event where the staged rows were cleaned up."""
    stager = parts.stager()
    staged = parts.staging.load([Version(event.record_uuid, event.version) for event in changed])
    return [staged.get(Version(event.record_uuid, event.version)) or stager.order(event) for event in changed]


def _differences(
    parts: Resources, orders: Sequence[StagedOrder], refreshed: dict[str, refresh.Seen]
) -> list[compare.Difference]:
    mappings, user_columns = parts.mappings, columns.owned_by_people(parts.mappings)
    expected: list[fields.FieldValue] = []
    missing: list[compare.Difference] = []
    for order in orders:
        if not order.removed and refreshed[order.record_uuid].read is None:
            missing.append(compare.Difference(order.record_uuid, "", *NO_ITEM))
        elif not order.removed:
            whole = Order(
                customer=order.customer,
                group_name=order.group_name,
                item_name=order.item_name,
                values=order.values,
                sizes=plan.replayed(order).sizes,
            )
            expected += fields.of_source(order.record_uuid, whole, mappings, people=user_columns)
    shown = {uuid: one.read for uuid, one in refreshed.items() if one.read is not None}
    uuids = {item.id: uuid for uuid, item in shown.items()}
    on_board = fields.of_board(shown.values(), mappings, people=user_columns, whose=uuids)
    edited = compare.differences(expected, on_board)
    return missing + [one._replace(field=fields.title(one.field, mappings)) for one in edited]
