"""A detection pass of this machine: one at a time, with the events on Kafka before the snapshots move."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connectors import errors, locks
from schemas import detection, events
from streams import topics
from streams.delivery import consumer
from streams.detect.emit import Publish
from streams.detect.step import Detector
from streams.resources import Resources


def one_pass(
    parts: Resources, detector: Detector, chosen: detection.Filters | None = None, *, accept: bool = False
) -> detection.PassReport:
    """One pass at a time on this machine: two at once would emit every change twice, harmlessly but in vain."""
    with alone(parts):
        return detector.run(chosen, accept=accept)


@contextmanager
def alone(parts: Resources) -> Iterator[None]:
    """While no pass runs on this machine."""
    lock = locks.FileLock(parts.settings.home / "locks" / "detect")
    lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()


def publisher(parts: Resources) -> Publish:
    """Returns once Kafka has confirmed every event.

    Raises Transient when the topic was made anew since the first one. A broker that lost its data gives producer ids
    out a second time, and may take events under an old one for repetitions of another's: confirmed and not stored.
    """
    name = topics.named(topics.CHANGED, parts.settings.topic_prefix)
    ids: dict[str, str] = {}

    def publish(changed: Sequence[events.OrderChanged]) -> None:
        if not ids:
            ids.update(parts.admin.topic_ids([name]))
        parts.producer.send_all(consumer.outgoing(changed, parts.settings.topic_prefix))
        # After it was sent and before the snapshot moves: what is in doubt is emitted again by a process of its own.
        if parts.admin.topic_ids([name]) != ids:
            raise errors.Transient(f"{name} was deleted or made anew")

    return publish
