"""`ordersync detect`: one pass, a dry run of one, or the trial of the server's comparison."""

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
from streams.sync import board as board_view
from streams.sync import plan


def detect(settings: Settings, chosen: detection.Filters | None, *, accept: bool) -> detection.PassReport:
    """One pass."""
    with connect.everything(settings) as parts:
        parts.ensure_topics()
        report = passes.one_pass(parts, parts.detector(passes.publisher(parts)), chosen, accept=accept)
        poller.between_passes(parts).archive(lambda: True)
        return report


def dry_run(settings: Settings, chosen: detection.Filters | None) -> list[plan.Planned]:
    """What one pass would tell the board, order by order. Nothing is emitted, staged or sent."""
    with connect.everything(settings) as parts:
        return planned(parts, parts.detector(passes.publisher(parts)).preview(chosen))


def planned(parts: Resources, changed: Sequence[events.OrderChanged]) -> list[plan.Planned]:
    """The plans of these events, against what the board is known to hold. Reads the board's labels; writes nothing."""
    stager = parts.stager()
    known = parts.ledger.known([event.record_uuid for event in changed])
    labels = asyncio.run(connect.ask_board(parts, lambda board: board_view.read_labels(board, parts.mappings)))
    wanted = [
        plan.Wanted(
            events.OrderStaged(**event.identity), stager.order(event), known.get(event.record_uuid, plan.NOTHING)
        )
        for event in changed
    ]
    return plan.Planner(parts.mappings, labels).plan_all(wanted, parts.ledger.groups())


def trial(settings: Settings, rows: int) -> pushdown.Verdict:
    """Whether the server's compare sees what one here sees, on a sample of rows. Raises Misconfigured without one."""
    if settings.server is None:
        raise errors.Misconfigured("there is no server whose compare could be tried: the tables are in a SQLite file")
    with connect.database(settings) as parts:
        source = orders_pushdown.PushdownOrders(parts.db, utcnow, hashing.row_hash)
        size_columns = sizes.size_columns(source.columns(), parts.mappings.board.sizes)
        watched = columns.watched(parts.mappings, size_columns)
        return pushdown.PushdownTrial(source, watched, hashing.row_hash, random.Random()).look(rows)
