"""The judgement: each fact that is wrong is one trouble with its part and severity; the gravest is first."""

from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from connectors import errors
from schemas import workers
from schemas.mappings import MappingError
from streams import attention
from streams.diagnosis import evidence, judgement
from streams.diagnosis.troubles import Diagnosis, Part, Severity, Trouble

NOW = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)
DOWN, PERSON, FAILURES, NOTE = Severity


def process(name: str, *, ago: float = 1.0, **changed: Any) -> workers.WorkerState:
    """A process whose last heartbeat is so many seconds old; started an hour ago."""
    return workers.WorkerState(
        **{
            "role": "poller" if name == "poller" else "worker",
            "name": name,
            "pid": 1,
            "address": "",
            "at": NOW - timedelta(seconds=ago),
            "holding": {},
            "trouble": [],
            "events": {},
            "budget": None,
            "since": NOW - timedelta(hours=1),
            "every": 10.0 if name == "poller" else 0.0,
            **changed,
        }
    )


def paused(name: str, lane: str, why: str, *, asks: bool = False) -> workers.WorkerState:
    return process(name, holding={lane: why}, trouble=[lane], asks=[lane] if asks else [])


POLLER, WORKER = process("poller"), process("worker-1")
WELL = evidence.Evidence(
    at=NOW,
    processes=(POLLER, WORKER),
    last_pass=NOW - timedelta(seconds=12),
    wrong={evidence.VERIFIED: 0, evidence.AUDITED: 0},
)


def judge(**changed: Any) -> Diagnosis:
    return judgement.judge(WELL.model_copy(update=changed))


def failed(reason: str, *, known: bool) -> evidence.FailedPass:
    return evidence.FailedPass(at=NOW, reason=reason, known=known)


def asked(severity: Any) -> dict[str, attention.Attention]:
    return {"columns": attention.Attention(reason="[4XL] is new", action="`ordersync validate`", severity=severity)}


def test_when_all_is_well_there_is_nothing_to_say() -> None:
    found = judge()
    assert (found.troubles, found.well, found.gravest, found.lines) == ((), True, None, ["well"])


