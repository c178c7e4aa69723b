"""The board as the writer needs it: its labels, and what a look-up of an unknown outcome asks."""

from collections.abc import Collection, Mapping, Sequence

from connectors.monday import board as boards
from connectors.monday import board_values
from mappings import labels
from mappings.loading import Mappings
from schemas.base import ColumnValue


class LabelBook:
    """The labels of the board's columns, by column id: read at the start, and learned from what was created."""

    def __init__(self, columns: Sequence[board_values.BoardColumn]) -> None:
        self._labels: dict[str, set[str]] = {column.id: set(column.labels) for column in columns}

    def known(self) -> Mapping[str, Collection[str]]:
        """The labels of each column."""
        return self._labels

    def created(self, columns: Mapping[str, ColumnValue]) -> None:
        """These values are on the board now, and so are their labels."""
        for column, value in columns.items():
            if isinstance(value, dict) and "labels" in value:
                self._labels.setdefault(column, set()).update(value["labels"])


async def read_labels(board: boards.Board, mappings: Mappings) -> LabelBook:
    """What the board has now."""
    return LabelBook(await board.columns(labels.with_labels(mappings)))


class BoardView:
    """Answers the questions of streams.sync.lookup and streams.sync.refresh out of the API."""

    def __init__(self, board: boards.Board, mappings: Mappings) -> None:
        self._board = board
        self._key = mappings.board.key.id
        self._size = mappings.board.subitem.size.id
        self._ours = [column.id for column in mappings.board.columns]
        self._subitem_columns = {self._size, mappings.board.subitem.quantity.id}

    async def find(self, record_uuids: Sequence[str]) -> dict[str, list[board_values.BoardItem]]:
        """The active items that carry these identities in the key column, with the columns that are ours."""
        found = await self._board.find_items(self._key, record_uuids, columns=self._ours)
        ours = {self._key, *self._ours}
        return {uuid: [_filled(item, ours) for item in some] for uuid, some in found.items()}

    async def find_sizes(self, parent_item_ids: Sequence[str]) -> dict[tuple[str, str], list[board_values.BoardItem]]:
        """The active subitems of these items, by parent and size label."""
        found: dict[tuple[str, str], list[board_values.BoardItem]] = {}
        for parent, subitems in (await self._board.subitems(parent_item_ids)).items():
            for one in subitems:
                label = one.columns.get(self._size, board_values.Shown()).text or ""
                if one.state == board_values.ItemState.ACTIVE:
                    found.setdefault((parent, label), []).append(_filled(one, self._subitem_columns))
        return found

    async def whole(self, record_uuids: Sequence[str]) -> dict[str, list[board_values.BoardItem]]:
        """The same as `find`, with the subitems: one call for 100 of them."""
        return await self._board.find_items(self._key, record_uuids, columns=self._ours, subitems=True)

    async def by_id(self, item_ids: Sequence[str]) -> dict[str, board_values.BoardItem]:
        """Those that are active on the board, whole, whatever their key column holds."""
        return await self._board.items_by_id(item_ids, columns=[self._key, *self._ours]) if item_ids else {}

    async def groups(self) -> dict[str, str]:
        """Group ids by title."""
        return await self._board.groups()

    async def gone(self, item_ids: Sequence[str]) -> set[str]:
        """Those that were archived or deleted, and those that the API does not know."""
        states = await self._board.exists(item_ids)
        return {item_id for item_id in item_ids if states.get(item_id) is not board_values.ItemState.ACTIVE}


def _filled(item: board_values.BoardItem, ours: Collection[str]) -> board_values.BoardItem:
    filled = {column: cell for column, cell in item.columns.items() if column in ours and cell.text}
    return item.model_copy(update={"columns": filled})
