"""Two log lines stand for thousands; librdkafka's words become our errors."""

import importlib
import logging
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import KafkaError

from connectors import errors, kafka
from connectors.kafka import client

START = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
# As aiokafka and librdkafka wrote them with their broker killed.
NOISE = [
    ("aiokafka", "Unable connect to node with id 1: [Errno 111] Connect call failed ('127.0.0.1', 22940)"),
    ("aiokafka", "Unable to update metadata from [1]"),
    ("aiokafka", "Unable to request metadata from node with id 1: KafkaConnectionError('Connection at k:1 closed')"),
    ("aiokafka.consumer.fetcher", "Failed fetch offsets from 1: NodeNotReadyError: Attempt to send"),
    ("aiokafka.consumer.fetcher", "Failed fetch messages from 1: NodeNotReadyError: Attempt to send"),
    ("aiokafka.producer.sender", "Got error produce response: NodeNotReadyError: Attempt to send"),
    ("aiokafka.consumer.group_coordinator", "Group Coordinator Request failed: [Error 15] Not available"),
    ("aiokafka.consumer.group_coordinator", "Marking the coordinator dead (node 1)for group g."),
    ("rdkafka", "FAIL [ordersync#producer-1] Connect to ipv4#127.0.0.1:9 failed: Connection refused"),
]


class FakeClock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def record(name: str, level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord(name, level, "", 0, text, None, None)


def test_two_lines_stand_for_an_outage(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    noise = kafka.BrokerNoise(clock=clock)
    noise.back()
    for _ in range(100):
        for name, text in NOISE:
            assert not noise.filter(record(name, logging.ERROR, text))
    assert noise.since == START
    clock.now += timedelta(seconds=75)
    noise.back()
    noise.back()
    assert noise.since is None
    # What another client had queued until now is about the same outage.
    clock.now += timedelta(seconds=1)
    assert not noise.filter(record("rdkafka", logging.ERROR, NOISE[-1][1]))
    assert noise.since is None
    assert caplog.messages == [
        f"broker away since 2026-03-01T08:30:00+00:00: {NOISE[0][1]}",
        f"broker back after 75 s, {100 * len(NOISE)} log lines held back",
    ]
    clock.now += timedelta(seconds=2)
    assert not noise.filter(record("rdkafka", logging.ERROR, NOISE[-1][1]))
    assert noise.since == clock.now


@pytest.mark.parametrize(
    "text",
    [
        "REQTMOUT [ordersync#producer-1] 127.0.0.1:9092/1: Timed out 1 in-flight, 0 retry-queued, 0 out-queue",
        "FAIL [ordersync#producer-1] 127.0.0.1:9092/1: ApiVersionRequest failed: Local: Timed out: probably due to",
    ],
)
def test_a_broker_that_hangs_is_away_too(text: str) -> None:
    noise = kafka.BrokerNoise()
    assert noise.absorb(logging.WARNING, text)
    assert noise.since is not None


@pytest.mark.parametrize(
    "text",
    [
        "Group Coordinator Request failed: [Error 15] GroupCoordinatorNotAvailableError",
        "Heartbeat failed for group g: coordinator (node 1) is either not started or not valid",
        "Heartbeat failed for group g because it is rebalancing",
        "GETPID [ordersync#producer-2] Failed to acquire PID: Broker: Coordinator load in progress: retrying",
    ],
)
def test_a_broker_that_has_just_started_is_not_away(text: str, caplog: pytest.LogCaptureFixture) -> None:
    noise = kafka.BrokerNoise()
    assert not noise.filter(record("aiokafka", logging.ERROR, text))
    assert noise.since is None
    assert caplog.messages == []


def test_the_values_of_what_is_still_in_work_reach_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    noise = kafka.BrokerNoise()
    waiting = "wait_empty: Waiting for tasks [(1, <ConsumerMessage: value=b'customer'>)]"
    assert not noise.filter(record("faust.transport.consumer", logging.WARNING, waiting))
    assert caplog.messages == []
    assert noise.since is None


def test_other_lines_pass() -> None:
    noise = kafka.BrokerNoise()
    assert noise.filter(record("aiokafka", logging.ERROR, "Unknown error fetching data for topic orders.changed"))
    assert noise.filter(record("aiokafka.conn", logging.INFO, "Disconnected on purpose"))
    assert noise.since is None


def test_aiokafka_s_own_loggers_are_filtered_and_tell_of_the_return(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    # A command that ran in this process before may have quieted it.
    caplog.set_level(logging.INFO, logger="aiokafka")
    noise = kafka.BrokerNoise(clock=FakeClock())
    importlib.import_module("aiokafka")
    noise.attach()
    try:
        for name, text in NOISE[:-1]:
            logging.getLogger(name).error(text)
        logging.getLogger("aiokafka.consumer.group_coordinator").info("Discovered coordinator %s", 1)
    finally:
        noise.detach()
    assert not any(noise in logging.getLogger(name).filters for name, _ in NOISE)
    assert [message.split(" ", 2)[:2] for message in caplog.messages] == [
        ["broker", "away"],
        ["broker", "back"],
        ["Discovered", "coordinator"],
    ]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._AUTHENTICATION, errors.Misconfigured),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, errors.Misconfigured),
        (KafkaError.MSG_SIZE_TOO_LARGE, errors.Rejected),
        (KafkaError._MSG_TIMED_OUT, errors.Transient),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, errors.Transient),
    ],
)
def test_translation(code: int, kind: type[errors.OrdersyncError]) -> None:
    error = client.translate(KafkaError(code), "kafka-1:9092", "sending to orders.changed")
    assert type(error) is kind
    assert KafkaError(code).name() in str(error)
    assert str(error).startswith("Kafka at kafka-1:9092, sending to orders.changed: ")


def test_settings_that_librdkafka_refuses_are_misconfigured() -> None:
    with pytest.raises(errors.Misconfigured, match="SASL mechanism"):
        kafka.Admin("127.0.0.1:9", {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "NONSENSE"})
    with pytest.raises(errors.Misconfigured, match=r"no\.such\.setting"):
        kafka.Producer("127.0.0.1:9", {"no.such.setting": "1"})
