"""Looking on the board what became of a mutation that nobody answered for.

A create is adopted when its item is there: items are known by the key column, subitems by parent and size, groups by
name. An update says what shall be, so doing it again is harmless and nothing has to be looked up.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas import items

log = logging.getLogger(__name__)

# The API promises no read after write: what is not found is looked for again after these pauses, in seconds.
LOOKS = (0.0, 2.0, 5.0, 15.0)


class Seen(Protocol):
    """An item or subitem as the board shows it."""

    @property
    def id(self) -> str: ...
    @property
    def board_id(self) -> str: ...


class Board(Protocol):
    """What can be asked of the board."""

    async def find(self, record_uuid: str) -> Sequence[Seen]: ...
    async def find_size(self, parent_item_id: str, size_label: str) -> Sequence[Seen]: ...
    async def groups(self) -> dict[str, str]: ...
    async def gone(self, item_id: str) -> bool: ...


@dataclass(frozen=True)
class Looker:
    """`pauses` outlast the lag between a write and the reads that show it."""

    board: Board
    sleep: Callable[[float], Awaitable[object]]
    pauses: Collection[float] = LOOKS

    async def look(self, mutation: items.Mutation) -> items.Done | None:
        """The effect of a mutation, if the board shows it; None when it has to be done (again)."""
        if isinstance(mutation, items.UpdateItem | items.UpdateSubitem | items.MoveItem):
            return None
        if isinstance(mutation, items.RemoveItem):
            gone = await self.board.gone(mutation.item_id)
            return items.Done(id=mutation.item_id) if gone else None
        for pause in self.pauses:
            await self.sleep(pause)
            found = await self._find(mutation)
            if found is not None:
                log.info("%s took place though nobody said so: adopted %s", mutation.kind, found.id)
                return found
        return None

    async def _find(
        self, mutation: items.CreateItem | items.CreateSubitem | items.CreateGroup
    ) -> items.Done | None:
        if isinstance(mutation, items.CreateGroup):
            group_id = (await self.board.groups()).get(mutation.group_name)
            return None if group_id is None else items.Done(id=group_id)
        if isinstance(mutation, items.CreateItem):
            seen = await self.board.find(mutation.record_uuid)
        else:
            seen = await self.board.find_size(mutation.parent_item_id, mutation.size_label)
        if not seen:
            return None
        oldest = min(seen, key=lambda one: int(one.id))
        return items.Done(id=oldest.id, board_id=oldest.board_id)
