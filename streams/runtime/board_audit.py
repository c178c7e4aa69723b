"""The audit of the whole board, within what is left of the day's calls. The worker and `verify --board` use it."""

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

# Items of one page; the API takes 500, and a page that is too complex is asked for again at half its size.
PAGE = 200
# Of a day's calls so many stay for the writer, whatever a person wants to know.
SHARE = 0.9


async def audited(
    parts: Resources, client: clients.Client, report: progress.Progress = progress.silent
) -> audit.BoardReport:
    """The whole board, within what is left of the day, and of the minute that all share: each answer tells its rest."""
    known = await asyncio.to_thread(parts.production.count)
    used, limit = client.budget.snapshot().calls_today, parts.limits.calls_per_day
    calls = math.ceil(known / PAGE) + 1
    if used + calls > limit * SHARE:
        raise errors.Misconfigured(
            f"reading the board takes about {calls} calls, and {used:.0f} of {limit} calls of this day are used: "
            "the rest is kept for the changes. Try again after midnight UTC",
            code="DAILY_BUDGET",
        )
    ids = [parts.mappings.board.key.id, *(column.id for column in parts.mappings.board.columns)]
    pages: AsyncIterator[list[board_values.BoardItem]] = boards.Board(client, parts.mappings.board.board.id).items(
        columns=ids, page=PAGE
    )
    found = await parts.auditor().run(pages, lambda items: report("reading the board", items, known))
    await asyncio.to_thread(parts.state.set, verify_timer.BOARD, found.summary(utcnow()))
    return found
