"""In-doubt requests that an earlier process left, and the orders that wait for them. The lane goes on meanwhile.

A lookup takes as long as reads may lag behind writes, and only the orders of that request wait for it. The writer parks
them: it stores their events in SQL before it acknowledges them, and re-emits them when no request is in doubt any more.
The watermark of the lost-event sweep does not move while an order is parked (streams.reconcile.lost_events).
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors.tables.journal import Request
from connectors.tables.lost_events import PARKED, PARKINGS
from schemas import events, items
from streams.sync import lookup
from streams.sync.select import Work

log = logging.getLogger(__name__)


class Journal(Protocol):
    """The journal of requests (connectors.tables.journal.Journal)."""

    def unfinished(self) -> list[Request]:
        """The requests without an outcome, oldest first. Raises Transient or Misconfigured."""


class Writer(Protocol):
    """The writer of the board (streams.sync.writer.Writer)."""

    async def complete(self, request: Request, found: Mapping[int, lookup.Adopted], checked_at: datetime) -> None:
        """Records the outcome of an in-doubt request. Raises what Writer.write raises."""


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


@dataclass
class _Search:
    """The lookup of one in-doubt request. `checks_due`: the times (UTC) of the checks that are still to be done.

    The first check is due at once, the last one later than reads lag behind writes. `adopted`: the creates that the
    board showed so far, by their position in the request; `checked_at`: when the last check ended.
    """

    checks_due: list[datetime]
    checked_at: datetime
    adopted: dict[int, lookup.Adopted] = field(default_factory=dict)


@dataclass
class InDoubtRequests:
    """The in-doubt requests and parked orders of one writer. Searches are in memory: a restart begins them once more.

    `emit` returns when Kafka has confirmed the events. `now` is UTC.
    """

    journal: Journal
    writer: Writer
    board_lookup: lookup.BoardLookup
    store: Store
    emit: Callable[[Sequence[events.OrderStaged]], None]
    now: Callable[[], datetime]
    _searches: dict[str, _Search] = field(default_factory=dict, init=False)

    async def advance(self) -> list[Request]:
        """Does the check that is due for each in-doubt request. Returns the requests that are still in doubt.

        If none is left, re-emits the parked orders. At the end of a search the writer adopts the creates that the board
        shows, and sends a request of which the board shows nothing once more under its key. Raises what the writer
        raises; then the request is in doubt and its search begins once more.
        """
        left = []
        for request in await asyncio.to_thread(self.journal.unfinished):
            search = self._searches.get(request.key) or self._begin(request)
            if await self._is_over(search, request):
                # The writer may send the request now. If it then fails to record the outcome, earlier checks are void.
                self._searches[request.key] = self._search()
                await self.writer.complete(request, search.adopted, search.checked_at)
                del self._searches[request.key]
            else:
                left.append(request)
        if not left:
            await asyncio.to_thread(self._release)
        return left

    def park(self, staged: Sequence[events.OrderStaged]) -> None:
        """Stores the events of orders that wait for an in-doubt request; the caller may then acknowledge them.

        The last event of a version replaces earlier ones. Raises Transient or Misconfigured.
        """
        parked = {f"{PARKED}.{event.record_uuid}.{event.version}": event.model_dump(mode="json") for event in staged}
        self.store.set_all({**parked, PARKINGS: int(self.store.get(PARKINGS) or 0) + 1})

    def _release(self) -> None:
        """Erases the events only after Kafka has confirmed them: a crash in between repeats them."""
        if parked := self.store.all_of(PARKED):
            staged = [events.OrderStaged.model_validate(stored) for stored in parked.values()]
            self.emit(sorted(staged, key=lambda event: event.version))
            self.store.erase_all([f"{PARKED}.{name}" for name in parked])

    def _begin(self, request: Request) -> _Search:
        log.warning("request %s is in doubt: checking the board for its creates", request.key)
        return self._searches.setdefault(request.key, self._search())

    def _search(self) -> _Search:
        now = self.now()
        pauses = itertools.accumulate(self.board_lookup.pauses)
        return _Search(checks_due=[now + timedelta(seconds=seconds) for seconds in pauses], checked_at=now)

    async def _is_over(self, search: _Search, request: Request) -> bool:
        """True when the board shows every create, or the last check is done."""
        if search.checks_due and self.now() >= search.checks_due[0]:
            missing = {at: mutation for at, mutation in enumerate(request.mutations) if at not in search.adopted}
            search.adopted |= await self.board_lookup.check(missing)
            search.checked_at = self.now()
            while search.checks_due and self.now() >= search.checks_due[0]:
                search.checks_due.pop(0)
        creates = [at for at, mutation in enumerate(request.mutations) if isinstance(mutation, lookup.Create)]
        return not search.checks_due or all(at in search.adopted for at in creates)


def split(
    in_doubt: Sequence[Request], staged: Sequence[events.OrderStaged]
) -> tuple[list[events.OrderStaged], list[events.OrderStaged]]:
    """The events whose orders are in no in-doubt request, and the others."""
    concerned = {
        mutation.record_uuid for mutation in _mutations(in_doubt) if not isinstance(mutation, items.CreateGroup)
    }
    return (
        [event for event in staged if event.record_uuid not in concerned],
        [event for event in staged if event.record_uuid in concerned],
    )


def without_group(in_doubt: Sequence[Request], work: Sequence[Work]) -> tuple[list[Work], list[Work]]:
    """The orders whose group is not in doubt, and the others."""
    groups = {mutation.group_name for mutation in _mutations(in_doubt) if isinstance(mutation, items.CreateGroup)}
    return (
        [one for one in work if one.order.group_name not in groups],
        [one for one in work if one.order.group_name in groups],
    )


def _mutations(requests: Sequence[Request]) -> list[items.Mutation]:
    return [mutation for request in requests for mutation in request.mutations]
