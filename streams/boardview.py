"""The board as the writer needs it: its labels, and what a look-up of an unknown outcome asks."""

from collections.abc import Collection, Mapping, Sequence

from connectors.monday import board as boards
from connectors.monday import shown
from mappings.loading import Mappings
from schemas.base import ColumnValue


class LabelBook:
    """The labels of the board's columns, by column id: read at the start, and learned from what was created."""

    def __init__(self, columns: Sequence[shown.BoardColumn]) -> None:
        self._labels: dict[str, set[str]] = {column.id: set(column.labels) for column in columns}

    def known(self) -> Mapping[str, Collection[str]]:
        """The labels of each column."""
        return self._labels

    def created(self, columns: Mapping[str, ColumnValue]) -> None:
        """These values are on the board now, and so are their labels."""
        for column, value in columns.items():
            if isinstance(value, dict) and "labels" in value:
                self._labels.setdefault(column, set()).update(value["labels"])


class BoardView:
    """Answers the questions of streams.doubt out of the API."""

    def __init__(self, board: boards.Board, mappings: Mappings) -> None:
        self._board = board
        self._key = mappings.board.key.id
        self._size = mappings.board.subitem.size.id

    async def find(self, record_uuid: str) -> Sequence[shown.BoardItem]:
        """The active items that carry this identity in the key column."""
        return (await self._board.find_items(self._key, [record_uuid], columns=[]))[record_uuid]

    async def find_size(self, parent_item_id: str, size_label: str) -> Sequence[shown.BoardItem]:
        """The subitems of a parent whose size is exactly this label."""
        found = (await self._board.subitems([parent_item_id])).get(parent_item_id, [])
        return [one for one in found if one.columns.get(self._size, shown.Shown()).text == size_label]

    async def groups(self) -> dict[str, str]:
        """Group ids by title."""
        return await self._board.groups()

    async def gone(self, item_id: str) -> bool:
        """Was this item archived or deleted?"""
        state = (await self._board.exists([item_id])).get(item_id)
        return state is not shown.ItemState.ACTIVE
