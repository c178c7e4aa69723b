"""A lane on the real broker in a process of its own, and what is asked about it."""

import contextlib
import json
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import pytest

from connectors import kafka, processes
from schemas import codec, events
from streams import topics

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).parent / "lane_child.py"


def changed(number: int, *, customer: str = "GREYSON CLOTHIERS") -> events.OrderChanged:
    return events.OrderChanged(
        customer=customer,
        record_uuid=f"order-{number}",
        version=1,
        row_hash="hash",
        batch_id="batch",
        change=events.Change.CREATED,
        position=number,
        detected_at=datetime(2026, 1, 1, tzinfo=UTC),
        row={},
        sizes={},
    )


class Lane:
    """One lane's topics, its process, and what both know."""

    def __init__(
        self, bootstrap: str, folder: Path, build: str, until: Callable[..., Any], *, prefix: str | None = None
    ) -> None:
        self.until = until
        self.bootstrap = bootstrap
        self.folder = folder
        self.build = build
        self.prefix = prefix or f"{uuid.uuid4().hex[:8]}-"
        self.group = self.prefix + "ordersync"
        self.admin = kafka.Admin(bootstrap, timeout=60.0)
        self.log = folder / "log"
        self.child: processes.Child | None = None
        self._environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        if build == "pure":
            self._environment["NO_CYTHON"] = "1"
        self.make_topics()

    @contextlib.contextmanager
    def beside(self) -> Iterator["Lane"]:
        """A lane of the same topics and group, to be started under another worker's name; ended at the end."""
        folder = self.folder / "beside"
        folder.mkdir()
        made = Lane(self.bootstrap, folder, self.build, self.until, prefix=self.prefix)
        try:
            yield made
        finally:
            if made.child is not None:
                made.child.stop(0)

    def members(self) -> int | None:
        """How many the group has; None while it deals out its partitions."""
        client = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        found = client.describe_consumer_groups([self.group])[self.group].result(60)
        return len(found.members) if found.state is confluent_kafka.ConsumerGroupState.STABLE else None

    def topic(self, topic: topics.Topic) -> str:
        return topics.named(topic, self.prefix)

    def make_topics(self) -> None:
        self.admin.ensure(topics.specs(self.prefix, 1))

    def delete_topics(self) -> None:
        client = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for future in client.delete_topics([spec.name for spec in topics.specs(self.prefix, 1)]).values():
            future.result(60)

    def start(self, *, take: int = 10, stuck: float = 60.0, **plan: Any) -> None:
        """Starts the process; returns when it consumes."""
        told = {"prefix": self.prefix, "worker": "worker-1", "bootstrap": self.bootstrap, "take": take, "stuck": stuck}
        (self.folder / "plan.json").write_text(json.dumps(told | plan))
        (self.folder / "ready").unlink(missing_ok=True)
        command = [sys.executable, str(CHILD), str(self.folder)]
        self.child = processes.Child(command, log=self.log, environment=self._environment)
        self.until(lambda: (self.folder / "ready").exists() or not self.running, "the lane starts")

    @property
    def running(self) -> bool:
        return self.child is not None and self.child.running

    def ended(self, within: float = 120.0) -> int:
        """The exit code."""
        assert self.child is not None
        code = self.child.wait(within)
        assert code is not None, f"it still runs: {self.log.read_text()}"
        return code

    def send(self, numbers: Sequence[int]) -> None:
        self.send_raw([codec.encode(changed(number)) for number in numbers])

    def send_raw(self, values: Sequence[bytes | None]) -> None:
        """Just these bytes, all to one partition; None is a value that is not there."""
        producer = confluent_kafka.Producer({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for value in values:
            producer.produce(self.topic(topics.CHANGED), value, "GREYSON CLOTHIERS", partition=3)
        assert producer.flush(60) == 0

    def worked(self) -> list[str]:
        """The orders that the step has worked, as often as it has, in its order."""
        return self.lines("worked")

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def status(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self.folder / "status").read_text() or "{}")
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return found

    def committed(self) -> int:
        """How far the group has come in the partition that `send` uses."""
        return self.admin.committed(self.group, [self.topic(topics.CHANGED)]).get((self.topic(topics.CHANGED), 3), 0)

    def read(self, topic: topics.Topic) -> list[confluent_kafka.Message]:
        """Everything on a topic."""
        name = self.topic(topic)
        ends = {partition: end for partition, end in self.admin.end_offsets([name]).items() if end}
        consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": self.prefix + "reader", "log_level": 0}
        )
        consumer.assign([confluent_kafka.TopicPartition(*partition, 0) for partition in ends])
        found: list[confluent_kafka.Message] = []

        def complete() -> bool:
            messages = consumer.consume(1000, 0.1)
            assert not [message.error() for message in messages if message.error()]
            found.extend(messages)
            return len(found) == sum(ends.values())

        if ends:
            self.until(complete, f"everything on {name} is read")
        consumer.close()
        return found

    def staged(self) -> set[str]:
        """The orders that the lane has sent on."""
        return {codec.decode(events.OrderStaged, message.value()).record_uuid for message in self.read(topics.STAGED)}


@pytest.fixture(params=["compiled", "pure"])
def build(request: pytest.FixtureRequest) -> str:
    """Faust comes compiled, and in pure Python."""
    found: str = request.param
    return found


@pytest.fixture
def lane(broker: str, tmp_path: Path, until: Callable[..., Any], request: pytest.FixtureRequest) -> Iterator[Lane]:
    """Of the compiled build; of both when the test asks for `build` too."""
    build = request.getfixturevalue("build") if "build" in request.fixturenames else "compiled"
    made = Lane(broker, tmp_path, build, until)
    yield made
    if made.child is not None and made.child.running:
        made.child.stop(0)
    made.delete_topics()
