"""Topics and offsets: create topics, compare them with their specification, read offsets and lag."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
# librdkafka's error for a deadline of our own.
_SILENT = KafkaError(KafkaError._TIMED_OUT)
_CHECK_EVERY = 0.05  # seconds between two checks of whether the broker knows a topic
_ASK_AT_MOST = 1.0  # seconds of one request for the topics: a refused login shows only between two requests


# librdkafka aborts the process when one of its own threads destroys a client, and Python may collect garbage on such a
# thread, which runs the callbacks. So no collection ever finds a client: this list keeps each until nothing else does.
_kept: list[AdminClient] = []
_keeping = threading.Lock()


class TopicMissing(errors.Transient):
    """Kafka answers and has no such topic; `ordersync setup` or the start of a worker creates it."""


@dataclass(frozen=True)
class TopicSpec:
    """A topic as ordersync needs it. `config` has Kafka's names, all values as text: {"retention.ms": "604800000"}."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int = 1

    def differences(self, partitions: int, replicas: int, config: Mapping[str, str | None]) -> list[str]:
        """The differences of a topic with these settings from this specification, each with what to do about it."""
        found = []
        if partitions != self.partitions:
            # With more partitions, the events of one customer would be spread over two of them.
            found.append(
                f"{self.name} has {partitions} partitions, not {self.partitions}: stop poller and workers once "
                "`ordersync status` shows nothing waiting, delete the topic, run `ordersync setup`"
            )
        if replicas != self.replication:
            found.append(
                f"{self.name} has {replicas} replicas, not {self.replication}: change them with "
                "kafka-reassign-partitions.sh, or set ORDERSYNC_KAFKA_REPLICATION to the right number"
            )
        for key, wanted in self.config.items():
            if config.get(key) != wanted:
                found.append(
                    f"{self.name} has {key} {config.get(key)}, not {wanted}: kafka-configs.sh --alter "
                    f"--entity-type topics --entity-name {self.name} --add-config {key}={wanted}"
                )
        return found


