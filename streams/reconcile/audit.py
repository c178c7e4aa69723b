"""audit: the board, page by page, against production. What is missing, extra, there twice, or edited, and where.

An item is an order's own if production says so, whatever a person did to its key; else by its key. Lines without an
identity belong to people: they are counted and left alone, like the columns that people own. Orders that are on their
way, or whose newest version the API refused, are left to the next audit: the board may show one thing or the other.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from connectors.monday import board_values
from connectors.tables.repairs import Settled
from mappings import columns
from mappings.loading import Mappings
from schemas import detection, items
from schemas.base import Cell, Model
from schemas.batches import SyncState
from schemas.failures import FailureType
from streams.reconcile import compare, fields

NOTHING = ("(item)", "")


class Kind(StrEnum):
    """How the board differs."""

    MISSING = "missing"
    EXTRA = "extra"
    DUPLICATE = "duplicate"
    EDITED = "edited"


class Drift(Model):
    """One difference. `field`: a column's title, or (name), (group), (quantity), (item). `size` "" is the item itself.

    `expected` is None where nothing shall be, `shown` is None where nothing is.
    """

    kind: Kind
    record_uuid: str
    item_id: str
    field: str
    size: str = ""
    expected: str | None = None
    shown: str | None = None


class BoardReport(Model):
    """What was found. `compared` orders were looked at; `unkeyed` items belong to people."""

    items: int
    compared: int
    unkeyed: int
    drift: tuple[Drift, ...]

    @property
    def orders(self) -> dict[str, Kind]:
        """The orders that differ, each by the first of its differences."""
        found: dict[str, Kind] = {}
        for one in self.drift:
            found.setdefault(one.record_uuid, one.kind)
        return found

    def summary(self, at: datetime) -> dict[str, Any]:
        """What status shows of it."""
        kinds = Counter(kind.value for kind in self.orders.values())
        return {"at": at.isoformat(), "items": self.items, "wrong": len(self.orders), "kinds": dict(kinds)}


class Production(Protocol):
    """What the board shall show (connectors.tables.row_states.Standings)."""

    def production_items(self) -> dict[str, tuple[str, int]]: ...
    def production(self, record_uuids: Sequence[str]) -> tuple[list[dict[str, Cell]], list[dict[str, Cell]]]: ...


class Tables(Protocol):
    """Where orders stand (connectors.tables.repairs.Repairs)."""

    def settled(self, record_uuids: Sequence[str]) -> dict[str, Settled]: ...
    def in_source(self, record_uuids: Sequence[str]) -> set[str]: ...


class Failures(Protocol):
    """The ERR tables (connectors.tables.failures.Failures)."""

    def waiting(self) -> list[dict[str, Any]]: ...


@dataclass(frozen=True)
class Refused:
    """Orders that the API refused: in a version that is not settled, or while they were repaired at the settled one."""

    ahead: frozenset[str]
    repairs: frozenset[str]

    @classmethod
    def of(cls, failures: Failures, tables: Tables) -> "Refused":
        """As the ERR rows say now. A validation error never reached the board."""
        rows = [row for row in failures.waiting() if row["error_type"] != FailureType.VALIDATION_ERROR]
        named = {str(row["record_uuid"]): int(row["version"] or 0) for row in rows if row["record_uuid"]}
        settled = tables.settled(list(named))
        at_settled = {uuid for uuid, version in named.items() if uuid in settled and version <= settled[uuid].version}
        return cls(frozenset(named.keys() - at_settled), frozenset(at_settled))


@dataclass
class _Seen:
    items: int = 0
    unkeyed: int = 0
    own: set[str] = field(default_factory=set)
    others: dict[str, list[str]] = field(default_factory=dict)
    drift: list[Drift] = field(default_factory=list)


@dataclass(frozen=True)
class Auditor:
    """Reads the board and the tables; writes nothing. `refused` gives the orders that the API refused in part."""

    production: Production
    tables: Tables
    refused: Callable[[], Collection[str]]
    mappings: Mappings

    async def run(
        self,
        pages: AsyncIterator[Sequence[board_values.BoardItem]],
        progress: Callable[[int], None] = lambda items: None,
    ) -> BoardReport:
        """Raises what reading the board raises. `progress` is told how many items there were so far."""
        known = await asyncio.to_thread(self.production.production_items)
        seen = _Seen()
        order_of = {item_id: uuid for uuid, (item_id, _) in known.items()}
        async for page in pages:
            await asyncio.to_thread(self._page, page, known, order_of, seen)
            progress(seen.items)
        for uuid, item_ids in seen.others.items():
            seen.drift += [_foreign(uuid, item_id, known, seen) for item_id in item_ids]
        missing = [uuid for uuid in known if uuid not in seen.own and uuid not in seen.others]
        seen.drift += [_drift(Kind.MISSING, uuid, known[uuid][0], *NOTHING, "one item") for uuid in missing]
        drift = await asyncio.to_thread(self._steady, seen.drift, known)
        return BoardReport(items=seen.items, compared=len(seen.own), unkeyed=seen.unkeyed, drift=tuple(drift))

    def _page(
        self,
        page: Sequence[board_values.BoardItem],
        known: Mapping[str, tuple[str, int]],
        order_of: Mapping[str, str],
        seen: _Seen,
    ) -> None:
        ours: dict[str, board_values.BoardItem] = {}
        for item in page:
            seen.items += 1
            key = fields.key_of(item, self.mappings)
            if item.id in order_of:
                ours[order_of[item.id]] = item
            elif key:
                seen.others.setdefault(key if key in known else key.upper(), []).append(item.id)
            else:
                seen.unkeyed += 1
        seen.own |= ours.keys()
        people = columns.owned_by_people(self.mappings)
        expected = fields.of_production(*self.production.production(sorted(ours)), self.mappings, people=people)
        whose = {item.id: uuid for uuid, item in ours.items()}
        told = fields.of_board(ours.values(), self.mappings, people=people, whose=whose)
        times = Counter(fact[:3] for fact in told)
        for one in compare.differences(compare.frame(expected), compare.frame(told)):
            # A second fact of one field: the size is there twice.
            twice = one.left is None and times[one.record_uuid, one.size, one.field] > 1
            kind = Kind.DUPLICATE if twice else Kind.EDITED
            item_id = ours[one.record_uuid].id
            title = fields.title(one.field, self.mappings)
            seen.drift.append(_drift(kind, one.record_uuid, item_id, title, one.size, one.left, one.right))

    def _steady(self, drift: Sequence[Drift], known: Mapping[str, tuple[str, int]]) -> list[Drift]:
        """What is true of orders that stood still meanwhile."""
        uuids = sorted({one.record_uuid for one in drift})
        settled, refused = self.tables.settled(uuids), self.refused()
        new = self.tables.in_source([uuid for uuid in uuids if uuid not in settled])
        removes = self.mappings.board.board.removal is not items.Removal.KEEP

        def holds(one: Drift) -> bool:
            now = settled.get(one.record_uuid)
            if one.kind is Kind.EXTRA:
                left = now is None or now.state is SyncState.EXCLUDED or now.known_hash == detection.DELETED
                waits = now is not None and now.state is SyncState.WAITING
                return removes and left and not waits and one.record_uuid not in new
            stood = now is not None and now.version == known[one.record_uuid][1] and now.state is not SyncState.WAITING
            return stood and one.record_uuid not in refused

        return [one for one in drift if holds(one)]


def _foreign(uuid: str, item_id: str, known: Mapping[str, tuple[str, int]], seen: _Seen) -> Drift:
    """An item that carries an order's key and is not the one that production knows."""
    if uuid not in known:
        return _drift(Kind.EXTRA, uuid, item_id, *NOTHING, None, item_id)
    if uuid in seen.own or seen.others[uuid][0] != item_id:
        return _drift(Kind.DUPLICATE, uuid, item_id, *NOTHING, None, item_id)
    return _drift(Kind.EDITED, uuid, item_id, *NOTHING, known[uuid][0], item_id)


def _drift(
    kind: Kind,
    uuid: str,
    item_id: str,
    field_title: str,
    size: str,
    expected: str | None = None,
    seen: str | None = None,
) -> Drift:
    return Drift(
        kind=kind, record_uuid=uuid, item_id=item_id, field=field_title, size=size, expected=expected, shown=seen
    )
