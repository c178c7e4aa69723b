"""replay: the newest version of each of a customer's orders, out of the log, told once more.

Read up to the end that the partition had at the start, beside the live group; republished as events of cause REPLAY, so
the ordinary steps decide: what is settled is planned against the board itself, what is older is dropped. How far a
replay came is a fact: the same command goes on there after whatever stopped it, and one that ended is forgotten.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from connectors import errors
from connectors.kafka_replay import Bounds, Message
from connectors.repairs import Settled
from schemas import codec, events
from schemas.base import Model

FAMILY = "replay"
INSTEAD = "`ordersync verify --board --fix` compares everything with the source instead, and mends it"


class Asked(Model):
    """What to replay: from an offset, a time, or the oldest that is retained; up to an offset, or to the end."""

    customer: str
    from_offset: int | None = None
    since: datetime | None = None
    to_offset: int | None = None

    @property
    def name(self) -> str:
        """Of the fact that tells how far it came: the same for the same question."""
        return f"{FAMILY}.{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]}"


class Came(Model):
    """How far a replay came: it covers the offsets from `start` to before `end`; those before `done` are told."""

    replay_id: str
    start: int
    end: int
    done: int


@dataclass(frozen=True)
class Found:
    """What the log holds: the newest version of each order with its offset, in their order there.

    Of `read` events, `foreign` are other customers', and `undecodable` nobody can read. `older` orders are settled in a
    newer version than the log tells from there on: they are left out.
    """

    told: list[tuple[int, events.OrderChanged]]
    read: int
    foreign: int
    undecodable: int
    older: int


class Log(Protocol):
    """The customer's partition (connectors.kafka_replay.PartitionReader)."""

    @property
    def partition(self) -> int: ...
    def bounds(self) -> Bounds: ...
    def offset_at(self, moment: datetime) -> int | None: ...
    def read(self, start: int, end: int) -> Iterator[Message]: ...


class Facts(Protocol):
    """connectors.state.State."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...


class Tables(Protocol):
    """connectors.repairs.Repairs."""

    def settled(self, record_uuids: Sequence[str]) -> dict[str, Settled]: ...


@dataclass(frozen=True)
class Replayer:
    """One replay's parts. `progress` is told how many events were read, of how many."""

    log: Log
    facts: Facts
    tables: Tables
    new_id: Callable[[], str]
    progress: Callable[[int, int], None] = lambda done, total: None

    def came(self, asked: Asked) -> Came:
        """Where an earlier run of the same replay stopped, or a beginning.

        Raises Misconfigured when Kafka does not retain any more what is asked for, and says what it does.
        """
        bounds = self.log.bounds()
        before = self.facts.get(asked.name)
        if before is not None:
            came = Came.model_validate(before)
            if came.end <= bounds.end and came.done >= bounds.oldest:
                return came.model_copy(update={"start": max(came.start, bounds.oldest)})
        start = self._start(asked, bounds)
        end = bounds.end if asked.to_offset is None else min(bounds.end, asked.to_offset + 1)
        return Came(replay_id=self.new_id(), start=start, end=end, done=start)

    def find(self, asked: Asked, came: Came) -> Found:
        """Reads the log. Memory grows with the customer's orders, not with their events."""
        newest: dict[str, tuple[int, events.OrderChanged]] = {}
        read = foreign = undecodable = 0
        for message in self.log.read(came.start, came.end):
            read += 1
            if read % 500 == 0:
                self.progress(message.offset - came.start, came.end - came.start)
            if message.key != asked.customer:
                foreign += 1
                continue
            try:
                event = codec.decode(events.OrderChanged, message.value)
            except codec.Undecodable:
                undecodable += 1
                continue
            if event.record_uuid not in newest or event.version >= newest[event.record_uuid][1].version:
                newest[event.record_uuid] = (message.offset, event)
        settled = self.tables.settled(sorted(newest))
        told = [
            (offset, event.model_copy(update={"cause": events.Cause.REPLAY}))
            for offset, event in sorted(newest.values(), key=lambda one: one[0])
            if event.record_uuid not in settled or event.version >= settled[event.record_uuid].version
        ]
        return Found(told, read, foreign, undecodable, len(newest) - len(told))

    def remember(self, asked: Asked, came: Came, offset: int) -> Came:
        """Everything up to this offset is told: Kafka has confirmed it."""
        further = came.model_copy(update={"done": offset + 1})
        self.facts.set(asked.name, further.model_dump(mode="json"))
        return further

    def _start(self, asked: Asked, bounds: Bounds) -> int:
        where = f"partition {self.log.partition}"
        if asked.from_offset is not None:
            if asked.from_offset < bounds.oldest:
                raise errors.Misconfigured(
                    f"offset {asked.from_offset} of {where} is not retained any more: {self._oldest(bounds)}. "
                    f"{INSTEAD}",
                    code="EXPIRED",
                )
            if asked.from_offset > bounds.end:
                raise errors.Misconfigured(
                    f"{where} ends at offset {bounds.end}, before {asked.from_offset}", code="BEYOND"
                )
            return asked.from_offset
        if asked.since is None:
            return bounds.oldest
        # A log that never lost anything holds all there was since then, however long ago that is.
        first = self._first(bounds) if bounds.oldest > 0 else None
        if bounds.oldest > 0 and (first is None or asked.since < first.at):
            raise errors.Misconfigured(
                f"events of {asked.since:%Y-%m-%d %H:%M:%S} UTC are not retained any more: {self._oldest(bounds)}. "
                f"{INSTEAD}",
                code="EXPIRED",
            )
        found = self.log.offset_at(asked.since)
        return bounds.end if found is None else found

    def _oldest(self, bounds: Bounds) -> str:
        first = self._first(bounds)
        if first is None:
            return "nothing is, all of it expired"
        return f"the oldest is offset {first.offset} of {first.at:%Y-%m-%d %H:%M:%S} UTC"

    def _first(self, bounds: Bounds) -> Message | None:
        return next(self.log.read(bounds.oldest, min(bounds.end, bounds.oldest + 1)), None)
