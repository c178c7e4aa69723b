"""The board for the writer: the reads that a lookup and a refresh need. Items show the names of their groups."""

from collections.abc import Collection, Mapping, Sequence

from connectors.monday import board as boards
from connectors.monday import board_values
from mappings.loading import Mappings
from streams.sync import lookup
from streams.sync.outline import Groups, Outline


class BoardView:
    """Reads the board through the API for streams.sync.lookup and streams.sync.refresh. Raises what the API raises.

    An item that shows a group which the outline does not explain refreshes the outline.
    """

    def __init__(self, board: boards.Board, mappings: Mappings, outline: Outline) -> None:
        self._board = board
        self._outline = outline
        self._key = mappings.board.key.id
        self._subitem_board_id = mappings.board.board.subitem_board_id
        self._size = mappings.board.subitem.size.id
        self._ours = [column.id for column in mappings.board.columns]
        self._subitem_columns = {self._size, mappings.board.subitem.quantity.id}

    async def find(self, record_uuids: Sequence[str]) -> dict[str, list[board_values.BoardItem]]:
        """The active items with these identities in the key column, with our columns that are filled."""
        found = await self._named(await self._board.find_items(self._key, record_uuids, columns=self._ours))
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
        return await self._named(
            await self._board.find_items(self._key, record_uuids, columns=self._ours, subitems=True)
        )

    async def by_id(self, item_ids: Sequence[str]) -> dict[str, board_values.BoardItem]:
        """The active ones of these items with their subitems, whatever their key column contains."""
        if not item_ids:
            return {}
        found = await self._board.items_by_id(item_ids, columns=[self._key, *self._ours])
        named = await self._named({item_id: [item] for item_id, item in found.items()})
        return {item_id: item for item_id, (item,) in named.items()}

    async def groups(self) -> dict[str, str]:
        """Group ids by name, as the board has them now."""
        await self._outline.refresh()
        return dict(self._outline.groups.ids)

    async def group_titles(self) -> dict[str, str]:
        """Group titles by id, as the board has them now."""
        await self._outline.refresh()
        return dict(self._outline.groups.titles)

    async def _named(
        self, found: Mapping[str, Sequence[board_values.BoardItem]]
    ) -> dict[str, list[board_values.BoardItem]]:
        """These items with the names of their groups, which may have other titles."""
        shown = {(item.group_id, item.group_title) for listed in found.values() for item in listed}
        if any(self._outline.is_news(*group) for group in shown):
            await self._outline.refresh()
        return {key: [named(item, self._outline.groups) for item in listed] for key, listed in found.items()}

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


def named(item: board_values.BoardItem, groups: Groups) -> board_values.BoardItem:
    """The item with the name of its group in place of the title."""
    name = groups.name_of(item.group_id, item.group_title)
    return item if name == item.group_title else item.model_copy(update={"group_title": name})


def _filled(item: board_values.BoardItem, ours: Collection[str]) -> board_values.BoardItem:
    filled = {column: cell for column, cell in item.columns.items() if column in ours and cell.text}
    return item.model_copy(update={"columns": filled})
