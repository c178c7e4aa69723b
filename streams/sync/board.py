"""The board for the writer: the labels of its columns, and the reads that a lookup and a refresh need."""

from collections.abc import Collection, Mapping, Sequence

from connectors.monday import board as boards
from connectors.monday import board_values
from mappings import labels
from mappings.loading import Mappings
from schemas.base import ColumnValue
from streams.sync import lookup


class LabelBook:
    """The labels of the board's columns, by column id: read at the start, extended with every label that is created."""

    def __init__(self, columns: Sequence[board_values.BoardColumn]) -> None:
        self._labels: dict[str, set[str]] = {column.id: set(column.labels) for column in columns}

    def known(self) -> Mapping[str, Collection[str]]:
        """The labels of each column."""
        return self._labels

    def created(self, columns: Mapping[str, ColumnValue]) -> None:
        """Adds the labels in these values: the board has confirmed them."""
        for column, value in columns.items():
            if isinstance(value, dict) and "labels" in value:
                self._labels.setdefault(column, set()).update(value["labels"])


async def read_labels(board: boards.Board, mappings: Mappings) -> LabelBook:
    """The labels that the board has now."""
    return LabelBook(await board.columns(labels.with_labels(mappings)))


class BoardView:
    """Reads the board through the API for streams.sync.lookup and streams.sync.refresh. Raises what the API raises."""

    def __init__(self, board: boards.Board, mappings: Mappings) -> None:
        self._board = board
        self._key = mappings.board.key.id
        self._subitem_board_id = mappings.board.board.subitem_board_id
        self._size = mappings.board.subitem.size.id
        self._ours = [column.id for column in mappings.board.columns]
        self._subitem_columns = {self._size, mappings.board.subitem.quantity.id}

    async def find(self, record_uuids: Sequence[str]) -> dict[str, list[board_values.BoardItem]]:
        """The active items with these identities in the key column, with our columns that are filled."""
        found = await self._board.find_items(self._key, record_uuids, columns=self._ours)
        ours = {self._key, *self._ours}
        return {uuid: [_filled(item, ours) for item in shown] for uuid, shown in found.items()}

    async def find_sizes(self, parent_item_ids: Sequence[str]) -> dict[tuple[str, str], list[board_values.BoardItem]]:
        """The active subitems of these items on our subitem board, by parent and size label."""
        found: dict[tuple[str, str], list[board_values.BoardItem]] = {}
        for parent, subitems in (await self._board.subitems(parent_item_ids)).items():
            for subitem in subitems:
                label = subitem.columns.get(self._size, board_values.Shown()).text or ""
                if subitem.state == board_values.ItemState.ACTIVE and subitem.board_id == self._subitem_board_id:
                    found.setdefault((parent, label), []).append(_filled(subitem, self._subitem_columns))
        return found

    async def find_with_sizes(self, record_uuids: Sequence[str]) -> dict[str, list[board_values.BoardItem]]:
        """The active items with these identities in the key column, with their subitems: one call for 100 orders."""
        return await self._board.find_items(self._key, record_uuids, columns=self._ours, subitems=True)

    async def by_id(self, item_ids: Sequence[str]) -> dict[str, board_values.BoardItem]:
        """The active ones of these items with their subitems, whatever their key column contains."""
        return await self._board.items_by_id(item_ids, columns=[self._key, *self._ours]) if item_ids else {}

    async def groups(self) -> dict[str, str]:
        """Group ids by title."""
        return await self._board.groups()

    async def present(self, ids: Collection[str]) -> lookup.Present:
        """Those of these items and subitems that are active on our boards; a moved one is not."""
        places = await self._board.places(ids)
        active = {
            each: place.board_id for each, place in places.items() if place.state == board_values.ItemState.ACTIVE
        }
        return lookup.Present(
            frozenset(each for each, board_id in active.items() if board_id == self._board.board_id),
            frozenset(each for each, board_id in active.items() if board_id == self._subitem_board_id),
        )


def _filled(item: board_values.BoardItem, ours: Collection[str]) -> board_values.BoardItem:
    filled = {column: cell for column, cell in item.columns.items() if column in ours and cell.text}
    return item.model_copy(update={"columns": filled})
