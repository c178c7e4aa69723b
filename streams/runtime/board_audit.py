"""The audit of the whole board within the API calls left of the day, for the worker and for `verify --board`."""

import asyncio
import math
from collections.abc import AsyncIterator

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import board_values
from connectors.monday import client as clients
from streams import progress
from streams.reconcile import audit
from streams.resources import Resources, utcnow
from streams.runtime import verify_timer
from streams.sync import outline

# Items of one page. The API allows 500; the client repeats a request that is too complex with half the page.
PAGE = 200
# The share of a day's calls that audits may use up; the rest stays for the writer.
SHARE = 0.9


async def audited(
    parts: Resources, client: clients.Client, report: progress.Progress = progress.silent
) -> audit.BoardReport:
    """Audits the whole board and stores the summary for `status`.

    Raises Misconfigured when the calls of the day would not suffice, and what SQL and the API raise.
    """
    known = await asyncio.to_thread(parts.production.count)
    used, limit = client.budget.snapshot().calls_today, parts.limits.calls_per_day
    calls = math.ceil(known / PAGE) + 2
    if used + calls > limit * SHARE:
        raise errors.Misconfigured(
            f"reading the board takes about {calls} calls, and {used:.0f} of {limit} calls of this day are used: "
            "the rest is kept for the changes. Try again after midnight UTC",
            code="DAILY_BUDGET",
        )
    ids = [parts.mappings.board.key.id, *(column.id for column in parts.mappings.board.columns)]
    board = boards.Board(client, parts.mappings.board.board.id)
    shown, known_groups = await board.groups(), await asyncio.to_thread(parts.ledger.groups)
    groups = await asyncio.to_thread(outline.resolve, shown, known_groups, parts.ledger.items_in_groups)
    pages: AsyncIterator[list[board_values.BoardItem]] = board.items(columns=ids, page=PAGE)
    board_report = await parts.auditor().run(pages, lambda items: report("reading the board", items, known), groups)
    await asyncio.to_thread(parts.state.set, verify_timer.BOARD, board_report.summary(utcnow()))
    return board_report
