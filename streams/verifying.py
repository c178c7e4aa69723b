"""`ordersync verify` as a command: look at the tables, look at the board, emit what mends them, look again."""

import asyncio
import dataclasses
import math
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from connectors import errors, kafka, repairs
from connectors.monday import board as boards
from connectors.monday import budget as budgets
from connectors.monday import client as clients
from connectors.monday import shown
from mappings import sizes
from schemas import events
from schemas.failures import FailureType
from streams import audit, commands, delivery, passes, repair, rounds, spending, verify
from streams.resources import Resources, new_id, utcnow
from streams.settings import Settings

# Items of one page; the API takes 500, and a page that is too complex is asked for again at half its size.
PAGE = 200
# Of a day's calls so many stay for the writer, whatever a person wants to know.
SHARE = 0.9
# How often a repair is looked at again, and repaired again.
ROUNDS = 4
SWEEP_WITHIN = 10.0
LOOK = 0.5

Progress = Callable[[str, int, int | None], None]


def silent(what: str, done: int, total: int | None) -> None:
    """Tells nobody."""


@dataclass
class Result:
    """What was found in the end; and what was done about it: events emitted, and those the window has no room for.

    `lost` orders waited for events that Kafka has no more, and are detected again.
    """

    verified: verify.Verified
    audited: audit.Audited | None = None
    emitted: int = 0
    left: int = 0
    lost: int = 0
    fixed: bool = False

    @property
    def sound(self) -> bool:
        """Nothing was found wrong, or all of it is being mended."""
        wrong = bool(self.verified.wrong) or bool(self.audited and self.audited.drift)
        return not wrong or (self.fixed and not self.left)


def run(
    settings: Settings, *, board: bool = False, fix: bool = False, wait: bool = False, progress: Progress = silent
) -> Result:
    """Looks, and mends if told to; with `wait` until it is mended. Raises what SQL, Kafka and the board raise."""
    if not board and not fix:
        with commands.database_only(settings) as parts:
            return _look(parts, board=False, progress=progress)
    with commands.opened(settings) as parts:
        result = _look(parts, board, progress)
        for _ in range(ROUNDS if fix else 0):
            work = _Work(parts)
            lost = work.lost()
            changed = work.repairs(result)
            if not changed and not lost:
                break
            emitted = work.emit(changed, patient=wait, progress=progress)
            before = result
            if wait:
                work.settle(progress)
                result = _look(parts, board, progress)
            result.emitted, result.lost = before.emitted + emitted, before.lost + lost
            result.left, result.fixed = len(changed) - emitted, not wait
            if not wait:
                break
        return result


def auditor(parts: Resources) -> audit.Auditor:
    """The look at the board."""

    def refused() -> set[str]:
        # What we refused ourselves was never told to the board.
        rows = parts.failures.waiting()
        return {str(row["record_uuid"]) for row in rows if row["error_type"] != FailureType.VALIDATION_ERROR}

    return audit.Auditor(parts.standings, repairs.Repairs(parts.db, utcnow), refused, parts.mappings)


def repairer(parts: Resources) -> repair.Repairer:
    """What emits."""
    return repair.Repairer(
        repairs.Repairs(parts.db, utcnow),
        parts.orders,
        parts.state,
        parts.batches,
        size_columns=frozenset(sizes.size_columns(parts.orders.columns(), parts.mappings.board.sizes)),
        key_column=parts.mappings.board.key.source,
        window=parts.window,
        now=utcnow,
        new_id=new_id,
    )


def publisher(parts: Resources, replay_id: str) -> repair.Publish:
    """Sends events that carry the name of what sent them."""

    def publish(changed: Sequence[events.OrderChanged]) -> None:
        messages = delivery.outgoing(changed, parts.settings.topic_prefix)
        named = [dataclasses.replace(message, headers={"replay-id": replay_id}) for message in messages]
        parts.producer.send_all(named)

    return publish