CASES: dict[str, tuple[dict[str, Any], Severity, str, str, str]] = {
    "no poller": ({"processes": (WORKER,)}, DOWN, "poller", "no poller runs", "`ordersync run`"),
    "a stopped poller": (
        {"processes": (process("poller", stopped=True), WORKER)}, DOWN, "poller", "no poller runs", "`ordersync run`",
    ),
    "a silent poller": (
        {"processes": (process("poller", ago=31), WORKER)},
        DOWN, "poller", "no heartbeat since 2026-12-01 09:59:29 UTC", "`ordersync run`",
    ),
    "passes that do not end": (
        {"last_pass": NOW - timedelta(seconds=311)}, DOWN, "poller", "no pass has ended for 311 s", "poller.log",
    ),
    "a failed pass": (
        {"failed_pass": failed("orders.db is busy", known=True)},
        DOWN, "poller", "10:00:00 UTC failed: orders.db is busy", "`ordersync validate`",
    ),
    "a pass that met an unknown error": (
        {"failed_pass": failed("KeyError: 'M'", known=False)}, DOWN, "poller", "KeyError: 'M'", "poller.log",
    ),
    "no worker": ({"processes": (POLLER,)}, DOWN, "worker", "no worker runs", "`ordersync run`"),
    "the only worker is silent": (
        {"processes": (POLLER, process("worker-1", ago=31))},
        DOWN, "worker", "no heartbeat from worker-1", "`ordersync run`",
    ),
    "one worker of two is silent": (
        {"processes": (POLLER, WORKER, process("worker-2", ago=31))},
        DOWN, "worker", "no heartbeat from worker-2", "`ORDERSYNC_WORKER=worker-2 ordersync work`",
    ),
    "the broker is away": (
        {"processes": (paused("poller", "kafka", "Kafka at k:1"), paused("worker-1", "kafka", "Kafka at k:1 too"))},
        DOWN, "broker", "Kafka at k:1", "`ordersync run`",
    ),
    "the API is silent": (
        {"processes": (POLLER, paused("worker-1", "api", "https://m gives no answer"))},
        DOWN, "board", "https://m gives no answer", "`ordersync validate`",
    ),
    "a refused token": (
        {"processes": (POLLER, paused("worker-1", "orders.staged", "Unauthorized", asks=True))},
        PERSON, "board", "worker-1 has paused orders.staged: Unauthorized", "`ordersync validate`",
    ),
    "a full board": (
        {"processes": (POLLER, paused("worker-1", "board", "3 orders wait for room", asks=True))},
        PERSON, "board", "3 orders wait for room", "`ordersync board`",
    ),
    "a lane in trouble": (
        {"processes": (POLLER, paused("worker-1", "orders.synced", "orders.db is busy"))},
        DOWN, "worker", "worker-1 has paused orders.synced: orders.db is busy", "`ordersync validate`",
    ),
    "a guard stop": (
        {"held": "60 of 100 orders were deleted", "plan": "8f3a77b210"},
        PERSON, "guard", "60 of 100 orders were deleted", "`ordersync accept 8f3a77b210`",
    ),
    "findings of verify": (
        {"wrong": {evidence.VERIFIED: 2}},
        PERSON, "verify", "2 orders are wrong in the tables", "`ordersync verify --fix`",
    ),
    "findings of the audit": (
        {"wrong": {evidence.AUDITED: 3}},
        PERSON, "verify", "3 orders or groups are wrong on the board", "`ordersync verify --board --fix`",
    ),
    "an attention": ({"asked": asked(PERSON)}, PERSON, "columns", "[4XL] is new", "`ordersync validate`"),
    "a noted attention": ({"asked": asked(NOTE)}, NOTE, "columns", "[4XL] is new", "`ordersync validate`"),
    "failures": ({"failures": {"BAD_VALUE": 4}}, FAILURES, "orders", "4 × BAD_VALUE", "`ordersync errors`"),
    "the breaker": (
        {"retries_paused": "retries pause"}, FAILURES, "orders", "retries pause", "`ordersync retry --all`",
    ),
    "the end of the API version": (
        {"at": NOW + timedelta(days=60), "processes": tuple(
            one.model_copy(update={"at": NOW + timedelta(days=60)}) for one in (POLLER, WORKER)
        ), "last_pass": NOW + timedelta(days=60)},
        NOTE, "board", "supports the API version", "upgrade ordersync",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_fact_is_one_problem_with_its_part_its_reason_and_what_to_do(case: str) -> None:
    changed, severity, part, reason, action = CASES[case]
    found = judge(**changed)
    [trouble] = found.troubles
    assert (trouble.severity, trouble.part) == (severity, part)
    assert reason in trouble.reason
    assert action in trouble.action
    assert found.well == (severity in (FAILURES, NOTE))
    assert found.lines == [str(trouble)]


@pytest.mark.parametrize(
    "changed",
    [
        {"processes": (process("poller", ago=30), process("worker-1", ago=30))},
        # The service was off for a night: its first pass has its time.
        {"processes": (process("poller", since=NOW - timedelta(seconds=309)), WORKER), "last_pass": None},
        {"processes": (process("poller", every=900.0), WORKER), "last_pass": NOW - timedelta(seconds=1200)},
        {"processes": (POLLER, WORKER, process("worker-2", ago=31, stopped=True))},
        {"processes": (POLLER, WORKER, process("worker-2", ago=86_401))},
        # The API's minute: a wait, no trouble.
        {"processes": (POLLER, process("worker-1", holding={"orders.staged": "the API's budget is used up"}))},
        # What a silent process said last is not known to hold still.
        {"processes": (POLLER, WORKER, paused("worker-2", "kafka", "away").model_copy(update={"stopped": True}))},
    ],
)
def test_what_is_no_problem(changed: dict[str, Any]) -> None:
    assert judge(**changed).troubles == ()


@hypothesis.given(strategies.sets(strategies.sampled_from(sorted(CASES)), min_size=1, max_size=6))
def test_several_problems_hide_none_and_the_gravest_is_first(cases: set[str]) -> None:
    # Evidence of different fields: each case keeps its own trouble beside the others. But a silent poller ends no pass.
    changed: dict[str, Any] = {}
    wanted: list[Severity] = []
    for case in sorted(cases):
        update, severity, *_ = CASES[case]
        if changed.keys().isdisjoint(update) and not update.keys() & {"at", "last_pass"}:
            changed |= update
            wanted.append(severity)
    found = judge(**changed)
    order = list(Severity)
    assert [order.index(one.severity) for one in found.troubles] == sorted(order.index(one) for one in wanted)
    assert found.well == set(wanted).isdisjoint({DOWN, PERSON})


@pytest.mark.parametrize(
    ("error", "severity", "part"),
    [
        (TimeoutError(), DOWN, Part.DATABASE),
        (errors.Transient("orders.db is busy"), DOWN, Part.DATABASE),
        (errors.Misconfigured("login failed", code="18456"), PERSON, Part.DATABASE),
        (errors.Misconfigured("there is no table SYNC_State", code="SCHEMA"), PERSON, Part.SETUP),
        (MappingError("board.yaml: no id"), PERSON, Part.SETTINGS),
    ],
)
def test_a_database_that_cannot_be_read_is_the_reason_and_the_process_speaks_for_itself(
    error: Exception, severity: Severity, part: Part
) -> None:
    own = paused("worker-1", "kafka", "Kafka at k:1")
    found = judgement.unreadable(error, NOW, [own])
    assert not found.well
    assert {(one.severity, one.part) for one in found.troubles} == {(severity, part), (DOWN, Part.BROKER)}
    assert found.gravest is DOWN


def test_a_line_names_severity_part_reason_and_action() -> None:
    trouble = Trouble(severity=PERSON, part=Part.GUARD, reason="held", action="`ordersync detect`")
    assert str(trouble) == "person    guard: held → `ordersync detect`"
