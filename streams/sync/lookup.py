"""What became of a write that nobody answered for, and what the ledger may still believe.

A create is looked for on the board: items by the key column, subitems by parent and size, groups by name. What shows
is adopted; but nobody knows which request filled it, so its columns are unsure and the next plan says them all again.
An update says what shall be: until it is confirmed the columns that it names are unsure, and so it is planned again.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors import backoff
from schemas import items
from schemas.base import ColumnValue

log = logging.getLogger(__name__)

# Equals no value that a mapping makes, so a plan always differs from it.
UNSURE: ColumnValue = {"ordersync": "unsure"}

# Carried out twice, they would be there twice.
Create = items.CreateItem | items.CreateSubitem | items.CreateGroup
# The effect of a create that shows on the board, and what the ledger shall know of it (None for a group).
Adopted = tuple[items.Done, items.Entity | None]


class Seen(Protocol):
    """An item or subitem as the board shows it; `columns` by id, at least those that are filled."""

    @property
    def id(self) -> str: ...
    @property
    def board_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def group_title(self) -> str: ...
    @property
    def columns(self) -> Mapping[str, object]: ...


class Board(Protocol):
    """What can be asked of the board: many at once, for a call costs a call whatever it asks."""

    async def find(self, record_uuids: Sequence[str]) -> Mapping[str, Sequence[Seen]]: ...
    async def find_sizes(self, parent_item_ids: Sequence[str]) -> Mapping[tuple[str, str], Sequence[Seen]]: ...
    async def groups(self) -> dict[str, str]: ...
    async def gone(self, item_ids: Sequence[str]) -> set[str]: ...


@dataclass(frozen=True)
class BoardLookup:
    """`pauses` outlast the lag between a write and the reads that show it."""

    board: Board
    sleep: Callable[[float], Awaitable[object]]
    pauses: Collection[float] = backoff.LOOKUP_PAUSES

    async def find(self, mutations: Mapping[int, items.Mutation]) -> dict[int, Adopted]:
        """Which of these creates took place. A call later than the lag, what it leaves out did not."""
        missing = {at: mutation for at, mutation in mutations.items() if isinstance(mutation, Create)}
        found: dict[int, Adopted] = {}
        for pause in self.pauses:
            if not missing:
                break
            await self.sleep(pause)
            found |= await self.look(missing)
            missing = {at: mutation for at, mutation in missing.items() if at not in found}
        return found

    async def look(self, mutations: Mapping[int, items.Mutation]) -> dict[int, Adopted]:
        """Which of these creates the board shows by now."""
        wanted = [mutation for mutation in mutations.values() if isinstance(mutation, Create)]
        uuids = sorted({one.record_uuid for one in wanted if isinstance(one, items.CreateItem)})
        parents = sorted({one.parent_item_id for one in wanted if isinstance(one, items.CreateSubitem)})
        shown = await self.board.find(uuids) if uuids else {}
        sizes = await self.board.find_sizes(parents) if parents else {}
        groups = await self.board.groups() if any(isinstance(one, items.CreateGroup) for one in wanted) else {}
        found: dict[int, Adopted] = {}
        for at, one in mutations.items():
            if isinstance(one, items.CreateGroup):
                if one.group_name in groups:
                    found[at] = (items.Done(id=groups[one.group_name]), None)
            elif isinstance(one, items.CreateItem):
                if seen := shown.get(one.record_uuid):
                    found[at] = _adopt(one, seen)
            elif isinstance(one, items.CreateSubitem) and (seen := sizes.get((one.parent_item_id, one.size_label))):
                found[at] = _adopt(one, seen)
        if found:
            log.info("%d creates took place though nobody said so: adopted", len(found))
        return found

    async def gone(self, item_ids: Sequence[str]) -> set[str]:
        """Those that are not active any more: archived, deleted, or never heard of."""
        return await self.board.gone(item_ids) if item_ids else set()

    async def groups(self) -> dict[str, str]:
        """Group ids by name, as the board has them now."""
        return await self.board.groups()


def _adopt(create: items.CreateItem | items.CreateSubitem, seen: Sequence[Seen]) -> Adopted:
    """The oldest, if a person made copies: ours was there first, and what a person made is a person's to remove."""
    size = create.size_label if isinstance(create, items.CreateSubitem) else ""
    oldest, *copies = sorted(seen, key=lambda one: int(one.id))
    if copies:
        what = f"order {create.record_uuid}" + (f", size {size}," if size else "")
        log.error("%s is on the board %d times: %s is ours", what, len(seen), oldest.id)
    entity = items.Entity(
        record_uuid=create.record_uuid,
        size_label=size,
        item_id=oldest.id,
        board_id=oldest.board_id,
        name=oldest.name,
        group_name=oldest.group_title,
        columns=dict.fromkeys([*create.columns, *oldest.columns], UNSURE),
    )
    return items.Done(id=oldest.id, board_id=oldest.board_id), entity


def unsure(known: items.Entity, mutation: items.Mutation) -> items.Entity:
    """What is left to believe after an update or a move of which nobody knows whether it took place."""
    if isinstance(mutation, items.MoveItem):
        return known.model_copy(update={"group_name": ""})
    if isinstance(mutation, items.UpdateItem | items.UpdateSubitem):
        told = {column: UNSURE for column in mutation.columns if column != "name"}
        name = "" if "name" in mutation.columns else known.name
        return known.model_copy(update={"columns": {**known.columns, **told}, "name": name})
    return known


def target(mutation: items.Mutation) -> str:
    """The item or subitem that has to be on the board for this mutation; "" when none has to."""
    if isinstance(mutation, items.CreateSubitem):
        return mutation.parent_item_id
    return getattr(mutation, "item_id", "")
