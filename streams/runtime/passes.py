"""Runs passes one at a time on this machine, and publishes their events before the snapshot rows move."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connectors import errors, locks
from schemas import detection, events
from streams import topics
from streams.delivery import consumer
from streams.detect.emit import Publish
from streams.detect.step import Detector
from streams.resources import Resources


def one_pass(parts: Resources, detector: Detector, chosen: detection.Filters | None = None) -> detection.PassReport:
    """Runs a pass alone on this machine: two at once would emit every change twice. Raises what the detector raises."""
    with alone(parts):
        return detector.run(chosen)


@contextmanager
def alone(parts: Resources) -> Iterator[None]:
    """Holds the lock of this machine's passes. Blocks until no other process holds it."""
    lock = locks.FileLock(parts.settings.home / "locks" / "detect")
    lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()


def publisher(parts: Resources) -> Publish:
    """A function that sends events and returns once Kafka has confirmed all of them. It raises Transient.

    It also raises Transient when the topic was created again after its first call. A broker that has lost its data
    assigns producer ids once more, and may confirm new events without storing them: it takes them for repeated ones.
    """
    name = topics.named(topics.CHANGED, parts.settings.topic_prefix)
    ids: dict[str, str] = {}

    def publish(changed: Sequence[events.OrderChanged]) -> None:
        if not ids:
            ids.update(parts.admin.topic_ids([name]))
        parts.producer.send_all(consumer.outgoing(changed, parts.settings.topic_prefix))
        # Checked after sending and before the snapshot rows move: the restarted process then emits the events again.
        if parts.admin.topic_ids([name]) != ids:
            raise errors.Transient(f"{name} was deleted or created again")

    return publish
