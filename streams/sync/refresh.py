"""The board read again: what it really shows of some orders, in place of what the ledger believes.

A replay is planned against this. The ledger learns which columns show what the order shall be and which do not, what is
missing and what was moved; the ordinary plan then finds the differences. What is there twice is given back, to be taken
away: the ledger's own item stays, else the oldest. Columns that people own never count as different.

What the search does not show is asked for by its id before it is believed gone: searches lag behind writes, and a
person may have changed the key.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connectors.monday import board_values
from connectors.tables.lease import Grant
from mappings import columns
from mappings import items as mapped
from mappings.loading import Mappings
from schemas import items
from schemas.base import ColumnValue
from schemas.orders import StagedOrder
from streams.sync import cells, lookup

# Orders that one call tells about.
CALL = 100

Known = tuple[items.Entity | None, Sequence[items.Entity]]
NOTHING: Known = (None, ())


class Board(Protocol):
    """What can be asked of the board (streams.sync.board.BoardView)."""

    async def whole(self, record_uuids: Sequence[str]) -> Mapping[str, Sequence[board_values.BoardItem]]: ...
    async def by_id(self, item_ids: Sequence[str]) -> Mapping[str, board_values.BoardItem]: ...
    async def gone(self, item_ids: Sequence[str]) -> set[str]: ...


class Ledger(Protocol):
    """What the board is known to hold (connectors.tables.ledger.Ledger)."""

    def known(self, record_uuids: Sequence[str]) -> Mapping[str, Known]: ...
    def owners(self, item_ids: Sequence[str]) -> Mapping[str, str]: ...
    def correct(self, entities: Sequence[tuple[items.Entity, int]], grant: Grant) -> None: ...


class Coming(Protocol):
    """Orders that were told once more, and since when they are on their way (connectors.tables.repairs.Repairs)."""

    def on_their_way_again(self) -> Mapping[str, str]: ...
    def waiting_since(self, record_uuids: Sequence[str]) -> Mapping[str, str]: ...


@dataclass
class Seen:
    """What the board shows of one order: item and sizes, not active when they are gone; and what is superfluous.

    `read` is the item as it stood there.
    """

    item: items.Entity | None = None
    sizes: list[items.Entity] = field(default_factory=list)
    copies: list[items.RemoveItem] = field(default_factory=list)
    read: board_values.BoardItem | None = None

    @property
    def known(self) -> Known:
        """As the ledger would tell it."""
        return self.item, self.sizes


@dataclass
class Refresher:
    """Reads the board for orders, one call for each 100 of them as long as nothing is missing.

    What room a call has left is for orders that are on their way here.
    """

    board: Board
    ledger: Ledger
    coming: Coming
    mappings: Mappings
    # Since when the order was on its way, and what the board showed then.
    _ahead: dict[str, tuple[str, Sequence[board_values.BoardItem]]] = field(default_factory=dict, init=False)
    # The same of those that were here and are not settled yet: nobody has to read ahead for them.
    _were_here: dict[str, str] = field(default_factory=dict, init=False)

    async def refresh(self, orders: Sequence[StagedOrder], grant: Grant) -> dict[str, Seen]:
        """Looks, and brings the ledger to it. Raises what the board raises, and LeaseLost."""
        if not orders:
            return {}
        known = await asyncio.to_thread(self.ledger.known, [order.record_uuid for order in orders])
        seen = await self.look(orders)
        news: list[tuple[items.Entity, int]] = []
        for order in orders:
            item, sizes = known.get(order.record_uuid, NOTHING)
            before = {entity.size_label: entity for entity in ([item] if item else []) + list(sizes)}
            found = seen[order.record_uuid]
            # An item that is gone takes its sizes along: it comes first, so that nothing is told after it.
            after = ([found.item] if found.item else []) + found.sizes
            news += [(entity, order.version) for entity in after if before.get(entity.size_label) != entity]
        if news:
            await asyncio.to_thread(self.ledger.correct, news, grant)
        return seen

    async def look(self, orders: Sequence[StagedOrder]) -> dict[str, Seen]:
        """What the board shows of each of these orders. Writes nothing."""
        uuids = [order.record_uuid for order in orders]
        known = await asyncio.to_thread(self.ledger.known, uuids)
        found = await self._whole(uuids)
        ours = {uuid: item.item_id for uuid, (item, _) in known.items() if item is not None and item.active}
        hidden = [item_id for uuid, item_id in ours.items() if item_id not in {one.id for one in found[uuid]}]
        rekeyed = await self.board.by_id(hidden)
        strange = [one.id for uuid in uuids for one in found[uuid] if one.id != ours.get(uuid)]
        owners = await asyncio.to_thread(self.ledger.owners, strange) if strange else {}
        seen: dict[str, Seen] = {}
        missing: dict[str, str] = {}
        for order in orders:
            uuid = order.record_uuid
            candidates = {one.id: one for one in found[uuid] if owners.get(one.id, uuid) == uuid}
            if ours.get(uuid) in rekeyed:
                candidates[ours[uuid]] = rekeyed[ours[uuid]]
            seen[uuid] = self._seen(order, known.get(uuid, NOTHING), candidates)
            item = seen[uuid].item
            # The sizes of an item that is gone went with it.
            if item is not None and item.item_id == ours.get(uuid) and not order.removed:
                missing |= {size.item_id: uuid for size in seen[uuid].sizes if not size.active}
        gone = await self.board.gone(list(missing)) if missing else set()
        for item_id in missing.keys() - gone:
            # Somebody hung it under another item.
            seen[missing[item_id]].copies.append(self._removal(missing[item_id], item_id))
        return seen

    async def _whole(self, uuids: Sequence[str]) -> dict[str, Sequence[board_values.BoardItem]]:
        """What was read ahead, or is read now; and ahead, for those that come next.

        What was read before an order was told once more is not believed: it was told for what has happened since.
        """
        before = [uuid for uuid in uuids if uuid in self._ahead]
        since = await asyncio.to_thread(self.coming.waiting_since, before) if before else {}
        kept = {uuid: self._ahead.pop(uuid) for uuid in before}
        found = {uuid: items for uuid, (told, items) in kept.items() if since.get(uuid) == told}
        self._were_here |= {uuid: since[uuid] for uuid in found}
        asked = [uuid for uuid in uuids if uuid not in found]
        if not asked:
            return found
        coming = await asyncio.to_thread(self.coming.on_their_way_again)
        # Nothing is kept for long that nobody came for.
        self._ahead = {uuid: one for uuid, one in self._ahead.items() if coming.get(uuid) == one[0]}
        self._were_here = {uuid: told for uuid, told in self._were_here.items() if coming.get(uuid) == told}
        known = {*uuids, *self._ahead, *self._were_here}
        others = [uuid for uuid in coming if uuid not in known][: -len(asked) % CALL]
        read = await self.board.whole([*asked, *others])
        self._ahead |= {uuid: (coming[uuid], read[uuid]) for uuid in others}
        self._were_here |= {uuid: coming[uuid] for uuid in asked if uuid in coming}
        return found | {uuid: read[uuid] for uuid in asked}

    def _seen(self, order: StagedOrder, known: Known, candidates: Mapping[str, board_values.BoardItem]) -> Seen:
        item, sizes = known
        if not candidates:
            return Seen(None if item is None else item.model_copy(update={"active": False}))
        known_id = item.item_id if item is not None else ""
        main = candidates.get(known_id) or candidates[min(candidates, key=int)]
        entity = items.Entity(
            record_uuid=order.record_uuid,
            item_id=main.id,
            board_id=main.board_id,
            name=main.name,
            group_name=main.group_title,
            columns=self._believed(self._desired(order), main),
        )
        copies = [self._removal(order.record_uuid, one) for one in candidates if one != main.id]
        found = Seen(entity, copies=copies, read=main)
        if not order.removed:
            self._look_at_sizes(order, sizes, main, found)
        return found

    def _look_at_sizes(
        self, order: StagedOrder, known: Sequence[items.Entity], main: board_values.BoardItem, found: Seen
    ) -> None:
        subitem, numbers = self.mappings.board.subitem, cells.numbers(self.mappings)
        label_of = {size.item_id: size.size_label for size in known}
        taken: set[str] = set()
        active = [one for one in main.subitems if one.state == board_values.ItemState.ACTIVE]
        for one in sorted(active, key=lambda one: (one.id not in label_of, int(one.id))):
            # Ours keeps its size, whatever a person has written over it.
            label = label_of.get(one.id) or cells.text_of(one, subitem.size.id)
            quantity = cells.number(cells.text_of(one, subitem.quantity.id))
            if not label:
                continue  # A line that a person wrote.
            if label in taken:
                found.copies.append(self._removal(order.record_uuid, one.id))
                continue
            taken.add(label)
            wanted = mapped.subitem_columns(label, order.sizes.get(label, 0), self.mappings)
            believed = {
                name: value
                for name, value in wanted.items()
                if _reads(one, name, value, numbers) or (name in numbers and quantity == cells.text(value))
            }
            unsure = {name: lookup.UNSURE for name in wanted if name not in believed}
            found.sizes.append(
                items.Entity(
                    record_uuid=order.record_uuid,
                    size_label=label,
                    item_id=one.id,
                    board_id=one.board_id,
                    name=one.name,
                    columns=believed | unsure,
                )
            )
        left = [size for size in known if size.active and size.size_label not in taken]
        found.sizes += [size.model_copy(update={"active": False}) for size in left]

    def _desired(self, order: StagedOrder) -> dict[str, ColumnValue]:
        if order.removed:
            return {}
        return mapped.board_columns(order.values, order.record_uuid, self.mappings)

    def _believed(self, desired: Mapping[str, ColumnValue], item: board_values.BoardItem) -> dict[str, ColumnValue]:
        """Our columns as the plan shall know them: what they shall be, or unsure, or absent where they are blank."""
        board, numbers = self.mappings.board, cells.numbers(self.mappings)
        people = columns.owned_by_people(self.mappings)
        believed: dict[str, ColumnValue] = {}
        for name in (board.key.id, *(column.id for column in board.columns)):
            wanted = desired.get(name)
            if wanted is not None and (name in people or _reads(item, name, wanted, numbers)):
                believed[name] = wanted
            elif name not in people and cells.text_of(item, name):
                believed[name] = lookup.UNSURE
        return believed

    def _removal(self, record_uuid: str, item_id: str) -> items.RemoveItem:
        # What is kept on the board are orders that left, never a second item of one.
        policy = self.mappings.board.board.removal
        removal = items.Removal.ARCHIVE if policy is items.Removal.KEEP else policy
        return items.RemoveItem(record_uuid=record_uuid, item_id=item_id, removal=removal)


def _reads(item: board_values.BoardItem, column_id: str, wanted: ColumnValue, numbers: frozenset[str]) -> bool:
    """Does a person read there what was told?"""
    seen, told = cells.text_of(item, column_id), cells.text(wanted)
    if column_id in numbers:
        return bool(seen) and cells.number(seen) == cells.number(told)
    return seen == told
