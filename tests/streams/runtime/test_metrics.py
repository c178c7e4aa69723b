"""/metrics on the real web server, with a real database and a real Kafka behind it."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import parser
from pydantic import SecretStr

from connectors import errors, kafka
from connectors.monday import budget as budgets
from schemas import detection, events
from streams import app as apps
from streams import resources, settings, topics
from streams.commands import setup
from streams.delivery import health
from streams.diagnosis import heartbeat
from streams.runtime import metrics, pages, passes

SECRET = "token-hunter2"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Nothing:
    async def step(self, staged: list[events.OrderStaged]) -> list[events.OrderEvent]:
        return []

    async def advance_in_doubt(self, *, owns: bool) -> None:
        pass


@pytest.fixture
def parts(broker: str, tmp_path: Path) -> Iterator[resources.Resources]:
    chosen = settings.Settings(
        home=tmp_path,
        kafka_bootstrap_servers=broker,
        topic_prefix=f"{uuid.uuid4().hex[:8]}-",
        monday_token=SecretStr(SECRET),
    )
    made = resources.Resources(chosen, bootstrap=broker)
    made.db.apply_schema(resources.utcnow())
    made.ensure_topics()
    yield made
    made.close()


def worker(parts: resources.Resources, state: health.Health) -> heartbeat.Reporter:
    """How a worker makes it."""
    return heartbeat.Reporter(
        parts.state,
        state,
        parts.noise,
        name="worker-1",
        bootstrap=parts.bootstrap,
        budget=budgets.Budget(parts.limits, calls_today=7),
        now=resources.utcnow,
    )


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Name → values of its labels → value."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in parser.text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


async def test_the_page_tells_what_the_worker_and_the_tables_know(parts: resources.Resources) -> None:
    setup.fill_with_samples(parts, orders=69, seed=3)
    emitted = parts.detector(passes.publisher(parts)).run(detection.Filters(limit=20)).emitted
    clock = Clock()
    state = health.Health(clock)
    state.progress(topics.CHANGED.name, 12)
    clock.now += 30
    listener = pages.listening(0)
    app = apps.build(parts, state, Nothing(), "worker-1.1", listener.getsockname()[1])
    shown = metrics.of_worker(parts, state, worker(parts, state), app.conf.id)
    pages.declare_metrics(app, shown.render, metrics.CONTENT_TYPE)
    await pages.show(app, listener)
    try:
        with state.hold_in_trouble(topics.STAGED.name, f"the token {SECRET} is refused"):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://{pages.HOST}:{app.conf.web_port}/metrics") as answer,
            ):
                text = await answer.text()
                assert (answer.status, answer.headers["Content-Type"]) == (200, metrics.CONTENT_TYPE)
    finally:
        await app.web.stop()
    found = samples(text)
    assert found["ordersync_events_worked_total"][topics.CHANGED.name,] == 12
    assert found["ordersync_lane_idle_seconds"][topics.CHANGED.name,] == 30
    assert found["ordersync_lane_in_trouble"][topics.STAGED.name,] == 1
    assert found["ordersync_lane_in_trouble"]["kafka",] == 0
    assert found["ordersync_api_calls_today"]["used",] == 7
    assert found["ordersync_api_complexity_points"]["limit",] == parts.limits.complexity_per_minute
    left = (date(2027, 4, 1) - datetime.now(UTC).date()).days
    assert found["ordersync_api_version_days_left"][()] == pytest.approx(left, abs=1)
    assert found["ordersync_readable"] == {("kafka",): 1, ("tables",): 1}
    assert found["ordersync_topic_lag_events"][topics.CHANGED.name,] == emitted > 0
    assert found["ordersync_source_rows"][()] == 69
    waiting = sum(value for (_, where), value in found["ordersync_orders"].items() if where == "WAITING")
    assert waiting >= emitted
    assert 0 < found["ordersync_oldest_waiting_seconds"][()] < 600
    assert found["ordersync_passes_total"][()] == 1
    assert found["ordersync_last_pass_timestamp_seconds"][()] == pytest.approx(datetime.now(UTC).timestamp(), abs=600)
    # Neither a secret nor anything of a single order.
    assert SECRET not in text
    with parts.db.read() as reader:
        [one] = reader.query("SELECT MIN(record_uuid) AS record_uuid FROM ORDERS_UNIFIED")
    assert one["record_uuid"] not in text


def test_every_name_is_ours_and_carries_its_unit(parts: resources.Resources) -> None:
    state = health.Health()
    found = list(metrics.of_worker(parts, state, worker(parts, state), "group").collect())
    assert len({family.name for family in found}) == len(found) > 20
    for family in found:
        assert family.name.startswith("ordersync_")
        assert "-" not in family.name
        for sample in family.samples:
            assert sample.name.endswith("_total") == (family.type == "counter")
            assert set(sample.labels) <= {"lane", "topic", "customer", "state", "code", "what", "source", "part"}


def test_what_cannot_be_had_is_missing_and_said_so(parts: resources.Resources) -> None:
    state = health.Health()

    def away() -> Any:
        raise errors.Transient("the database is busy")

    shown = metrics.Metrics(state, worker(parts, state), metrics.Cached(away), metrics.Cached(away))
    found = samples(shown.render().decode())
    assert found["ordersync_readable"] == {("kafka",): 0, ("tables",): 0}
    assert "ordersync_source_rows" not in found
    assert "ordersync_topic_lag_events" not in found
    assert "ordersync_api_calls_today" in found
    assert found["ordersync_part_well"] == {("database",): 0}


def test_a_broker_that_is_away_is_not_asked(parts: resources.Resources) -> None:
    state, noise = health.Health(), kafka.BrokerNoise()
    noise.away("connection refused")
    reporter = worker(parts, state)
    reporter.broker = noise
    asked: list[str] = []

    def lag() -> dict[str, int]:
        asked.append("kafka")
        return {}

    tables = metrics.of_worker(parts, state, reporter, "group").tables
    found = samples(metrics.Metrics(state, reporter, tables, metrics.Cached(lag)).render().decode())
    assert asked == []
    assert found["ordersync_readable"] == {("kafka",): 0, ("tables",): 1}
    assert found["ordersync_lane_in_trouble"]["kafka",] == 1


def test_tables_and_kafka_are_asked_once_in_a_while_however_often_prometheus_asks() -> None:
    clock, answers = Clock(), iter(range(10))
    cached = metrics.Cached(lambda: next(answers), keep=10, clock=clock)
    assert [cached.get(), cached.get()] == [0, 0]
    clock.now += 9.9
    assert cached.get() == 0
    clock.now += 0.1
    assert cached.get() == 1


def test_what_is_unknown_is_not_kept_quiet() -> None:
    cached: metrics.Cached[int] = metrics.Cached(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cached.get()
