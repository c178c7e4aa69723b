"""Topics: made, compared, and how far each is read."""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition

# The package's own import of these names is not marked as an export.
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
    TopicMetadata,
)

from connectors import errors
from connectors.kafka import client

_EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
# What our own deadlines say, in librdkafka's words.
_SILENT = KafkaError(KafkaError._TIMED_OUT)
_LOOK_EVERY = 0.05  # seconds, while topics or groups become known
_ASK_AGAIN = 1.0  # seconds, between which a login that was refused meanwhile is noticed


class TopicMissing(errors.Transient):
    """Kafka is there and has no such topic; the start of a worker makes it."""


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it should be. `config` in Kafka's words, all text: {"retention.ms": "604800000"}."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int = 1

    def differences(self, partitions: int, replicas: int, config: Mapping[str, str | None]) -> list[str]:
        """How the topic differs that has these, and what to do, a sentence each."""
        found = []
        if partitions != self.partitions:
            # Partitions could be added; but then a customer's events would be spread over two of them.
            found.append(
                f"{self.name} has {partitions} partitions, not {self.partitions}: stop poller and workers once "
                "`ordersync status` shows nothing waiting, delete the topic, run `ordersync setup`"
            )
        if replicas != self.replication:
            found.append(
                f"{self.name} has {replicas} replicas, not {self.replication}: change them with "
                "kafka-reassign-partitions.sh, or set ORDERSYNC_KAFKA_REPLICATION to what is meant"
            )
        for key, wanted in self.config.items():
            if config.get(key) != wanted:
                found.append(
                    f"{self.name} has {key} {config.get(key)}, not {wanted}: kafka-configs.sh --alter "
                    f"--entity-type topics --entity-name {self.name} --add-config {key}={wanted}"
                )
        return found


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
        noise: client.BrokerNoise | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._timeout = timeout
        self._sleep = sleep
        self._watch = client.Watch(bootstrap, noise)
        self._settings = self._watch.settings(security or {})
        self._client = client.made(AdminClient, self._settings)
        self._readers: dict[str, Consumer] = {}
        self._lock = threading.Lock()

    def reachable(self, timeout: float) -> bool:
        """Whether a broker answers within `timeout` seconds. A refused login raises Misconfigured."""
        try:
            self._topics(timeout)
        except errors.Transient:
            return False
        return True

    def ensure(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Create the topics that are missing; the names of those created here. Topics that exist are left as they
        are: `compare` tells how they differ.
        """
        existing = self._topics()
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
                    if client.reason(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
        self._await_topics({spec.name for spec in specs})
        return created

    def compare(self, specs: Sequence[TopicSpec]) -> list[str]:
        """How the topics differ from `specs`, and what to do, a sentence each; settings that no spec names are free."""
        existing = self._topics()
        present = {spec.name: spec for spec in specs if spec.name in existing}
        found = [
            f"{spec.name} does not exist: `ordersync setup` makes it" for spec in specs if spec.name not in existing
        ]
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in present]
        with self._asking("reading topic settings"):
            for resource, future in (self._client.describe_configs(resources) if resources else {}).items():
                settings = {key: entry.value for key, entry in future.result(self._timeout).items()}
                partitions = existing[resource.name].partitions.values()
                replicas = min(len(partition.replicas) for partition in partitions)
                found += present[resource.name].differences(len(partitions), replicas, settings)
        return found

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        """Kafka's own ids of those topics that exist: a topic that was deleted and made anew has another one."""
        asked = self._client.describe_topics(TopicCollection(list(topics)), request_timeout=self._timeout)
        found = {}
        with self._asking("reading topic ids"):
            for name, future in asked.items():
                try:
                    found[name] = str(future.result(self._timeout).topic_id)
                except KafkaException as error:
                    if client.reason(error).code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
        return found

    def end_offsets(self, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """The offset that the next event will get, for each partition."""
        return self._offsets(topics, _LATEST)

    def start_offsets(self, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """The offset of the first event that is still there, or would be, for each partition."""
        return self._offsets(topics, _EARLIEST)

    def committed(self, group: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """The next offset that the group will read, for each partition for which it has committed one."""

        def ask() -> dict[tuple[str, int], int]:
            asked = [TopicPartition(*partition) for partition in self._all_partitions(topics)]
            found = self._reader(group).committed(asked, self._timeout)
            for partition in found:
                if partition.error is not None:
                    raise KafkaException(partition.error)
            return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

        return self._patiently(f"reading the offsets of {group}", ask)

    def lag(self, group: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """How many offsets of each partition the group has yet to read; expired ones do not count.

        An offset beyond the end was committed to an earlier topic of that name: then it reads from the start.
        """
        committed, starts, ends = self.committed(group, topics), self.start_offsets(topics), self.end_offsets(topics)
        return {p: _ahead(committed.get(p, 0), starts[p], end) for p, end in ends.items()}

    def _reader(self, group: str) -> Consumer:
        """Who asks for the group's offsets, and never subscribes, so is no member.

        The admin client could ask too; but where a coordinator answers that it is none, as a broker does that has just
        started, librdkafka 2.16 then follows a null pointer, and the process is gone.
        """
        with self._lock:
            if group not in self._readers:
                told = self._settings | {"group.id": group, "enable.auto.commit": False}
                self._readers[group] = client.made(Consumer, told)
            return self._readers[group]

    def _serve(self, timeout: float) -> None:
        """Hand out what the clients have to tell: only so is a refused login known."""
        self._client.poll(timeout)
        for reader in list(self._readers.values()):
            reader.poll(timeout)

    def _offsets(self, topics: Collection[str], which: OffsetSpec) -> dict[tuple[str, int], int]:
        def ask() -> dict[tuple[str, int], int]:
            # Each time: where the leaders have changed, the client goes by the old ones until it reads the topics anew.
            asked = {TopicPartition(*partition): which for partition in self._all_partitions(topics)}
            answers = self._client.list_offsets(asked, request_timeout=self._timeout) if asked else {}
            return {(p.topic, p.partition): f.result(self._timeout).offset for p, f in answers.items()}

        return self._patiently("reading offsets", ask)

    def _patiently(self, doing: str, ask: Callable[[], client.Answer]) -> client.Answer:
        with self._asking(doing):
            return client.patiently(ask, self._timeout, self._sleep)

    def _all_partitions(self, topics: Collection[str]) -> list[tuple[str, int]]:
        """Of these topics. Raises TopicMissing, or LEADER_NOT_AVAILABLE while one of their partitions has none."""
        existing = self._topics()
        if missing := [topic for topic in topics if topic not in existing]:
            raise TopicMissing(f"Kafka at {self._watch.bootstrap} has no topic {', '.join(missing)}")
        if waiting := [topic for topic in topics if not _ready(existing[topic])]:
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"no leader for {', '.join(waiting)}"))
        return [(topic, number) for topic in topics for number in sorted(existing[topic].partitions)]

    def _topics(self, timeout: float | None = None) -> dict[str, TopicMetadata]:
        """Every topic that the broker knows."""
        deadline = time.monotonic() + (timeout or self._timeout)
        with self._asking("reading the list of topics"):
            while True:
                left = deadline - time.monotonic()
                try:
                    found = self._client.list_topics(timeout=min(max(left, _LOOK_EVERY), _ASK_AGAIN)).topics
                    return {name: topic for name, topic in found.items() if topic.error is None}
                except KafkaException:
                    self._serve(0)
                    if self._watch.refused or left <= _ASK_AGAIN:
                        raise

    def _await_topics(self, names: set[str]) -> None:
        """Return once the broker's own metadata, which follows the controller's, knows the topics."""
        deadline = time.monotonic() + self._timeout
        while missing := names - {name for name, topic in self._topics().items() if _ready(topic)}:
            if time.monotonic() > deadline:
                said = f"has {', '.join(sorted(missing))} but does not offer it yet"
                raise errors.Transient(f"Kafka at {self._watch.bootstrap} {said}")
            self._sleep(_LOOK_EVERY)

    @contextlib.contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        """Translate what goes wrong inside."""
        try:
            yield
        except (KafkaException, TimeoutError) as error:
            self._serve(0)
            reason = _SILENT if isinstance(error, TimeoutError) else client.reason(error)
            verdict = self._watch.verdict(reason, doing)
            if reason.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissing(str(verdict)) from error
            if reason.code() == KafkaError._TIMED_OUT:
                self._watch.noise.away(str(verdict))
            raise verdict from error
        self._watch.worked(self._serve)


def _ready(topic: TopicMetadata) -> bool:
    return all(partition.leader >= 0 for partition in topic.partitions.values())


def _ahead(committed: int, start: int, end: int) -> int:
    """How many offsets a reader that committed this one has before it."""
    return max(0, end - (start if committed > end else max(committed, start)))
