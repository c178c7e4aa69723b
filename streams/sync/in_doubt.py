"""Requests that an earlier life left in doubt, brought to their end while the lane goes on.

A search takes as long as reads may lag behind writes. Only the orders that such a request is about wait for it: the
writer parks their events in SQL before it acknowledges them, and re-emits them when no request is in doubt any more.
No watermark passes meanwhile (streams.reconcile.lost_events).
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
    """connectors.tables.journal.Journal."""

    def unfinished(self) -> list[Request]: ...


class Writer(Protocol):
    """Ends requests in doubt (streams.sync.writer.Writer)."""

    async def settle(self, request: Request, found: Mapping[int, lookup.Adopted], looked_at: datetime) -> None: ...


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any: ...
    def all_of(self, family: str) -> dict[str, Any]: ...
    def set_all(self, values: Mapping[str, Any]) -> None: ...
    def erase_all(self, names: Sequence[str]) -> None: ...


@dataclass
class _Search:
    """`due`: when to look, the first time at once and the last time later than the lag."""

    due: list[datetime]
    looked_at: datetime
    found: dict[int, lookup.Adopted] = field(default_factory=dict)


@dataclass
class InDoubtRequests:
    """One writer's. It forgets with its process how often it looked, and begins again.

    `emit` returns when Kafka has confirmed the events.
    """

    journal: Journal
    writer: Writer
    board_lookup: lookup.BoardLookup
    store: Store
    emit: Callable[[Sequence[events.OrderStaged]], None]
    now: Callable[[], datetime]
    _searches: dict[str, _Search] = field(default_factory=dict, init=False)

    async def advance(self) -> list[Request]:
        """One look for each request in doubt whose time has come. Returns those that are still in doubt.

        Re-emits the parked orders if there is none. What shows is adopted, what does not show until the end is sent
        again under its key. Raises what the writer raises; then it is in doubt, and looked for from the beginning.
        """
        left = []
        for request in await asyncio.to_thread(self.journal.unfinished):
            search = self._searches.get(request.key) or self._begin(request)
            if await self._is_over(search, request):
                # It may leave once more now: if its end is not recorded then, no look of before tells of it.
                self._searches[request.key] = self._search()
                await self.writer.settle(request, search.found, search.looked_at)
                del self._searches[request.key]
            else:
                left.append(request)
        if not left:
            await asyncio.to_thread(self._release)
        return left

    def park(self, staged: Sequence[events.OrderStaged]) -> None:
        """Keeps the events of orders that wait for a request in doubt; the caller may then acknowledge them.

        The last event of a version replaces earlier ones.
        """
        parked = {f"{PARKED}.{one.record_uuid}.{one.version}": one.model_dump(mode="json") for one in staged}
        self.store.set_all({**parked, PARKINGS: int(self.store.get(PARKINGS) or 0) + 1})

    def _release(self) -> None:
        """Kafka has the events before SQL forgets them: a crash in between repeats them."""
        if parked := self.store.all_of(PARKED):
            staged = [events.OrderStaged.model_validate(one) for one in parked.values()]
            self.emit(sorted(staged, key=lambda one: one.version))
            self.store.erase_all([f"{PARKED}.{name}" for name in parked])

    def _begin(self, request: Request) -> _Search:
        log.warning("request %s is in doubt: looking what became of it", request.key)
        return self._searches.setdefault(request.key, self._search())

    def _search(self) -> _Search:
        now = self.now()
        return _Search(
            [now + timedelta(seconds=seconds) for seconds in itertools.accumulate(self.board_lookup.pauses)], now
        )

    async def _is_over(self, search: _Search, request: Request) -> bool:
        """Everything was found, or looked for long enough."""
        if search.due and self.now() >= search.due[0]:
            missing = {at: one for at, one in enumerate(request.mutations) if at not in search.found}
            search.found |= await self.board_lookup.look(missing)
            search.looked_at = self.now()
            while search.due and self.now() >= search.due[0]:
                search.due.pop(0)
        creates = [at for at, one in enumerate(request.mutations) if isinstance(one, lookup.Create)]
        return not search.due or all(at in search.found for at in creates)


def split(
    in_doubt: Sequence[Request], staged: Sequence[events.OrderStaged]
) -> tuple[list[events.OrderStaged], list[events.OrderStaged]]:
    """The events whose orders no request in doubt is about, and the others."""
    concerned = {one.record_uuid for one in _mutations(in_doubt) if not isinstance(one, items.CreateGroup)}
    return (
        [event for event in staged if event.record_uuid not in concerned],
        [event for event in staged if event.record_uuid in concerned],
    )


def without_group(in_doubt: Sequence[Request], work: Sequence[Work]) -> tuple[list[Work], list[Work]]:
    """The orders whose group is not in doubt, and the others."""
    groups = {one.group_name for one in _mutations(in_doubt) if isinstance(one, items.CreateGroup)}
    return (
        [one for one in work if one.order.group_name not in groups],
        [one for one in work if one.order.group_name in groups],
    )


def _mutations(requests: Sequence[Request]) -> list[items.Mutation]:
    return [mutation for request in requests for mutation in request.mutations]
