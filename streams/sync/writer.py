"""The one writer of a board: it journals each request before it leaves, and no mutation takes place twice.

A request is answered, rejected or in doubt.

- Answered: the API states the result of every alias, and the ledger follows.
- Rejected as a whole: the writer splits it in halves, until the mutation that causes the rejection fails alone.
- In doubt: the API may or may not have executed it. The API remembers an idempotency key for 30 minutes, without a
  promise; reads lag behind writes, but they show requests whose key the API forgot. So the writer uses both. If the
  board shows a create, the writer adopts it and never repeats the body. If the board shows nothing, the same body
  leaves once more under its key; when the key is too old, the mutations go into a new request.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors import backoff, errors
from connectors.monday import documents, error_table, responses
from connectors.tables.journal import Request
from connectors.tables.lease import Grant
from schemas import items
from streams.sync import batch_size as sizing
from streams.sync import lookup, outcome
from streams.sync import ports as writer_ports
from streams.sync.outcome import Result, Stale

log = logging.getLogger(__name__)

# The API forgets a key after 30 minutes. The last minute allows for a request on its way and for clocks that disagree.
KEY_MINUTES = 29
# The body of an in-doubt request leaves no later than this after the check that did not show its creates.
FRESH = timedelta(seconds=5)


@dataclass(frozen=True)
class Intent:
    """A mutation and the version of its order that it carries out (0 for a group, which belongs to no order)."""

    mutation: items.Mutation
    version: int = 0


class _LookupNeeded(errors.OutcomeUnknown):
    """The API may have executed the body since the last check of the board, or may have forgotten its key."""


@dataclass
class _InFlight:
    """One request on its way. `in_doubt`: the API may have executed it and has not answered.

    `sent_at`: when the body left last; `checked_at`: the last check of the board that is still valid; `found`: the
    creates that the board shows.
    """

    request: Request
    journalled: bool = False
    in_doubt: bool = False
    sent_at: datetime = field(init=False)
    checked_at: datetime | None = None
    found: dict[int, lookup.Adopted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sent_at = self.request.first_sent_at


@dataclass
class Writer:
    """Writes under the lease of `grant`. `minute` is the API's minute in seconds, `now` is UTC.

    `budget_left` returns how many mutations still fit into the current minute; `progress` runs after each request.
    """

    client: writer_ports.Client
    journal: writer_ports.Journal
    ledger: writer_ports.Ledger
    board_lookup: lookup.BoardLookup
    board_id: str
    grant: Grant
    batch_size: int
    minute: float
    budget_left: Callable[[], int]
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[object]]
    new_key: Callable[[], str]
    progress: Callable[[], None]
    size: sizing.BatchSize = field(init=False)

    def __post_init__(self) -> None:
        self.size = sizing.BatchSize(self.batch_size)

    async def complete(self, request: Request, found: Mapping[int, lookup.Adopted], checked_at: datetime) -> None:
        """Records the outcome of a request that an earlier process left in doubt. `found`: the board's creates of it.

        Sends the request once more if the board shows nothing of it. Mutations that did not take place are left to the
        next plan, which may differ by now. Raises what `write` raises.
        """
        flight = _InFlight(request, journalled=True, in_doubt=True)
        flight.found, flight.checked_at = dict(found), checked_at
        await self._carry_out(flight)

    async def write(self, intents: Sequence[Intent]) -> list[Result]:
        """Carries out all mutations, in order, in requests. Returns the result of each, in the same order.

        Raises Misconfigured (account or board stop), LeaseLost or Transient. Then the ledger has the confirmed
        mutations, the journal has the requests in doubt, and the next plan contains the rest only.
        """
        results: list[Result] = []
        while len(results) < len(intents):
            count = self.size.share(len(intents) - len(results), self.budget_left())
            results += await self._request(intents[len(results) : len(results) + count])
        return results

    async def _request(self, intents: Sequence[Intent]) -> list[Result]:
        groups = await asyncio.to_thread(self.ledger.groups)
        ready = [intent for intent in intents if _group(intent.mutation) in (None, *groups)]
        if len(ready) < len(intents):
            done = iter(await self._request(ready) if ready else [])
            return [next(done) if intent in ready else Stale("its group is not on the board") for intent in intents]
        flight = self._compose(intents, groups)
        try:
            answered, results = await self._carry_out(flight)
        except errors.Rejected as rejected:
            if flight.journalled:
                await self._close(flight, outcome.Outcome(), "REJECTED", rejected)
            if len(intents) == 1:
                return [outcome.refused(rejected)]
            return await self._halves(intents)
        not_done = [intent for intent, result in zip(intents, results, strict=True) if result is None]
        if answered or len(not_done) < len(intents):
            repeated = iter(await self._request(not_done) if not_done else [])
        elif len(intents) > 1:
            repeated = iter(await self._halves(not_done))
        else:
            repeated = iter([Stale("the API did not answer, and the board does not show it")])
        return [next(repeated) if result is None else result for result in results]

    async def _halves(self, intents: Sequence[Intent]) -> list[Result]:
        half = len(intents) // 2
        return await self._request(intents[:half]) + await self._request(intents[half:])

    def _compose(self, intents: Sequence[Intent], groups: Mapping[str, str]) -> _InFlight:
        mutations = tuple(intent.mutation for intent in intents)
        request = Request(
            key=self.new_key(),
            body=documents.render(mutations, board_id=self.board_id, group_ids=groups).body,
            mutations=mutations,
            versions={
                intent.mutation.record_uuid: intent.version
                for intent in intents
                if not isinstance(intent.mutation, items.CreateGroup)
            },
            first_sent_at=self.now(),
        )
        return _InFlight(request)

    async def _carry_out(self, flight: _InFlight) -> tuple[bool, list[Result | None]]:
        """True if the API answered; and the result of each mutation, None for one that has to be sent once more."""
        mutations = flight.request.mutations
        reply = await self._answer(flight)
        if reply is None:
            verdicts: list[responses.Verdict] = [items.Unknown(reason="no answer")] * len(mutations)
        else:
            self.size.adapt(len(mutations), reply.seconds)
            verdicts = responses.judge(reply, [f"m{i}" for i in range(len(mutations))])
            unknown = {i: mutations[i] for i, verdict in enumerate(verdicts) if isinstance(verdict, items.Unknown)}
            flight.found = await self.board_lookup.find(unknown)
        resolver = outcome.OutcomeResolver(self.ledger, self.board_lookup, self.board_id)
        resolved = await resolver.resolve(flight.request, verdicts, flight.found, answered=reply is not None)
        done = all(isinstance(result, items.Done) for result in resolved.results)
        await self._close(flight, resolved, "DONE" if done else "PARTIAL", reply)
        self.progress()
        if resolved.stop is not None:
            raise resolved.stop
        if resolved.wait:
            await self.sleep(resolved.wait)
        return reply is not None, resolved.results

    async def _answer(self, flight: _InFlight) -> responses.Reply | None:
        """The API's answer. None if there will be none: then `flight.found` has the creates that the board shows."""
        request, attempt = flight.request, 0
        creates = dict(enumerate(request.mutations))
        while True:
            if flight.in_doubt:
                if flight.checked_at is None:
                    flight.found = await self.board_lookup.find(creates)
                    flight.checked_at = self.now()
                if flight.found or self._key_is_old(flight):
                    return None
            try:
                return await self.client.send(
                    request.body,
                    key=request.key,
                    mutations=len(request.mutations),
                    leave=functools.partial(self._leave, flight),
                )
            except error_table.MustLookUp:
                flight.found = await self.board_lookup.find(creates)
                return None
            except errors.Rejected:
                # The API executed nothing this time. If it executed an earlier attempt, the board shows that.
                if flight.in_doubt:
                    return None
                raise
            except error_table.AccountStop:
                if flight.journalled and not flight.in_doubt:
                    await self._close(flight, outcome.Outcome(), "STOPPED")
                raise
            except errors.Transient as error:
                if isinstance(error, errors.OutcomeUnknown):
                    flight.in_doubt = True
                    self.size.adapt(len(request.mutations), (self.now() - flight.sent_at).total_seconds())
                pause = (
                    error.wait
                    if error.wait is not None
                    else backoff.RESEND_PAUSES[min(attempt, len(backoff.RESEND_PAUSES) - 1)]
                )
                log.warning("request %s: %s; retry in %.1f s", request.key, error, pause)
            attempt += 1
            await self.sleep(pause)

    async def _leave(self, flight: _InFlight) -> None:
        """Commits the intent before each sending, under the lease; if the commit fails, the body stays here.

        One gap is left, and only the API could close it: a process is frozen between this commit and the socket, and
        wakes after its successor recorded the request as not done and sent the mutations under another key.
        """
        checked_at, flight.checked_at, flight.sent_at = flight.checked_at, None, self.now()
        if flight.journalled and self._key_is_old(flight):
            raise _LookupNeeded(f"its key is {KEY_MINUTES} minutes old")
        if flight.in_doubt and (checked_at is None or flight.sent_at - checked_at > FRESH):
            raise _LookupNeeded("it was refused or had to wait: checking the board once more")
        if flight.journalled:
            await asyncio.to_thread(self.journal.resend, flight.request.key, self.grant)
        else:
            flight.request = flight.request.model_copy(update={"first_sent_at": flight.sent_at})
            await asyncio.to_thread(self.journal.open, flight.request, self.grant)
            flight.journalled = True

    def _key_is_old(self, flight: _InFlight) -> bool:
        return self.now() - flight.request.first_sent_at > timedelta(seconds=KEY_MINUTES * self.minute)

    async def _close(
        self,
        flight: _InFlight,
        resolved: outcome.Outcome,
        end: str,
        answer: responses.Reply | errors.Rejected | None = None,
    ) -> None:
        request_id, http_status = (answer.request_id, answer.http_status) if answer else (None, None)
        await asyncio.to_thread(
            self.journal.close, flight.request.key, resolved.changed(), resolved.groups, self.grant,
            outcome=end, request_id=request_id, http_status=http_status,
        )  # fmt: skip


def _group(mutation: items.Mutation) -> str | None:
    """The group that this mutation needs on the board; None if it needs none."""
    return mutation.group_name if isinstance(mutation, items.CreateItem | items.MoveItem) else None
