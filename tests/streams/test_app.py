"""The app: which agent reads what, and the settings without which Faust loses events."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from connectors import errors, kafka
from schemas import codec, events, failures
from streams import app as apps
from streams import resources, settings
from streams.delivery import consumer, faust_app, health

IDENTITY = {"customer": "EXOTIC", "record_uuid": "A", "version": 1, "row_hash": "hash", "batch_id": "batch"}


class Sender:
    """In place of the producer."""

    def __init__(self) -> None:
        self.sent: list[kafka.OutgoingMessage] = []
        self.fails = 0

    def send_all(self, messages: Sequence[kafka.OutgoingMessage]) -> None:
        if self.fails:
            self.fails -= 1
            raise errors.Transient("Kafka is away")
        self.sent += messages

    def close(self) -> None:
        pass


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[resources.Resources]:
    made = resources.Resources(settings.Settings(home=tmp_path, topic_prefix="t-"), bootstrap="127.0.0.1:9")
    made.db.apply_schema(resources.utcnow())
    made.__dict__["producer"] = Sender()
    yield made
    made.close()


class Nothing:
    async def step(self, staged: list[events.OrderStaged]) -> list[events.OrderEvent]:
        return []

    async def advance_in_doubt(self, *, owns: bool) -> None:
        pass


def built(parts: resources.Resources) -> Any:
    return apps.build(parts, health.Health(), Nothing(), "worker-1.1")


async def test_every_topic_has_one_agent_that_works_one_batch_at_a_time(parts: resources.Resources) -> None:
    agents = {name.rpartition(".")[2]: agent for name, agent in built(parts).agents.items()}
    assert {name: agent.channel.get_topic_name() for name, agent in agents.items()} == {
        "stage_orders": "t-orders.changed",
        "sync_orders": "t-orders.staged",
        "promote_orders": "t-orders.synced",
        "record_failures": "t-orders.failed",
        "schedule_retries": "t-orders.dead-letter",
    }
    for agent in agents.values():
        assert agent.concurrency == 1
        assert not agent.isolated_partitions
        # Values arrive as bytes: what cannot be decoded is ours to put aside, not Faust's to throw into the agent.
        assert (agent.channel.value_serializer, agent.channel.key_serializer) == ("raw", "raw")


async def test_the_settings_are_those_without_which_events_are_lost(parts: resources.Resources) -> None:
    conf = built(parts).conf
    assert conf.broker_max_poll_interval >= 7 * 24 * 3600, "a hold may last a weekend"
    assert conf.consumer_group_instance_id == "worker-1.1", "a restart does not wait for the dead one's session"
    assert conf.consumer_auto_offset_reset == "earliest"
    assert conf.processing_guarantee.value == "at_least_once"
    assert conf.topic_disable_leader
    assert not conf.web_enabled
    # Fetching is held back at 0.8 of the buffer; one more fetch must still fit, or it blocks every lane.
    assert 0.8 * conf.stream_buffer_maxsize + conf.broker_max_poll_records <= conf.stream_buffer_maxsize


async def test_a_login_is_handed_on_to_faust(tmp_path: Path) -> None:
    chosen = settings.Settings(
        home=tmp_path,
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_username="alice",
        kafka_password=SecretStr("secret"),
    )
    found = faust_app.create_app(chosen, "a:9092,b:9092", "worker-1.1").conf
    assert [str(url) for url in found.broker] == ["aiokafka://a:9092", "aiokafka://b:9092"]
    login: Any = found.broker_credentials
    assert (login.username, login.password) == ("alice", "secret")
    assert login.mechanism.value == "SCRAM-SHA-512"
    assert login.ssl_context is not None


class Stream:
    """One batch for an agent."""

    def __init__(self, *events: events.OrderEvent) -> None:
        self.batch = [
            SimpleNamespace(
                value=codec.encode(event),
                key=b"EXOTIC",
                headers={},
                message=SimpleNamespace(topic="t-orders.failed", partition=3, offset=number),
            )
            for number, event in enumerate(events, 41)
        ]
        self.acknowledged = 0

    def noack(self) -> Any:
        return self

    async def noack_take(self, most: int, within: float) -> Any:
        yield self.batch

    async def ack(self, event: Any) -> bool:
        self.acknowledged += 1
        return True


class Failures:
    """In place of the ERR tables."""

    def __init__(self) -> None:
        self.recorded: list[events.OrderFailed] = []

    def record(self, failed: Sequence[events.OrderFailed]) -> int:
        self.recorded += failed
        return len(failed)


async def test_a_failure_becomes_an_err_row_and_goes_to_the_dead_letters_when_it_may_pass(
    parts: resources.Resources,
) -> None:
    failed = [
        events.OrderFailed(
            **IDENTITY | {"record_uuid": uuid},
            failure=failures.FailureType.API_ERROR,
            code="X",
            message="no",
            retryable=retryable,
            failed_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for uuid, retryable in (("A", True), ("B", False))
    ]
    parts.__dict__["failures"] = rows = Failures()
    app, stream = built(parts), Stream(*failed)
    app._stopped.set()  # So that the end of the stream is the end of the app.
    [agent] = [agent for name, agent in app.agents.items() if name.endswith("record_failures")]
    await agent.fun(stream)
    assert rows.recorded == failed
    [letter] = parts.__dict__["producer"].sent
    assert (letter.topic, letter.key) == ("t-orders.dead-letter", "EXOTIC")
    assert codec.decode(events.OrderFailed, letter.value) == failed[0]
    assert letter.headers == {
        "origin-topic": "t-orders.failed",
        "origin-partition": "3",
        "origin-offset": "41",
        "origin-bytes": str(len(letter.value)),
        "error-class": "API_ERROR",
        "error-code": "X",
        "error": "no",
        "attempt": "0",
    }
    assert stream.acknowledged == 2


async def test_a_retry_that_could_not_be_sent_is_sent_by_the_next_try() -> None:
    sender, claims = Sender(), [[events.OrderStaged(**IDENTITY)], [], []]  # A claim is given once.
    deliver = consumer.Delivery(sender, health.Health(), "t-", stopping=lambda: False, rebalancing=lambda: False)
    work = apps.retrying(lambda: claims.pop(0), deliver)
    sender.fails = 1
    with pytest.raises(errors.Transient):
        await work()
    await work()
    await work()
    assert [message.topic for message in sender.sent] == ["t-orders.staged"]


async def test_the_clean_up_goes_step_by_step_until_there_is_no_more_or_the_worker_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apps, "CLEAN_PAUSE", 0.0)
    steps, left = [], [True, True, False]

    def step() -> bool:
        steps.append(len(left))
        return left.pop(0)

    stops = [False]
    deliver = consumer.Delivery(Sender(), health.Health(), "t-", stopping=lambda: stops[0], rebalancing=lambda: False)
    await apps.cleaning(step, deliver)()
    assert steps == [3, 2, 1]
    stops[0] = True
    await apps.cleaning(step, deliver)()
    assert len(steps) == 3
