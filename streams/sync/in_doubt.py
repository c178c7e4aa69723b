"""Requests that an earlier life left in doubt, brought to their end while the lane goes on.

A search takes as long as reads may lag behind writes. Only the orders that such a request is about wait for it: their
events are told again at the end of the topic, until it is over. While events go round like that no watermark may pass
them (streams.reconcile.lost_events), so it is noted when that begins, before the first one is acknowledged, and when
it is over.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from connectors.tables.journal import Request
from connectors.tables.lost_events import RECIRCULATION
from schemas import events, items
from streams.sync import lookup
from streams.sync.select import Work

log = logging.getLogger(__name__)

# While nothing else is there to be done: the pause before the events that wait are told again, in seconds.
PAUSE = 0.5


class Journal(Protocol):
    """connectors.tables.journal.Journal."""

    def unfinished(self) -> list[Request]: ...


class Writer(Protocol):
    """Ends requests in doubt (streams.sync.writer.Writer)."""

    async def settle(self, request: Request, found: Mapping[int, lookup.Adopted], looked_at: datetime) -> None: ...


class Facts(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...


@dataclass
class _Search:
    """`due`: when to look, the first time at once and the last time later than the lag."""

    due: list[datetime]
    looked_at: datetime
    found: dict[int, lookup.Adopted] = field(default_factory=dict)


@dataclass
class InDoubtRequests:
    """One writer's. It forgets with its process how often it looked, and begins again."""

    journal: Journal
    writer: Writer
    looker: lookup.BoardLookup
    facts: Facts
    now: Callable[[], datetime]
    _searches: dict[str, _Search] = field(default_factory=dict, init=False)
    _round: bool | None = field(default=None, init=False)

    @property
    def searching(self) -> bool:
        """Is there anything that a later call of `go_on` would end?"""
        return bool(self._searches)

    async def go_on(self) -> list[Request]:
        """One look for each request in doubt whose time has come. Returns those that are still in doubt.

        What shows is adopted, what does not show until the end is sent again under its key. Raises what the writer
        raises; then it is in doubt, and looked for from the beginning.
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
        return left

    async def note_round(self, going: bool) -> None:
        """Whether events go round from now on. It is over only when those that were told again have come again: the
        lane says so, which has sent all of them by then.
        """
        if self._round is not going:
            await asyncio.to_thread(self._note, going)

    async def wait(self) -> None:
        """Until the next look is due, or for a moment: what is not concerned may come meanwhile."""
        due = min((search.due[0] for search in self._searches.values() if search.due), default=self.now())
        await self.looker.sleep(min(PAUSE, max(0.0, (due - self.now()).total_seconds())))

    def _begin(self, request: Request) -> _Search:
        log.warning("request %s is in doubt: looking what became of it", request.key)
        return self._searches.setdefault(request.key, self._search())

    def _search(self) -> _Search:
        now = self.now()
        return _Search([now + timedelta(seconds=seconds) for seconds in itertools.accumulate(self.looker.pauses)], now)

    def _note(self, going: bool) -> None:
        """A number that is odd while events go round."""
        turn = int(self.facts.get(RECIRCULATION) or 0)
        if turn % 2 != going:
            self.facts.set(RECIRCULATION, turn + 1)
        self._round = going

    async def _is_over(self, search: _Search, request: Request) -> bool:
        """Everything was found, or looked for long enough."""
        if search.due and self.now() >= search.due[0]:
            missing = {at: one for at, one in enumerate(request.mutations) if at not in search.found}
            search.found |= await self.looker.look(missing)
            search.looked_at = self.now()
            while search.due and self.now() >= search.due[0]:
                search.due.pop(0)
        creates = [at for at, one in enumerate(request.mutations) if isinstance(one, lookup.Create)]
        return not search.due or all(at in search.found for at in creates)


def split(
    in_doubt: Sequence[Request], staged: Sequence[events.OrderStaged]
) -> tuple[list[events.OrderStaged], list[events.OrderStaged]]:
    """The events whose orders no request in doubt is about, and the others, each once."""
    concerned = {one.record_uuid for one in _mutations(in_doubt) if not isinstance(one, items.CreateGroup)}
    wait = {(event.record_uuid, event.version): event for event in staged if event.record_uuid in concerned}
    return [event for event in staged if event.record_uuid not in concerned], list(wait.values())


def without_group(in_doubt: Sequence[Request], work: Sequence[Work]) -> tuple[list[Work], list[Work]]:
    """The orders whose group is not in doubt, and the others."""
    groups = {one.group_name for one in _mutations(in_doubt) if isinstance(one, items.CreateGroup)}
    return (
        [one for one in work if one.order.group_name not in groups],
        [one for one in work if one.order.group_name in groups],
    )


def _mutations(requests: Sequence[Request]) -> list[items.Mutation]:
    return [mutation for request in requests for mutation in request.mutations]
