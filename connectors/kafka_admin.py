"""Topics: made, compared, and how far each is read."""

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition

# The package's own import of these names is not marked as an export.
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from connectors import errors, kafka_client

_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
# Soon after the start of a broker or the making of a topic, until groups are loaded and leaders lead.
_NOT_YET = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
_LOOK_EVERY = 0.05  # seconds, while topics or groups become known

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it should be. `config` in Kafka's words, all text: {"retention.ms": "604800000"}."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int = 1


class Admin:
    """Makes and compares topics, and tells offsets. Every answer comes within some `timeout` seconds, or
    Transient is raised; Misconfigured when login or rights are refused.
    """

    def __init__(
        self,
        bootstrap: str,
        security: Mapping[str, str] | None = None,
        *,
        timeout: float = 10.0,
        noise: kafka_client.BrokerNoise | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._timeout = timeout
        self._sleep = sleep
        self._watch = kafka_client.Watch(noise)
        self._client = kafka_client.made(AdminClient, self._watch.settings(bootstrap, security or {}))

    def reachable(self, timeout: float) -> bool:
        """Whether a broker answers within `timeout` seconds. A refused login raises Misconfigured."""
        try:
            self._partitions(timeout)
        except errors.Transient:
            return False
        return True

    def ensure(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create the topics that are missing; the names of those created here. Topics that exist are left as they
        are: `compare` tells how they differ.
        """
        existing = self._partitions()
        missing = [
            NewTopic(spec.name, spec.partitions, replication_factor=spec.replication, config=dict(spec.config))
            for spec in specs
            if spec.name not in existing
        ]
        created = []
        with self._asking("creating topics"):
            for name, future in (self._client.create_topics(missing) if missing else {}).items():
                try:
                    future.result(self._timeout)
                    created.append(name)
                except KafkaException as error:
                    # Another process was quicker.
                    if kafka_client.reason(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
        self._await_topics({spec.name for spec in specs})
        return created

    def compare(self, specs: Sequence[TopicSpec]) -> list[str]:
        """How the topics differ from `specs`, a sentence each; settings that no spec names are free."""
        existing = self._partitions()
        found = [f"{spec.name} does not exist" for spec in specs if spec.name not in existing]
        present = {spec.name: spec for spec in specs if spec.name in existing}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in present]
        with self._asking("reading topic settings"):
            for resource, future in (self._client.describe_configs(resources) if resources else {}).items():
                spec, settings = present[resource.name], future.result(self._timeout)
                if len(existing[spec.name]) != spec.partitions:
                    found.append(f"{spec.name} has {len(existing[spec.name])} partitions, not {spec.partitions}")
                for key, wanted in spec.config.items():
                    actual = settings[key].value if key in settings else None
                    if actual != wanted:
                        found.append(f"{spec.name} has {key} {actual}, not {wanted}")
        return found

    def end_offsets(self, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """The offset that the next event will get, for each partition."""
        return self._offsets(topics, _LATEST)

    def committed(self, group: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """The next offset that the group will read, for each partition for which it has committed one."""
        request = [ConsumerGroupTopicPartitions(group, [TopicPartition(*p) for p in self._all_partitions(topics)])]

        def ask() -> dict[tuple[str, int], int]:
            future = self._client.list_consumer_group_offsets(request, request_timeout=self._timeout)[group]
            found = future.result(self._timeout).topic_partitions
            return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

        return self._patiently(f"reading the offsets of {group}", ask)

    def lag(self, group: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """How many offsets each partition has that the group has not committed; expired ones do not count."""
        committed, ends = self.committed(group, topics), self.end_offsets(topics)
        starts = self._offsets(topics, _EARLIEST)
        return {p: max(0, end - max(committed.get(p, 0), starts[p])) for p, end in ends.items()}

    def _offsets(self, topics: Collection[str], which: OffsetSpec) -> dict[tuple[str, int], int]:
        asked = {TopicPartition(*partition): which for partition in self._all_partitions(topics)}

        def ask() -> dict[tuple[str, int], int]:
            answers = self._client.list_offsets(asked, request_timeout=self._timeout) if asked else {}
            return {(p.topic, p.partition): f.result(self._timeout).offset for p, f in answers.items()}

        return self._patiently("reading offsets", ask)

    def _patiently(self, doing: str, ask: Callable[[], Answer]) -> Answer:
        """The answer; asked for again, up to the timeout, while the broker is not ready to give it."""
        deadline = time.monotonic() + self._timeout
        with self._asking(doing):
            while True:
                try:
                    return ask()
                except KafkaException as error:
                    if kafka_client.reason(error).code() not in _NOT_YET or time.monotonic() > deadline:
                        raise
                self._sleep(_LOOK_EVERY)

    def _all_partitions(self, topics: Collection[str]) -> list[tuple[str, int]]:
        """Of these topics; Transient if one does not exist, since a start of the worker makes it."""
        existing = self._partitions()
        if missing := [topic for topic in topics if topic not in existing]:
            raise errors.Transient(f"Kafka has no topic {', '.join(missing)}")
        return [(topic, number) for topic in topics for number in existing[topic]]

    def _partitions(self, timeout: float | None = None) -> dict[str, list[int]]:
        """The partitions of every topic that is ready for use."""
        with self._asking("reading the list of topics"):
            found = self._client.list_topics(timeout=timeout or self._timeout).topics
        return {
            name: sorted(topic.partitions)
            for name, topic in found.items()
            if topic.error is None and all(p.leader >= 0 for p in topic.partitions.values())
        }

    def _await_topics(self, names: set[str]) -> None:
        """Return once the broker's own metadata, which follows the controller's, knows the topics."""
        deadline = time.monotonic() + self._timeout
        while missing := names - self._partitions().keys():
            if time.monotonic() > deadline:
                raise errors.Transient(f"Kafka made {', '.join(sorted(missing))} but does not offer it")
            self._sleep(_LOOK_EVERY)

    @contextlib.contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        """Translate what goes wrong inside."""
        try:
            yield
        except KafkaException as error:
            # Serves the callbacks: only there a refused login is told.
            self._client.poll(0)
            raise self._watch.verdict(kafka_client.reason(error), doing) from error
        except TimeoutError as error:
            raise errors.Transient(f"Kafka, {doing}: no answer in {self._timeout:g} s") from error
        self._client.poll(0)
        self._watch.worked()
