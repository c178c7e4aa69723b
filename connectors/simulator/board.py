"""The effect of each mutation on the board, and every reason to refuse it.

Names are not unique: a repeated create adds a second item, as in the API.
"""

import dataclasses
import json
import re
from typing import Any

from connectors.simulator import activity, answers, config, labels, store, values

NAME_LENGTH = 255
ITEM_BYTES = 64 * 1024
CREATABLE = frozenset(values.CONVERTERS)


class Board:
    """The rules of the board over the store. `now` is in UTC seconds. Every method raises `answers.failed`.

    `user` is the id that the activity log names.
    """

    def __init__(self, state: store.Store, settings: config.Config, user: int = values.USER_ID) -> None:
        self._state = state
        self._settings = settings
        self._log = activity.Log(state, user)

    def create_item(
        self,
        board_id: str,
        name: str,
        group_id: str | None,
        column_values: Any,
        create_labels: bool,
        now: float,
    ) -> store.Item:
        """Add an item to the group, or to the first group."""
        board = self.board(board_id)
        groups = self._state.groups[board.id]
        if group_id is not None and group_id not in groups:
            raise answers.failed("ResourceNotFoundException", "Group not found", status_code=404, group_id=group_id)
        return self._create(board.id, group_id or next(iter(groups)), None, name, column_values, create_labels, now)

    def create_subitem(
        self, parent_id: str, name: str, column_values: Any, create_labels: bool, now: float
    ) -> store.Item:
        """Add a subitem to an active item."""
        parent = self.active_item(parent_id)
        board = next((b for b in self._state.boards.values() if b.parent_board_id == parent.board_id), None)
        if board is None:
            raise answers.failed("InvalidArgumentException", "A subitem has no subitems here", item_id=parent.id)
        group_id = next(iter(self._state.groups[board.id]))
        return self._create(board.id, group_id, parent.id, name, column_values, create_labels, now)

    def _create(
        self,
        board_id: int,
        group: str,
        parent: int | None,
        name: str,
        sent: Any,
        create_labels: bool,
        now: float,
    ) -> store.Item:
        limit = self._settings.items_limit
        # The board and its subitem board.
        top = self._state.boards[board_id].parent_board_id or board_id
        together = [each.id for each in self._state.boards.values() if top in (each.id, each.parent_board_id)]
        if sum(map(self._state.items_count, together)) >= limit:
            raise answers.failed("ItemsLimitationException", f"Board is limited to {limit} items", board_id=board_id)
        renamed, cells = self._converted(board_id, sent, create_labels)
        item_id = self._state.add_item(board_id, group, parent, renamed or _named(name), now)
        self._write(item_id, {}, cells)
        created = self._existing(item_id)
        self._log.created(created, now)
        return created

    def change(self, board_id: str, item_id: str | None, sent: Any, create_labels: bool, now: float) -> store.Item:
        """Write cells of an active item, and its name if `sent` has one."""
        board = self.board(board_id)
        item = self.active_item(item_id)
        if item.board_id != board.id and not self._settings.writes_to_other_boards:
            message = f"Item {item.id} is not on board {board.id}"
            raise answers.failed("ResourceNotFoundException", message, status_code=404, item_id=item.id)
        renamed, cells = self._converted(item.board_id, sent, create_labels)
        before = self._state.cells(item.id)
        self._write(item.id, before, cells)
        self._state.set_item(item.id, now, **({"name": renamed} if renamed else {}))
        self._log.changed(item, renamed, before, cells, now)
        return self._existing(item.id)

    def move(self, item_id: str | None, group_id: str, now: float) -> store.Item:
        """Move an active item to another group."""
        item = self.active_item(item_id)
        if group_id not in self._state.groups[item.board_id]:
            raise answers.failed("ResourceNotFoundException", "Group not found", status_code=404, group_id=group_id)
        self._state.set_item(item.id, now, group_id=group_id)
        self._log.moved(item, group_id, now)
        return self._existing(item.id)

    def move_to_other_board(self, item_id: str, now: float) -> store.Item:
        """Move an active item with its subitems to a second board with equal columns, which is created if missing."""
        item = self.active_item(item_id)
        for each in [item, *self._state.subitems(item.id)]:
            other = self._other_board(each.board_id)
            self._log.left_board(each, now)
            self._state.set_item(each.id, now, board_id=other.id, group_id=next(iter(self._state.groups[other.id])))
        return self._existing(item.id)

    def _other_board(self, board_id: int) -> store.Board:
        board, state = self._state.boards[board_id], self._state
        if board_id + 1 not in state.boards:
            parent = None if board.parent_board_id is None else board.parent_board_id + 1
            other = store.Board(board_id + 1, f"Other {board.name}", parent)
            state.add_board(other)
            state.add_group(store.Group(other.id, "other_group", "Other"))
            for column in state.columns[board_id].values():
                copied = dataclasses.replace(column, board_id=other.id)
                state.add_column(copied)
                for label in state.labels.get((board_id, column.id), ()):
                    state.add_label(copied, label)
        return state.boards[board_id + 1]

    def remove(self, item_id: str | None, state: str, now: float) -> store.Item:
        """Archive or delete an item and its subitems. Deleted ones stay deleted; a second archive is no error."""
        item = self.item(item_id)
        if item.state == "deleted":
            raise answers.failed("ResourceNotFoundException", "Item was deleted", status_code=404, item_id=item.id)
        for each in [item, *self._state.subitems(item.id)]:
            if each.state != "deleted":
                self._state.set_item(each.id, now, state=state)
        # The API tells of the item alone, not of the subitems that go with it.
        self._log.removed(item, state, now)
        return self._existing(item.id)

    def duplicate(self, item_id: str, now: float) -> store.Item:
        """Add an equal item with its active subitems, as the menu of the web page does."""
        item = self.active_item(item_id)
        copies = {item.id: item.parent_id}
        for each in [item, *(sub for sub in self._state.subitems(item.id) if sub.state == "active")]:
            parent = item.parent_id if each.id == item.id else copies[item.id]
            copies[each.id] = self._state.add_item(each.board_id, each.group_id, parent, each.name, now)
            self._state.write_cells(copies[each.id] or 0, self._state.cells(each.id))
            self._log.created(self._existing(copies[each.id] or 0), now)
        return self._existing(copies[item.id] or 0)

    def create_group(self, board_id: str, title: str) -> store.Group:
        """Add a group; equal titles are allowed."""
        board = self.board(board_id)
        _check_title(title)
        group = store.Group(board.id, f"group_mk{self._state.groups_ever(board.id):04d}", title)
        self._state.add_group(group)
        return group

    def update_group(self, board_id: str, group_id: str, attribute: str, new_value: str) -> store.Group:
        """Give a group another title, the only attribute that can be updated here; equal titles are allowed."""
        group = self._state.groups[self.board(board_id).id].get(group_id)
        if group is None:
            raise answers.failed("ResourceNotFoundException", "Group not found", status_code=404, group_id=group_id)
        if attribute != "title":
            raise answers.failed("InvalidArgumentException", f"The {attribute} of a group cannot be updated here")
        _check_title(new_value)
        return self._state.rename_group(group, new_value)

    def create_column(self, board_id: str, title: str, type_: str, column_id: str | None) -> store.Column:
        """Add a column, with a new id when `column_id` is None."""
        board = self.board(board_id)
        columns = self._state.columns[board.id]
        if type_ not in CREATABLE:
            raise answers.failed("InvalidArgumentException", f"A {type_} column cannot be created here")
        if column_id is None:
            column_id = f"{type_}_mk{len(columns):04d}"
        elif not re.fullmatch("[a-z_]{1,20}", column_id):
            message = "A column id has 1 to 20 characters of a-z and _"
            raise answers.failed("InvalidColumnIdException", message, column_id=column_id)
        if column_id in columns:
            message = f"Column id {column_id} exists already"
            raise answers.failed("InvalidColumnIdException", message, column_id=column_id)
        column = store.Column(board.id, column_id, title, type_)
        self._state.add_column(column)
        return column

    # The objects of the arguments.

    def board(self, board_id: str) -> store.Board:
        """The board of this id."""
        board = self._state.boards.get(store.number(board_id))
        if board is None:
            raise answers.failed("InvalidBoardIdException", "Board does not exist", board_id=board_id)
        return board

    def item(self, item_id: str | None) -> store.Item:
        """The item of this id, of any state."""
        if item_id is None:
            raise answers.failed("InvalidArgumentException", "item_id is missing")
        item = self._state.item(store.number(item_id))
        if item is None:
            raise answers.failed("ResourceNotFoundException", "Item not found", status_code=404, item_id=item_id)
        return item

    def active_item(self, item_id: str | None) -> store.Item:
        """The active item of this id."""
        item = self.item(item_id)
        if item.state != "active":
            message = f"Item {item.id} is {item.state}"
            raise answers.failed("ResourceNotFoundException", message, status_code=404, item_id=item_id)
        return item

    def _existing(self, item_id: int) -> store.Item:
        item = self._state.item(item_id)
        assert item is not None
        return item

    # Column values.

    def _converted(
        self, board_id: int, sent: Any, create_labels: bool
    ) -> tuple[str | None, dict[str, store.Cell | None]]:
        """(the new name, if `sent` has one; the cells by column id)"""
        columns = _object(sent)
        renamed = _named(columns.pop("name")) if "name" in columns else None
        return renamed, {key: self._cell(board_id, key, value, create_labels) for key, value in columns.items()}

    def _cell(self, board_id: int, column_id: str, value: Any, create_labels: bool) -> store.Cell | None:
        column = self._state.columns[board_id].get(column_id)
        if column is None:
            message = f"Column {column_id} is not on board {board_id}"
            raise answers.failed("InvalidColumnIdException", message, column_id=column_id)
        limits = {"status": self._settings.status_labels, "dropdown": self._settings.dropdown_labels}
        known = labels.Labels(self._state, column, limits.get(column.type) if create_labels else None)
        try:
            return values.convert(column, value, known)
        except values.Invalid as invalid:
            # The API calls a status column by its old name in errors.
            column_type = "color" if column.type == "status" else column.type
            raise answers.failed(
                invalid.code,
                f"invalid value for {column.title} ({column_id}) - {invalid}",
                column_id=column_id,
                column_type=column_type,
                column_value=json.dumps(value, ensure_ascii=False),
            ) from invalid

    def _write(self, item_id: int, old: dict[str, store.Cell], new: dict[str, store.Cell | None]) -> None:
        size = sum(len(cell.written.encode()) for cell in {**old, **new}.values() if cell)
        if size > ITEM_BYTES:
            message = f"The values of an item are limited to {ITEM_BYTES} bytes, these are {size}"
            raise answers.failed("RecordInvalidException", message, status_code=422, item_id=item_id)
        self._state.write_cells(item_id, new)


def _check_title(title: str) -> None:
    if not 1 <= len(title) <= NAME_LENGTH:
        raise answers.failed("InvalidArgumentException", f"A group name has 1 to {NAME_LENGTH} characters")


def _named(sent: Any) -> str:
    if not isinstance(sent, str) or not sent.strip():
        raise answers.failed("InvalidArgumentException", "An item needs a name")
    if len(sent) > NAME_LENGTH:
        raise answers.failed("ItemNameTooLongException", f"An item name has at most {NAME_LENGTH} characters")
    return sent


def _object(sent: Any) -> dict[str, Any]:
    """The object in a JSON argument, which travels as a string; an object of GraphQL is refused."""
    if sent is None:
        return {}
    try:
        parsed = json.loads(sent) if isinstance(sent, str) else None
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        message = "column_values must be a JSON string that contains an object"
        raise answers.failed("JsonParseException", message, status_code=400)
    return parsed
