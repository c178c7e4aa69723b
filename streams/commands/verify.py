"""`ordersync verify`: checks the tables and the board; with --fix it repairs them, and with --wait checks once more."""

import asyncio
from dataclasses import dataclass

from schemas import detection
from streams.commands import stall
from streams.commands.fix import FixLoop
from streams.detect import plans
from streams.progress import Progress, silent
from streams.reconcile import audit, repair_plan, verify
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
    orders that ordersync does not know; `failed`: findings that their repair did not change. `plan`: what a dry run
    would repair, at this `cost`.
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
    plan: repair_plan.RepairPlan | None = None
    cost: detection.Cost | None = None

    @property
    def effect(self) -> str:
        """What came of the repairs, in one line."""
        counts = {
            "repairs emitted": self.emitted,
            "without room in the admission window": self.left,
            "detected again": self.lost,
            "left alone for a hold": self.held,
            "not ours": len(self.left_alone),
            "changed nothing": len(self.failed),
        }
        said = ", ".join(f"{n} {what}" for what, n in counts.items() if n) or "nothing to repair"
        return f"{said}; {self.stalled}" if self.stalled else said

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
    plan_id: str | None = None,
    reason: str = "",
) -> Result:
    """Checks; with `board` also what changed on the board, with `full` all of it; with `fix` also repairs.

    With `wait` it waits until the repairs arrived, or nothing moved for `within` seconds. With the `plan_id` of a dry
    run it emits exactly the repairs of that plan, once, and raises Misconfigured if there are others by now.

    Raises what SQL, Kafka and the board raise.
    """
    with connect.everything(settings) if board or fix else connect.database(settings) as parts:
        result = _check(parts, board, progress, full=full)
        if not fix:
            return result
        repairs = FixLoop(parts, progress, within)
        plan = repairs.plan(result.verified, result.audited)
        if plan_id is not None:
            plans.require_same(plan_id, plan.id)
        subject = f"plan {plan.id}: " + ("tables and board" if board else "tables")
        with parts.actions.noted(connect.operator(), "verify --fix", subject=subject, reason=reason) as note:
            if plan_id is not None:
                result = _attempt(repairs, plan, result, board=board, wait=wait)
            else:
                result = _attempts(repairs, plan, result, board=board, wait=wait)
            note.effect = result.effect
        return result


def dry_run(settings: Settings, *, board: bool = False, full: bool = False, progress: Progress = silent) -> Result:
    """Checks as `run` does, with the plan of the repairs that it would emit now. Emits and sends nothing."""
    with connect.everything(settings) if board else connect.database(settings) as parts:
        result = _check(parts, board, progress, full=full)
        result.plan = FixLoop(parts, progress, stall.WITHIN).plan(result.verified, result.audited)
        result.cost = result.plan.cost(plans.Pace(parts.per_minute, parts.settings.batch_size))
        return result


def _attempts(repairs: FixLoop, plan: repair_plan.RepairPlan, result: Result, *, board: bool, wait: bool) -> Result:
    """Attempts until nothing is left to repair; one of them if it does not wait."""
    for _ in range(ATTEMPTS):
        result.lost += (lost := repairs.detect_lost())
        again = lost or (wait and repairs.earlier_repairs())
        result = _attempt(repairs, plan, result, board=board, wait=wait, always=bool(again))
        if not wait or result.stalled is not None or not (plan.repairs or again):
            break
        plan = repairs.plan(result.verified, result.audited)
    return result


def _attempt(
    repairs: FixLoop, plan: repair_plan.RepairPlan, before: Result, *, board: bool, wait: bool, always: bool = False
) -> Result:
    """Emits these repairs; with `wait` it waits for them, and checks once more. Without one it acts only `always`."""
    changed = repairs.build_events(plan)
    result = before
    emitted = 0
    if changed or always:
        emitted = repairs.emit(changed, wait=wait)
        if wait:
            if repairs.stalled is None:
                repairs.settle()
            result = _check(repairs.parts, board, repairs.report)
        result.left, result.fixed = len(changed) - emitted, not wait
    result.emitted, result.lost = before.emitted + emitted, before.lost
    result.held, result.left_alone = len(repairs.held), tuple(sorted(repairs.left_alone))
    result.failed, result.stalled = tuple(repairs.failed.values()), repairs.stalled
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
