"""The one writer of a board: it journals each request before it leaves, and no mutation takes place twice.

A request is answered, rejected or in doubt.

- Answered: the API states the result of every alias, and the ledger follows. Of an alias that the answer leaves out,
  a lookup shows whether it took place: nothing is in flight any more, only reads may lag.
- Rejected as a whole: the writer splits it in halves, until the mutation that causes the rejection fails alone.
- In doubt: no answer came, and the API may go on with the request for a minute. The writer leaves it to
  streams.sync.in_doubt, which adopts what the board shows and calls `resend` or `give_up` when the time is over.
"""

import asyncio
import functools
import itertools
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
from streams.sync.outcome import InDoubt, NoRoom, Result, Stale
from streams.sync.outline import ColumnCheck
from streams.sync.room import Room

log = logging.getLogger(__name__)

# The API forgets a key after 30 minutes. The last minute allows for a request on its way and for clocks that disagree.
KEY_MINUTES = 29
# Seconds. The log says that a request took longer than this: its answer should come well within the in-flight window.
LONG = 30.0


@dataclass(frozen=True)
class Intent:
    """A mutation and the version of its order that it carries out (0 for a group, which belongs to no order)."""

    mutation: items.Mutation
    version: int = 0


class _KeyIsOld(errors.Transient):
    """The API may have forgotten the key of an in-doubt request, and would carry it out a second time."""


@dataclass
class _Flight:
    """One request on its way. `again`: the board showed nothing of it when its in-flight window was over."""

    request: Request
    again: bool = False
    journalled: bool = False


