"""The one event producer of a process."""

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
_LOOK = 0.5  # seconds that it asks a broker that was away, and sleeps between two such looks
_MARGIN = 5.0  # seconds beyond librdkafka's own deadline, which it looks at about once a second


@dataclass(frozen=True)
class OutgoingMessage:
    """One event on its way out. Messages of one key keep their order."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Producer:
    """Sends events so that acknowledged means stored: idempotent, on all replicas, in the order given.

    Threads may share it. `timeout` is the time, in seconds, that an event has to be acknowledged.
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
        self._producer = client.made(
            confluent_kafka.Producer,
            self._watch.settings(security or {})
            | {
                "enable.idempotence": True,
                "acks": "all",
                # Keys must fall on the partitions on which every other Kafka client puts them.
                "partitioner": "murmur2_random",
                "compression.type": "gzip",
                "linger.ms": 5,
                "message.timeout.ms": round(timeout * 1000),
                "request.timeout.ms": round(min(timeout, client.ANSWER_WITHIN) * 1000),
                "queue.buffering.max.kbytes": 65536,
            },
        )
        self._closing = threading.Event()
        self._reporter = threading.Thread(target=self._report, name="kafka-producer", daemon=True)
        self._reporter.start()

    def send_all(self, messages: Sequence[OutgoingMessage]) -> None:
        """Send them in this order; when it returns, Kafka has all of them.

        Otherwise some may be stored and some not, none is on its way any more, and it raises: Transient,
        Misconfigured (login, rights) or Rejected (an event too large), naming the first topic concerned.
        """
        # A login refused earlier may be right by now; if not, the next attempt to connect says so again.
        self._watch.refused = None
        batch = _Batch(len(messages))
        deadline = time.monotonic() + self._timeout
        for position, message in enumerate(messages):
            if error := self._queue(message, batch, deadline):
                batch.settle(error, message.topic, len(messages) - position)
                break
        if not batch.ended.wait(self._timeout + _MARGIN):
            said = f"no word of {batch.open} events in {self._timeout:g} s"
            raise errors.Transient(f"Kafka at {self._watch.bootstrap}, sending: {said}")
        if batch.failure:
            topic, error = batch.failure
            raise self._watch.verdict(error, f"sending to {topic}")
        self._watch.worked()

    def _queue(self, message: OutgoingMessage, batch: "_Batch", deadline: float) -> KafkaError | None:
        """Hand one message to librdkafka, waiting for room. What stands against it, if it is not taken."""
        headers: list[tuple[str, str | bytes | None]] = list(message.headers.items())
        while True:
            try:
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
        """Hand out delivery reports, logs and errors, until closed."""
        look_at = 0.0
        while not self._closing.is_set():
            try:
                self._producer.poll(_POLL)
            except KafkaException as error:
                # A fatal error is raised here, once. What is queued fails with it, and so does all that is sent later.
                log.debug("Kafka at %s: %s", self._watch.bootstrap, client.reason(error).str())
            if self._watch.noise.since is not None and time.monotonic() > look_at:
                self._look()
                look_at = time.monotonic() + _LOOK
            if self._watch.refused and len(self._producer):
                # No use in waiting for the deadline: what is queued fails now, with the refusal as reason.
                self._producer.purge(in_queue=True, in_flight=False)

    def _look(self) -> None:
        """Whoever has nothing to send would not notice that the broker is back."""
        try:
            self._producer.list_topics(timeout=_LOOK)
        except KafkaException as error:
            log.debug("the broker is still away: %s", client.reason(error).str())
        else:
            self._watch.worked()

    def close(self) -> None:
        """End; calls of `send_all` under way should have returned."""
        self._closing.set()
        self._reporter.join()
        self._producer.flush(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Batch:
    """The messages of one call: how many are still open, and what went wrong first."""

    def __init__(self, size: int) -> None:
        self.open = size
        self.failure: tuple[str, KafkaError] | None = None
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self.settle(None, "", 0)

    def report(self, error: KafkaError | None, message: confluent_kafka.Message) -> None:
        """librdkafka's last word on one message."""
        self.settle(error, message.topic() or "", 1)

    def settle(self, error: KafkaError | None, topic: str, count: int) -> None:
        with self._lock:
            self.open -= count
            if error is not None and self.failure is None:
                self.failure = (topic, error)
            if not self.open:
                self.ended.set()