def _look(parts: Resources, board: bool, progress: Progress) -> Result:
    verified = parts.verifier().look(thorough=True)
    parts.state.set(rounds.LAST, verified.summary)
    return Result(verified, asyncio.run(_audit(parts, progress)) if board else None)


async def _audit(parts: Resources, progress: Progress) -> audit.Audited:
    used = spending.calls_today(parts.state, parts.journal.calls_since, utcnow())
    budget = budgets.Budget(parts.limits, calls_today=used)
    async with clients.Client(parts.monday_url, parts.token(), budget=budget) as client:
        try:
            return await audited(parts, client, progress)
        finally:
            spending.note(parts.state, budget.snapshot().requests, utcnow())


async def audited(parts: Resources, client: clients.Client, progress: Progress = silent) -> audit.Audited:
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
    pages: AsyncIterator[list[shown.BoardItem]] = boards.Board(client, parts.mappings.board.board.id).items(
        columns=ids, page=PAGE
    )
    found = await auditor(parts).run(pages, lambda items: progress("reading the board", items, known))
    await asyncio.to_thread(parts.state.set, rounds.BOARD, found.summary(utcnow()))
    return found


class _Work:
    """One round of repairs."""

    def __init__(self, parts: Resources) -> None:
        self._parts = parts
        self._repairer = repairer(parts)
        self._sweep = parts.sweep()
        self._lost = 0

    def lost(self) -> int:
        """Orders whose events are lost are detected again, at once."""
        found, until = 0, time.monotonic() + SWEEP_WITHIN
        tables = self._sweep.tables
        while not found and tables.waiting(tables.newest()) and time.monotonic() < until:
            try:
                found = self._sweep.look()
            except kafka.TopicMissing:
                self._parts.ensure_topics()
            if not found:
                time.sleep(LOOK)
        if found:
            self._detect()
        self._lost = found
        return found

    def repairs(self, result: Result) -> list[events.OrderChanged]:
        """The events that mend what was found; rows that were never settled are given back to detection."""
        kinds = {one.record_uuid: one.kind for one in result.verified.wrong}
        never = [uuid for uuid, kind in kinds.items() if kind is verify.Kind.NEVER_SENT]
        again = {uuid for uuid, kind in kinds.items() if kind in _TOLD_AGAIN}
        extra: dict[str, str] = {}
        for one in result.audited.drift if result.audited else ():
            if one.kind is audit.Kind.EXTRA:
                extra[one.record_uuid] = ""
            else:
                again.add(one.record_uuid)
        told = self._repairer.again(sorted(again))
        unknown = sorted(again - {event.record_uuid for event in told})
        if never or unknown:
            repairs.Repairs(self._parts.db, utcnow).detect_again([*never, *unknown])
            self._detect()
        return told + self._repairer.leaving(extra)

    def emit(self, changed: Sequence[events.OrderChanged], *, patient: bool, progress: Progress) -> int:
        """How many were emitted: all of them if there is time to wait for room."""
        publish, done = publisher(self._parts, f"verify-{new_id()[:8]}"), 0

        def told(some: Sequence[events.OrderChanged]) -> None:
            nonlocal done
            publish(some)
            done += len(some)
            progress("repairing", done, len(changed))

        return self._repairer.emit(changed, told, _slept if patient else None)

    def settle(self, progress: Progress) -> None:
        """Until nothing that was emitted is on its way. What gets lost meanwhile is looked for."""
        while waiting := self._repairer.waiting() or (self._lost and self._parts.orders.unsettled_mutations()):
            progress("waiting for the board", waiting, None)
            time.sleep(LOOK)
            if self._sweep.look():
                self._detect()

    def _detect(self) -> None:
        """What was given back to detection leaves at once; the guard may hold it, and `status` says so."""
        passes.one_pass(self._parts, self._parts.detector(passes.publisher(self._parts)))


_TOLD_AGAIN = {verify.Kind.NOT_IN_PRODUCTION, verify.Kind.STILL_IN_PRODUCTION, verify.Kind.PRODUCTION_EDITED}


def _slept(seconds: float) -> bool:
    time.sleep(seconds)
    return True
