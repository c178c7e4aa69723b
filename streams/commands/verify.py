"""`ordersync verify`: checks the tables and the board; with --fix it repairs them, and with --wait checks once more."""

import asyncio
from dataclasses import dataclass

from streams.commands import stall
from streams.commands.fix import FixLoop
from streams.progress import Progress, silent
from streams.reconcile import audit, verify
from streams.resources import Resources, utcnow
from streams.runtime import api_calls, board_audit, connect, verify_timer
from streams.settings import Settings

# Repair attempts of one command: each emits repairs, waits for them and checks once more.
ATTEMPTS = 4


@dataclass
class Result:
    """The findings of the last check, and the repairs of all attempts.

    `emitted` repairs were sent; for `left` more the admission window had no room. `lost` orders waited for lost events
    and are detected again. `held` orders need a repair, and their customers are on hold. `stalled`: why the command
    stopped waiting, if it did. `fixed`: repairs were emitted, and nothing has checked their result. `left_alone`:
    orders that ordersync does not know; `failed`: findings that their repair did not change.
    """

    verified: verify.TablesReport
    audited: audit.BoardReport | None = None
    emitted: int = 0
    left: int = 0
    lost: int = 0
    held: int = 0
    fixed: bool = False
    stalled: str | None = None
    left_alone: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Nothing is wrong, or the emitted repairs cover all of it."""
        wrong = bool(self.verified.wrong) or bool(self.audited and self.audited.differs)
        repaired = self.fixed and not (self.left or self.held or self.left_alone or self.failed)
        return self.stalled is None and (repaired or not wrong)


def run(
    settings: Settings,
    *,
    board: bool = False,
    full: bool = False,
    fix: bool = False,
    wait: bool = False,
    within: float = stall.WITHIN,
    progress: Progress = silent,
) -> Result:
    """Checks; with `board` also what changed on the board, with `full` all of it; with `fix` also repairs.

    With `wait` it waits until the repairs arrived, or nothing moved for `within` seconds.

    Raises what SQL, Kafka and the board raise.
    """
    if not board and not fix:
        with connect.database(settings) as parts:
            return _check(parts, board=False, progress=progress)
    with connect.everything(settings) as parts:
        result = _check(parts, board, progress, full=full)
        repairs = FixLoop(parts, progress, within)
        for _ in range(ATTEMPTS if fix else 0):
            lost = repairs.detect_lost()
            changed = repairs.build_repairs(result.verified, result.audited)
            result.held, result.left_alone = len(repairs.held), tuple(sorted(repairs.left_alone))
            result.failed = tuple(repairs.failed.values())
            if not changed and not lost and not (wait and repairs.earlier_repairs()):
                break
            emitted = repairs.emit(changed, wait=wait)
            before = result
            if wait:
                if repairs.stalled is None:
                    repairs.settle()
                result = _check(parts, board, progress)
            result.emitted, result.lost = before.emitted + emitted, before.lost + lost
            result.left, result.fixed = len(changed) - emitted, not wait
            result.held, result.stalled = len(repairs.held), repairs.stalled
            result.left_alone, result.failed = before.left_alone, before.failed
            if not wait or result.stalled is not None:
                break
        return result


def _check(parts: Resources, board: bool, progress: Progress, *, full: bool = False) -> Result:
    verified = parts.verifier().check(thorough=True, progress=progress)
    parts.state.set(verify_timer.LAST, verified.summary)
    return Result(verified, asyncio.run(_audit(parts, progress, full)) if board else None)


async def _audit(parts: Resources, progress: Progress, full: bool) -> audit.BoardReport:
    used = api_calls.calls_today(parts.state, parts.journal.calls_since, utcnow())
    async with parts.board_client(calls_today=used) as client:
        try:
            return await board_audit.audited(parts, client, progress, full=full)
        finally:
            api_calls.note(parts.state, client.budget.snapshot().requests, utcnow())
