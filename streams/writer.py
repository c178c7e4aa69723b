"""The one writer of a board: batches of mutations, journalled before they leave, never carried out twice.

A request has three ends. Answered: every alias is judged and the ledger follows. Refused as a whole: halved, until
the one mutation that spoils it fails alone. In doubt: the same body under the same key while the API remembers keys;
after that it is looked up, adopted where it took place and otherwise begun anew.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from connectors import errors
from connectors.journal import Request
from connectors.lease import Grant
from connectors.monday import documents, error_table, responses
from mappings import plan
from schemas import items
from streams import doubt

log = logging.getLogger(__name__)

# The API forgets a key after 30 minutes; the last minute is left to clocks that disagree.
KEY_MINUTES = 29
# Pauses before the same body goes out again under its key; the last one repeats.
RESEND = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
# A batch that took longer than this is halved; one that was quicker than a quarter of it may grow again.
SLOW = 20.0


class Client(Protocol):
    """One paced POST (connectors.monday.client.Client)."""

    async def send(self, body: str, *, key: str | None, mutations: int) -> responses.Reply: ...


class Journal(Protocol):
    """Requests and what became of them (connectors.journal.Journal)."""

    def open(self, request: Request, grant: Grant) -> None: ...
    def resend(self, key: str, grant: Grant) -> None: ...
    def close(
        self,
        key: str,
        entities: Sequence[tuple[items.Entity, int]],
        groups: Mapping[str, str],
        *,
        outcome: str,
        request_id: str | None = None,
        http_status: int | None = None,
    ) -> None: ...
    def unfinished(self) -> list[Request]: ...


class Ledger(Protocol):
    """What the board is known to hold (connectors.ledger.Ledger)."""

    def known(
        self, record_uuids: Sequence[str]
    ) -> dict[str, tuple[items.Entity | None, list[items.Entity]]]: ...
    def groups(self) -> dict[str, str]: ...


@dataclass(frozen=True)
class Intent:
    """A mutation and the version of its order that it carries out (0 for a group, which belongs to no order)."""

    mutation: items.Mutation
    version: int = 0


Result = items.Done | items.Refused


@dataclass
class Writer:
    """Holds the lease's grant while it writes. `minute` is the API's minute in seconds."""

    client: Client
    journal: Journal
    ledger: Ledger
    looker: doubt.Looker
    board_id: str
    grant: Grant
    batch_size: int
    minute: float
    room: Callable[[], int]
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[object]]
    new_key: Callable[[], str]
    progress: Callable[[], None]
    _size: int = 0

    async def recover(self) -> int:
        """Brings every request that an earlier life left in doubt to its end. Returns how many there were."""
        found: list[Request] = await asyncio.to_thread(self.journal.unfinished)
        for request in found:
            log.warning("request %s of an earlier life is in doubt: asking again", request.key)
            await asyncio.to_thread(self.journal.resend, request.key, self.grant)
            try:
                await self._carry_out(request)
            except errors.Rejected as rejected:
                await self._reject(request, rejected)
        return len(found)

    async def write(self, intents: Sequence[Intent]) -> list[Result]:
        """Carries out all mutations, in order, in batches. The result of each, in the same order.

        Raises Misconfigured (account or board stop), LeaseLost, Transient: then what is done is on the ledger, what
        is in doubt in the journal, and planning again asks for the rest only.
        """
        results: list[Result] = []
        size = self._size or self.batch_size
        while len(results) < len(intents):
            room = self.room()
            most = min(size, room) if room else size
            some = intents[len(results) : len(results) + most]
            started = self.now()
            results += await self._request(some)
            size = self._adapted(size, len(some), (self.now() - started).total_seconds())
        self._size = size
        return results

    def _adapted(self, size: int, sent: int, seconds: float) -> int:
        """Far below the API's own time-out of 60 s; a batch that was cut by the budget says nothing."""
        if seconds > SLOW:
            return max(1, size // 2)
        return min(self.batch_size, size + 1) if sent == size and seconds < SLOW / 4 else size

    async def _request(self, intents: Sequence[Intent]) -> list[Result]:
        mutations = tuple(intent.mutation for intent in intents)
        groups = await asyncio.to_thread(self.ledger.groups)
        rendered = documents.render(mutations, board_id=self.board_id, group_ids=groups)
        request = Request(
            key=self.new_key(),
            body=rendered.body,
            mutations=mutations,
            versions={_uuid(i.mutation): i.version for i in intents if _uuid(i.mutation)},
            first_sent_at=self.now(),
        )
        await asyncio.to_thread(self.journal.open, request, self.grant)
        try:
            results = await self._carry_out(request)
        except errors.Rejected as rejected:
            await self._reject(request, rejected)
            if len(intents) == 1:
                return [
                    items.Refused(
                        code=rejected.code,
                        message=str(rejected),
                        http_status=rejected.http_status,
                        request_id=rejected.request_id,
                    )
                ]
            half = len(intents) // 2
            return await self._request(intents[:half]) + await self._request(intents[half:])
        again = [intent for intent, result in zip(intents, results, strict=True) if result is None]
        repeated = iter(await self._request(again) if again else [])
        return [next(repeated) if result is None else result for result in results]

    async def _reject(self, request: Request, rejected: errors.Rejected) -> None:
        await asyncio.to_thread(
            self.journal.close, request.key, [], {}, outcome="REJECTED", request_id=rejected.request_id,
            http_status=rejected.http_status,
        )  # fmt: skip

    async def _carry_out(self, request: Request) -> list[Result | None]:
        """The result of each mutation of a journalled request; None for one that surely did not take place."""
        reply = await self._answer(request)
        if reply is None:
            verdicts: list[responses.Verdict] = [items.Unknown(reason="no answer")] * len(request.mutations)
        else:
            verdicts = responses.judge(reply, [f"m{i}" for i in range(len(request.mutations))])
        results: list[Result | None] = []
        wait, stop = 0.0, None
        for mutation, verdict in zip(request.mutations, verdicts, strict=True):
            if isinstance(verdict, responses.Throttled):
                wait = max(wait, verdict.wait)
                results.append(None)
            elif isinstance(verdict, responses.Stopped):
                stop = verdict.error()
                results.append(None)
            elif isinstance(verdict, items.Unknown):
                results.append(await self.looker.look(mutation))
            else:
                results.append(verdict)
        await self._close(request, results, reply)
        self.progress()
        if stop is not None:
            raise stop
        if wait:
            await self.sleep(wait)
        return results

    async def _answer(self, request: Request) -> responses.Reply | None:
        """The API's answer, asked for under one key as long as it knows the key; None when it has to be looked up."""
        attempt = 0
        while True:
            if self.now() - request.first_sent_at > timedelta(seconds=KEY_MINUTES * self.minute):
                return None
            try:
                return await self.client.send(request.body, key=request.key, mutations=len(request.mutations))
            except error_table.MustLookUp:
                return None
            except errors.Transient as error:
                pause = error.wait if error.wait is not None else RESEND[min(attempt, len(RESEND) - 1)]
                log.warning("request %s: %s; the same again in %.1f s", request.key, error, pause)
                attempt += 1
                await self.sleep(pause)
                await asyncio.to_thread(self.journal.resend, request.key, self.grant)

    async def _close(
        self, request: Request, results: Sequence[Result | None], reply: responses.Reply | None
    ) -> None:
        uuids = sorted({_uuid(mutation) for mutation in request.mutations} - {""})
        known = await asyncio.to_thread(self.ledger.known, uuids)
        held = {
            (entity.record_uuid, entity.size_label): entity
            for item, sizes in known.values()
            for entity in ([item] if item else []) + sizes
        }
        groups: dict[str, str] = {}
        changed: dict[tuple[str, str], tuple[items.Entity, int]] = {}
        for mutation, result in zip(request.mutations, results, strict=True):
            if not isinstance(result, items.Done):
                continue
            if isinstance(mutation, items.CreateGroup):
                groups[mutation.group_name] = result.id
                continue
            at = (mutation.record_uuid, getattr(mutation, "size_label", ""))
            held[at] = plan.apply(held.get(at), mutation, result, board_id=self.board_id)
            changed[at] = (held[at], request.versions[mutation.record_uuid])
        done = all(isinstance(result, items.Done) for result in results)
        await asyncio.to_thread(
            self.journal.close, request.key, list(changed.values()), groups,
            outcome="DONE" if done else "PARTIAL",
            request_id=reply.request_id if reply else None,
            http_status=reply.http_status if reply else None,
        )  # fmt: skip


def _uuid(mutation: items.Mutation) -> str:
    return "" if isinstance(mutation, items.CreateGroup) else mutation.record_uuid
