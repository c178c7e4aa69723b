"""The one event producer of a process: it sends events and waits until Kafka has confirmed them."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from connectors import errors
from connectors.kafka import client
from connectors.kafka.client import BrokerNoise

log = logging.getLogger(__name__)

_POLL = 0.1  # seconds that the reporting thread sleeps at most
_PROBE = 0.5  # seconds of one probe of a broker that is away, and seconds between two probes
_SILENT = 2.0  # seconds without a report, while messages wait for one, before the broker is probed
_MARGIN = 5.0  # seconds beyond librdkafka's own deadline, which it checks about once a second


@dataclass(frozen=True)
class OutgoingMessage:
    """One event to send. Messages of one key keep their order."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Producer:
    """Sends events; an acknowledged event is stored on all replicas, once, in the given order.

    Threads may share it. An event that Kafka does not acknowledge within `timeout` seconds fails.
    """

    def __init__(
        self,
        bootstrap: str,
        security: Mapping[str, str] | None = None,
        *,
        timeout: float = 30.0,
        noise: BrokerNoise | None = None,
    ) -> None:
        self._timeout = timeout
        self._watch = client.Watch(bootstrap, noise)
        self._settings = self._watch.settings(security or {}) | {
            "enable.idempotence": True,
            "acks": "all",
            # Every other Kafka client must find the same partition for a key.
            "partitioner": "murmur2_random",
            "compression.type": "gzip",
            "linger.ms": 5,
            "message.timeout.ms": round(timeout * 1000),
            "request.timeout.ms": round(min(timeout, client.ANSWER_WITHIN) * 1000),
            "queue.buffering.max.kbytes": 65536,
        }
        self._producer = client.create(confluent_kafka.Producer, self._settings)
        # Held while the client takes a message, and while it is replaced.
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reporter = threading.Thread(target=self._report, name="kafka-producer", daemon=True)
        self._reporter.start()

    def send_all(self, messages: Sequence[OutgoingMessage]) -> None:
        """Sends messages in this order; when it returns, Kafka has confirmed all of them.

        Raises Transient, Misconfigured (login, rights) or Rejected (an event too large), with the first topic that
        failed: then some messages may be stored, and none is on its way any more.
        """
        # A login that was refused before may be right by now; otherwise the next attempt to connect reports it.
        self._watch.refused = None
        batch = _Batch(len(messages))
        deadline = time.monotonic() + self._timeout
        for position, message in enumerate(messages):
            if error := self._queue(message, batch, deadline):
                batch.settle(error, message.topic, len(messages) - position)
                break
        if not batch.ended.wait(self._timeout + _MARGIN):
            late = f"no report on {batch.open} events in {self._timeout:g} s"
            raise errors.Transient(f"Kafka at {self._watch.bootstrap}, sending: {late}")
        if batch.failure:
            topic, error = batch.failure
            raise self._watch.verdict(error, f"sending to {topic}")
        self._watch.worked()

    def _queue(self, message: OutgoingMessage, batch: "_Batch", deadline: float) -> KafkaError | None:
        """Hands one message to librdkafka, and waits while its queue is full. Returns the error of a refused one."""
        headers: list[tuple[str, str | bytes | None]] = list(message.headers.items())
        while True:
            try:
                with self._lock:
                    self._producer.produce(
                        message.topic, message.value, message.key, headers=headers, on_delivery=batch.report
                    )
                return None
            except BufferError:
                if time.monotonic() > deadline:
                    return KafkaError(KafkaError._QUEUE_FULL)
                self._producer.poll(_POLL)
            except KafkaException as error:
                return client.reason(error)

    def _report(self) -> None:
        """Delivers reports, logs and errors of librdkafka until the producer is closed."""
        probe_at = 0.0
        reported_at = time.monotonic()
        while not self._closing.is_set():
            try:
                if self._producer.poll(_POLL) or not len(self._producer):
                    reported_at = time.monotonic()
            except KafkaException as error:
                # librdkafka raises a fatal error here, once; all queued and all later messages fail with it.
                log.debug("Kafka at %s: %s", self._watch.bootstrap, client.reason(error).str())
            silent = self._watch.noise.since is not None or time.monotonic() - reported_at > _SILENT
            if silent and time.monotonic() > probe_at:
                self._probe()
                probe_at = time.monotonic() + _PROBE
            if self._watch.refused and len(self._producer):
                # After a refusal no wait helps: the queued messages fail now, with the refusal as reason.
                self._producer.purge(in_queue=True, in_flight=False)

    def _probe(self) -> None:
        """Asks a broker that is away for its topics: a process with nothing to send would not notice its return."""
        if _answers(self._producer):
            self._watch.worked()
        elif self._watch.lost():
            self._renew()

    def _renew(self) -> None:
        """Replaces the client when another one reaches a broker; what the old one still has to send fails."""
        other = client.create(confluent_kafka.Producer, self._settings)
        if not _answers(other):
            return
        with self._lock:
            old, self._producer = self._producer, other
        log.warning("Kafka at %s: the producer had lost every broker and was replaced", self._watch.bootstrap)
        old.purge(in_queue=True, in_flight=True)
        old.flush(_PROBE)

    def close(self) -> None:
        """Closes the producer. No call of `send_all` may be open."""
        self._closing.set()
        self._reporter.join()
        self._producer.flush(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _answers(producer: confluent_kafka.Producer) -> bool:
    try:
        producer.list_topics(timeout=_PROBE)
    except KafkaException as error:
        log.debug("no answer for the producer: %s", client.reason(error).str())
        return False
    return True


class _Batch:
    """The messages of one `send_all`: the number without a report, and the first failure."""

    def __init__(self, size: int) -> None:
        self.open = size
        self.failure: tuple[str, KafkaError] | None = None
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self.settle(None, "", 0)

    def report(self, error: KafkaError | None, message: confluent_kafka.Message) -> None:
        """Takes the delivery report of one message."""
        self.settle(error, message.topic() or "", 1)

    def settle(self, error: KafkaError | None, topic: str, count: int) -> None:
        """Notes that `count` messages have a report, or will get none."""
        with self._lock:
            self.open -= count
            if error is not None and self.failure is None:
                self.failure = (topic, error)
            if not self.open:
                self.ended.set()