@dataclass
class Writer:
    """Writes under the lease of `grant`. `minute` is the API's minute in seconds, `now` is UTC.

    `budget_left` returns how many mutations still fit into the current minute; `progress` runs after each request.
    `left_at`: when each request without an answer left last, by its key; `answered_at`: when the API answered last.
    """

    client: writer_ports.Client
    journal: writer_ports.Journal
    ledger: writer_ports.Ledger
    board_lookup: lookup.BoardLookup
    board_id: str
    subitem_board_id: str
    grant: Grant
    batch_size: int
    minute: float
    budget_left: Callable[[], int]
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[object]]
    new_key: Callable[[], str]
    progress: Callable[[], None]
    room: Room
    columns: ColumnCheck
    size: sizing.BatchSize = field(init=False)
    left_at: dict[str, datetime] = field(default_factory=dict, init=False)
    answered_at: datetime | None = field(default=None, init=False)
    _unanswered: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.size = sizing.BatchSize(self.batch_size)

    async def adopt(self, request: Request, found: Mapping[int, lookup.Adopted]) -> Request:
        """Records the creates of an in-doubt request that the board shows, by their position. Returns it with these.

        A request of which every mutation was adopted has ended. Raises LeaseLost and what SQL raises.
        """
        adopted = request.model_copy(update={"adopted": request.adopted | set(found)})
        shown = outcome.adopted(request, found)
        if adopted.missing():
            await asyncio.to_thread(self.journal.adopt, adopted, shown.changed(), shown.groups, self.grant)
        else:
            await self._close(request, shown, "DONE")
        return adopted

    async def resend(self, request: Request) -> bool:
        """Sends an in-doubt request of which the board shows nothing once more, under its key. False: no answer again.

        The caller waited until the first one could not be in flight any more. Raises what `write` raises.
        """
        try:
            reply = await self._answer(_Flight(request, again=True, journalled=True))
        except error_table.MustLookUp:
            await self._record(request, None)
        except errors.OutcomeUnknown as unknown:
            await self._in_doubt(request, unknown)
            return False
        except (_KeyIsOld, errors.Rejected):
            # The API executed nothing this time, and the board shows that it executed nothing before.
            await self.give_up(request)
        else:
            await self._record(request, reply)
        return True

    async def give_up(self, request: Request) -> None:
        """Records that what the board does not show of an in-doubt request did not take place; the next plan has it.

        Raises LeaseLost and what SQL raises.
        """
        missing = list(request.missing().values())
        rest = request.model_copy(update={"mutations": tuple(missing)})
        await self._record(rest, None, found={})

    async def write(self, intents: Sequence[Intent]) -> list[Result]:
        """Carries out all mutations, in order, in requests. Returns the result of each, in the same order.

        A mutation of a request without an answer is InDoubt, and a create for a full board is NoRoom; the others go on.
        Raises Misconfigured (account or board stop, a column that is not as mapped), LeaseLost or Transient. Then the
        ledger has the confirmed mutations, the journal has the requests in doubt, and the next plan contains the rest
        only.
        """
        results: list[Result] = []
        if intents:
            await self.columns.before_writing()
        while len(results) < len(intents):
            count = self.size.share(len(intents) - len(results), self.budget_left())
            answered = await self._request(intents[len(results) : len(results) + count])
            await self.columns.refused([result.code for result in answered if isinstance(result, items.Refused)])
            results += answered
        return results

    async def _request(self, intents: Sequence[Intent]) -> list[Result]:
        groups = await asyncio.to_thread(self.ledger.groups)
        obstacles = [self._obstacle(intent.mutation, groups) for intent in intents]
        ready = [intent for intent, obstacle in zip(intents, obstacles, strict=True) if obstacle is None]
        if len(ready) < len(intents):
            done = iter(await self._request(ready) if ready else [])
            return [next(done) if obstacle is None else obstacle for obstacle in obstacles]
        flight = _Flight(self._compose(intents, groups))
        try:
            answered, results = await self._carry_out(flight)
        except errors.OutcomeUnknown as unknown:
            await self._in_doubt(flight.request, unknown)
            return [InDoubt(str(unknown))] * len(intents)
        except errors.Rejected as rejected:
            if len(intents) == 1:
                result = outcome.refused(rejected)
                self.room.note(flight.request.mutations, [result])
                return [result]
            return await self._halves(intents)
        not_done = [intent for intent, result in zip(intents, results, strict=True) if result is None]
        if answered or len(not_done) < len(intents):
            repeated = iter(await self._request(not_done) if not_done else [])
        elif len(intents) > 1:
            repeated = iter(await self._halves(not_done))
        else:
            repeated = iter([Stale("the answer states no outcome, and the board does not show it")])
        return [next(repeated) if result is None else result for result in results]

    def _obstacle(self, mutation: items.Mutation, groups: Mapping[str, str]) -> Result | None:
        """Why this mutation must not leave now; None if it may."""
        if self.room.is_full and outcome.is_create(mutation):
            return NoRoom(self.room.reason)
        return None if _group(mutation) in (None, *groups) else Stale("its group is not on the board")

    async def _halves(self, intents: Sequence[Intent]) -> list[Result]:
        half = len(intents) // 2
        return await self._request(intents[:half]) + await self._request(intents[half:])

    def _compose(self, intents: Sequence[Intent], groups: Mapping[str, str]) -> Request:
        mutations = tuple(intent.mutation for intent in intents)
        return Request(
            key=self.new_key(),
            body=documents.render(mutations, board_id=self.board_id, group_ids=groups).body,
            mutations=mutations,
            versions={
                intent.mutation.record_uuid: intent.version
                for intent in intents
                if not isinstance(intent.mutation, items.GroupMutation)
            },
            first_sent_at=self.now(),
        )

    async def _carry_out(self, flight: _Flight) -> tuple[bool, list[Result | None]]:
        """True if the API stated outcomes; and the result of each mutation, None for one that has to be sent once more.

        Raises OutcomeUnknown when no answer came.
        """
        try:
            reply = await self._answer(flight)
        except error_table.MustLookUp as unclear:
            results = await self._record(flight.request, None)
            await self.columns.refused([unclear.error.code])
            results = outcome.without_room(unclear.error, flight.request.mutations, results)
            self.room.note(flight.request.mutations, results)
            return False, results
        return True, await self._record(flight.request, reply)

    async def _answer(self, flight: _Flight) -> responses.Reply:
        """The API's answer; sends the request again while the API certainly did not execute it.

        Raises OutcomeUnknown when no answer came, its child MustLookUp for an answer without outcomes, and Rejected.
        """
        for pause in itertools.chain(backoff.RESEND_PAUSES, itertools.repeat(backoff.RESEND_PAUSES[-1])):
            try:
                reply = await self.client.send(
                    flight.request.body,
                    key=flight.request.key,
                    mutations=len(flight.request.mutations),
                    leave=functools.partial(self._leave, flight),
                )
            except (errors.OutcomeUnknown, _KeyIsOld):
                raise
            except errors.Rejected as rejected:
                await self._not_executed(flight, "REJECTED", rejected)
                raise
            except error_table.AccountStop:
                await self._not_executed(flight, "STOPPED")
                raise
            except errors.Transient as error:
                await self._not_executed(flight, "NOT_SENT")
                wait = pause if error.wait is None else error.wait
                log.warning("request %s was not executed: %s; retry in %.1f s", flight.request.key, error, wait)
                await self.sleep(wait)
            else:
                self._unanswered, self.answered_at = 0, self.now()
                return reply
        raise AssertionError("the pauses never end")

    async def _not_executed(self, flight: _Flight, end: str, rejected: errors.Rejected | None = None) -> None:
        """Closes a request that is certainly not in flight: after a crash it must not count as in doubt."""
        if flight.journalled and not flight.again:
            await self._close(flight.request, outcome.Outcome(), end, rejected)
            flight.journalled = False
            flight.request = flight.request.model_copy(update={"key": self.new_key()})

    async def _in_doubt(self, request: Request, unknown: errors.OutcomeUnknown) -> None:
        """Leaves a request in doubt, and pauses the longer the more requests in a row had no answer."""
        self._unanswered += 1
        seconds = (self.now() - self.left_at[request.key]).total_seconds()
        self.size.adapt(len(request.mutations), seconds, answered=False)
        self.progress()
        pauses = backoff.RESEND_PAUSES
        pause = pauses[min(self._unanswered, len(pauses)) - 1] if unknown.wait is None else unknown.wait
        log.warning("request %s is in doubt after %.1f s: %s; next in %.1f s", request.key, seconds, unknown, pause)
        await self.sleep(pause)

    async def _record(
        self, request: Request, reply: responses.Reply | None, found: Mapping[int, lookup.Adopted] | None = None
    ) -> list[Result | None]:
        """Records the outcome of a request that is not in flight any more: by its answer, else by what is `found`.

        None means: look it up. Returns the result of each mutation, None for one that has to be sent once more.
        """
        mutations = request.mutations
        if reply is None:
            verdicts: list[responses.Verdict] = [items.Unknown(reason="no answer")] * len(mutations)
        else:
            self._note_duration(request, reply.seconds)
            verdicts = responses.judge(reply, [f"m{i}" for i in range(len(mutations))])
        if found is None:
            unknown = {i: mutations[i] for i, verdict in enumerate(verdicts) if isinstance(verdict, items.Unknown)}
            found = await self.board_lookup.find(unknown)
        resolver = outcome.OutcomeResolver(self.ledger, self.board_lookup, self.board_id, self.subitem_board_id)
        resolved = await resolver.resolve(request, verdicts, found, answered=reply is not None)
        done = all(isinstance(result, items.Done) for result in resolved.results)
        await self._close(request, resolved, "DONE" if done else "PARTIAL", reply)
        self.room.note(mutations, resolved.results)
        self.progress()
        if resolved.stop is not None:
            raise resolved.stop
        if resolved.wait:
            await self.sleep(resolved.wait)
        return resolved.results

    def _note_duration(self, request: Request, seconds: float) -> None:
        self.size.adapt(len(request.mutations), seconds)
        if seconds > LONG:
            log.warning("request %s: %d mutations took %.1f s", request.key, len(request.mutations), seconds)

    async def _leave(self, flight: _Flight) -> None:
        """Commits the intent before each sending, under the lease; if the commit fails, the body stays here.

        One gap is left, and only the API could close it: a process is frozen between this commit and the socket, and
        wakes after its successor recorded the request as not done and sent the mutations under another key.
        """
        now = self.now()
        if flight.again and now - flight.request.first_sent_at > timedelta(seconds=KEY_MINUTES * self.minute):
            raise _KeyIsOld(f"its key is {KEY_MINUTES} minutes old")
        if flight.journalled:
            await asyncio.to_thread(self.journal.resend, flight.request.key, self.grant)
        else:
            flight.request = flight.request.model_copy(update={"first_sent_at": now})
            await asyncio.to_thread(self.journal.open, flight.request, self.grant)
            flight.journalled = True
        self.left_at[flight.request.key] = now

    async def _close(
        self,
        request: Request,
        resolved: outcome.Outcome,
        end: str,
        answer: responses.Reply | errors.Rejected | None = None,
    ) -> None:
        request_id, http_status = (answer.request_id, answer.http_status) if answer else (None, None)
        await asyncio.to_thread(
            self.journal.close, request.key, resolved.changed(), resolved.groups, self.grant,
            outcome=end, request_id=request_id, http_status=http_status,
        )  # fmt: skip
        self.left_at.pop(request.key, None)


def _group(mutation: items.Mutation) -> str | None:
    """The group that this mutation needs on the board; None if it needs none."""
    return mutation.group_name if isinstance(mutation, items.CreateItem | items.MoveItem) else None
