"""sync: tell Monday.com the difference between what is staged and what the board is known to hold.

Three waves a batch: groups that are missing, then items, then the sizes of the items that exist. What the ledger
says is planned against, so an order that comes twice costs nothing.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mappings import items as mapped
from mappings import labels, plan
from mappings.loading import Mappings
from schemas import events, items
from schemas.base import ColumnValue
from schemas.batches import StagingStatus
from schemas.failures import FailureType
from schemas.orders import Problem, StagedOrder
from streams.writer import Intent, Result

log = logging.getLogger(__name__)

Identity = tuple[str, int]
Known = dict[str, tuple[items.Entity | None, list[items.Entity]]]


class Staging(Protocol):
    """The STG tables (connectors.staging.Staging)."""

    def versions(self, record_uuids: Sequence[str]) -> dict[str, dict[int, StagingStatus]]: ...
    def load(self, identities: Sequence[Identity]) -> dict[Identity, StagedOrder]: ...


class Journal(Protocol):
    """The ends of staged orders (connectors.journal.Journal)."""

    def finish(self, ends: Sequence[tuple[str, int, str | None]]) -> None: ...
    def supersede(self, identities: Sequence[Identity]) -> None: ...
    def stage_left_sizes(self, left: Sequence[tuple[int, str, int, Sequence[str]]]) -> None: ...


class Ledger(Protocol):
    """What the board is known to hold (connectors.ledger.Ledger)."""

    def known(self, record_uuids: Sequence[str]) -> Known: ...
    def groups(self) -> dict[str, str]: ...


class Writer(Protocol):
    """Carries out mutations (streams.writer.Writer)."""

    async def recover(self) -> int: ...
    async def write(self, intents: Sequence[Intent]) -> list[Result]: ...


class Labels(Protocol):
    """The labels that the board's columns have now."""

    def known(self) -> Mapping[str, Collection[str]]: ...
    def created(self, columns: Mapping[str, ColumnValue]) -> None: ...


@dataclass
class _Work:
    """One order in a batch, and what became of it so far."""

    event: events.OrderStaged
    order: StagedOrder
    mutations: int = 0
    failure: events.OrderFailed | None = None


