"""The audit of the board within the API calls left of the day, for the worker and for `verify --board`.

An audit reads what changed since the last one (streams/reconcile/incremental.py), or the whole board: the first time,
after a week, and when the changes cannot be determined. The named value `verify.board.since` is the checkpoint between
them.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import board_values, changes
from connectors.monday import client as clients
from streams import progress
from streams.reconcile import audit, incremental
from streams.resources import Resources, utcnow
from streams.runtime import verify_timer
from streams.sync import outline

# Items of one page. The API allows 500; the client repeats a request that is too complex with half the page.
PAGE = 200
# The share of a day's calls that audits may use up; the rest stays for the writer.
SHARE = 0.9
# The named value of the checkpoint.
SINCE = "verify.board.since"
# API calls for the outline and the changes of both boards.
CHANGES = 3
# What --full says of the reason.
ASKED = "--full"


async def audited(
    parts: Resources,
    client: clients.Client,
    report: progress.Progress = progress.silent,
    *,
    full: bool = False,
    now: Callable[[], datetime] = utcnow,
) -> audit.BoardReport:
    """Audits what changed, or with `full` the whole board. Stores the checkpoint, and the summary for `status`.

    Raises Misconfigured when the calls of the day would not suffice, and what SQL and the API raise.
    """
    audits = _Audits(parts, client, boards.Board(client, parts.mappings.board.board.id), now(), report)
    board_report, checkpoint = await audits.run(full=full)
    values = {
        verify_timer.BOARD: board_report.summary(now()),
        SINCE: checkpoint.model_dump(mode="json"),
    }
    await asyncio.to_thread(parts.state.set_all, values)
    return board_report


@dataclass(frozen=True)
class _Audits:
    """The two kinds of audit. `at`: when this one begins."""

    parts: Resources
    client: clients.Client
    board: boards.Board
    at: datetime
    report: progress.Progress

    async def run(self, *, full: bool) -> tuple[audit.BoardReport, incremental.Checkpoint]:
        known = await asyncio.to_thread(self.parts.production.count)
        last = _checkpoint(await asyncio.to_thread(self.parts.state.get, SINCE))
        mapping, limits = incremental.fingerprint(self.parts.mappings), _limits(self.parts)
        reason = ASKED if full else incremental.full_audit_reason(last, mapping, limits, self.at)
        if not reason and last is not None:
            self._require_calls(CHANGES)
            changed = incremental.IncrementalAudit(
                self.parts.auditor(), self.parts.ledger, self.board, self._columns, last, limits
            )
            try:
                return await changed.run(self.at, _full_calls(known))
            except incremental.NeedsFullAudit as needed:
                reason = str(needed)
            except errors.Rejected as error:
                reason = f"the API refused to read the changes: {error}"
        return await self._full(known, reason, mapping)

    async def _full(self, known: int, reason: str, mapping: str) -> tuple[audit.BoardReport, incremental.Checkpoint]:
        self._require_calls(_full_calls(known) + CHANGES)
        checkpoint = incremental.Checkpoint(at=self.at, full=self.at, mapping=mapping)
        active: int | None = None
        groups = outline.Groups()
        # Before the items: what is renamed after this read, the next audit finds by it.
        try:
            read, active = await incremental.read_outline(self.board, self.at, self.parts.mappings)
            checkpoint = checkpoint.model_copy(update={"outline": read})
            groups = await incremental.named_groups(read, self.parts.ledger)
        except (changes.Incomplete, errors.Rejected) as error:
            unusable = f"the changes of the board could not be read: {error}"
            checkpoint = checkpoint.model_copy(update={"unusable": unusable})
        pages: AsyncIterator[list[board_values.BoardItem]] = self.board.items(columns=self._columns, page=PAGE)
        auditor = self.parts.auditor()
        found = await auditor.run(pages, lambda items: self.report("reading the board", items, known), groups)
        extent = audit.Extent(
            reason=reason,
            last_full=self.at,
            read=found.items,
            active=found.items if active is None else active,
            calls=self.board.calls,
        )
        return found.model_copy(update={"extent": extent}), checkpoint.after(found)

    @property
    def _columns(self) -> list[str]:
        board = self.parts.mappings.board
        return [board.key.id, *(column.id for column in board.columns)]

    def _require_calls(self, calls: int) -> None:
        used, limit = self.client.budget.snapshot().calls_today, self.parts.limits.calls_per_day
        if used + calls > limit * SHARE:
            raise errors.Misconfigured(
                f"reading the board takes about {calls} calls, and {used:.0f} of {limit} calls of this day are used: "
                "the rest is kept for the changes. Try again after midnight UTC",
                code="DAILY_BUDGET",
            )


def _full_calls(known: int) -> int:
    return math.ceil(known / PAGE) + 1


def _limits(parts: Resources) -> incremental.Limits:
    s = parts.settings
    return incremental.Limits(
        overlap=timedelta(seconds=s.verify_board_overlap),
        gap=timedelta(hours=s.verify_board_gap_hours),
        full_every=timedelta(days=s.verify_board_full_days),
    )


def _checkpoint(stored: object) -> incremental.Checkpoint | None:
    """The stored checkpoint; None for none, and for one of another version of ordersync."""
    try:
        return None if stored is None else incremental.Checkpoint.model_validate(stored)
    except ValidationError:
        return None
