"""The broker of the test run: one for all tests that ask for it, started when the first one asks."""

import os
import random
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import confluent_kafka.admin
import hypothesis
import pytest

from connectors import kafka
from connectors.kafka import embedded as kafka_local

pytest_plugins = ["tests.harness"]

# How long an example takes says how busy the machine is; each test as a whole has a deadline.
hypothesis.settings.register_profile(
    "ordersync", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("ordersync")

TESTS = Path(__file__).parent
# No test may reach the real API: what a person exported for it is not for the tests, nor for the processes they start.
for _name in [one for one in os.environ if one.startswith(("ORDERSYNC_", "MONDAY_"))]:
    if not _name.startswith("ORDERSYNC_TEST_"):
        del os.environ[_name]
_look_up = socket.getaddrinfo


def _look_up_others(host: Any, *arguments: Any, **named: Any) -> Any:
    if str(host).removesuffix(".").endswith("monday.com"):
        raise AssertionError(f"a test would have asked {host}")
    return _look_up(host, *arguments, **named)


socket.getaddrinfo = _look_up_others
# Set for the processes that share this run's tests.
SEED = os.environ.setdefault("ORDERSYNC_TEST_SEED", str(random.SystemRandom().randrange(10**6)))
# pytest-xdist sets it to 80, and a console of rich keeps for good what it finds when it is made.
os.environ.pop("COLUMNS", None)


def pytest_report_header() -> str:
    return f"ORDERSYNC_TEST_SEED={SEED} names this run's topics"


# What keeps a test out of `make quick`. A file or test that starts processes by itself carries their mark by hand.
BY_FIXTURE = {"broker": "kafka", "kafka_topics": "kafka", "postgres": "processes", "postgres_server": "processes"}
BY_FOLDER = {"integration": ("kafka", "processes"), "chaos": ("slow",)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        marks = {mark for name, mark in BY_FIXTURE.items() if name in fixtures}
        marks.update(BY_FOLDER.get(item.path.relative_to(TESTS).parts[0], ()))
        for mark in marks:
            item.add_marker(mark)


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """Waits for a condition: what it gives once it holds. Fails with what was waited for when it does not in time."""

    def wait(condition: Callable[[], Any], what: str, within: float = 120.0) -> Any:
        deadline = time.monotonic() + within
        while not (found := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within:g} s: {what}")
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers: those of KAFKA_BOOTSTRAP_SERVERS, else of an embedded Kafka of this run's own."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    with kafka_local.LocalKafka(tmp_path_factory.mktemp("kafka")) as embedded:
        yield embedded.bootstrap


class Topics:
    """Names and makes topics that no other test and no other run uses."""

    def __init__(self, bootstrap: str, suffix: str) -> None:
        self.bootstrap = bootstrap
        self.admin = kafka.Admin(bootstrap, timeout=60.0)
        self.made: list[str] = []
        self._suffix = suffix

    def name(self, name: str) -> str:
        """Good for consumer groups too."""
        return f"{name}.{self._suffix}"

    def make(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Create a topic; its full name."""
        spec = kafka.TopicSpec(self.name(name), partitions, config or {})
        assert self.admin.ensure([spec]) == [spec.name]
        self.made.append(spec.name)
        return spec.name


@pytest.fixture
def kafka_topics(broker: str, request: pytest.FixtureRequest) -> Iterator[Topics]:
    """Topics of this test's own, on the broker of the run; removed after it."""
    topics = Topics(broker, f"{random.Random(SEED + request.node.nodeid).randrange(16**8):08x}")
    yield topics
    if topics.made:
        client = confluent_kafka.admin.AdminClient({"bootstrap.servers": broker, "log_level": 0})
        for future in client.delete_topics(topics.made).values():
            future.result(60)
