"""What a replay would do: the fields that differ on the board, and the cost in API calls."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.monday import board as boards
from connectors.monday import budget as budgets
from connectors.monday import client as clients
from connectors.tables import repairs
from mappings import columns
from schemas import events
from schemas.orders import Order, StagedOrder
from streams import boardview, compare, facts, mending, plans, previews, refresh, repair, replay, spending
from streams.resources import Resources, utcnow

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
    planned: list[plans.Planned] = field(default_factory=list)
    differences: list[compare.Difference] = field(default_factory=list)
    reads: int = 0
    writes: int = 0


async def preview(
    parts: Resources, replayer: replay.Replayer, found: replay.Found, progress: mending.Progress
) -> Preview:
    """Reads the log once more, the tables and the board; writes nothing but how many calls that took."""
    used = spending.calls_today(parts.state, parts.journal.calls_since, utcnow())
    budget = budgets.Budget(parts.limits, calls_today=used)
    shown, looked = Preview(found), 0
    async with clients.Client(parts.monday_url, parts.token(), budget=budget) as client:
        board = boards.Board(client, parts.mappings.board.board.id)
        planner = plans.Planner(parts.mappings, await boardview.read_labels(board, parts.mappings))
        groups = await board.groups()
        before = budget.snapshot().requests
        view, tables = boardview.BoardView(board, parts.mappings), repairs.Repairs(parts.db, utcnow)
        for some in repair.portions(told.event for told in replayer.events(found)):
            settled = tables.settled([event.record_uuid for event in some])
            again = [e for e in some if e.record_uuid in settled and e.version == settled[e.record_uuid].version]
            shown.ordinary += len(some) - len(again)
            orders = _orders(parts, again)
            seen = await refresh.Refresher(view, parts.ledger, tables, parts.mappings).look(orders)
            shown.differences += _differences(parts, orders, seen)
            planned: list[plans.Planned] = []
            for event, order in zip(again, orders, strict=True):
                one = seen[order.record_uuid]
                wanted = order.model_copy(update={"sizes": {size: n for size, n in order.sizes.items() if n}})
                whole = planner.whole(events.OrderStaged(**event.identity), wanted, one.known, groups)
                if one.copies or whole.mutations or whole.problems:
                    mutations = (*one.copies, *whole.mutations)
                    planned.append(whole.model_copy(update={"mutations": mutations}))
                groups |= {m.group_name: "" for m in whole.mutations if m.kind == "create_group"}
            shown.planned += planned
            cost = previews.cost(planned, batch_size=parts.settings.batch_size, per_minute=1.0)
            shown.writes += cost.requests
            looked += len(some)
            progress("reading the board", looked, len(found.places))
    shown.reads = budget.snapshot().requests - before
    spending.note(parts.state, budget.snapshot().requests, utcnow())
    return shown


def _orders(parts: Resources, changed: Sequence[events.OrderChanged]) -> list[StagedOrder]:
    """As they were staged, or as they would be."""
    stager, staged = parts.stager(), parts.staging.load([(event.record_uuid, event.version) for event in changed])
    return [staged.get((event.record_uuid, event.version)) or stager.order(event) for event in changed]


def _differences(
    parts: Resources, orders: Sequence[StagedOrder], seen: dict[str, refresh.Seen]
) -> list[compare.Difference]:
    mappings, people = parts.mappings, columns.owned_by_people(parts.mappings)
    expected: list[facts.Fact] = []
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
                sizes={size: n for size, n in order.sizes.items() if n},
            )
            expected += facts.of_source(order.record_uuid, whole, mappings, people=people)
    shown = {uuid: one.read for uuid, one in seen.items() if one.read is not None}
    whose = {item.id: uuid for uuid, item in shown.items()}
    told = facts.of_board(shown.values(), mappings, people=people, whose=whose)
    found = compare.differences(compare.frame(expected), compare.frame(told))
    return missing + [dataclasses.replace(one, field=facts.title(one.field, mappings)) for one in found]
