"""`ordersync plan` and `accept`: what the guard holds, and the emission of exactly that. `actions`: who did what."""

from dataclasses import dataclass
from typing import Any

from connectors import errors
from connectors.tables import plans as plan_tables
from schemas import detection
from streams.detect import plans
from streams.resources import Resources
from streams.runtime import connect, passes, poller
from streams.settings import Settings

# The named value of the id of the plan that an operator saw last.
SHOWN = "detect.shown"


@dataclass(frozen=True)
class Accepted:
    """An accepted plan and the pass that began to emit it. `stand`: its changes that the source still has."""

    plan: detection.Plan
    report: detection.PassReport
    stand: int

    @property
    def effect(self) -> str:
        """What came of it, in one line."""
        gone = self.plan.orders - self.stand
        emitted = min(self.report.emitted, self.stand)
        text = f"{self.stand} of {self.plan.orders} changes stand: {emitted} emitted"
        text += f", {self.stand - emitted} follow as the admission window allows" if self.stand > emitted else ""
        return text + (f"; {gone} changed since and are judged anew" if gone else "")


def held(settings: Settings) -> detection.Plan | None:
    """The plan that the guard holds now; None if it holds none. Notes that an operator has seen it."""
    with connect.database(settings) as parts:
        held_id = parts.state.get(plans.NAME)
        plan = None if held_id is None else parts.plans.get(str(held_id))
        if plan is not None:
            parts.state.set(SHOWN, plan.id)
        return plan


def seen(settings: Settings) -> str | None:
    """The id of the plan that an operator saw last."""
    with connect.database(settings) as parts:
        shown = parts.state.get(SHOWN)
        return None if shown is None else str(shown)


def accept(settings: Settings, plan_id: str, reason: str = "") -> Accepted:
    """Accepts a held plan and runs one pass, which emits its changes as far as the admission window allows.

    A change that the source does not have any more in that form is left for the next pass. Raises Misconfigured for a
    plan that is not held, and what a pass raises.
    """
    with connect.everything(settings) as parts:
        parts.ensure_topics()
        with passes.alone(parts):
            plan = _held_plan(parts, plan_id)
            action = parts.actions.begin(connect.operator(), "accept", subject=f"plan {plan_id}", reason=reason)
            parts.plans.accept(plan_id)
            report = parts.detector(passes.publisher(parts)).run()
            accepted = Accepted(plan, report, min(plan.orders, report.accepted))
            if not accepted.stand and not plan.lost:
                parts.plans.finish([plan_id])
            parts.actions.end(action, accepted.effect)
        poller.between_passes(parts).archive(lambda: True)
        return accepted


def actions(settings: Settings, limit: int) -> list[dict[str, Any]]:
    """The newest actions of people, the newest first."""
    with connect.database(settings) as parts:
        return parts.actions.newest(limit)


def _held_plan(parts: Resources, plan_id: str) -> detection.Plan:
    plan, state = parts.plans.get(plan_id), parts.plans.state(plan_id)
    if plan is None:
        raise errors.Misconfigured(f"there is no plan {plan_id!r}: `ordersync plan` shows the one that is held")
    if state != plan_tables.HELD:
        said = {plan_tables.ACCEPTED: "accepted already", plan_tables.EMITTED: "emitted already"}
        raise errors.Misconfigured(
            f"plan {plan_id} was {said.get(str(state), 'replaced by newer ones')}: `ordersync plan` shows the one that "
            "is held"
        )
    return plan
