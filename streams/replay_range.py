"""Which part of the log a replay is asked for, and whether Kafka retains it still."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connectors import errors
from connectors.kafka.reader import Bounds, Message
from schemas.base import Model

FAMILY = "replay"
INSTEAD = "`ordersync verify --board --fix` compares everything with the source instead, and mends it"


class Asked(Model):
    """What to replay: of these customers, none for all; from an offset, a time, or the oldest that is retained.

    An offset is one of the one partition of one customer.
    """

    customers: tuple[str, ...] = ()
    from_offset: int | None = None
    since: datetime | None = None
    to_offset: int | None = None

    @property
    def name(self) -> str:
        """Of the fact that tells of its beginning: the same for the same question."""
        return f"{FAMILY}.{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]}"


class Log(Protocol):
    """The topic (connectors.kafka.reader.TopicReader)."""

    def offset_at(self, partition: int, moment: datetime) -> int | None: ...
    def read(self, partition: int, start: int, end: int) -> Iterator[Message]: ...


@dataclass(frozen=True)
class Range:
    """Raises Misconfigured for what is not retained, with what is.

    What is younger than `kept_since` did not expire by its age. It may be gone by the will of Kafka's owner: then `say`
    is told where the log begins, one line.
    """

    log: Log
    kept_since: datetime
    say: Callable[[str], None]

    def of(self, asked: Asked, partition: int, bounds: Bounds) -> tuple[int, int]:
        """Where it begins, and the first offset that is not of it any more."""
        end = bounds.end if asked.to_offset is None else min(bounds.end, asked.to_offset + 1)
        if asked.from_offset is not None:
            return self._from(asked.from_offset, partition, bounds), end
        return bounds.oldest if asked.since is None else self._since(asked.since, partition, bounds), end

    def _from(self, offset: int, partition: int, bounds: Bounds) -> int:
        if offset < bounds.oldest:
            raise errors.Misconfigured(
                f"offset {offset} of partition {partition} is not retained any more: "
                f"{_told(self._oldest(partition, bounds))}. {INSTEAD}",
                code="EXPIRED",
            )
        if offset > bounds.end:
            raise errors.Misconfigured(
                f"partition {partition} ends at offset {bounds.end}, before {offset}", code="BEYOND"
            )
        return offset

    def _since(self, moment: datetime, partition: int, bounds: Bounds) -> int:
        # A log that never lost anything holds all there was since then, however long ago that is.
        if bounds.oldest > 0:
            oldest = self._oldest(partition, bounds)
            if oldest is None or moment < oldest.at:
                asked = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
                if moment < self.kept_since:
                    raise errors.Misconfigured(
                        f"events of {asked} are not retained any more in partition {partition}: "
                        f"{_told(oldest)}. {INSTEAD}",
                        code="EXPIRED",
                    )
                self.say(f"partition {partition} has no events of {asked}: {_told(oldest)}")
        found = self.log.offset_at(partition, moment)
        return bounds.end if found is None else found

    def _oldest(self, partition: int, bounds: Bounds) -> Message | None:
        return next(self.log.read(partition, bounds.oldest, min(bounds.end, bounds.oldest + 1)), None)


def _told(oldest: Message | None) -> str:
    if oldest is None:
        return "nothing is, all of it expired"
    return f"the oldest is offset {oldest.offset} of {oldest.at:%Y-%m-%d %H:%M:%S} UTC"