class Admin:
    """Creates and compares topics, and reads offsets.

    Every method answers within about `timeout` seconds or raises Transient; a refused login or right raises
    Misconfigured.
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
        self._client = _new_client(self._settings)
        self._readers: dict[str, Consumer] = {}
        self._lock = threading.Lock()

    def reachable(self, timeout: float) -> bool:
        """Whether a broker answers within `timeout` seconds. Raises Misconfigured for a refused login."""
        try:
            self._topics(timeout)
        except errors.Transient:
            return False
        return True

    def ensure(self, specs: Sequence[TopicSpec]) -> list[str]:
        """Creates the missing topics and returns their names. Existing topics stay as they are: see `compare`."""
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
                    # Another process has created it at the same time.
                    if client.reason(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise
        self._await_topics({spec.name for spec in specs})
        return created

    def compare(self, specs: Sequence[TopicSpec]) -> list[str]:
        """The differences of the topics from `specs`, each with what to do; settings that no spec names are free."""
        existing = self._topics()
        present = {spec.name: spec for spec in specs if spec.name in existing}
        found = [
            f"{spec.name} does not exist: `ordersync setup` creates it" for spec in specs if spec.name not in existing
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
        """Kafka's own ids of the topics that exist: a topic that was deleted and recreated has another one."""
        answers = self._client.describe_topics(TopicCollection(list(topics)), request_timeout=self._timeout)
        ids = {}
        with self._asking("reading topic ids"):
            for name, future in answers.items():
                try:
                    ids[name] = str(future.result(self._timeout).topic_id)
                except KafkaException as error:
                    if client.reason(error).code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                        raise
        return ids

    def end_offsets(self, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """The offset that the next event will get, by topic and partition. Raises TopicMissing."""
        return self._offsets(topics, _LATEST)

    def start_offsets(self, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """The offset of the oldest retained event, or of the next one, by topic and partition. Raises TopicMissing."""
        return self._offsets(topics, _EARLIEST)

    def committed(self, group: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """The next offset that the group will read, by topic and partition; absent where it has committed none."""

        def ask() -> dict[tuple[str, int], int]:
            partitions = [TopicPartition(*partition) for partition in self._all_partitions(topics)]
            answers = self._reader(group).committed(partitions, self._timeout)
            for answer in answers:
                if answer.error is not None:
                    raise KafkaException(answer.error)
            return {(p.topic, p.partition): p.offset for p in answers if p.offset >= 0}

        return self._patiently(f"reading the offsets of {group}", ask)

    def lag(self, group: str, topics: Collection[str]) -> dict[tuple[str, int], int]:
        """The number of offsets that the group has yet to read, by topic and partition; expired ones do not count.

        An offset beyond the end was committed to an earlier topic of that name, so the group reads from the start.
        """
        committed, starts, ends = self.committed(group, topics), self.start_offsets(topics), self.end_offsets(topics)
        return {p: _ahead(committed.get(p, 0), starts[p], end) for p, end in ends.items()}

    def _renew(self) -> None:
        """Replaces the clients, which may have forgotten every broker; they answer questions and owe nothing."""
        with self._lock:
            self._client = _new_client(self._settings)
            self._readers.clear()

    def _reader(self, group: str) -> Consumer:
        """A consumer that reads the group's offsets and never subscribes, so it is no member.

        The admin client would crash the process: when a broker that has just started answers that it is no
        coordinator, librdkafka 2.16 follows a null pointer.
        """
        with self._lock:
            if group not in self._readers:
                settings = self._settings | {"group.id": group, "enable.auto.commit": False}
                self._readers[group] = client.create(Consumer, settings)
            return self._readers[group]

    def _serve(self, timeout: float) -> None:
        """Calls the callbacks of the clients: only they report a refused login."""
        self._client.poll(timeout)
        for reader in list(self._readers.values()):
            reader.poll(timeout)

    def _offsets(self, topics: Collection[str], which: OffsetSpec) -> dict[tuple[str, int], int]:
        def ask() -> dict[tuple[str, int], int]:
            # The client uses the old leaders of a partition until it rereads the topics, so each attempt does.
            wanted = {TopicPartition(*partition): which for partition in self._all_partitions(topics)}
            answers = self._client.list_offsets(wanted, request_timeout=self._timeout) if wanted else {}
            return {(p.topic, p.partition): f.result(self._timeout).offset for p, f in answers.items()}

        return self._patiently("reading offsets", ask)

    def _patiently(self, doing: str, ask: Callable[[], client.Answer]) -> client.Answer:
        with self._asking(doing):
            return client.patiently(ask, self._timeout, self._sleep)

    def _all_partitions(self, topics: Collection[str]) -> list[tuple[str, int]]:
        """The partitions of these topics. Raises TopicMissing, or LEADER_NOT_AVAILABLE while one has no leader."""
        existing = self._topics()
        if missing := [topic for topic in topics if topic not in existing]:
            raise TopicMissing(f"Kafka at {self._watch.bootstrap} has no topic {', '.join(missing)}")
        if waiting := [topic for topic in topics if not _ready(existing[topic])]:
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, f"no leader for {', '.join(waiting)}"))
        return [(topic, number) for topic in topics for number in sorted(existing[topic].partitions)]

    def _topics(self, timeout: float | None = None) -> dict[str, TopicMetadata]:
        """Every topic that the broker knows, by name."""
        deadline = time.monotonic() + (timeout or self._timeout)
        with self._asking("reading the list of topics"):
            while True:
                left = deadline - time.monotonic()
                try:
                    topics = self._client.list_topics(timeout=min(max(left, _CHECK_EVERY), _ASK_AT_MOST)).topics
                    return {name: topic for name, topic in topics.items() if topic.error is None}
                except KafkaException:
                    self._serve(0)
                    if self._watch.refused or left <= _ASK_AT_MOST:
                        raise
                    if self._watch.lost():
                        self._renew()

    def _await_topics(self, names: set[str]) -> None:
        """Waits until the metadata of the broker, which follows that of the controller, has the topics."""
        deadline = time.monotonic() + self._timeout
        while missing := names - {name for name, topic in self._topics().items() if _ready(topic)}:
            if time.monotonic() > deadline:
                names_missing = ", ".join(sorted(missing))
                raise errors.Transient(
                    f"Kafka at {self._watch.bootstrap} has {names_missing} but does not offer it yet"
                )
            self._sleep(_CHECK_EVERY)

    @contextlib.contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        """Translates Kafka's errors of the block into ours."""
        try:
            yield
        except (KafkaException, TimeoutError) as error:
            self._serve(0)
            reason = _SILENT if isinstance(error, TimeoutError) else client.reason(error)
            verdict = self._watch.verdict(reason, doing)
            if reason.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise TopicMissing(str(verdict)) from error
            if reason.code() in client.AWAY and self._watch.lost():
                self._renew()
            if reason.code() == KafkaError._TIMED_OUT:
                self._watch.noise.away(str(verdict))
            raise verdict from error
        self._watch.worked(self._serve)


def _ready(topic: TopicMetadata) -> bool:
    return all(partition.leader >= 0 for partition in topic.partitions.values())


def _ahead(committed: int, start: int, end: int) -> int:
    """The number of offsets that a reader with this committed offset has yet to read."""
    return max(0, end - (start if committed > end else max(committed, start)))


def _new_client(settings: dict[str, Any]) -> AdminClient:
    """A new client. Destroys, on this thread, those that are not in use any more."""
    with _keeping:
        for at in reversed(range(len(_kept))):
            if sys.getrefcount(_kept[at]) <= 2:  # The list, and the argument of this call.
                del _kept[at]
        made = client.create(AdminClient, settings)
        _kept.append(made)
    return made
