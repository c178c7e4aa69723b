"""`ordersync verify` as a command: look at the tables, look at the board, emit what mends them, look again."""

import asyncio
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import board_values
from connectors.monday import budget as budgets
from connectors.monday import client as clients
from connectors.tables import repairs
from streams import audit, commands, mending, patience, rounds, spending, verify
from streams.resources import Resources, utcnow
from streams.settings import Settings

# Items of one page; the API takes 500, and a page that is too complex is asked for again at half its size.
PAGE = 200
# Of a day's calls so many stay for the writer, whatever a person wants to know.
SHARE = 0.9
# How often a repair is looked at again, and repaired again.
ROUNDS = 4


@dataclass
class Result:
    """What was found in the end; and what was done about it: events emitted, and those the window has no room for.

    `lost` orders waited for events that Kafka has no more, and are detected again. `held` orders would have to be
    mended, and are of customers on hold. `stalled` says why the command has stopped to wait, if it has.
    """

    verified: verify.Verified
    audited: audit.Audited | None = None
    emitted: int = 0
    left: int = 0
    lost: int = 0
    held: int = 0
    fixed: bool = False
    stalled: str | None = None

    @property
    def sound(self) -> bool:
        """Nothing was found wrong, or all of it is being mended."""
        wrong = bool(self.verified.wrong) or bool(self.audited and self.audited.drift)
        mended = self.fixed and not (self.left or self.held)
        return self.stalled is None and (mended or not wrong)


def run(
    settings: Settings,
    *,
    board: bool = False,
    fix: bool = False,
    wait: bool = False,
    within: float = patience.WITHIN,
    progress: mending.Progress = mending.silent,
) -> Result:
    """Looks, and mends if told to; with `wait` until it is mended, or until nothing moved `within` so many seconds.

    Raises what SQL, Kafka and the board raise.
    """
    if not board and not fix:
        with commands.database_only(settings) as parts:
            return _look(parts, board=False, progress=progress)
    with commands.opened(settings) as parts:
        result = _look(parts, board, progress)
        mender = mending.Mender(parts, progress, within)
        for _ in range(ROUNDS if fix else 0):
            lost = mender.lost()
            changed = mender.repairs(result.verified, result.audited)
            result.held = len(mender.held)
            if not changed and not lost and not (wait and mender.told_before()):
                break
            emitted = mender.emit(changed, wait=wait)
            before = result
            if wait:
                if mender.stalled is None:
                    mender.settle()
                result = _look(parts, board, progress)
            result.emitted, result.lost = before.emitted + emitted, before.lost + lost
            result.left, result.fixed = len(changed) - emitted, not wait
            result.held, result.stalled = len(mender.held), mender.stalled
            if not wait or result.stalled is not None:
                break
        return result


def auditor(parts: Resources) -> audit.Auditor:
    """The look at the board."""
    return audit.Auditor(
        parts.standings,
        repairs.Repairs(parts.db, utcnow),
        lambda: mending.Refused.of(parts).ahead,
        parts.mappings,
    )


def _look(parts: Resources, board: bool, progress: mending.Progress) -> Result:
    verified = parts.verifier().look(thorough=True)
    parts.state.set(rounds.LAST, verified.summary)
    return Result(verified, asyncio.run(_audit(parts, progress)) if board else None)


async def _audit(parts: Resources, progress: mending.Progress) -> audit.Audited:
    used = spending.calls_today(parts.state, parts.journal.calls_since, utcnow())
    budget = budgets.Budget(parts.limits, calls_today=used)
    async with clients.Client(parts.monday_url, parts.token(), budget=budget) as client:
        try:
            return await audited(parts, client, progress)
        finally:
            spending.note(parts.state, budget.snapshot().requests, utcnow())


async def audited(
    parts: Resources, client: clients.Client, progress: mending.Progress = mending.silent
) -> audit.Audited:
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
    found = await auditor(parts).run(pages, lambda items: progress("reading the board", items, known))
    await asyncio.to_thread(parts.state.set, rounds.BOARD, found.summary(utcnow()))
    return found
