"""The incremental audit: the comparison of what changed on the board since the last audit.

Reads: the changes of both boards (connectors/monday/changes.py), the ledger, the items by id; the rest as audit.py.
Writes and emits: nothing. The caller stores the checkpoint of each audit as a named value.

It compares every item that could differ now and did not at the last audit:
- items that changed since then, with an overlap: by their last update, by the activity logs of the board and of the
  subitem board, and the items of changed subitems;
- the items of orders of which the API confirmed anything since then, for these may be lost without a line in the log;
- what differed at the last audit, or could not be judged then.

A full audit, which reads the whole board, takes its place when the changes cannot be determined: see
`full_audit_reason` and `NeedsFullAudit`.
"""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from connectors.monday import board as boards
from connectors.monday import board_values, changes
from mappings import labels
from mappings.loading import Mappings
from schemas.base import Model
from streams.reconcile import audit
from streams.sync import outline as outlines

# Orders that a checkpoint names at most. If more differ, the next audit is a full one.
MOST_OPEN = 500
# API calls of an incremental audit at most on a small board; on a larger board, those of a full audit.
FEW_CALLS = 10


class NeedsFullAudit(Exception):
    """An incremental audit cannot determine the changes, or there are too many; the text names the reason."""


class Outline(Model):
    """Labels by column and label, in the columns that ordersync writes, and groups by id, of both boards."""

    labels: dict[str, dict[str, str]] = {}
    groups: dict[str, str] = {}

    @classmethod
    def of(cls, outlines: Sequence[changes.BoardOutline], mappings: Mappings) -> "Outline":
        """The outlines of all boards in one; ids are unique."""
        ours = {*labels.with_labels(mappings), mappings.board.subitem.size.id}
        return cls(
            labels={column: known for one in outlines for column, known in one.labels.items() if column in ours},
            groups={group: title for one in outlines for group, title in one.groups.items()},
        )

    def lacks(self, earlier: "Outline") -> bool:
        """A label or group of the earlier outline was renamed or removed. New ones are no difference."""
        renamed = any(
            self.labels.get(column, {}).get(label) != label_id
            for column, known in earlier.labels.items()
            for label, label_id in known.items()
        )
        return renamed or any(self.groups.get(group) != title for group, title in earlier.groups.items())


class Checkpoint(Model):
    """The named value that an audit stores for the next one.

    `at`: when the audit began, up to which changes were read; `full`: when the last full audit began.

    `mapping`: see `fingerprint`. `orders` and `items`: what has to be compared again. `unusable`: why the next audit
    has to be a full one, "" if it need not.
    """

    at: datetime
    full: datetime
    mapping: str
    outline: Outline = Outline()
    orders: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    unusable: str = ""

    def after(self, report: audit.BoardReport) -> "Checkpoint":
        """This checkpoint with what the report leaves open."""
        if report.groups:
            return self.model_copy(update={"unusable": "a group did not have its name at the last audit"})
        open_drift = (*report.drift, *report.waiting)
        orders = sorted({one.record_uuid for one in open_drift})
        if len(orders) > MOST_OPEN:
            return self.model_copy(update={"unusable": f"{len(orders)} orders differed or moved at the last audit"})
        ids = sorted({one.item_id for one in open_drift})
        return self.model_copy(update={"orders": tuple(orders), "items": tuple(ids)})


@dataclass(frozen=True)
class Limits:
    """The limits of incremental audits.

    `overlap`: how long before the last audit the reading of changes begins; `gap`: the longest time since the last
    audit; `full_every`: the longest time since the last full audit.
    """

    overlap: timedelta
    gap: timedelta
    full_every: timedelta


class Ledger(Protocol):
    """What ordersync wrote to the board (connectors.tables.ledger.Ledger)."""

    def changed_since(self, at: datetime) -> set[str]:
        """The orders of which the API confirmed anything since then. Raises Transient."""

    def owners(self, item_ids: Sequence[str]) -> dict[str, str]:
        """The orders of these items and subitems, by id. Raises Transient."""

    def groups(self) -> dict[str, str]:
        """Group ids by name. Raises Transient."""

    def items_in_groups(self, names: Sequence[str]) -> Mapping[str, int]:
        """The number of our active items in each of these groups. Raises Transient."""


def fingerprint(mappings: Mappings) -> str:
    """A digest of board and mapping. A checkpoint with another digest is of no use."""
    return hashlib.sha256(mappings.board.model_dump_json().encode()).hexdigest()


def full_audit_reason(last: Checkpoint | None, mapping: str, limits: Limits, now: datetime) -> str:
    """The reason for a full audit; "" if an incremental audit may be tried."""
    if last is None:
        return "there was no earlier one"
    if last.mapping != mapping:
        return "the mapping or the board is another one"
    if last.unusable:
        return last.unusable
    if now - last.at > limits.gap:
        return f"the last audit was more than {limits.gap / timedelta(hours=1):g} hours ago"
    if now - last.full >= limits.full_every:
        return f"the last full one was on {last.full:%Y-%m-%d}"
    return ""


