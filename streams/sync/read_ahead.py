"""Reads orders from the board in calls of 100, and fills each call with orders whose events have not arrived yet.

Repairs arrive a few at a time, and a call costs the same for one order as for 100. An order that was read ahead stays
in memory until its event arrives. It is used only if the order was not emitted once more since that read: an order is
emitted once more because of a later change on the board.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connectors.monday import board_values

ORDERS_PER_CALL = 100

Items = Sequence[board_values.BoardItem]


class Board(Protocol):
    """The board (streams.sync.board.BoardView). Raises Transient, AccountStop or BoardStop."""

    async def find_with_sizes(self, record_uuids: Sequence[str]) -> Mapping[str, Items]:
        """The active items of these orders with their subitems, none for an order that the board does not show."""


class Repairs(Protocol):
    """Orders that were emitted once more, with the time of that as text (connectors.tables.repairs.Repairs).

    Raises Transient or Misconfigured.
    """

    def on_their_way_again(self) -> Mapping[str, str]:
        """All of these orders that have not arrived: at most as many as the admission window lets through."""

    def waiting_since(self, record_uuids: Sequence[str]) -> Mapping[str, str]:
        """Those of these orders that have not arrived."""


@dataclass
class ReadAhead:
    """The board reads of one writer."""

    board: Board
    repairs: Repairs
    # Per order that was read ahead: the time since when it waits, and the items that the board showed.
    _ahead: dict[str, tuple[str, Items]] = field(default_factory=dict, init=False)
    # Per order that arrived and is not settled yet: the time since when it waits. It needs no reading ahead.
    _arrived: dict[str, str] = field(default_factory=dict, init=False)

    async def read(self, uuids: Sequence[str]) -> dict[str, Items]:
        """The items of these orders: read ahead or read now. Raises what the board and the repairs raise."""
        earlier = [uuid for uuid in uuids if uuid in self._ahead]
        since = await asyncio.to_thread(self.repairs.waiting_since, earlier) if earlier else {}
        kept = {uuid: self._ahead.pop(uuid) for uuid in earlier}
        found = {uuid: items for uuid, (emitted_at, items) in kept.items() if since.get(uuid) == emitted_at}
        self._arrived |= {uuid: since[uuid] for uuid in found}
        to_read = [uuid for uuid in uuids if uuid not in found]
        if not to_read:
            return found
        coming = await asyncio.to_thread(self.repairs.on_their_way_again)
        self._forget_all_but(coming)
        known = {*uuids, *self._ahead, *self._arrived}
        others = [uuid for uuid in coming if uuid not in known][: -len(to_read) % ORDERS_PER_CALL]
        read = await self.board.find_with_sizes([*to_read, *others])
        self._ahead |= {uuid: (coming[uuid], read[uuid]) for uuid in others}
        self._arrived |= {uuid: coming[uuid] for uuid in to_read if uuid in coming}
        return found | {uuid: read[uuid] for uuid in to_read}

    def _forget_all_but(self, coming: Mapping[str, str]) -> None:
        """Forgets orders that were settled or emitted once more meanwhile, so that memory stays bounded."""
        self._ahead = {uuid: kept for uuid, kept in self._ahead.items() if coming.get(uuid) == kept[0]}
        self._arrived = {uuid: since for uuid, since in self._arrived.items() if coming.get(uuid) == since}
