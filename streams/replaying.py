"""`ordersync replay` as a command: what it would do, and doing it portion by portion."""

import asyncio
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors import kafka_replay, repairs
from connectors.monday import board as boards
from connectors.monday import budget as budgets
from connectors.monday import client as clients
from mappings import columns
from schemas import events
from schemas.orders import Order, StagedOrder
from streams import (
    announce,
    boardview,
    commands,
    compare,
    delivery,
    facts,
    plans,
    refresh,
    replay,
    spending,
    topics,
    verifying,
)
from streams.resources import Resources, new_id, utcnow
from streams.security import security
from streams.settings import Settings


@dataclass(frozen=True)
class Result:
    """What a replay did. `went_on`: an earlier run of it had been stopped; `told` orders were left for this one."""

    found: replay.Found
    came: replay.Came
    told: int
    went_on: bool


@dataclass(frozen=True)
class Preview:
    """What a replay would do. `ordinary` orders are newer than what is settled, and take the ordinary way.

    `differences`: field by field, what the event says and what the board shows now. `reads` and `writes` are API calls.
    """

    found: replay.Found
    ordinary: int
    planned: list[plans.Planned]
    differences: list[compare.Difference]
    reads: int
    writes: int


def run(settings: Settings, asked: replay.Asked, progress: verifying.Progress = verifying.silent) -> Result:
    """Tells the orders once more, as the window has room for them. Stopped, the same command goes on."""
    with commands.opened(settings) as parts, _reader(parts, asked) as log:
        replayer = _replayer(parts, log, progress)
        before = parts.state.get(asked.name)
        came = replayer.came(asked)
        found = replayer.find(asked, came)
        left = [(offset, event) for offset, event in found.told if offset >= came.done]
        offsets = {event.record_uuid: offset for offset, event in left}
        at, done = came, 0

        def publish(some: Sequence[events.OrderChanged]) -> None:
            nonlocal at, done
            messages = delivery.outgoing(some, parts.settings.topic_prefix)
            parts.producer.send_all(
                [
                    dataclasses.replace(message, headers=_headers(came.replay_id, offsets[event.record_uuid]))
                    for message, event in zip(messages, some, strict=True)
                ]
            )
            at, done = replayer.remember(asked, at, offsets[some[-1].record_uuid]), done + len(some)
            progress("replaying", done, len(left))

        verifying.repairer(parts).emit([event for _, event in left], publish, _patience(progress))
        with parts.db.write() as session:
            parts.state.erase(asked.name)(session)
        return Result(found, came, done, went_on=before is not None and came.done > came.start)


def dry_run(settings: Settings, asked: replay.Asked, progress: verifying.Progress = verifying.silent) -> Preview:
    """What `run` would do now. Reads the log, the tables and the board; emits, writes and sends nothing."""
    with commands.opened(settings) as parts, _reader(parts, asked) as log:
        replayer = _replayer(parts, log, progress)
        found = replayer.find(asked, replayer.came(asked))
        return asyncio.run(_preview(parts, found))


async def _preview(parts: Resources, found: replay.Found) -> Preview:
    told = {event.record_uuid: event for _, event in found.told}
    settled = repairs.Repairs(parts.db, utcnow).settled(list(told))
    again = [event for uuid, event in told.items() if uuid in settled and event.version == settled[uuid].version]
    stager, staged = parts.stager(), parts.staging.load([(e.record_uuid, e.version) for e in again])
    orders = [staged.get((e.record_uuid, e.version)) or stager.order(e) for e in again]
    budget = budgets.Budget(
        parts.limits, calls_today=spending.calls_today(parts.state, parts.journal.calls_since, utcnow())
    )
    async with clients.Client(parts.monday_url, parts.token(), budget=budget) as client:
        board = boards.Board(client, parts.mappings.board.board.id)
        labels, groups = boardview.LabelBook(await board.columns()), await board.groups()
        seen = await refresh.Refresher(
            boardview.BoardView(board, parts.mappings), parts.ledger, repairs.Repairs(parts.db, utcnow), parts.mappings
        ).look(orders)
    spending.note(parts.state, budget.snapshot().requests, utcnow())
    planner = plans.Planner(parts.mappings, labels)
    planned = []
    for event, order in zip(again, orders, strict=True):
        one = seen[order.record_uuid]
        wanted = order.model_copy(update={"sizes": {size: n for size, n in order.sizes.items() if n}})
        whole = planner.whole(events.OrderStaged(**event.identity), wanted, one.known, groups)
        planned.append(whole.model_copy(update={"mutations": (*one.copies, *whole.mutations)}))
        groups |= {m.group_name: "" for m in whole.mutations if m.kind == "create_group"}
    mutations = sum(len(one.mutations) for one in planned)
    return Preview(
        found=found,
        ordinary=len(told) - len(again),
        planned=[one for one in planned if one.mutations or one.problems],
        differences=_differences(parts, orders, seen),
        reads=math.ceil(len(again) / boards.VALUES_PER_SEARCH),
        writes=math.ceil(mutations / parts.settings.batch_size),
    )


def _differences(
    parts: Resources, orders: Sequence[StagedOrder], seen: dict[str, refresh.Seen]
) -> list[compare.Difference]:
    mappings, people = parts.mappings, columns.owned_by_people(parts.mappings)
    expected: list[facts.Fact] = []
    for order in orders:
        if not order.removed:
            whole = Order(
                customer=order.customer,
                group_name=order.group_name,
                item_name=order.item_name,
                values=order.values,
                sizes={size: n for size, n in order.sizes.items() if n},
            )
            expected += facts.of_source(order.record_uuid, whole, mappings, people=people)
    shown = {uuid: one.read for uuid, one in seen.items() if one.read is not None}
    whose = {item.id: uuid for uuid, item in shown.items()}
    told = facts.of_board(shown.values(), mappings, people=people, whose=whose)
    found = compare.differences(compare.frame(expected), compare.frame(told))
    return [dataclasses.replace(one, field=facts.title(one.field, mappings)) for one in found]


def canonical(settings: Settings, customer: str) -> str:
    """The name under which a customer's events travel."""
    return Resources(settings).mappings.customers.canonical(customer)[: announce.KEY]


def _reader(parts: Resources, asked: replay.Asked) -> kafka_replay.PartitionReader:
    topic = topics.named(topics.CHANGED, parts.settings.topic_prefix)
    return kafka_replay.PartitionReader(parts.bootstrap, topic, asked.customer, security(parts.settings))


def _replayer(parts: Resources, log: kafka_replay.PartitionReader, progress: verifying.Progress) -> replay.Replayer:
    return replay.Replayer(
        log,
        parts.state,
        repairs.Repairs(parts.db, utcnow),
        lambda: f"replay-{new_id()[:8]}",
        lambda done, total: progress("reading the log", done, total),
    )


def _headers(replay_id: str, offset: int) -> dict[str, str]:
    return {"replay-id": replay_id, "origin-offset": str(offset)}


def _patience(progress: verifying.Progress) -> Callable[[float], bool]:
    def wait(seconds: float) -> bool:
        progress("waiting for the worker to have room", 0, None)
        time.sleep(seconds)
        return True

    return wait
