"""replay: the newest version of each order of some customers, out of the log, told once more.

Read up to the end that each partition had at the start, beside the live group; republished as events of cause REPLAY,
so the ordinary steps decide: what is settled is planned against the board itself, what is older is dropped. Customers
on hold are left alone.

What was told is in the log itself, under the name of its replay. So the same command, after whatever stopped it, reads
what lies behind the old end, and goes on with the orders that are missing there. A replay that ended is forgotten.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from connectors import errors
from connectors.kafka.reader import Bounds, Message
from connectors.tables.repairs import Settled
from schemas import codec, events, versions
from schemas.base import Model

FAMILY = "replay"
INSTEAD = "`ordersync verify --board --fix` compares everything with the source instead, and mends it"
# Headers of what is told again.
ID, ORIGIN = "replay-id", "origin-offset"
# Orders whose settled versions are looked at together.
CHUNK = 500


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


class ReplayRun(Model):
    """A replay that began, under a name of its own: it covers these offsets of each partition, the last one not."""

    replay_id: str
    began: datetime
    spans: dict[int, tuple[int, int]]


class Place(NamedTuple):
    """Where the newest version of an order lies."""

    partition: int
    offset: int
    version: int


@dataclass
class Found:
    """What the log holds: `places` of the orders to tell, `before` of them were told by an earlier run.

    Of `read` events, `foreign` are other customers', and `undecodable` nobody can read. `older` orders are settled in a
    newer version than the log tells from there on, `held` are on hold: both are left out.
    """

    came: ReplayRun
    places: list[Place] = field(default_factory=list)
    read: int = 0
    foreign: int = 0
    undecodable: int = 0
    older: int = 0
    held: int = 0
    before: int = 0


class ReplayEvent(NamedTuple):
    """An event to tell once more, and the offset where it lies."""

    offset: int
    event: events.OrderChanged


class Log(Protocol):
    """The topic (connectors.kafka.reader.TopicReader)."""

    def offset_at(self, partition: int, moment: datetime) -> int | None: ...
    def read(self, partition: int, start: int, end: int) -> Iterator[Message]: ...
    @property
    def partitions(self) -> Sequence[int]: ...
    def partition_of(self, key: str) -> int: ...
    def bounds(self, partition: int) -> Bounds: ...


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any: ...


class Tables(Protocol):
    """connectors.tables.repairs.Repairs."""

    def settled(self, record_uuids: Sequence[str]) -> dict[str, Settled]: ...


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
                f"{_oldest_text(self._oldest(partition, bounds))}. {INSTEAD}",
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
                        f"{_oldest_text(oldest)}. {INSTEAD}",
                        code="EXPIRED",
                    )
                self.say(f"partition {partition} has no events of {asked}: {_oldest_text(oldest)}")
        found = self.log.offset_at(partition, moment)
        return bounds.end if found is None else found

    def _oldest(self, partition: int, bounds: Bounds) -> Message | None:
        return next(self.log.read(partition, bounds.oldest, min(bounds.end, bounds.oldest + 1)), None)


@dataclass(frozen=True)
class Replayer:
    """One replay's parts. `held`: customers on hold. `kept_since`: what is younger did not expire by its age.

    `say` is told what a person should know, a line each, `progress` how many events were read, of how many.
    """

    log: Log
    store: Store
    tables: Tables
    held: Collection[str]
    kept_since: datetime
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    say: Callable[[str], None] = lambda line: None
    progress: Callable[[int, int], None] = lambda done, total: None

    def came(self, asked: Asked, *, anew: bool = False) -> tuple[ReplayRun, bool]:
        """An earlier run of the same replay that was stopped, or a beginning; and whether it is the former.

        With `anew`, a beginning whatever was before.

        Raises Misconfigured when Kafka does not retain any more what is asked for, and says what it does.
        """
        bounds = {partition: self.log.bounds(partition) for partition in self._partitions(asked)}
        before = None if anew else self.store.get(asked.name)
        if before is not None:
            came = ReplayRun.model_validate(before)
            if _is_there(came, bounds):
                return came, True
        asked_for = Range(self.log, self.kept_since, self.say)
        spans = {partition: asked_for.of(asked, partition, now) for partition, now in bounds.items()}
        return ReplayRun(replay_id=self.new_id(), began=self.now(), spans=spans), False

    def find(self, asked: Asked, came: ReplayRun, *, again: bool = False) -> Found:
        """Reads the log; `again` when `came` tells of an earlier run. Memory grows with the orders, not the events."""
        found, newest, held = Found(came), dict[str, Place](), set[str]()
        total = sum(max(0, end - start) for start, end in came.spans.values())
        for partition, (start, end) in came.spans.items():
            for message in self.log.read(partition, start, end):
                found.read += 1
                if found.read % CHUNK == 0:
                    self.progress(found.read, total)
                if asked.customers and message.key not in asked.customers:
                    found.foreign += 1
                    continue
                try:
                    event = codec.decode(events.OrderChanged, message.value)
                except codec.Undecodable:
                    found.undecodable += 1
                    continue
                uuid = event.record_uuid
                if uuid in newest and event.version < newest[uuid].version:
                    continue
                newest[uuid] = Place(partition, message.offset, event.version)
                held.discard(uuid)
                if event.customer in self.held:
                    held.add(uuid)
        places = self._worth_telling(newest, held, found)
        before = self._told_before(came) if again else set()
        found.places = [place for place in places if place[:2] not in before]
        found.before = len(places) - len(found.places)
        return found

    def events(self, found: Found) -> Iterator[ReplayEvent]:
        """What is to be told, read once more, in its order in each partition."""
        for partition, (_, end) in found.came.spans.items():
            wanted = {place.offset for place in found.places if place.partition == partition}
            for message in self.log.read(partition, min(wanted, default=end), max(wanted, default=end - 1) + 1):
                if message.offset in wanted:
                    event = codec.decode(events.OrderChanged, message.value)
                    yield ReplayEvent(message.offset, event.model_copy(update={"cause": events.Cause.REPLAY}))

    def _partitions(self, asked: Asked) -> list[int]:
        return sorted({self.log.partition_of(name) for name in asked.customers} or self.log.partitions)

    def _worth_telling(self, newest: dict[str, Place], held: set[str], found: Found) -> list[Place]:
        places: list[Place] = []
        uuids = list(newest)
        for start in range(0, len(uuids), CHUNK):
            some = uuids[start : start + CHUNK]
            settled = self.tables.settled(some)
            for uuid in some:
                stands = settled.get(uuid)
                if uuid in held or (stands is not None and stands.customer in self.held):
                    found.held += 1
                elif stands is not None and versions.is_superseded(newest[uuid].version, settled=stands.version):
                    found.older += 1
                else:
                    places.append(newest[uuid])
        return sorted(places)

    def _told_before(self, came: ReplayRun) -> set[tuple[int, int]]:
        """What an earlier run has told: partition and offset of the origins. A key stays on its partition."""
        return {
            (partition, int(message.headers[ORIGIN]))
            for partition, (_, end) in came.spans.items()
            for message in self.log.read(partition, end, self.log.bounds(partition).end)
            if message.headers.get(ID) == came.replay_id
        }


def _is_there(came: ReplayRun, bounds: dict[int, Bounds]) -> bool:
    """Is all that it covered retained still, in the same topic as far as that can be told?"""
    return came.spans.keys() == bounds.keys() and all(
        bounds[partition].oldest <= start and end <= bounds[partition].end
        for partition, (start, end) in came.spans.items()
    )


def _oldest_text(oldest: Message | None) -> str:
    if oldest is None:
        return "nothing is, all of it expired"
    return f"the oldest is offset {oldest.offset} of {oldest.at:%Y-%m-%d %H:%M:%S} UTC"