@dataclass(frozen=True)
class Syncer:
    """One writer's parts."""

    staging: Staging
    journal: Journal
    ledger: Ledger
    writer: Writer
    labels: Labels
    mappings: Mappings
    now: Callable[[], datetime]

    async def run(self, staged: Sequence[events.OrderStaged]) -> list[events.OrderEvent]:
        """Brings the board to what is staged, and emits OrderSynced or OrderFailed for each order.

        Raises what the writer raises; then nothing is emitted, and the same events may come again.
        """
        await self.writer.recover()
        work, told, old = await asyncio.to_thread(self._choose, staged)
        if old:
            await asyncio.to_thread(self.journal.supersede, old)
        await self._write_items(work)
        await self._write_sizes([one for one in work if one.failure is None and not one.order.removed])
        return told + await self._conclude(work)

    def _choose(
        self, staged: Sequence[events.OrderStaged]
    ) -> tuple[list[_Work], list[events.OrderEvent], list[Identity]]:
        """What is to be written; what is on the board already and only has to be told; what is superseded."""
        latest = {(event.record_uuid, event.version): event for event in staged}
        loaded = self.staging.load(list(latest))
        versions = self.staging.versions(sorted({uuid for uuid, _ in latest}))
        work: list[_Work] = []
        told: list[events.OrderEvent] = []
        old: list[Identity] = []
        for identity, event in latest.items():
            order = loaded.get(identity)
            if order is None or order.problems:
                continue
            newest = max(
                v
                for v, s in versions[event.record_uuid].items()
                if s is not StagingStatus.API_FAILED or v == event.version
            )
            if order.status is StagingStatus.API_SUCCESS:
                told.append(self._synced(event, order.item_id, 0))
            elif (
                order.status in (StagingStatus.PROMOTED, StagingStatus.SUPERSEDED)
                or order.status is StagingStatus.API_FAILED
                and event.cause is events.Cause.LIVE
            ):
                continue
            elif newest > event.version:
                old.append(identity)
            else:
                work.append(_Work(event, order))
        return work, told, old

    async def _write_items(self, work: Sequence[_Work]) -> None:
        known = await asyncio.to_thread(self.ledger.known, [one.order.record_uuid for one in work])
        planned: list[tuple[_Work, items.Mutation]] = []
        for one in work:
            item = known.get(one.order.record_uuid, (None, []))[0]
            planned += [(one, mutation) for mutation in self._plan_item(one, item)]
        await self._write_groups(planned)
        await self._write([pair for pair in planned if pair[0].failure is None])

    def _plan_item(self, one: _Work, item: items.Entity | None) -> list[items.Mutation]:
        if one.order.removed:
            return plan.plan_removal(one.order.record_uuid, item, self.mappings.board.board.removal)
        mutations: list[items.Mutation] = []
        for mutation in plan.plan_item(desired(one.order, self.mappings), item):
            if isinstance(mutation, items.CreateItem | items.UpdateItem):
                checked = labels.check(mutation.columns, self.labels.known(), self.mappings)
                if checked.problems:
                    one.failure = self._invalid(one, checked.problems)
                    return []
                mutation = mutation.model_copy(update={"create_labels": checked.creates})
            mutations.append(mutation)
        return mutations

    async def _write_groups(self, planned: Sequence[tuple[_Work, items.Mutation]]) -> None:
        known = await asyncio.to_thread(self.ledger.groups)
        wanted = {
            mutation.group_name: one
            for one, mutation in planned
            if isinstance(mutation, items.CreateItem | items.MoveItem) and mutation.group_name not in known
        }
        created = [items.CreateGroup(group_name=name) for name in sorted(wanted)]
        refused: dict[str, items.Refused] = {}
        for group, result in zip(created, await self.writer.write([Intent(g) for g in created]), strict=True):
            if isinstance(result, items.Refused):
                refused[group.group_name] = result
        for one, mutation in planned:
            name = getattr(mutation, "group_name", None)
            if name in refused:
                one.failure = self._refused(one, mutation, refused[name])

    async def _write_sizes(self, work: Sequence[_Work]) -> None:
        known = await asyncio.to_thread(self.ledger.known, [one.order.record_uuid for one in work])
        planned: list[tuple[_Work, items.Mutation]] = []
        left: list[tuple[int, str, int, Sequence[str]]] = []
        for one in work:
            item, sizes = known[one.order.record_uuid]
            if item is None:
                raise ValueError(f"order {one.order.record_uuid} was written and is not on the ledger")
            gone = [
                size.size_label for size in sizes if size.active and size.size_label not in one.order.sizes
            ]
            if gone:
                left.append((one.order.stg_id, one.order.record_uuid, one.order.version, gone))
            planned += [
                (one, self._with_labels(mutation))
                for mutation in plan.plan_sizes(
                    desired(one.order, self.mappings),
                    item.item_id,
                    sizes,
                    columns_of=lambda size, n: mapped.subitem_columns(size, n, self.mappings),
                    name_of=lambda size: mapped.subitem_name(size, self.mappings),
                )
            ]
        if left:
            await asyncio.to_thread(self.journal.stage_left_sizes, left)
        await self._write(planned)

    def _with_labels(self, mutation: items.Mutation) -> items.Mutation:
        # Size labels are verbatim column names of the source: the board's Size dropdown learns them.
        if isinstance(mutation, items.CreateSubitem):
            return mutation.model_copy(update={"create_labels": True})
        return mutation

    async def _write(self, planned: Sequence[tuple[_Work, items.Mutation]]) -> None:
        results = await self.writer.write([Intent(mutation, one.order.version) for one, mutation in planned])
        for (one, mutation), result in zip(planned, results, strict=True):
            one.mutations += 1
            if isinstance(result, items.Refused):
                one.failure = one.failure or self._refused(one, mutation, result)
            elif isinstance(mutation, items.CreateItem | items.UpdateItem) and mutation.create_labels:
                self.labels.created(mutation.columns)

    async def _conclude(self, work: Sequence[_Work]) -> list[events.OrderEvent]:
        known = await asyncio.to_thread(self.ledger.known, [one.order.record_uuid for one in work])
        emit: list[events.OrderEvent] = []
        ends: list[tuple[str, int, str | None]] = []
        for one in work:
            if one.failure is not None:
                emit.append(one.failure)
                continue
            item = known.get(one.order.record_uuid, (None, []))[0]
            item_id = item.item_id if item is not None and item.active and not one.order.removed else None
            ends.append((one.order.record_uuid, one.order.version, item_id))
            emit.append(self._synced(one.event, item_id, one.mutations))
        await asyncio.to_thread(self.journal.finish, ends)
        return emit

    def _synced(self, event: events.OrderStaged, item_id: str | None, mutations: int) -> events.OrderSynced:
        return events.OrderSynced(
            **event.identity, item_id=item_id, mutations=mutations, synced_at=self.now()
        )

    def _invalid(self, one: _Work, problems: Sequence[Problem]) -> events.OrderFailed:
        return events.OrderFailed(
            **one.event.identity,
            failure=FailureType.VALIDATION_ERROR,
            code="LABEL",
            message="; ".join(str(problem) for problem in problems),
            retryable=False,
            attempt=one.event.attempt,
            original_data=one.order.source_row,
            failed_at=self.now(),
        )

    def _refused(self, one: _Work, mutation: items.Mutation, refused: items.Refused) -> events.OrderFailed:
        return events.OrderFailed(
            **one.event.identity,
            failure=FailureType.API_ERROR,
            code=refused.code,
            message=refused.message,
            retryable=False,
            attempt=one.event.attempt,
            size_label=getattr(mutation, "size_label", None),
            http_status=refused.http_status,
            request_id=refused.request_id,
            api_payload=json.dumps(mutation.model_dump(mode="json"), ensure_ascii=False),
            original_data=one.order.source_row,
            failed_at=self.now(),
        )


def desired(order: StagedOrder, mappings: Mappings) -> items.DesiredItem:
    """What the board shall show for a staged order."""
    return items.DesiredItem(
        record_uuid=order.record_uuid,
        name=order.item_name,
        group_name=order.group_name,
        columns=mapped.board_columns(order.values, order.record_uuid, mappings),
        sizes=order.sizes,
    )
