"""audit compares items of the board with production and reports each difference as drift.

Reads: the board page by page, MON_* tables, snapshot rows, ERR rows, ORDERS_UNIFIED. Writes: nothing. Emits: nothing.
Runs in: the worker's verify timer and `ordersync verify --board`. Runs twice: the second run reports the same drift.

Invariant: an item belongs to the order that production names for it, even if a user changed its key; otherwise to the
order that its key names. A full audit compares every item, an incremental one (incremental.py) those that changed;
both compare with this code. Items without an identity belong to users: the audit only counts them. An order that moved
during the audit, or whose newest version the API refused, waits for the next audit: the board may show either version.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import Field

from connectors.monday import board_values
from connectors.tables.repairs import Settled
from mappings import columns
from mappings.loading import Mappings
from schemas import detection, items
from schemas.base import Cell, Model
from schemas.batches import SyncState
from schemas.failures import FailureType
from schemas.mappings import Owner
from streams.reconcile import compare, fields
from streams.sync import board, outline

# Drift.field where the difference is the whole item.
ITEM = "(item)"


class Kind(StrEnum):
    """How the board differs."""

    MISSING = "missing"
    EXTRA = "extra"
    DUPLICATE = "duplicate"
    EDITED = "edited"


class Drift(Model):
    """One difference. `field`: a column's title, or (name), (group), (quantity), (item). `size` "" is the item itself.

    `expected` is None where production has no value, `shown` is None where the board has none.
    """

    kind: Kind
    record_uuid: str
    item_id: str
    field: str
    size: str = ""
    expected: str | None = None
    shown: str | None = None

    def __str__(self) -> str:
        where = f"[{self.field}]" + (f" of size {self.size}" if self.size else "")
        return f"{self.record_uuid}: {self.kind.value}: {where}: expected {self.expected!r}, board {self.shown!r}"


class RenamedGroup(Model):
    """A group of ours that a user renamed: one difference, however many of our items it has.

    `record_uuid` is one of its orders: sync gives the group its name back when it works a repair of this order.
    """

    name: str
    shown: str
    items: int
    record_uuid: str

    def __str__(self) -> str:
        return f"group {self.name} is called {self.shown} on the board: {self.items} items"


class Extent(Model):
    """How the board was read. `reason`: why all of it was; `since`: the time of the changes that were read.

    `read`: items that were looked up or read; `active`: items that the board has; `calls`: API calls.
    """

    reason: str = ""
    since: datetime | None = None
    last_full: datetime
    read: int
    active: int
    calls: int

    def __str__(self) -> str:
        calls = _count(self.calls, "call")
        if self.since is None:
            return f"board: all {_count(self.active, 'item')} compared (full audit: {self.reason}), {calls}"
        return (
            f"board: {_count(self.read, 'changed item')} of {self.active:,} compared since "
            f"{self.since:%Y-%m-%d %H:%M:%S} UTC (last full audit: {self.last_full:%Y-%m-%d}), {calls}"
        )


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


class BoardReport(Model):
    """The result of one audit. `compared`: orders that were compared; `unkeyed`: items that belong to users.

    `groups`: the groups that do not have their names.
    `waiting`: differences of orders that moved or failed, which the next audit has to compare again.
    """

    items: int
    compared: int
    unkeyed: int
    drift: tuple[Drift, ...]
    groups: tuple[RenamedGroup, ...] = ()
    waiting: tuple[Drift, ...] = Field(default=(), exclude=True)
    extent: Extent | None = None

    @property
    def differs(self) -> bool:
        """Whether the board differs from production."""
        return bool(self.drift or self.groups)

    @property
    def orders(self) -> dict[str, Kind]:
        """The orders that differ, each with the kind of its first difference."""
        kinds: dict[str, Kind] = {}
        for one in self.drift:
            kinds.setdefault(one.record_uuid, one.kind)
        return kinds

    def summary(self, at: datetime) -> dict[str, Any]:
        """The part that `ordersync status` shows, as JSON values."""
        kinds = Counter(kind.value for kind in self.orders.values())
        if self.groups:
            kinds["renamed group"] = len(self.groups)
        known = {"at": at.isoformat(), "items": self.items, "wrong": kinds.total(), "kinds": dict(kinds)}
        return known if self.extent is None else {**known, "items": self.extent.active, "extent": str(self.extent)}


class Production(Protocol):
    """The values that the board shall show (connectors.tables.row_states.RowStates)."""

    def production_items(self) -> dict[str, tuple[str, int]]:
        """Item id and version of each order in production, by identity. Raises Transient."""

    def production(self, record_uuids: Sequence[str]) -> tuple[list[dict[str, Cell]], list[dict[str, Cell]]]:
        """The rows of these orders and of their sizes. Raises Transient."""


class Tables(Protocol):
    """The snapshot rows and the source (connectors.tables.repairs.Repairs)."""

    def settled(self, record_uuids: Sequence[str]) -> dict[str, Settled]:
        """By identity, without orders that were never detected. Raises Transient."""

    def in_source(self, record_uuids: Sequence[str]) -> set[str]:
        """Those of these orders that the source has now. Raises Transient."""


class Failures(Protocol):
    """The ERR tables (connectors.tables.failures.Failures)."""

    def waiting(self) -> list[dict[str, Any]]:
        """The open ERR rows. Raises Transient."""


@dataclass(frozen=True)
class Refused:
    """Orders that the API refused: `ahead` in a version that is not settled, `repairs` at the settled version."""

    ahead: frozenset[str]
    repairs: frozenset[str]

    @classmethod
    def of(cls, failures: Failures, tables: Tables) -> "Refused":
        """Reads the ERR rows. Leaves out validation errors, which never reached the board. Raises Transient."""
        rows = [row for row in failures.waiting() if row["error_type"] != FailureType.VALIDATION_ERROR]
        failed = {str(row["record_uuid"]): int(row["version"] or 0) for row in rows if row["record_uuid"]}
        settled = tables.settled(list(failed))
        at_settled = {uuid for uuid, version in failed.items() if uuid in settled and version <= settled[uuid].version}
        return cls(frozenset(failed.keys() - at_settled), frozenset(at_settled))


@dataclass
class _AuditState:
    """One audit on its way. `production`: item id and version by order; `order_of`: order by item id.

    `found`: orders whose own item is on the board; `foreign`: ids of other items that carry an order's key, by order.
    `renamed`: the orders in each group that does not have its name.
    """

    production: Mapping[str, tuple[str, int]]
    order_of: Mapping[str, str]
    groups: outline.Groups
    items: int = 0
    unkeyed: int = 0
    found: set[str] = field(default_factory=set)
    foreign: dict[str, list[str]] = field(default_factory=dict)
    drift: list[Drift] = field(default_factory=list)
    renamed: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Auditor:
    """Reads the board and the tables; writes nothing. `refused` returns the orders that the API refused in part."""

    production: Production
    tables: Tables
    refused: Callable[[], Collection[str]]
    mappings: Mappings

    async def run(
        self,
        pages: AsyncIterator[Sequence[board_values.BoardItem]],
        progress: Callable[[int], None] = lambda items: None,
        groups: outline.Groups | None = None,
    ) -> BoardReport:
        """Compares all pages. Calls `progress` after each page with the number of items so far.

        `groups`: those of the board by the names that the ledger knows; without them every title is a name.

        Raises what the board client raises, and Transient from the tables.
        """
        production = await asyncio.to_thread(self.production.production_items)
        return await self.compare(pages, production, production, progress, groups)

    async def compare(
        self,
        pages: AsyncIterator[Sequence[board_values.BoardItem]],
        production: Mapping[str, tuple[str, int]],
        scope: Collection[str],
        progress: Callable[[int], None] = lambda items: None,
        groups: outline.Groups | None = None,
    ) -> BoardReport:
        """`run` for the orders in `scope` alone: of other orders no item is missing. `production`: production_items.

        The pages have to contain every item of these orders that the board has.
        """
        order_of = {item_id: uuid for uuid, (item_id, _) in production.items()}
        state = _AuditState(production, order_of, groups or outline.Groups())
        async for page in pages:
            await asyncio.to_thread(self._compare_page, page, state)
            progress(state.items)
        for uuid, item_ids in state.foreign.items():
            state.drift += [_foreign_item(uuid, item_id, state) for item_id in item_ids]
        expected = [uuid for uuid in production if uuid in scope]
        missing = [uuid for uuid in expected if uuid not in state.found and uuid not in state.foreign]
        state.drift += [_of_item(Kind.MISSING, uuid, production[uuid][0], expected="one item") for uuid in missing]
        drift, waiting = await asyncio.to_thread(self._unmoved, state.drift, production)
        return BoardReport(
            items=state.items,
            compared=len(state.found),
            unkeyed=state.unkeyed,
            drift=tuple(drift),
            waiting=tuple(waiting),
            groups=self._renamed_groups(state),
        )

    def _renamed_groups(self, state: _AuditState) -> tuple[RenamedGroup, ...]:
        """The groups that get their names back. With the owner `people` every title is right."""
        if self.mappings.board.groups.owner is Owner.PEOPLE:
            return ()
        titles = {name: state.groups.titles[state.groups.ids[name]] for name in state.renamed}
        return tuple(
            RenamedGroup(name=name, shown=titles[name], items=len(uuids), record_uuid=min(uuids))
            for name, uuids in state.renamed.items()
        )

    def _compare_page(self, page: Sequence[board_values.BoardItem], state: _AuditState) -> None:
        items_of_orders: dict[str, board_values.BoardItem] = {}
        for item in page:
            state.items += 1
            uuid = named_order(item, self.mappings)
            if item.id in state.order_of:
                items_of_orders[state.order_of[item.id]] = named = board.named(item, state.groups)
                if named.group_title in state.groups.renamed:
                    state.renamed.setdefault(named.group_title, []).append(state.order_of[item.id])
            elif uuid:
                state.foreign.setdefault(uuid, []).append(item.id)
            else:
                state.unkeyed += 1
        state.found |= items_of_orders.keys()
        state.drift += self._field_drift(items_of_orders)

    def _field_drift(self, items_of_orders: Mapping[str, board_values.BoardItem]) -> list[Drift]:
        """The fields in which these items differ from production."""
        people = columns.owned_by_people(self.mappings)
        rows, sizes = self.production.production(sorted(items_of_orders))
        expected = fields.of_production(rows, sizes, self.mappings, people=people)
        order_of = {item.id: uuid for uuid, item in items_of_orders.items()}
        shown = fields.of_board(items_of_orders.values(), self.mappings, people=people, whose=order_of)
        times = Counter(value[:3] for value in shown)
        drift: list[Drift] = []
        for one in compare.differences(expected, shown):
            # Two values of one field: the item has two subitems of this size.
            twice = one.left is None and times[one.record_uuid, one.size, one.field] > 1
            drift.append(
                Drift(
                    kind=Kind.DUPLICATE if twice else Kind.EDITED,
                    record_uuid=one.record_uuid,
                    item_id=items_of_orders[one.record_uuid].id,
                    field=fields.title(one.field, self.mappings),
                    size=one.size,
                    expected=one.left,
                    shown=one.right,
                )
            )
        return drift

    def _unmoved(
        self, drift: Sequence[Drift], production: Mapping[str, tuple[str, int]]
    ) -> tuple[list[Drift], list[Drift]]:
        """The drift of orders that did not move during the audit, and the rest, without items that stay for good."""
        uuids = sorted({one.record_uuid for one in drift})
        settled, refused = self.tables.settled(uuids), self.refused()
        undetected = self.tables.in_source([uuid for uuid in uuids if uuid not in settled])
        removes = self.mappings.board.board.removal is not items.Removal.KEEP

        def moves(one: Drift) -> bool:
            order = settled.get(one.record_uuid)
            if order is not None and order.state is SyncState.WAITING:
                return True
            if one.kind is Kind.EXTRA:
                return one.record_uuid in undetected or not _is_gone(order)
            # Of an adopted order, nothing is settled before its first promotion.
            version = 0 if order is None else order.version
            return not version or version != production[one.record_uuid][1] or one.record_uuid in refused

        stays = {
            one for one in drift if one.kind is Kind.EXTRA and not removes and _is_gone(settled.get(one.record_uuid))
        }
        judged = [one for one in drift if one not in stays]
        return [one for one in judged if not moves(one)], [one for one in judged if moves(one)]


def _is_gone(order: Settled | None) -> bool:
    """The source does not have this order any more, or it is excluded."""
    return order is None or order.state is SyncState.EXCLUDED or order.known_hash == detection.DELETED


def named_order(item: board_values.BoardItem, mappings: Mappings) -> str:
    """The order that the key of an item names; "" for an item of users."""
    return fields.key_of(item, mappings)


def _foreign_item(uuid: str, item_id: str, state: _AuditState) -> Drift:
    """The drift of an item that carries the key of an order and is not the item that production names for it."""
    if uuid not in state.production:
        return _of_item(Kind.EXTRA, uuid, item_id, shown=item_id)
    if uuid in state.found or state.foreign[uuid][0] != item_id:
        return _of_item(Kind.DUPLICATE, uuid, item_id, shown=item_id)
    return _of_item(Kind.EDITED, uuid, item_id, expected=state.production[uuid][0], shown=item_id)


def _of_item(kind: Kind, uuid: str, item_id: str, *, expected: str | None = None, shown: str | None = None) -> Drift:
    return Drift(kind=kind, record_uuid=uuid, item_id=item_id, field=ITEM, expected=expected, shown=shown)
