"""`ordersync verify` as a command: look at the tables, look at the board, emit what mends them, look again."""

import asyncio
from dataclasses import dataclass

from streams.commands import stall
from streams.commands.fix import FixLoop
from streams.progress import Progress, silent
from streams.reconcile import audit, verify
from streams.resources import Resources, utcnow
from streams.runtime import api_calls, board_audit, connect, verify_timer
from streams.settings import Settings

# How often a repair is looked at again, and repaired again.
ROUNDS = 4


@dataclass
class Result:
    """What was found in the end; and what was done about it: events emitted, and those the window has no room for.

    `lost` orders waited for events that Kafka has no more, and are detected again. `held` orders would have to be
    mended, and are of customers on hold. `stalled` says why the command has stopped to wait, if it has.
    """

    verified: verify.TablesReport
    audited: audit.BoardReport | None = None
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
    within: float = stall.WITHIN,
    progress: Progress = silent,
) -> Result:
    """Looks, and mends if told to; with `wait` until it is mended, or until nothing moved `within` so many seconds.

    Raises what SQL, Kafka and the board raise.
    """
    if not board and not fix:
        with connect.database(settings) as parts:
            return _look(parts, board=False, progress=progress)
    with connect.everything(settings) as parts:
        result = _look(parts, board, progress)
        mender = FixLoop(parts, progress, within)
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


def _look(parts: Resources, board: bool, progress: Progress) -> Result:
    verified = parts.verifier().look(thorough=True)
    parts.state.set(verify_timer.LAST, verified.summary)
    return Result(verified, asyncio.run(_audit(parts, progress)) if board else None)


async def _audit(parts: Resources, progress: Progress) -> audit.BoardReport:
    used = api_calls.calls_today(parts.state, parts.journal.calls_since, utcnow())
    async with parts.board_client(calls_today=used) as client:
        try:
            return await board_audit.audited(parts, client, progress)
        finally:
            api_calls.note(parts.state, client.budget.snapshot().requests, utcnow())
