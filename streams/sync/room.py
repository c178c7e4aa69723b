"""Whether creates may leave: not on a full board, and not on a board of whose items nothing is known.

After the API refused a create because the board is full, creates wait and all else goes on.

The API states no time at which a full board has room again. So the writer tries again after a growing pause, and at
once after it removed an item. Meanwhile it sends no create, and the orders that need one are parked
(streams.sync.in_doubt).

A board that had items without our key when the home was bound may show an order that the ledger does not have, and a
create would make it a second time. So orders that need a new item are parked too, until the items were adopted.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from connectors import backoff
from schemas import items
from schemas.bindings import Creates
from streams.sync.outcome import NoRoom, Result

log = logging.getLogger(__name__)

# The name under which status and /health show a full board.
ROOM = "board"


@dataclass
class Room:
    """What the last answers say about the room of one board. `now` is UTC, `minute` the API's minute in seconds.

    `creates`: what the binding lets the writer create. `reason`: the API's words for the refusal; "" once a create
    succeeded after it.
    """

    now: Callable[[], datetime]
    minute: float
    creates: Creates = Creates.FREE
    reason: str = field(default="", init=False)
    _refusals: int = field(default=0, init=False)
    _full_until: datetime | None = field(default=None, init=False)

    @property
    def is_full(self) -> bool:
        """No create may leave now."""
        return self._full_until is not None and self.now() < self._full_until

    @property
    def is_closed(self) -> bool:
        """Orders that wait for room wait on: no create may leave now, or no new item."""
        return self.is_full or self.creates is Creates.HELD

    def note(self, mutations: Sequence[items.Mutation], results: Sequence[Result | None]) -> None:
        """Takes in the results of one request. Its last mutation that says something about the room counts."""
        refusal: NoRoom | None = None
        for mutation, result in zip(mutations, results, strict=True):
            if isinstance(result, NoRoom):
                refusal = result
            elif isinstance(result, items.Done) and isinstance(mutation, items.RemoveItem):
                self._freed()
                refusal = None
            elif isinstance(result, items.Done) and isinstance(mutation, items.CreateItem | items.CreateSubitem):
                self._created()
                refusal = None
        if refusal is not None:
            self._refused(refusal.reason)

    def describe(self, waiting: int) -> str | None:
        """One line for the operator about so many orders that wait for room; None if there is nothing to say."""
        if not waiting:
            return None
        if self.creates is Creates.HELD:
            return (
                f"the board has items of which nothing is known, so {waiting} orders without an item wait: run "
                "`ordersync adopt`; updates and removals go on"
            )
        if not self.reason:
            return None
        at = self._full_until or self.now()
        return (
            f"the board is full, {waiting} orders wait for room: {self.reason}; removals and updates go on, "
            f"creates are tried again at {at:%H:%M:%S} UTC and after each removal"
        )

    def _refused(self, reason: str) -> None:
        pauses = backoff.ROOM_PAUSES
        pause = pauses[min(self._refusals, len(pauses) - 1)] * self.minute / 60
        self._refusals += 1
        self._full_until = self.now() + timedelta(seconds=pause)
        log.warning("the board is full, creates wait and all else goes on: %s; next try in %.1f s", reason, pause)
        self.reason = reason

    def _freed(self) -> None:
        self._refusals, self._full_until = 0, None

    def _created(self) -> None:
        if self.reason:
            log.warning("the board has room again: creates go on")
        self._refusals, self._full_until, self.reason = 0, None, ""
