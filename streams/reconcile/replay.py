"""replay reads customers' events out of `orders.changed` and re-emits the newest version of each order.

Reads: orders.changed up to the end that each partition had at the start, snapshot rows, the named value of an earlier
run. Writes: nothing; the command stores the run in SYNC_State. Emits: OrderChanged of cause REPLAY, which the command
publishes. Runs in: `ordersync replay`, beside the live group. Runs twice: a stopped replay resumes with the orders that
it has not emitted yet; after its end it starts from the beginning, and an order that already agrees costs no mutation.

Invariant: the ordinary steps decide about each event. Sync plans a settled version against the board itself and drops a
superseded one. Orders of customers on hold are left out. The log itself records what a replay has emitted, in headers
with the id of the replay and the origin: a resumed replay reads them behind the old ends.
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
INSTEAD = "`ordersync verify --board --fix` compares everything with the source instead, and repairs the differences"
# Headers of an event that a replay emits.
ID, ORIGIN = "replay-id", "origin-offset"
# Orders whose settled versions are read together, and events between two reports of progress.
CHUNK = 500


class Asked(Model):
    """The events to replay: of these customers, or of all; from an offset, a time (UTC), or the oldest retained event.

    Offsets are those of the one partition of one customer; `to_offset` is included.
    """

    customers: tuple[str, ...] = ()
    from_offset: int | None = None
    since: datetime | None = None
    to_offset: int | None = None

    @property
    def name(self) -> str:
        """The name in SYNC_State under which a run is stored: the same for the same request."""
        return f"{FAMILY}.{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]}"


class ReplayRun(Model):
    """A replay that has begun (UTC). `spans`: first offset and end offset (excluded) by partition."""

    replay_id: str
    began: datetime
    spans: dict[int, tuple[int, int]]


class Place(NamedTuple):
    """The origin of the newest version of an order."""

    partition: int
    offset: int
    version: int


@dataclass
class Found:
    """The result of reading the log. `places`: the orders to emit; `before`: orders that an earlier run has emitted.

    Of `read` events, `foreign` belong to other customers, and `undecodable` are no OrderChanged. `older` orders are
    settled in a newer version than the log has in this range, `held` ones are on hold: both are left out.
    """

    run: ReplayRun
    places: list[Place] = field(default_factory=list)
    read: int = 0
    foreign: int = 0
    undecodable: int = 0
    older: int = 0
    held: int = 0
    before: int = 0


class ReplayEvent(NamedTuple):
    """An event to emit, and the offset of its origin."""

    offset: int
    event: events.OrderChanged


class Log(Protocol):
    """The topic (connectors.kafka.reader.TopicReader)."""

    def offset_at(self, partition: int, moment: datetime) -> int | None:
        """The offset of the first event at `moment` (UTC) or later; None without one. Raises Transient."""

    def read(self, partition: int, start: int, end: int) -> Iterator[Message]:
        """The events of these offsets, `end` excluded, in order. Raises Transient."""

    @property
    def partitions(self) -> Sequence[int]:
        """The numbers of the topic's partitions."""

    def partition_of(self, key: str) -> int:
        """The partition of this customer's events."""

    def bounds(self, partition: int) -> Bounds:
        """The oldest retained offset and the end. Raises Transient."""


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any:
        """The named value; None if it was never stored. Raises Transient."""


class Tables(Protocol):
    """connectors.tables.repairs.Repairs."""

    def settled(self, record_uuids: Sequence[str]) -> dict[str, Settled]:
        """By identity, without orders that were never detected. Raises Transient."""


@dataclass(frozen=True)
class Range:
    """Turns a request into offsets. Raises Misconfigured for events that are not retained, and names the oldest one.

    Events younger than `kept_since` (UTC) did not expire by age: the owner of Kafka may have deleted them. For these,
    `say` gets one line with the start of the log, and the replay goes on.
    """

    log: Log
    kept_since: datetime
    say: Callable[[str], None]

    def of(self, asked: Asked, partition: int, bounds: Bounds) -> tuple[int, int]:
        """The first offset and the end offset (excluded) in this partition."""
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
        # A log that begins at offset 0 has lost nothing: it holds every event since any moment.
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
        offset = self.log.offset_at(partition, moment)
        return bounds.end if offset is None else offset

    def _oldest(self, partition: int, bounds: Bounds) -> Message | None:
        return next(self.log.read(partition, bounds.oldest, min(bounds.end, bounds.oldest + 1)), None)


