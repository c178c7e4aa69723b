"""stage: validates and converts each changed order, melts its sizes, and writes it to the STG tables.

Reads: orders.changed, STG tables. Writes: STG tables. Emits: orders.staged, orders.failed. Runs in: the worker. Runs
twice: a staged version is not written a second time, and the same events are emitted once more until it is settled.

A batch of events is one transaction, and its results follow from the same events alone, so a crash between the commit
and the emit repeats events and loses none. An order that SQL refuses is staged as a refused one, and the batch is then
several transactions.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from connectors import errors
from mappings import items
from mappings.loading import Mappings
from schemas import events, texts, versions
from schemas.base import Origin
from schemas.batches import StagingStatus
from schemas.failures import FailureType
from schemas.orders import Problem, Severity, StagedOrder

VALIDATION = "VALIDATION"


class Staging(Protocol):
    """The STG tables (connectors.tables.staging.Staging)."""

    def versions(self, record_uuids: Sequence[str]) -> dict[str, dict[int, versions.StagedVersion]]:
        """The staged versions of each order, by record_uuid and version number. Raises Transient."""

    def settled_versions(self, record_uuids: Sequence[str]) -> dict[str, int]:
        """The settled version of each order that has one, by record_uuid. Raises Transient."""

    def write(self, staged: Sequence[StagedOrder]) -> None:
        """Writes all in one transaction; a valid version supersedes older pending ones. Raises Transient, Rejected."""


@dataclass(frozen=True)
class Stager:
    """The stage step. `target_lengths`: the length of each staging column in UTF-16 units, None if unlimited.

    `require_newest` raises if an event was detected with a newer mapping than `mappings`.
    """

    staging: Staging
    mappings: Mappings
    target_lengths: Mapping[str, int | None]
    now: Callable[[], datetime]
    require_newest: Callable[[list[events.OrderChanged]], None] = lambda changed: None

    def run(self, changed: Sequence[events.OrderChanged], origins: Sequence[Origin] = ()) -> list[events.OrderEvent]:
        """Stages new versions. Returns an OrderStaged or OrderFailed for each; a superseded version gets none.

        `origins` are those of `changed`, in the same order, and are stored on the staged rows. Raises Transient or
        Misconfigured for the database, and what `require_newest` raises; then no version is staged.
        """
        self.require_newest(list(changed))
        origins_by_id = {event.stg_id: origin for event, origin in zip(changed, origins, strict=False)}
        uuids = sorted({event.record_uuid for event in changed})
        known = self.staging.versions(uuids)
        settled = self.staging.settled_versions(uuids)
        orders = {event.stg_id: self.order(event) for event in changed}
        newest = {uuid: versions.newest_valid(known.get(uuid, {})) for uuid in uuids}
        for order in orders.values():
            if not order.problems:
                newest[order.record_uuid] = max(newest[order.record_uuid], order.version)
        write: list[StagedOrder] = []
        emit: list[events.OrderEvent] = []
        for event in {event.stg_id: event for event in changed}.values():
            order = orders[event.stg_id]
            staged = known.get(event.record_uuid, {}).get(event.version)
            repeated = _is_repair(event, settled, newest) and (staged is not None or not order.problems)
            done = versions.is_settled(event.version, settled.get(event.record_uuid, 0)) and not repeated
            stale = done or versions.is_superseded(event.version, newest_valid=newest[event.record_uuid])
            if staged is None:
                initial = {"status": _initial_status(order, stale), "origin": origins_by_id.get(event.stg_id)}
                write.append(order.model_copy(update=initial))
            ended = staged is not None and staged.status in (StagingStatus.PROMOTED, StagingStatus.SUPERSEDED)
            if stale or (ended and not repeated):
                continue
            emit.append(self._failed(event, order) if order.problems and not repeated else _staged(event))
        refused = self._write(write)
        failed: dict[tuple[str, int], events.OrderEvent] = {
            (event.record_uuid, event.version): self._failed(event, refused[event.stg_id])
            for event in changed
            if event.stg_id in refused
        }
        return [failed.get((event.record_uuid, event.version), event) for event in emit]

    def _write(self, orders: Sequence[StagedOrder]) -> dict[int, StagedOrder]:
        """Stages these orders. Returns those that SQL refused, as they are staged then, by their keys.

        Halves show which orders are at fault. Raises Rejected for an order of which SQL refuses even the identity.
        """
        try:
            self.staging.write(orders)
        except errors.Rejected as error:
            if len(orders) > 1:
                half = len(orders) // 2
                return self._write(orders[:half]) | self._write(orders[half:])
            refused = _refused(orders[0], error)
            self.staging.write([refused])
            return {refused.stg_id: refused}
        return {}

    def order(self, event: events.OrderChanged) -> StagedOrder:
        """The order converted for the STG tables, or with the problems for which stage refuses it."""
        row = {**event.row, **event.sizes, self.mappings.board.key.source: event.record_uuid}
        order = StagedOrder(
            stg_id=event.stg_id,
            record_uuid=event.record_uuid,
            version=event.version,
            row_hash=event.row_hash,
            batch_id=event.batch_id,
            customer=event.customer,
            source_row=json.dumps(row, ensure_ascii=False),
        )
        if event.change is events.Change.DELETED:
            return order.model_copy(update={"removed": True})
        converted = items.convert(
            row,
            size_columns=tuple(event.sizes),
            mappings=self.mappings,
            target_lengths=self.target_lengths,
            cut=event.cut,
        )
        if converted.order is None:
            problems = tuple(p for p in converted.problems if p.severity is Severity.ERROR)
            return order.model_copy(update={"problems": problems, "values": _identity(row)})
        valid = converted.order
        return order.model_copy(
            update={
                "group_name": valid.group_name,
                "item_name": valid.item_name,
                "values": valid.values,
                "sizes": valid.sizes,
                "warnings": valid.warnings,
            }
        )

    def _failed(self, event: events.OrderChanged, order: StagedOrder) -> events.OrderFailed:
        return failed_validation(event, order.problems, original=order.source_row, now=self.now())


def failed_validation(
    event: events.OrderEvent, problems: Sequence[Problem], *, original: str | None, now: datetime
) -> events.OrderFailed:
    """The failure of a refused version, with every problem in one message. An operator must correct the row."""
    return events.OrderFailed(
        **event.identity,
        failure=FailureType.VALIDATION_ERROR,
        code=VALIDATION,
        message="; ".join(str(problem) for problem in problems),
        retryable=False,
        original_data=original,
        failed_at=now,
    )


def _refused(order: StagedOrder, error: errors.Rejected) -> StagedOrder:
    """The order without what SQL may have refused, with the reason."""
    row = json.loads(order.source_row or "{}")
    problem = Problem(
        column="(row)",
        value=None,
        reason=f"the database refuses the order: {_storable(str(error))}",
        advice="Correct the value in ORDERS_UNIFIED that the reason names",
    )
    values = {name: _storable(str(value)) for name, value in _identity(row).items()}
    kept = ("stg_id", "record_uuid", "version", "row_hash", "batch_id", "customer", "origin", "removed")
    same: dict[str, Any] = {name: getattr(order, name) for name in kept}
    status = order.status if order.status is StagingStatus.SUPERSEDED else StagingStatus.API_FAILED
    # The JSON is ASCII: half a surrogate pair is escaped.
    return StagedOrder(**same, status=status, values=values, problems=(problem,), source_row=json.dumps(row))


def _storable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _staged(event: events.OrderChanged) -> events.OrderStaged:
    return events.OrderStaged(**event.identity, cause=event.cause)


def _is_repair(event: events.OrderChanged, settled: Mapping[str, int], newest: Mapping[str, int]) -> bool:
    """Is this a replay of the settled version? Then sync compares it with the board itself and repairs differences."""
    return (
        event.cause is events.Cause.REPLAY
        and event.version == settled.get(event.record_uuid, 0)
        and not versions.is_superseded(event.version, newest_valid=newest[event.record_uuid])
    )


def _initial_status(order: StagedOrder, stale: bool) -> StagingStatus:
    if stale:
        return StagingStatus.SUPERSEDED
    return StagingStatus.API_FAILED if order.problems else StagingStatus.PENDING


def _identity(row: Mapping[str, str | int | None]) -> dict[str, str | int | None]:
    """The order number by which an operator finds a refused order in the ERR table."""
    number = row.get("AAG ORDER NUMBER")
    return {} if number is None else {"AAG ORDER NUMBER": texts.cut(str(number), 100)}