async def read_outline(board: boards.Board, at: datetime, mappings: Mappings) -> tuple[Outline, int]:
    """The outline of the board and its subitem boards, and the number of active items.

    Raises changes.Incomplete, and what the API raises.
    """
    reader = changes.Reader(board, at, 1)
    main = await reader.outline(board.board_id)
    others = [await reader.outline(subitem_board) for subitem_board in main.subitem_boards]
    return Outline.of([main, *others], mappings), main.active


async def named_groups(read: Outline, ledger: Ledger) -> outlines.Groups:
    """The groups of the board by the names that the ledger knows. Raises Transient."""
    shown = [board_values.BoardGroup(id=group_id, title=title) for group_id, title in read.groups.items()]
    known = await asyncio.to_thread(ledger.groups)
    return await asyncio.to_thread(outlines.resolve, shown, known, ledger.items_in_groups)


@dataclass(frozen=True)
class IncrementalAudit:
    """One audit of the changes since the checkpoint `last`. It reads the columns with the ids `columns`."""

    auditor: audit.Auditor
    ledger: Ledger
    board: boards.Board
    columns: Sequence[str]
    last: Checkpoint
    limits: Limits

    async def run(self, at: datetime, full_calls: int) -> tuple[audit.BoardReport, Checkpoint]:
        """The report, and the checkpoint of an audit that began `at`. `full_calls`: the calls of a full audit.

        Raises NeedsFullAudit, and what the API and the tables raise.
        """
        since = self.last.at - self.limits.overlap
        most = max(FEW_CALLS, full_calls)
        try:
            changed = await self._changes(changes.Reader(self.board, since, most))
        except changes.Incomplete as reason:
            raise NeedsFullAudit(str(reason)) from reason
        outline = Outline.of([one.outline for one in changed], self.auditor.mappings)
        if outline.lacks(self.last.outline):
            raise NeedsFullAudit("a label or a group was renamed or removed")
        orders, ids = await self._concerned(since, changed)
        production = await asyncio.to_thread(self.auditor.production.production_items)
        orders &= production.keys()
        ids |= {production[uuid][0] for uuid in orders}
        if math.ceil(len(ids) / boards.IDS_PER_CALL) > most:
            raise NeedsFullAudit(f"{len(ids)} items changed")
        items = await self._read(ids, production)
        scope = orders | {uuid for uuid, (item_id, _) in production.items() if item_id in ids}
        groups = await named_groups(outline, self.ledger)
        report = await self.auditor.compare(_one_page(items), production, scope, groups=groups)
        extent = audit.Extent(
            since=self.last.at,
            last_full=self.last.full,
            read=len(ids),
            active=changed[0].outline.active,
            calls=self.board.calls,
        )
        checkpoint = Checkpoint(at=at, full=self.last.full, mapping=self.last.mapping, outline=outline)
        return report.model_copy(update={"extent": extent}), checkpoint.after(report)

    async def _changes(self, reader: changes.Reader) -> list[changes.BoardChanges]:
        """Of the board, then of its subitem boards."""
        main = await reader.read(self.board.board_id)
        return [main, *[await reader.read(board_id) for board_id in main.outline.subitem_boards]]

    async def _concerned(self, since: datetime, changed: Sequence[changes.BoardChanges]) -> tuple[set[str], set[str]]:
        """The orders and the items to compare, as far as they are known without reading an item."""
        main, subitem_boards = changed[0], changed[1:]
        subitems = sorted({subitem for one in subitem_boards for subitem in one.items})
        orders = await asyncio.to_thread(self.ledger.changed_since, since)
        owners = await asyncio.to_thread(self.ledger.owners, subitems) if subitems else {}
        parents = {subitem: parent for one in changed for subitem, parent in one.parents.items()}
        unknown = [subitem for subitem in subitems if subitem not in parents and subitem not in owners]
        parents |= await self.board.parents(unknown)
        return orders | set(self.last.orders) | set(owners.values()), {
            *main.items,
            *self.last.items,
            *parents.values(),
        }

    async def _read(self, ids: set[str], production: Mapping[str, tuple[str, int]]) -> list[board_values.BoardItem]:
        """These items, and the own items of orders whose key another one carries. Adds the latter to `ids`."""
        found = await self.board.items_by_id(sorted(ids), columns=self.columns)
        named = {audit.named_order(item, self.auditor.mappings) for item in found.values()}
        own = {production[uuid][0] for uuid in named if uuid in production} - ids
        if own:
            found |= await self.board.items_by_id(sorted(own), columns=self.columns)
            ids |= own
        # As a full audit reads them: the older item first.
        return sorted(found.values(), key=lambda item: (len(item.id), item.id))


async def _one_page(items: Collection[board_values.BoardItem]) -> AsyncIterator[Sequence[board_values.BoardItem]]:
    yield list(items)