@dataclass(frozen=True)
class Replayer:
    """The parts of one replay. `held`: customers on hold; `kept_since`: see Range; `now` is UTC.

    `say` gets lines for the operator, `progress` the number of events read and their total.
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

    def resume_or_start(self, asked: Asked, *, anew: bool = False) -> tuple[ReplayRun, bool]:
        """The stopped run of the same request, or a new run; and whether it is a stopped one.

        With `anew` always a new run. Raises Misconfigured when Kafka does not retain the events any more, with the
        oldest one in its text, and Transient when Kafka or SQL does not answer.
        """
        bounds = {partition: self.log.bounds(partition) for partition in self._partitions(asked)}
        stored = None if anew else self.store.get(asked.name)
        if stored is not None:
            run = ReplayRun.model_validate(stored)
            if _is_retained(run, bounds):
                return run, True
        offsets = Range(self.log, self.kept_since, self.say)
        spans = {partition: offsets.of(asked, partition, now) for partition, now in bounds.items()}
        return ReplayRun(replay_id=self.new_id(), began=self.now(), spans=spans), False

    def find(self, asked: Asked, run: ReplayRun, *, resumed: bool = False) -> Found:
        """Reads the log. Memory grows with the orders, not with the events. Raises Transient."""
        found = Found(run)
        newest, held = self._read_newest(asked, found)
        places = self._places(newest, held, found)
        emitted = self._emitted_origins(run) if resumed else set()
        found.places = [place for place in places if place[:2] not in emitted]
        found.before = len(places) - len(found.places)
        return found

    def events(self, found: Found) -> Iterator[ReplayEvent]:
        """Reads the events to emit once more, in the order of each partition. Raises Transient."""
        for partition, (_, end) in found.run.spans.items():
            wanted = {place.offset for place in found.places if place.partition == partition}
            for message in self.log.read(partition, min(wanted, default=end), max(wanted, default=end - 1) + 1):
                if message.offset in wanted:
                    event = codec.decode(events.OrderChanged, message.value)
                    yield ReplayEvent(message.offset, event.model_copy(update={"cause": events.Cause.REPLAY}))

    def _partitions(self, asked: Asked) -> list[int]:
        return sorted({self.log.partition_of(name) for name in asked.customers} or self.log.partitions)

    def _read_newest(self, asked: Asked, found: Found) -> tuple[dict[str, Place], set[str]]:
        """The newest version of each order, and the orders whose newest version belongs to a customer on hold."""
        newest, held = dict[str, Place](), set[str]()
        total = sum(max(0, end - start) for start, end in found.run.spans.values())
        for partition, (start, end) in found.run.spans.items():
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
        return newest, held

    def _places(self, newest: dict[str, Place], held: set[str], found: Found) -> list[Place]:
        """The places without orders on hold and superseded versions, which are counted in `found`."""
        places: list[Place] = []
        uuids = list(newest)
        for start in range(0, len(uuids), CHUNK):
            chunk = uuids[start : start + CHUNK]
            settled = self.tables.settled(chunk)
            for uuid in chunk:
                order = settled.get(uuid)
                if uuid in held or (order is not None and order.customer in self.held):
                    found.held += 1
                elif order is not None and versions.is_superseded(newest[uuid].version, settled=order.version):
                    found.older += 1
                else:
                    places.append(newest[uuid])
        return sorted(places)

    def _emitted_origins(self, run: ReplayRun) -> set[tuple[int, int]]:
        """Partition and offset of the origins that a stopped run has emitted. A key stays on its partition."""
        return {
            (partition, int(message.headers[ORIGIN]))
            for partition, (_, end) in run.spans.items()
            for message in self.log.read(partition, end, self.log.bounds(partition).end)
            if message.headers.get(ID) == run.replay_id
        }


def _is_retained(run: ReplayRun, bounds: dict[int, Bounds]) -> bool:
    """Whether the log still holds everything that the run covers; a topic that was created again ends earlier."""
    return run.spans.keys() == bounds.keys() and all(
        bounds[partition].oldest <= start and end <= bounds[partition].end
        for partition, (start, end) in run.spans.items()
    )


def _oldest_text(oldest: Message | None) -> str:
    if oldest is None:
        return "nothing is retained, all of it expired"
    return f"the oldest is offset {oldest.offset} of {oldest.at:%Y-%m-%d %H:%M:%S} UTC"
