"""The refresh: reads orders from the board and brings their ledger rows to what it shows, before a repair is planned.

After it the ledger has each column that shows the value of the order, marks the others as unsure, and has the missing
and moved items; the ordinary plan then contains the differences. Of an item that is there twice, the refresh keeps the
one in the ledger, else the oldest, and returns the removals of the others. Columns that users own never differ.

The refresh asks for an item that the search does not show by its id, before it counts as gone: searches lag behind
writes, and a user may have changed the key.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connectors.monday import board_values
from connectors.tables.lease import Grant
from mappings import columns
from mappings import items as mapped
from mappings.loading import Mappings
from schemas import identity, items
from schemas.base import ColumnValue
from schemas.orders import StagedOrder
from streams.sync import cells, lookup, read_ahead
from streams.sync.outline import READ_EVERY

Known = tuple[items.Entity | None, Sequence[items.Entity]]
NOTHING: Known = (None, ())


class Outline(Protocol):
    """The outline of the board (streams.sync.outline.Outline). Raises what the board and SQL raise."""

    async def refresh(self, *, every: float = 0.0) -> bool:
        """Reads the outline, unless it was read within `every` seconds."""


class Board(read_ahead.Board, Protocol):
    """The board (streams.sync.board.BoardView). Raises Transient, AccountStop or BoardStop."""

    async def by_id(self, item_ids: Sequence[str]) -> Mapping[str, board_values.BoardItem]:
        """The active ones of these items with their subitems."""

    async def present(self, ids: Collection[str]) -> lookup.Present:
        """Those of these items and subitems that are active on our boards."""


class Ledger(Protocol):
    """What the board holds, as the API confirmed it (connectors.tables.ledger.Ledger).

    Raises Transient or Misconfigured.
    """

    def known(self, record_uuids: Sequence[str]) -> Mapping[str, Known]:
        """Item and subitems of each order; an order that never was on the board is absent."""

    def owners(self, item_ids: Sequence[str]) -> Mapping[str, str]:
        """The orders of these items; an item that the ledger does not have is absent."""

    def correct(self, entities: Sequence[tuple[items.Entity, int]], grant: Grant) -> None:
        """Replaces these entities; the number is the version they were compared with. Raises LeaseLost."""


@dataclass
class Seen:
    """One order on the board: item and sizes (not active if they are gone), and the removals of copies.

    `read` is the item as the board showed it.
    """

    item: items.Entity | None = None
    sizes: list[items.Entity] = field(default_factory=list)
    copies: list[items.RemoveItem] = field(default_factory=list)
    read: board_values.BoardItem | None = None

    @property
    def known(self) -> Known:
        """Item and sizes in the form of the ledger."""
        return self.item, self.sizes


@dataclass
class Refresher:
    """Reads orders from the board, in one call for 100 orders as long as nothing is missing."""

    board: Board
    ledger: Ledger
    repairs: read_ahead.Repairs
    mappings: Mappings
    outline: Outline
    _ahead: read_ahead.ReadAhead = field(init=False)

    def __post_init__(self) -> None:
        self._ahead = read_ahead.ReadAhead(self.board, self.repairs)

    async def refresh(self, orders: Sequence[StagedOrder], grant: Grant) -> dict[str, Seen]:
        """Reads these orders and corrects the ledger. Raises what the board raises, and LeaseLost.

        A difference refreshes the outline too: a user may have changed labels or columns.
        """
        if not orders:
            return {}
        known = await asyncio.to_thread(self.ledger.known, [order.record_uuid for order in orders])
        seen = await self.read(orders)
        changed: list[tuple[items.Entity, int]] = []
        for order in orders:
            item, sizes = known.get(order.record_uuid, NOTHING)
            before = {entity.size_label: entity for entity in ([item] if item else []) + list(sizes)}
            shown = seen[order.record_uuid]
            # The item is first: the ledger retires the sizes of an item that is gone, and must not do so afterwards.
            after = ([shown.item] if shown.item else []) + shown.sizes
            changed += [(entity, order.version) for entity in after if before.get(entity.size_label) != entity]
        if changed:
            await self.outline.refresh(every=READ_EVERY)
            await asyncio.to_thread(self.ledger.correct, changed, grant)
        return seen

    async def retire_moved(self, orders: Sequence[StagedOrder], grant: Grant) -> None:
        """Marks the items of these orders that are not on the board any more as inactive in the ledger.

        A removal names the item alone, so the API would also remove one that a user has moved to another board. Raises
        what the board raises, and LeaseLost.
        """
        known = await asyncio.to_thread(self.ledger.known, [order.record_uuid for order in orders])
        ours = [(known.get(order.record_uuid, NOTHING)[0], order.version) for order in orders]
        active = [(item, version) for item, version in ours if item is not None and item.active]
        if not active:
            return
        present = await self.board.present([item.item_id for item, _ in active])
        moved = [pair for pair in active if pair[0].item_id not in present.items]
        if moved:
            gone = [(item.model_copy(update={"active": False}), version) for item, version in moved]
            await asyncio.to_thread(self.ledger.correct, gone, grant)

    async def read(self, orders: Sequence[StagedOrder]) -> dict[str, Seen]:
        """These orders as the board shows them. Writes nothing. Raises what the board raises."""
        uuids = [order.record_uuid for order in orders]
        known = await asyncio.to_thread(self.ledger.known, uuids)
        found = await self._ahead.read(uuids)
        ours = {uuid: item.item_id for uuid, (item, _) in known.items() if item is not None and item.active}
        hidden = [item_id for uuid, item_id in ours.items() if item_id not in {item.id for item in found[uuid]}]
        rekeyed = await self.board.by_id(hidden)
        strange = [item.id for uuid in uuids for item in found[uuid] if item.id != ours.get(uuid)]
        owners = await asyncio.to_thread(self.ledger.owners, strange) if strange else {}
        seen: dict[str, Seen] = {}
        missing: dict[str, str] = {}
        for order in orders:
            uuid = order.record_uuid
            candidates = {shown.id: shown for shown in found[uuid] if owners.get(shown.id, uuid) == uuid}
            if ours.get(uuid) in rekeyed:
                candidates[ours[uuid]] = rekeyed[ours[uuid]]
            seen[uuid] = self._seen(order, known.get(uuid, NOTHING), candidates)
            item = seen[uuid].item
            # The sizes of an item that is gone are gone too.
            if item is not None and item.item_id == ours.get(uuid) and not order.removed:
                missing |= {size.item_id: uuid for size in seen[uuid].sizes if not size.active}
        present = await self.board.present(list(missing)) if missing else lookup.Present()
        for item_id in present.subitems:
            # A user moved this subitem below another item.
            seen[missing[item_id]].copies.append(self._removal(missing[item_id], item_id))
        return seen

    def _seen(self, order: StagedOrder, known: Known, candidates: Mapping[str, board_values.BoardItem]) -> Seen:
        item, sizes = known
        if not candidates:
            return Seen(None if item is None else item.model_copy(update={"active": False}))
        known_id = item.item_id if item is not None else ""
        main = candidates.get(known_id) or candidates[min(candidates, key=int)]
        entity = item_entity(order.record_uuid, self._desired(order), main, self.mappings)
        copies = [self._removal(order.record_uuid, item_id) for item_id in candidates if item_id != main.id]
        seen = Seen(entity, copies=copies, read=main)
        if not order.removed:
            self._add_sizes(order, sizes, main, seen)
        return seen

    def _add_sizes(
        self, order: StagedOrder, known: Sequence[items.Entity], main: board_values.BoardItem, seen: Seen
    ) -> None:
        subitem = self.mappings.board.subitem
        label_of = {size.item_id: size.size_label for size in known}
        taken: set[str] = set()
        active = [shown for shown in main.subitems if shown.state == board_values.ItemState.ACTIVE]
        for shown in sorted(active, key=lambda shown: (shown.id not in label_of, int(shown.id))):
            # A subitem in the ledger keeps its size, even if a user has changed its label.
            label = label_of.get(shown.id) or cells.text_of(shown, subitem.size.id)
            if not label:
                continue  # A user's own subitem.
            if label in taken:
                seen.copies.append(self._removal(order.record_uuid, shown.id))
                continue
            taken.add(label)
            seen.sizes.append(size_entity(order.record_uuid, label, order.sizes.get(label, 0), shown, self.mappings))
        missing = [size for size in known if size.active and size.size_label not in taken]
        seen.sizes += [size.model_copy(update={"active": False}) for size in missing]

    def _desired(self, order: StagedOrder) -> dict[str, ColumnValue]:
        if order.removed:
            return {}
        return mapped.board_columns(order.values, order.record_uuid, self.mappings)

    def _removal(self, record_uuid: str, item_id: str) -> items.RemoveItem:
        # The policy "keep" applies to the item of an order that left, never to a copy.
        policy = self.mappings.board.board.removal
        removal = items.Removal.ARCHIVE if policy is items.Removal.KEEP else policy
        return items.RemoveItem(record_uuid=record_uuid, item_id=item_id, removal=removal)


def item_entity(
    record_uuid: str, desired: Mapping[str, ColumnValue], item: board_values.BoardItem, mappings: Mappings
) -> items.Entity:
    """The ledger's values of an item as the board shows it. `desired`: the columns that its order shall have.

    Of our columns, one that shows the desired value has it, one that shows another value is unsure, an empty one is
    absent. The title of its group has to be the name of the group.
    """
    board, numbers, owned_by_users = mappings.board, cells.numbers(mappings), columns.owned_by_people(mappings)
    found: dict[str, ColumnValue] = {}
    for name in (board.key.id, *(column.id for column in board.columns)):
        wanted = desired.get(name)
        if name == board.key.id and identity.same(cells.text_of(item, name)) == wanted:
            found[name] = wanted  # Another spelling of the identity needs no write.
        elif wanted is not None and (name in owned_by_users or cells.shows(item.columns, name, wanted, numbers)):
            found[name] = wanted
        elif name not in owned_by_users and cells.text_of(item, name):
            found[name] = lookup.UNSURE
    return items.Entity(
        record_uuid=record_uuid,
        item_id=item.id,
        board_id=item.board_id,
        name=item.name,
        group_name=item.group_title,
        columns=found,
    )


def size_entity(
    record_uuid: str, label: str, quantity: int, shown: board_values.BoardItem, mappings: Mappings
) -> items.Entity:
    """The ledger's values of a subitem as the board shows it, for the size that it stands for and its quantity."""
    subitem, numbers = mappings.board.subitem, cells.numbers(mappings)
    shown_quantity = cells.number(cells.text_of(shown, subitem.quantity.id))
    wanted = mapped.subitem_columns(label, quantity, mappings)
    confirmed = {
        name: value
        for name, value in wanted.items()
        if cells.shows(shown.columns, name, value, numbers) or (name in numbers and shown_quantity == cells.text(value))
    }
    return items.Entity(
        record_uuid=record_uuid,
        size_label=label,
        item_id=shown.id,
        board_id=shown.board_id,
        name=shown.name,
        columns=confirmed | {name: lookup.UNSURE for name in wanted if name not in confirmed},
    )
