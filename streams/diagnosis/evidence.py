"""Everything that the judgement of the service needs, read from SQL by a dozen short queries."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas import detection, workers
from schemas.base import Model
from streams import attention, retry
from streams.detect import plans
from streams.detect import step as detect
from streams.diagnosis import heartbeat
from streams.resources import Resources, utcnow

# Named values: the last verify of the tables and of the board, and the error of the last pass, if it failed.
VERIFIED, AUDITED, FAILED_PASS = "verify.last", "verify.board", "detect.failed"


class FailedPass(Model):
    """The error that ended the last pass, in one line. `known`: the error tree has it, so a restart may overcome it."""

    at: datetime
    reason: str
    known: bool


class Evidence(Model):
    """What the tables say at one time (UTC). `wrong`: by verify and audit, the number of findings of the last one.

    `failures`: open ERR rows by code; `held`: the reason of a guard stop, `plan`: the id of what it holds;
    `retries_paused`: the breaker, in words; `asked`: the attentions by name.
    """

    at: datetime
    processes: tuple[workers.WorkerState, ...]
    last_pass: datetime | None = None
    failed_pass: FailedPass | None = None
    held: str | None = None
    plan: str | None = None
    wrong: dict[str, int] = {}
    failures: dict[str, int] = {}
    retries_paused: str | None = None
    asked: dict[str, attention.Attention] = {}


def collect(parts: Resources) -> Evidence:
    """Reads the evidence. Raises Transient; Misconfigured with code SCHEMA before `setup` has made the tables."""
    state = parts.state
    last = state.get(detect.LAST)
    failed = state.get(FAILED_PASS)
    retries = retry.read_breaker(state)
    found: Mapping[str, Any] = {name: state.get(name) for name in (VERIFIED, AUDITED)}
    return Evidence(
        at=utcnow(),
        processes=tuple(workers.WorkerState.model_validate(value) for value in state.all_of(heartbeat.FAMILY).values()),
        last_pass=None if last is None else detection.PassReport.model_validate(last).finished_at,
        failed_pass=None if failed is None else FailedPass.model_validate(failed),
        held=state.get(detect.HELD),
        plan=state.get(plans.NAME),
        wrong={name: int(summary["wrong"]) for name, summary in found.items() if summary is not None},
        failures=parts.failures.counts(),
        retries_paused=None if retries.code is None else str(retries),
        asked={
            name: attention.Attention.model_validate(value) for name, value in state.all_of(attention.FAMILY).items()
        },
    )
