"""`ordersync detect`: one pass, a dry run of a pass, or the trial of push-down detection."""

import asyncio
import random
from collections.abc import Sequence

from connectors import errors
from connectors.tables import orders_pushdown
from mappings import columns, hashing, sizes
from schemas import detection, events
from streams.commands import pushdown
from streams.resources import Resources, utcnow
from streams.runtime import connect, passes, poller
from streams.settings import Settings
from streams.sync import outline as outlines
from streams.sync import plan


def detect(settings: Settings, chosen: detection.Filters | None) -> detection.PassReport:
    """Runs one pass over the chosen orders, or all. The report has the plan of a guard stop.

    Archives the customers of the pass afterwards. Raises Transient while the broker does not answer.
    """
    with connect.everything(settings) as parts:
        parts.ensure_topics()
        report = passes.one_pass(parts, parts.detector(passes.publisher(parts)), chosen)
        poller.between_passes(parts).archive(lambda: True)
        return report


def dry_run(settings: Settings, chosen: detection.Filters | None) -> list[plan.Planned]:
    """The mutations that one pass would lead to, order by order. Emits, stages and sends nothing."""
    with connect.everything(settings) as parts:
        return planned(parts, parts.detector(passes.publisher(parts)).preview(chosen))


def planned(parts: Resources, changed: Sequence[events.OrderChanged]) -> list[plan.Planned]:
    """The plans of these events against the ledger. Reads the board's outline; writes nothing."""
    stager = parts.stager()
    known = parts.ledger.known([event.record_uuid for event in changed])
    outline = asyncio.run(connect.ask_board(parts, lambda board: outlines.read(board, parts.ledger, parts.mappings)))
    wanted = [
        plan.Wanted(
            events.OrderStaged(**event.identity), stager.order(event), known.get(event.record_uuid, plan.NOTHING)
        )
        for event in changed
    ]
    return plan.Planner(parts.mappings, outline, outline.renames).plan_all(wanted, outline.groups.ids)


def trial(settings: Settings, rows: int) -> pushdown.Verdict:
    """Checks on a sample of rows that the server finds the changes that ordersync finds itself.

    Raises Misconfigured when the tables are not on a server.
    """
    if settings.server is None:
        raise errors.Misconfigured(
            "there is no server whose comparison could be checked: the tables are in a SQLite file"
        )
    with connect.database(settings) as parts:
        source = orders_pushdown.PushdownOrders(parts.db, utcnow, hashing.RowHasher)
        size_columns = sizes.size_columns(source.columns(), parts.mappings.board.sizes)
        watched = columns.watched(parts.mappings, size_columns)
        return pushdown.PushdownTrial(source, watched, hashing.RowHasher(watched), random.Random()).check(rows)
