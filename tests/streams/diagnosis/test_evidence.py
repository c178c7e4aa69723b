"""The evidence of real tables: each named value that a process writes is a trouble that is shown, until it is over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import errors, kafka
from schemas import detection, orders
from streams import attention, resources, retry, settings
from streams.delivery import health
from streams.detect import step as detect
from streams.diagnosis import evidence, heartbeat, judgement
from streams.diagnosis.troubles import Part, Severity
from streams.runtime import poller, verify_timer


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[resources.Resources]:
    made = resources.Resources(settings.Settings(home=tmp_path))
    made.db.apply_schema(resources.utcnow())
    yield made
    made.close()


def reporter(parts: resources.Resources, role: str, state: health.Health) -> heartbeat.Reporter:
    return heartbeat.Reporter(
        parts.state, state, kafka.BrokerNoise(), name=role, bootstrap="", role=role, now=resources.utcnow
    )


def shown(parts: resources.Resources) -> set[tuple[str, str]]:
    return {(one.part, one.severity.value) for one in judgement.judge(evidence.collect(parts)).troubles}


def test_the_tables_say_what_is_wrong_until_it_is_over(parts: resources.Resources) -> None:
    assert shown(parts) == {("poller", "down"), ("worker", "down")}
    state = health.Health()
    reporters = [reporter(parts, role, state) for role in (heartbeat.POLLER, heartbeat.WORKER)]
    for one in reporters:
        assert one.report()
    assert shown(parts) == set()
    now = resources.utcnow()
    opened = retry.BreakerState(code="BUSY", since=now, next_at=now, pause=60.0)
    named = {
        detect.HELD: "60 of 100 orders were deleted",
        verify_timer.LAST: {"at": now.isoformat(), "wrong": 1},
        verify_timer.BOARD: {"at": now.isoformat(), "wrong": 0},
        retry.BREAKER: opened.model_dump(mode="json"),
    }
    parts.state.set_all(named)
    nameless = orders.Problem(column="record_uuid", value=None, reason="it is blank", advice="fill it in")
    refusal = detection.Refusal(
        error_key="row 1", record_uuid=None, customer="A", order_number="1",
        code="NO_IDENTITY", problem=nameless, original_data="{}",
    )  # fmt: skip
    parts.failures.refuse([refusal], 1)
    with state.hold_in_trouble("orders.staged", "Unauthorized", asks=True):
        assert reporters[1].report()
    wrong = {("guard", "person"), ("verify", "person"), ("orders", "failures"), ("board", "person")}
    assert shown(parts) == wrong
    assert evidence.collect(parts).failures == {"NO_IDENTITY": 1}
    parts.state.erase_all(named)
    parts.failures.refuse([], 2)
    assert reporters[1].report()
    assert shown(parts) == set()
    for one in reporters:
        one.stop()
    assert shown(parts) == {("poller", "down"), ("worker", "down")}


def test_an_attention_is_shown_under_its_name_until_it_is_done(parts: resources.Resources) -> None:
    asks = attention.Attention(reason="[4XL] is new", action="`ordersync validate`", severity="person")
    attention.ask(parts.state, "columns", asks)
    assert ("columns", "person") in shown(parts)
    attention.ask(parts.state, "columns", asks.model_copy(update={"severity": "note"}))
    assert ("columns", "note") in shown(parts)
    attention.done(parts.state, "columns")
    attention.done(parts.state, "columns")
    assert shown(parts) == {("poller", "down"), ("worker", "down")}


@pytest.mark.parametrize(
    ("error", "reason"),
    [(errors.Transient("the database\n is busy"), "the database is busy"), (KeyError("M"), "KeyError: 'M'")],
)
def test_a_pass_that_failed_is_named_until_one_succeeds(
    parts: resources.Resources, error: Exception, reason: str
) -> None:
    with pytest.raises(type(error)), poller._noting_failure(parts):
        raise error
    noted = evidence.collect(parts).failed_pass
    assert noted is not None
    assert noted.reason == reason
    assert noted.known == isinstance(error, errors.OrdersyncError)
    [trouble] = [one for one in judgement.judge(evidence.collect(parts)).troubles if reason in one.reason]
    assert (trouble.part, trouble.severity) == (Part.POLLER, Severity.DOWN)
    with poller._noting_failure(parts):
        pass
    assert evidence.collect(parts).failed_pass is None


def test_a_database_without_our_tables_asks_for_setup(tmp_path: Path) -> None:
    made = resources.Resources(settings.Settings(home=tmp_path))
    with pytest.raises(errors.Misconfigured) as told:
        evidence.collect(made)
    made.close()
    assert judgement.of_error(told.value).part == Part.SETUP
