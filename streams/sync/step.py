"""sync: tell Monday.com the difference between what is staged and what the board is known to hold.

Three waves a batch: groups that are missing, then items, then the sizes of the items that exist. What the ledger
says is planned against, so an order that comes twice costs nothing. What turns out otherwise than planned (found on
the board, or taken away by a person) changes the ledger and is planned again. Before a replay is planned, the board is
read and the ledger brought to it.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from connectors.tables.lease import Grant
from mappings.loading import Mappings
from schemas import events, items, versions
from schemas.failures import FailureType
from schemas.orders import Problem, StagedOrder
from streams.sync import in_doubt as recovery
from streams.sync import plan as plans
from streams.sync import refresh, select
from streams.sync.in_doubt import InDoubtRequests
from streams.sync.outcome import Result, Stale, is_missing
from streams.sync.select import Work
from streams.sync.writer import Intent

log = logging.getLogger(__name__)

# A person may take away an item while its sizes are written; three rounds make it again, and one is spare.
ROUNDS = 4
UNSETTLED = "UNSETTLED"


class Staging(select.Staging, Protocol):
    """The STG tables, and how staged orders end (connectors.tables.staging.Staging)."""

    def finish(self, ends: Sequence[versions.ConfirmedVersion]) -> None: ...
    def begin_again(self, identities: Sequence[versions.Version]) -> None: ...
    def supersede(self, identities: Sequence[versions.Version]) -> None: ...
    def stage_left_sizes(self, left: Sequence[versions.LeftSizes]) -> None: ...


class Ledger(Protocol):
    """What the board is known to hold (connectors.tables.ledger.Ledger)."""

    def known(self, record_uuids: Sequence[str]) -> dict[str, tuple[items.Entity | None, list[items.Entity]]]: ...
    def groups(self) -> dict[str, str]: ...


class Writer(Protocol):
    """Carries out mutations (streams.sync.writer.Writer)."""

    async def write(self, intents: Sequence[Intent]) -> list[Result]: ...


class Refresher(Protocol):
    """Brings the ledger to what the board shows (streams.sync.refresh.Refresher)."""

    async def refresh(self, orders: Sequence[StagedOrder], grant: Grant) -> dict[str, refresh.Seen]: ...


@dataclass(frozen=True)
class Syncer:
    """One writer's parts, and its right to write."""

    grant: Grant
    refresher: Refresher
    staging: Staging
    ledger: Ledger
    writer: Writer
    in_doubt: InDoubtRequests
    labels: plans.Labels
    mappings: Mappings
    now: Callable[[], datetime]

    async def run(self, staged: Sequence[events.OrderStaged]) -> list[events.OrderEvent]:
        """Brings the board to what is staged, and emits OrderSynced or OrderFailed for each order.

        Parks an order that a request in doubt is about. Raises what the writer raises; then nothing is emitted, and the
        same events may come again.
        """
        in_doubt = await self.in_doubt.advance()
        clear, waiting = recovery.split(in_doubt, staged)
        chosen = await asyncio.to_thread(select.choose, clear, self.staging)
        work, without_group = recovery.without_group(in_doubt, chosen.work)
        if chosen.superseded:
            await asyncio.to_thread(self.staging.supersede, chosen.superseded)
        if waiting := [*waiting, *(one.event for one in without_group)]:
            await asyncio.to_thread(self.in_doubt.park, waiting)
        told = [self._synced(event, item_id, 0) for event, item_id in chosen.already_done]
        return told + (await self._batch(work) if work else [])

    async def _batch(self, work: Sequence[Work]) -> list[events.OrderEvent]:
        await self._look_again([one for one in work if one.replayed])
        left = list(work)
        for _ in range(ROUNDS):
            await self._write_items(left)
            if with_sizes := [one for one in left if one.goes_on and not one.order.removed]:
                await self._write_sizes(with_sizes)
            left = [one for one in left if one.stale is not None and one.failure is None]
            if not left:
                break
        for one in left:
            one.failure = self._unsettled(one)
        return await self._conclude(work)

    @property
    def _planner(self) -> plans.Planner:
        return plans.Planner(self.mappings, self.labels)

    async def _look_again(self, replayed: Sequence[Work]) -> None:
        seen = await self.refresher.refresh([one.order for one in replayed], self.grant)
        for one in replayed:
            one.copies = seen[one.order.record_uuid].copies
            one.order = plans.replayed(one.order)

    async def _write_items(self, work: Sequence[Work]) -> None:
        known = await asyncio.to_thread(self.ledger.known, [one.order.record_uuid for one in work])
        planned: list[tuple[Work, items.Mutation]] = []
        for one in work:
            one.stale = None
            item = known.get(one.order.record_uuid, plans.NOTHING)[0]
            mutations, problems = self._planner.item_wave(one.order, item, one.copies)
            if problems:
                one.failure = self._invalid(one, problems)
            planned += [(one, mutation) for mutation in mutations]
        await self._write_groups(planned)
        await self._write([pair for pair in planned if pair[0].goes_on])

    async def _write_groups(self, planned: Sequence[tuple[Work, items.Mutation]]) -> None:
        created = self._planner.group_wave((mutation for _, mutation in planned), await self._groups())
        results = await self.writer.write([Intent(group) for group in created])
        for group, result in zip(created, results, strict=True):
            for one, mutation in planned:
                if getattr(mutation, "group_name", None) == group.group_name:
                    self._note(one, group, result)

    async def _groups(self) -> dict[str, str]:
        return await asyncio.to_thread(self.ledger.groups)

    async def _write_sizes(self, work: Sequence[Work]) -> None:
        known = await asyncio.to_thread(self.ledger.known, [one.order.record_uuid for one in work])
        planned: list[tuple[Work, items.Mutation]] = []
        left: list[versions.LeftSizes] = []
        for one in work:
            item, sizes = known[one.order.record_uuid]
            if item is None:
                raise ValueError(f"order {one.order.record_uuid} was written and is not on the ledger")
            gone = [size.size_label for size in sizes if size.active and size.size_label not in one.order.sizes]
            if gone:
                version = versions.Version(one.order.record_uuid, one.order.version)
                left.append(versions.LeftSizes(one.order.stg_id, version, gone))
            planned += [(one, mutation) for mutation in self._planner.size_wave(one.order, item, sizes)]
        if left:
            await asyncio.to_thread(self.staging.stage_left_sizes, left)
        await self._write(planned)

    async def _write(self, planned: Sequence[tuple[Work, items.Mutation]]) -> None:
        results = await self.writer.write([Intent(mutation, one.order.version) for one, mutation in planned])
        for (one, mutation), result in zip(planned, results, strict=True):
            one.mutations += 1
            self._note(one, mutation, result)

    def _note(self, one: Work, mutation: items.Mutation, result: Result) -> None:
        if isinstance(result, items.Refused):
            one.failure = one.failure or self._refused(one, mutation, result)
        elif isinstance(result, Stale):
            one.stale = result.reason
        elif isinstance(mutation, items.RemoveItem) and mutation in one.copies:
            one.copies.remove(mutation)
        elif isinstance(mutation, items.CreateItem | items.UpdateItem) and mutation.create_labels:
            self.labels.created(mutation.columns)

    async def _conclude(self, work: Sequence[Work]) -> list[events.OrderEvent]:
        known = await asyncio.to_thread(self.ledger.known, [one.order.record_uuid for one in work])
        emit: list[events.OrderEvent] = []
        ends: list[versions.ConfirmedVersion] = []
        for one in work:
            if one.failure is not None:
                emit.append(one.failure)
                continue
            item = known.get(one.order.record_uuid, plans.NOTHING)[0]
            item_id = item.item_id if item is not None and item.active and not one.order.removed else None
            ends.append(versions.ConfirmedVersion(one.order.record_uuid, one.order.version, item_id))
            emit.append(self._synced(one.event, item_id, one.mutations))
        again = [
            end.version for one, end in zip((w for w in work if w.failure is None), ends, strict=True) if one.replayed
        ]
        if again:
            await asyncio.to_thread(self.staging.begin_again, again)
        await asyncio.to_thread(self.staging.finish, ends)
        return emit

    def _synced(self, event: events.OrderStaged, item_id: str | None, mutations: int) -> events.OrderSynced:
        return events.OrderSynced(**event.identity, item_id=item_id, mutations=mutations, synced_at=self.now())

    def _invalid(self, one: Work, problems: Sequence[Problem]) -> events.OrderFailed:
        message = "; ".join(str(problem) for problem in problems)
        return self._failed(one, FailureType.VALIDATION_ERROR, code="LABEL", message=message)

    def _unsettled(self, one: Work) -> events.OrderFailed:
        message = f"after {ROUNDS} rounds the board still differs: {one.stale}"
        return self._failed(one, FailureType.API_ERROR, code=UNSETTLED, message=message, retryable=True)

    def _refused(self, one: Work, mutation: items.Mutation, refused: items.Refused) -> events.OrderFailed:
        return self._failed(
            one,
            FailureType.API_ERROR,
            code=refused.code,
            message=refused.message,
            # The one refusal that may pass by itself: reads lag behind writes, so what a person took away may still be
            # shown when we look for it; a little later it is known to be gone, and made again.
            retryable=is_missing(refused),
            size_label=getattr(mutation, "size_label", None),
            http_status=refused.http_status,
            request_id=refused.request_id,
            api_payload=json.dumps(mutation.model_dump(mode="json"), ensure_ascii=False),
        )

    def _failed(self, one: Work, failure: FailureType, **why: Any) -> events.OrderFailed:
        return events.OrderFailed(
            **one.event.identity,
            failure=failure,
            attempt=one.event.attempt,
            original_data=one.order.source_row,
            failed_at=self.now(),
            **{"retryable": False, **why},
        )
