"""The check of the board's columns: a column that was deleted or changed stops the board once, not each order.

The API refuses each mutation for such a column alone, as if its order were wrong. So the writer reads the columns when
it starts and after such a refusal. If a mapped column differs, the lane is paused, and no order fails. The same
function decides for `ordersync validate` (mappings.checks), in the same words.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from connectors import errors
from connectors.monday import board_values, error_table
from mappings import checks
from mappings.loading import Mappings

# Seconds between two reads of the columns, at least.
EVERY = 10.0


class Board(Protocol):
    """The board (connectors.monday.board.Board). Raises Transient, AccountStop or BoardStop."""

    async def columns_of(self, board_ids: Sequence[str]) -> Mapping[str, Sequence[board_values.BoardColumn]]:
        """The columns of several boards."""


@dataclass
class ColumnCheck:
    """The check of one writer. `sleep` waits seconds, `now` is UTC."""

    board: Board
    mappings: Mappings
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[object]]
    _read_at: datetime | None = field(default=None, init=False)
    _wrong: bool = field(default=False, init=False)

    async def read(self) -> list[board_values.BoardColumn]:
        """The columns of the board. Raises Misconfigured when a mapped column is missing or has another type.

        It also raises what the board raises.
        """
        self._read_at = self.now()
        ids = self.mappings.board.board
        columns = await self.board.columns_of([ids.id, ids.subitem_board_id])
        items, subitems = columns[ids.id], columns[ids.subitem_board_id]
        found = checks.board_columns_wrong(self.mappings, _described(items), _described(subitems))
        stops = [mistake for mistake in found if mistake.stops]
        self._wrong = bool(stops)
        if stops:
            raise errors.Misconfigured("; ".join(mistake.text for mistake in stops), code=stops[0].code)
        return list(items)

    async def before_writing(self) -> None:
        """Reads the columns once more if they were wrong at the last read. Raises what `read` raises."""
        if self._wrong:
            await self._read_again()

    async def refused(self, codes: Collection[str]) -> None:
        """Reads the columns if one of these refusals may be about them. Raises what `read` raises.

        Columns that were right within the last 10 s are not read for a value that the API refuses: it is the value of
        one order. For a column that the API does not know, the check waits until it may read.
        """
        if any(map(error_table.is_no_column, codes)) or (
            any(map(error_table.is_about_columns, codes)) and self._pause() <= 0
        ):
            await self._read_again()

    async def _read_again(self) -> None:
        if (pause := self._pause()) > 0:
            await self.sleep(pause)
        await self.read()

    def _pause(self) -> float:
        """Seconds until the columns may be read once more."""
        if self._read_at is None:
            return 0.0
        return EVERY - (self.now() - self._read_at).total_seconds()


def _described(columns: Sequence[board_values.BoardColumn]) -> list[tuple[str, str, str]]:
    return [(column.id, column.title, column.type) for column in columns]
