"""sync: send Monday.com the difference between the staged orders and the ledger of the board.

Reads: orders.staged, STG tables, SYNC_Ledger, SYNC_Requests. Writes: the board, SYNC_Requests, SYNC_Ledger, STG tables,
SYNC_State (parked orders). Emits: orders.synced, orders.failed; a parked order to orders.staged. Runs in: the worker
that holds the lease. Runs twice: the ledger already has the order, so the second run sends nothing.

A batch of events has three waves: missing groups, items, the sizes of the items that exist. Within a wave, removals go
before updates, and updates before creates: a full board refuses creates only, and a removal makes room for them. If the
board differs from the ledger (an item was found there, or a user removed it), sync corrects the ledger and plans the
order once more. Before it plans a replay, sync refreshes the ledger from the board. Before a label fails an order,
before a retry, and when the API refuses a value or column, sync reads the outline of the board again.

Invariant: only the planned difference leaves, and only after its intent is in the journal.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from connectors.tables.lease import Grant
from mappings.loading import Mappings
from schemas import events, items, versions
from schemas.bindings import Creates
from schemas.failures import FailureType
from schemas.orders import Problem, StagedOrder
from streams.sync import in_doubt as in_doubt_requests
from streams.sync import plan as plans
from streams.sync import refresh, select
from streams.sync.in_doubt import InDoubtRequests
from streams.sync.outcome import InDoubt, NoRoom, Result, Stale, is_create, is_missing, is_of_outline
from streams.sync.outline import READ_EVERY, Outline
from streams.sync.select import Work
from streams.sync.writer import Intent

log = logging.getLogger(__name__)

# A user may remove an item while sync writes its sizes: three attempts create it once more, the fourth is a reserve.
ATTEMPTS = 4
UNSETTLED = "UNSETTLED"
NO_ANSWER = "NO_ANSWER"

Planned = list[tuple[Work, items.Mutation]]
Wrong = list[tuple[Work, tuple[Problem, ...]]]


class Staging(select.Staging, Protocol):
    """The STG tables, and the states of staged orders (connectors.tables.staging.Staging).

    Raises Transient or Misconfigured. Each method is one transaction.
    """

    def finish(self, ends: Sequence[versions.ConfirmedVersion]) -> None:
        """Records that the board shows these versions: API_SUCCESS."""

    def begin_again(self, identities: Sequence[versions.Version]) -> None:
        """Opens these settled versions for a replay."""

    def supersede(self, identities: Sequence[versions.Version]) -> None:
        """Records that a newer version replaces these: SUPERSEDED."""

    def stage_left_sizes(self, left: Sequence[versions.LeftSizes]) -> None:
        """Stages the sizes that left their order, with quantity 0."""


class Ledger(Protocol):
    """What the board holds, as the API confirmed it (connectors.tables.ledger.Ledger).

    Raises Transient or Misconfigured.
    """

    def known(self, record_uuids: Sequence[str]) -> dict[str, tuple[items.Entity | None, list[items.Entity]]]:
        """Item and subitems of each order; an order that never was on the board is absent."""

    def promoted(self, record_uuids: Sequence[str]) -> set[str]:
        """Those of these orders that production has."""

    def groups(self) -> dict[str, str]:
        """Group ids by name."""


class Writer(Protocol):
    """Carries out mutations (streams.sync.writer.Writer)."""

    async def write(self, intents: Sequence[Intent]) -> list[Result]:
        """The result of each mutation, in the same order. Raises Misconfigured, LeaseLost or Transient."""


class Refresher(Protocol):
    """Brings the ledger to what the board shows (streams.sync.refresh.Refresher)."""

    async def refresh(self, orders: Sequence[StagedOrder], grant: Grant) -> dict[str, refresh.Seen]:
        """Each order as the board shows it. Raises Misconfigured, LeaseLost or Transient."""

    async def retire_moved(self, orders: Sequence[StagedOrder], grant: Grant) -> None:
        """Corrects the ledger where an item is not on the board any more. Raises what `refresh` raises."""


@dataclass(frozen=True)
class Syncer:
    """The sync step of one writer, with the lease that lets it write. `now` is UTC."""

    grant: Grant
    refresher: Refresher
    staging: Staging
    ledger: Ledger
    writer: Writer
    in_doubt: InDoubtRequests
    outline: Outline
    mappings: Mappings
    now: Callable[[], datetime]

    async def run(self, staged: Sequence[events.OrderStaged]) -> list[events.OrderEvent]:
        """Brings the board to the staged orders. Returns the events to emit: OrderSynced or OrderFailed for each order.

        Parks an order of an in-doubt request or without room, which has no event. Raises what the writer raises; then
        the caller emits nothing and may repeat the same events.
        """
        in_doubt = await self.in_doubt.advance()
        clear, waiting = in_doubt_requests.split(in_doubt, staged)
        chosen = await asyncio.to_thread(select.choose, clear, self.staging)
        work, without_group = in_doubt_requests.without_group(in_doubt, chosen.work)
        if chosen.superseded:
            await asyncio.to_thread(self.staging.supersede, chosen.superseded)
        emitted: list[events.OrderEvent] = [self._synced(event, item_id, 0) for event, item_id in chosen.already_done]
        for together in self._batches(work):
            emitted += await self._batch(together)
        if any(one.in_doubt for one in work):
            in_doubt = await self.in_doubt.unfinished()
        parked = [in_doubt_requests.Waiting(event) for event in waiting]
        for one in [*without_group, *(one for one in work if one.waits)]:
            parked.append(in_doubt_requests.Waiting(one.event, one.order.group_name, one.no_room))
        if parked:
            await asyncio.to_thread(self.in_doubt.park, in_doubt, parked)
        return emitted

    def _batches(self, work: Sequence[Work]) -> list[list[Work]]:
        """The orders to write together: all, but each suspect (streams.sync.in_doubt) alone."""
        alone = [one for one in work if one.version in self.in_doubt.suspects]
        together = [one for one in work if one not in alone]
        return [batch for batch in (together, *([one] for one in alone)) if batch]

    async def _batch(self, work: Sequence[Work]) -> list[events.OrderEvent]:
        for one in work:
            if one.version in self.in_doubt.hopeless:
                self.in_doubt.hopeless.discard(one.version)
                one.failure = self._unanswered(one)
        if any(one.event.cause is events.Cause.RETRY for one in work):
            await self.outline.refresh()
        await self._refresh(work)
        await self._rename_groups()
        left = [one for one in work if one.goes_on]
        for _ in range(ATTEMPTS):
            await self._write_items(left)
            if with_sizes := [one for one in left if one.goes_on and not one.order.removed]:
                await self._write_sizes(with_sizes)
            left = [one for one in left if one.stale is not None and one.failure is None and not one.waits]
            if not left:
                break
        for one in left:
            one.failure = self._unsettled(one)
        ended = [one for one in work if not one.waits]
        self.in_doubt.suspects.difference_update(one.version for one in ended)
        return await self._finish(ended)

    @property
    def _planner(self) -> plans.Planner:
        return plans.Planner(self.mappings, self.outline)

    async def _refresh(self, work: Sequence[Work]) -> None:
        """Reads replayed orders from the board, and those that the ledger should have and has not."""
        replayed = [one for one in work if one.replayed]
        lost = await asyncio.to_thread(self._lost, [one for one in work if not one.replayed])
        seen = await self.refresher.refresh([one.order for one in (*replayed, *lost)], self.grant)
        for one in replayed:
            one.copies = seen[one.order.record_uuid].copies
            one.order = plans.replayed(one.order)

    def _lost(self, work: Sequence[Work]) -> list[Work]:
        """The orders without a ledger row that the board may show: those in production, or all if the binding says so.

        A ledger that was lost is found again in this way, by the key column, order by order.
        """
        known = self.ledger.known([one.order.record_uuid for one in work])
        absent = [one for one in work if one.order.record_uuid not in known]
        if not absent or self.in_doubt.room.creates is not Creates.FREE:
            return absent
        promoted = self.ledger.promoted([one.order.record_uuid for one in absent])
        return [one for one in absent if one.order.record_uuid in promoted]

    async def _write_items(self, work: Sequence[Work]) -> None:
        leaving = [one.order for one in work if one.order.removed]
        if leaving and self.mappings.board.board.removal is not items.Removal.KEEP:
            await self.refresher.retire_moved(leaving, self.grant)
        known = await asyncio.to_thread(self.ledger.known, [one.order.record_uuid for one in work])
        planned, wrong = self._plan_items(work, known)
        if wrong and await self.refresh_outline(every=READ_EVERY):
            again, wrong = self._plan_items([one for one, _ in wrong], known)
            planned += again
        for one, problems in wrong:
            one.failure = self._invalid(one, problems)
        planned = self._without_blind_creates(planned)
        await self._write_groups(planned)
        await self._write([pair for pair in planned if pair[0].goes_on])

    def _without_blind_creates(self, planned: Planned) -> Planned:
        """Parks the orders that need a new item, while the board has items of which nothing is known."""
        if self.in_doubt.room.creates is Creates.HELD:
            for one, mutation in planned:
                one.no_room |= isinstance(mutation, items.CreateItem)
        return [(one, mutation) for one, mutation in planned if not one.no_room]

    def _plan_items(self, work: Sequence[Work], known: Mapping[str, plans.Known]) -> tuple[Planned, Wrong]:
        """The mutations of these orders' items, and the orders with labels that the board does not have."""
        planned: Planned = []
        wrong: Wrong = []
        for one in work:
            one.stale = None
            item = known.get(one.order.record_uuid, plans.NOTHING)[0]
            mutations, problems = self._planner.item_wave(one.order, item, one.copies)
            if problems:
                wrong.append((one, problems))
            planned += [(one, mutation) for mutation in mutations]
        return planned, wrong

    async def refresh_outline(self, *, every: float = 0.0) -> bool:
        """Reads the outline, unless it was read within `every` seconds, and gives renamed groups their names back.

        Returns whether the outline changed. Raises what the writer raises.
        """
        changed = await self.outline.refresh(every=every)
        await self._rename_groups()
        return changed

    async def _rename_groups(self) -> None:
        """Tries each rename once after a reading of the outline, unless one of its group is in doubt."""
        if not self.outline.renames:
            return
        in_doubt = [mutation for request in await self.in_doubt.unfinished() for mutation in request.missing().values()]
        waiting = {mutation.group_id for mutation in in_doubt if isinstance(mutation, items.RenameGroup)}
        renames = [rename for rename in self.outline.renames if rename.group_id not in waiting]
        results = await self.writer.write([Intent(rename) for rename in renames])
        done: list[items.RenameGroup] = []
        for rename, result in zip(renames, results, strict=True):
            if isinstance(result, items.Done):
                done.append(rename)
                log.info("group %s has its name back: a user had called it %s", rename.group_name, rename.shown)
            elif isinstance(result, items.Refused):
                log.error("group %s stays %s on the board: %s", rename.group_name, rename.shown, result.message)
        self.outline.tried(done)

    async def _explain(self, results: Sequence[Result]) -> Sequence[Result]:
        """The results; a value, column or group that was refused is Stale if the outline has changed meanwhile."""
        refused = [isinstance(result, items.Refused) and is_of_outline(result) for result in results]
        if not any(refused) or not await self.refresh_outline():
            return results
        stale = Stale("columns, labels or groups of the board have changed")
        return [stale if doubtful else result for doubtful, result in zip(refused, results, strict=True)]

    async def _write_groups(self, planned: Sequence[tuple[Work, items.Mutation]]) -> None:
        created = self._planner.group_wave((mutation for _, mutation in planned), await self._groups())
        results = await self.writer.write([Intent(group) for group in created])
        for group, result in zip(created, results, strict=True):
            if isinstance(result, items.Done):
                self.outline.created_group(group.group_name, result.id)
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
                raise ValueError(f"order {one.order.record_uuid} was written and is not in the ledger")
            gone = [size.size_label for size in sizes if size.active and size.size_label not in one.order.sizes]
            if gone:
                version = versions.Version(one.order.record_uuid, one.order.version)
                left.append(versions.LeftSizes(one.order.stg_id, version, gone))
            planned += [(one, mutation) for mutation in self._planner.size_wave(one.order, item, sizes)]
        if left:
            await asyncio.to_thread(self.staging.stage_left_sizes, left)
        await self._write(planned)

    async def _write(self, planned: Sequence[tuple[Work, items.Mutation]]) -> None:
        planned = sorted(planned, key=lambda pair: _rank(pair[1]))
        results = await self._explain(
            await self.writer.write([Intent(mutation, one.order.version) for one, mutation in planned])
        )
        for (one, mutation), result in zip(planned, results, strict=True):
            one.mutations += 1
            self._note(one, mutation, result)

    def _note(self, work: Work, mutation: items.Mutation, result: Result) -> None:
        if isinstance(result, items.Refused):
            work.failure = work.failure or self._refused(work, mutation, result)
        elif isinstance(result, InDoubt):
            work.in_doubt = True
        elif isinstance(result, NoRoom):
            work.no_room = True
        elif isinstance(result, Stale):
            work.stale = result.reason
        elif isinstance(mutation, items.RemoveItem) and mutation in work.copies:
            work.copies.remove(mutation)
        elif isinstance(mutation, items.CreateItem | items.UpdateItem) and mutation.create_labels:
            self.outline.created(mutation.columns)

    async def _finish(self, work: Sequence[Work]) -> list[events.OrderEvent]:
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
        replayed = [
            end.version for one, end in zip((w for w in work if w.failure is None), ends, strict=True) if one.replayed
        ]
        if replayed:
            await asyncio.to_thread(self.staging.begin_again, replayed)
        await asyncio.to_thread(self.staging.finish, ends)
        return emit

    def _synced(self, event: events.OrderStaged, item_id: str | None, mutations: int) -> events.OrderSynced:
        return events.OrderSynced(**event.identity, item_id=item_id, mutations=mutations, synced_at=self.now())

    def _invalid(self, work: Work, problems: Sequence[Problem]) -> events.OrderFailed:
        message = "; ".join(str(problem) for problem in problems)
        return self._failed(work, FailureType.VALIDATION_ERROR, code="LABEL", message=message)

    def _unanswered(self, work: Work) -> events.OrderFailed:
        message = "the API gave no answer to its requests, and the board shows nothing of them"
        return self._failed(work, FailureType.API_ERROR, code=NO_ANSWER, message=message, retryable=True)

    def _unsettled(self, work: Work) -> events.OrderFailed:
        message = f"after {ATTEMPTS} attempts the board still differs: {work.stale}"
        return self._failed(work, FailureType.API_ERROR, code=UNSETTLED, message=message, retryable=True)

    def _refused(self, work: Work, mutation: items.Mutation, refused: items.Refused) -> events.OrderFailed:
        return self._failed(
            work,
            FailureType.API_ERROR,
            code=refused.code,
            message=refused.message,
            # The one refusal that may pass by itself. Reads lag behind writes, so the board may still show an item that
            # a user removed. A retry finds that it is gone and creates it once more.
            retryable=is_missing(refused),
            size_label=getattr(mutation, "size_label", None),
            http_status=refused.http_status,
            request_id=refused.request_id,
            api_payload=json.dumps(mutation.model_dump(mode="json"), ensure_ascii=False),
        )

    def _failed(self, work: Work, failure: FailureType, **details: Any) -> events.OrderFailed:
        return events.OrderFailed(
            **work.event.identity,
            failure=failure,
            attempt=work.event.attempt,
            original_data=work.order.source_row,
            failed_at=self.now(),
            **{"retryable": False, **details},
        )


def _rank(mutation: items.Mutation) -> int:
    """The place of a mutation in its wave: removals, then updates, then creates."""
    return 0 if isinstance(mutation, items.RemoveItem) else 2 if is_create(mutation) else 1
