"""The one writer of a board: batches of mutations, journalled before they leave, never carried out twice.

A request is answered, refused or in doubt. Answered: every alias is judged and the ledger follows. Refused as a
whole: halved, until the one mutation that spoils it fails alone. In doubt: nobody knows whether it took place. The
API remembers a key for 30 minutes, but does not promise to; reads may lag behind writes, but show what was forgotten.
So both are asked. A create that shows on the board is adopted, and its body never leaves again; a body of which
nothing shows leaves again under its key, and later than the key lasts it is begun anew.
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

# The API forgets a key after 30 minutes; the last one is left to a request on its way, and to clocks that disagree.
KEY_MINUTES = 29
# A body in doubt leaves no later than this after a look that did not show it.
FRESH = timedelta(seconds=5)


@dataclass(frozen=True)
class Intent:
    """A mutation and the version of its order that it carries out (0 for a group, which belongs to no order)."""

    mutation: items.Mutation
    version: int = 0


class _NotNow(errors.OutcomeUnknown):
    """The body may have been carried out since the board was last looked at, or the API may have forgotten its key."""


@dataclass
class _Flight:
    """One request on its way. `doubted`: it may have been carried out, and no answer told."""

    request: Request
    journalled: bool = False
    doubted: bool = False
    left_at: datetime = field(init=False)
    looked_at: datetime | None = None
    found: dict[int, lookup.Adopted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left_at = self.request.first_sent_at


@dataclass
class Writer:
    """Holds the lease's grant while it writes. `minute` is the API's minute in seconds."""

    client: writer_ports.Client
    journal: writer_ports.Journal
    ledger: writer_ports.Ledger
    board_lookup: lookup.BoardLookup
    board_id: str
    grant: Grant
    batch_size: int
    minute: float
    room: Callable[[], int]
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[object]]
    new_key: Callable[[], str]
    progress: Callable[[], None]
    size: sizing.BatchSize = field(init=False)

    def __post_init__(self) -> None:
        self.size = sizing.BatchSize(self.batch_size)

    async def settle(self, request: Request, found: Mapping[int, lookup.Adopted], looked_at: datetime) -> None:
        """Brings a request that an earlier life left in doubt to its end: `found` is what the board shows of it.

        If nothing shows, it is sent again. What is then found not to have happened is left to the next plan, which may
        know better by now. Raises what `write` raises.
        """
        flight = _Flight(request, journalled=True, doubted=True)
        flight.found, flight.looked_at = dict(found), looked_at
        await self._carry_out(flight)

    async def write(self, intents: Sequence[Intent]) -> list[Result]:
        """Carries out all mutations, in order, in batches. The result of each, in the same order.

        Raises Misconfigured (account or board stop), LeaseLost, Transient: then what is done is on the ledger, what
        is in doubt in the journal, and planning again asks for the rest only.
        """
        results: list[Result] = []
        while len(results) < len(intents):
            some = self.size.share(len(intents) - len(results), self.room())
            results += await self._request(intents[len(results) : len(results) + some])
        return results

    async def _request(self, intents: Sequence[Intent]) -> list[Result]:
        groups = await asyncio.to_thread(self.ledger.groups)
        ready = [intent for intent in intents if _group(intent.mutation) in (None, *groups)]
        if len(ready) < len(intents):
            done = iter(await self._request(ready) if ready else [])
            return [next(done) if intent in ready else Stale("its group is gone") for intent in intents]
        flight = self._compose(intents, groups)
        try:
            answered, results = await self._carry_out(flight)
        except errors.Rejected as rejected:
            if flight.journalled:
                await self._close(flight, outcome.Outcome(), "REJECTED", rejected)
            if len(intents) == 1:
                return [outcome.refused(rejected)]
            return await self._halves(intents)
        again = [intent for intent, result in zip(intents, results, strict=True) if result is None]
        if answered or len(again) < len(intents):
            repeated = iter(await self._request(again) if again else [])
        elif len(intents) > 1:
            repeated = iter(await self._halves(again))
        else:
            repeated = iter([Stale("nobody answered for it, and the board does not show it")])
        return [next(repeated) if result is None else result for result in results]

    async def _halves(self, intents: Sequence[Intent]) -> list[Result]:
        half = len(intents) // 2
        return await self._request(intents[:half]) + await self._request(intents[half:])

    def _compose(self, intents: Sequence[Intent], groups: Mapping[str, str]) -> _Flight:
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
        return _Flight(request)

    async def _carry_out(self, flight: _Flight) -> tuple[bool, list[Result | None]]:
        """Whether it was answered; and the result of each mutation, None for one that is to be sent again."""
        mutations = flight.request.mutations
        reply = await self._answer(flight)
        if reply is None:
            verdicts: list[responses.Verdict] = [items.Unknown(reason="no answer")] * len(mutations)
        else:
            self.size.answered(len(mutations), reply.seconds)
            verdicts = responses.judge(reply, [f"m{i}" for i in range(len(mutations))])
            silent = {i: mutations[i] for i, verdict in enumerate(verdicts) if isinstance(verdict, items.Unknown)}
            flight.found = await self.board_lookup.find(silent)
        judge = outcome.OutcomeResolver(self.ledger, self.board_lookup, self.board_id)
        judged = await judge.judge(flight.request, verdicts, flight.found, answered=reply is not None)
        done = all(isinstance(result, items.Done) for result in judged.results)
        await self._close(flight, judged, "DONE" if done else "PARTIAL", reply)
        self.progress()
        if judged.stop is not None:
            raise judged.stop
        if judged.wait:
            await self.sleep(judged.wait)
        return reply is not None, judged.results

    async def _answer(self, flight: _Flight) -> responses.Reply | None:
        """The API's answer. None when none is to be had any more: then `flight.found` is what the board shows."""
        request, attempt = flight.request, 0
        creates = dict(enumerate(request.mutations))
        while True:
            if flight.doubted:
                if flight.looked_at is None:
                    flight.found = await self.board_lookup.find(creates)
                    flight.looked_at = self.now()
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
                # This time nothing was executed. What an earlier time did would show.
                if flight.doubted:
                    return None
                raise
            except error_table.AccountStop:
                if flight.journalled and not flight.doubted:
                    await self._close(flight, outcome.Outcome(), "STOPPED")
                raise
            except errors.Transient as error:
                if isinstance(error, errors.OutcomeUnknown):
                    flight.doubted = True
                    self.size.answered(len(request.mutations), (self.now() - flight.left_at).total_seconds())
                pause = (
                    error.wait
                    if error.wait is not None
                    else backoff.RESEND_PAUSES[min(attempt, len(backoff.RESEND_PAUSES) - 1)]
                )
                log.warning("request %s: %s; again in %.1f s", request.key, error, pause)
            attempt += 1
            await self.sleep(pause)

    async def _leave(self, flight: _Flight) -> None:
        """Intent before effect, each time: committed by the holder of the lease, or the body stays here.

        One gap is left, and only the API could close it: a process that is frozen between this commit and the socket,
        and wakes after its successor settled the request as not done and did it under another key.
        """
        looked_at, flight.looked_at, flight.left_at = flight.looked_at, None, self.now()
        if flight.journalled and self._key_is_old(flight):
            raise _NotNow(f"its key is {KEY_MINUTES} minutes old")
        if flight.doubted and (looked_at is None or flight.left_at - looked_at > FRESH):
            raise _NotNow("it was refused or had to wait: looking once more")
        if flight.journalled:
            await asyncio.to_thread(self.journal.resend, flight.request.key, self.grant)
        else:
            flight.request = flight.request.model_copy(update={"first_sent_at": flight.left_at})
            await asyncio.to_thread(self.journal.open, flight.request, self.grant)
            flight.journalled = True

    def _key_is_old(self, flight: _Flight) -> bool:
        return self.now() - flight.request.first_sent_at > timedelta(seconds=KEY_MINUTES * self.minute)

    async def _close(
        self,
        flight: _Flight,
        judged: outcome.Outcome,
        end: str,
        told: responses.Reply | errors.Rejected | None = None,
    ) -> None:
        request_id, http_status = (told.request_id, told.http_status) if told else (None, None)
        await asyncio.to_thread(
            self.journal.close, flight.request.key, judged.changed(), judged.groups, self.grant,
            outcome=end, request_id=request_id, http_status=http_status,
        )  # fmt: skip


def _group(mutation: items.Mutation) -> str | None:
    """The group that has to be there already."""
    return mutation.group_name if isinstance(mutation, items.CreateItem | items.MoveItem) else None
