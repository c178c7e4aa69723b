"""In-doubt requests, and the parked orders: those that wait for such a request or for room on a full board.

The API runs the mutations of a request one after the other, for up to a minute, and goes on when its answer was lost or
the writer ended. So nothing of an in-doubt request counts as not done before its in-flight window is over: the time
that the API may take, and the lag of reads behind writes. A create that the board shows is adopted at once. After the
window, a request of which the board shows nothing leaves once more under its key; if some of it shows, the rest did not
take place, and the next plan has it.

Only the orders of such a request wait for it. The writer parks them: it stores their events in SQL before it
acknowledges them, and re-emits them when their requests have ended. The watermark of the lost-event sweep does not move
while an order is parked (streams.reconcile.lost_events).

An order that needs a create while the board is full (streams.sync.room) is parked in the same way. Such orders are
re-emitted a few at a time, oldest first, once a create may leave: if there is no room yet, the others need not travel.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from connectors import backoff, errors
from connectors.tables.journal import Request
from connectors.tables.lost_events import PARKED, PARKINGS
from schemas import events, items
from schemas.versions import Version
from streams.sync import lookup
from streams.sync.room import Room
from streams.sync.select import Work

log = logging.getLogger(__name__)

# Seconds that the API may take for one request, whether or not its answer was lost.
API_TIMEOUT = 60.0
# Seconds between the commit of a request's intent and its arrival: connecting takes 5 s at most.
ON_ITS_WAY = 5.0
# Seconds between two checks of the board after those of backoff.LOOKUP_PAUSES.
CHECK_EVERY = 20.0
# A request that got no answer so often is given up: while the API answered others, and while it answered none.
REFUSALS, REFUSALS_OF_ALL = 2, 6
# How many orders that wait for room are re-emitted at once: a batch of events.
ROOM_ORDERS = 100
# Seconds until parked orders are read once more while all of them wait for room.
REST = 10.0


def window(in_flight: float = API_TIMEOUT) -> timedelta:
    """The in-flight window: the time after the sending of a request in which the board may not show it yet."""
    return timedelta(seconds=ON_ITS_WAY + in_flight + sum(backoff.LOOKUP_PAUSES))


class Journal(Protocol):
    """The journal of requests (connectors.tables.journal.Journal)."""

    def unfinished(self) -> list[Request]:
        """The requests without an outcome, oldest first. Raises Transient or Misconfigured."""


class Writer(Protocol):
    """The writer of the board (streams.sync.writer.Writer). Each method raises what Writer.write raises."""

    @property
    def left_at(self) -> Mapping[str, datetime]:
        """When each request without an answer left last (UTC), by its key; without those of earlier processes."""

    @property
    def answered_at(self) -> datetime | None:
        """When the API answered a request last (UTC)."""

    async def adopt(self, request: Request, found: Mapping[int, lookup.Adopted]) -> Request:
        """Records the creates of a request that the board shows; without missing mutations the request has ended."""

    async def resend(self, request: Request) -> bool:
        """Sends a request once more, under its key. False: it is in doubt again."""

    async def give_up(self, request: Request) -> None:
        """Ends a request: what the board does not show of it did not take place."""


class Store(Protocol):
    """Named values in SYNC_State (connectors.tables.state.State). Raises Transient or Misconfigured."""

    def get(self, name: str) -> Any:
        """The value, None if there is none."""

    def all_of(self, family: str) -> dict[str, Any]:
        """The values named `family.…`, by the rest of their names."""

    def set_all(self, values: Mapping[str, Any]) -> None:
        """Stores these values in one transaction."""

    def erase_all(self, names: Sequence[str]) -> None:
        """Removes these values in one transaction."""


class Waiting(NamedTuple):
    """An order to park: for in-doubt requests, those of its group too ("" if it needs none), or for room."""

    event: events.OrderStaged
    group_name: str = ""
    no_room: bool = False


@dataclass
class _Search:
    """The lookup of one in-doubt request. `checks_due`: the times (UTC) of the checks that are still to be done.

    The first check is due at once, the last one when the in-flight window is over. `refusals`: how often the request
    got no answer while the API answered others, and how often it got none at all.
    """

    checks_due: list[datetime]
    refusals: tuple[int, int] = (0, 0)

    def refused(self, *, alone: bool) -> bool:
        """Counts one more window without an answer. True: give the request up."""
        others, total = self.refusals
        self.refusals = (others + alone, total + 1)
        return self.refusals[0] >= REFUSALS or self.refusals[1] >= REFUSALS_OF_ALL


@dataclass
class InDoubtRequests:
    """The in-doubt requests and parked orders of one writer. Searches are in memory: a restart begins them once more.

    `emit` returns when Kafka has confirmed the events. `now` is UTC, `window` the in-flight window, and `key_lives` how
    long after its first sending a request may have been sent again.

    `suspects`: orders of a request that was given up. Each is to be sent alone, and `hopeless` has those of them for
    which the API gave no answer even then. `for_room`: how many parked orders wait for room.
    """

    journal: Journal
    writer: Writer
    board_lookup: lookup.BoardLookup
    store: Store
    emit: Callable[[Sequence[events.OrderStaged]], None]
    now: Callable[[], datetime]
    window: timedelta
    key_lives: timedelta
    room: Room
    for_room: int = field(default=0, init=False)
    suspects: set[Version] = field(default_factory=set, init=False)
    hopeless: set[Version] = field(default_factory=set, init=False)
    _searches: dict[str, _Search] = field(default_factory=dict, init=False)
    _rests_until: datetime | None = field(default=None, init=False)

    def rests(self) -> bool:
        """Whether an advance can do nothing now: all parked orders wait for room, as of at most 10 s ago."""
        return self.room.is_closed and self._rests_until is not None and self.now() < self._rests_until

    async def advance(self) -> list[Request]:
        """Does the checks that are due, and ends requests. Returns the requests that are still in doubt.

        Re-emits the parked orders that wait for none of them, nor for room. A board that cannot be read is read later.
        Raises what the writer raises; then the request is in doubt and its window begins once more.
        """
        requests = await self.unfinished()
        now = self.now()
        due = [request for request in requests if self._search(request).checks_due[0] <= now]
        if due:
            try:
                requests = await self._check(requests, due)
            except errors.Transient as error:
                log.warning("in-doubt requests are checked again in %.0f s: %s", CHECK_EVERY, error)
                self._postpone(due)
            else:
                requests = [request for request in requests if not await self._is_ended(request, now)]
        await asyncio.to_thread(self._release, requests)
        return requests

    async def unfinished(self) -> list[Request]:
        """The requests in doubt, oldest first. Raises Transient or Misconfigured."""
        return await asyncio.to_thread(self.journal.unfinished)

    def park(self, in_doubt: Sequence[Request], waiting: Sequence[Waiting]) -> None:
        """Stores the events of orders that wait.

        The caller may then acknowledge them. The last event of a version replaces earlier ones. Raises Transient or
        Misconfigured.
        """
        parked = {
            f"{PARKED}.{one.event.record_uuid}.{one.event.version}": {
                "event": one.event.model_dump(mode="json"),
                "requests": sorted(concerning(in_doubt, one.event.record_uuid, one.group_name)),
                "group": one.group_name,
                "room": one.no_room,
            }
            for one in waiting
        }
        self.for_room += sum(one.no_room for one in waiting)
        self._rests_until = None
        self.store.set_all({**parked, PARKINGS: int(self.store.get(PARKINGS) or 0) + 1})

    def _release(self, in_doubt: Sequence[Request]) -> None:
        """Erases the events only after Kafka has confirmed them: a crash in between repeats them."""
        ready: dict[str, events.OrderStaged] = {}
        for_room: dict[str, events.OrderStaged] = {}
        for name, stored in self.store.all_of(PARKED).items():
            # Earlier versions of ordersync stored the event alone.
            event = events.OrderStaged.model_validate(stored.get("event", stored))
            if _still_waits(in_doubt, event, stored):
                continue
            (for_room if stored.get("room") else ready)[name] = event
        self.for_room = len(for_room)
        self._rests_until = None if in_doubt or ready else self.now() + timedelta(seconds=REST)
        if not self.room.is_closed:
            oldest = sorted(for_room, key=lambda name: for_room[name].version)[:ROOM_ORDERS]
            ready |= {name: for_room[name] for name in oldest}
        if ready:
            self.emit(sorted(ready.values(), key=lambda event: event.version))
            self.store.erase_all([f"{PARKED}.{name}" for name in ready])

    def _search(self, request: Request) -> _Search:
        if request.key not in self._searches:
            log.warning("request %s is in doubt: checking the board for its creates", request.key)
            self._searches[request.key] = _Search(self._checks(self._left_at(request)))
        return self._searches[request.key]

    def _left_at(self, request: Request) -> datetime:
        """When the request left last, or a later time."""
        if request.attempts == 1:
            return self.writer.left_at.get(request.key, request.first_sent_at)
        return self.writer.left_at.get(request.key, min(self.now(), request.first_sent_at + self.key_lives))

    def _checks(self, left_at: datetime) -> list[datetime]:
        now, end = self.now(), left_at + self.window
        pauses = itertools.chain(backoff.LOOKUP_PAUSES, itertools.repeat(CHECK_EVERY))
        times = (now + timedelta(seconds=seconds) for seconds in itertools.accumulate(pauses))
        return [*itertools.takewhile(lambda at: at < end, times), max(now, end)]

    def _postpone(self, due: Sequence[Request]) -> None:
        """Checks these requests later: each read of a board that is away takes its time, and the lane waits for it."""
        later = self.now() + timedelta(seconds=CHECK_EVERY)
        for request in due:
            search = self._search(request)
            search.checks_due = [later, *(at for at in search.checks_due if at > later)]

    async def _check(self, requests: Sequence[Request], due: Sequence[Request]) -> list[Request]:
        """One check of the board for all requests that are due. Returns all requests, with what was adopted.

        Raises what the board raises.
        """
        wanted = {(request.key, at): mutation for request in due for at, mutation in request.missing().items()}
        shown = await self.board_lookup.check(wanted)
        found: dict[str, dict[int, lookup.Adopted]] = {}
        for (key, at), create in shown.items():
            found.setdefault(key, {})[at] = create
        return [
            await self.writer.adopt(request, found[request.key]) if request.key in found else request
            for request in requests
        ]

    async def _is_ended(self, request: Request, checked_at: datetime) -> bool:
        """Whether the request has ended; ends it when its window was over before this check."""
        search = self._searches[request.key]
        if not request.missing():
            del self._searches[request.key]
            return True
        if search.checks_due[-1] > checked_at:
            search.checks_due = [at for at in search.checks_due if at > checked_at]
            return False
        left_at, answered_at = self._left_at(request), self.writer.answered_at
        if request.adopted:
            await self.writer.give_up(request)
            ended = True
        elif search.refused(alone=answered_at is not None and answered_at > left_at):
            self._suspect(request)
            await self.writer.give_up(request)
            ended = True
        else:
            # If it is in doubt after this, or the writer raises, nothing that was seen until now counts.
            search.checks_due = self._checks(self.now())
            ended = await self.writer.resend(request)
            search.checks_due = self._checks(self._left_at(request))
        if ended:
            del self._searches[request.key]
        return ended

    def _suspect(self, request: Request) -> None:
        orders = {Version(uuid, version) for uuid, version in request.versions.items()}
        log.warning("request %s got no answer again and again: each of its orders is sent alone", request.key)
        (self.hopeless if orders <= self.suspects and len(orders) == 1 else self.suspects).update(orders)


def concerning(in_doubt: Sequence[Request], record_uuid: str, group_name: str = "") -> frozenset[str]:
    """The keys of the requests that this order waits for, or an order that needs this group."""

    def concerns(mutation: items.Mutation) -> bool:
        if isinstance(mutation, items.CreateGroup):
            return mutation.group_name == group_name
        if isinstance(mutation, items.RenameGroup):
            return False  # Orders name their group by its id, whatever its title is.
        return mutation.record_uuid == record_uuid

    return frozenset(request.key for request in in_doubt if any(map(concerns, request.missing().values())))


def _still_waits(in_doubt: Sequence[Request], event: events.OrderStaged, stored: Mapping[str, Any]) -> bool:
    """Whether a parked event waits for one of these requests: its own ones, or all if it names none.

    A request of which every mutation of the order was adopted is over for this order.
    """
    if "requests" not in stored:
        return bool(in_doubt)
    own = [request for request in in_doubt if request.key in stored["requests"]]
    return bool(concerning(own, event.record_uuid, stored["group"]))


def split(
    in_doubt: Sequence[Request], staged: Sequence[events.OrderStaged]
) -> tuple[list[events.OrderStaged], list[events.OrderStaged]]:
    """The events whose orders are in no in-doubt request, and the others."""
    waiting = [bool(concerning(in_doubt, event.record_uuid)) for event in staged]
    return (
        [event for event, waits in zip(staged, waiting, strict=True) if not waits],
        [event for event, waits in zip(staged, waiting, strict=True) if waits],
    )


def without_group(in_doubt: Sequence[Request], work: Sequence[Work]) -> tuple[list[Work], list[Work]]:
    """The orders whose group is not in doubt, and the others."""
    waiting = [bool(concerning(in_doubt, "", one.order.group_name)) for one in work]
    return (
        [one for one, waits in zip(work, waiting, strict=True) if not waits],
        [one for one, waits in zip(work, waiting, strict=True) if waits],
    )
