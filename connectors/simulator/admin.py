"""The tester's access to the board: read it, count requests, set faults, and edit it by hand as a user does.

It is no part of the API: it has no token and no limits. The server listens on loopback by default.
"""

import json
from typing import Annotated, Any, Literal, assert_never

from pydantic import Field, TypeAdapter

from connectors.simulator import answers, board, faults, service, store, values
from schemas import base


class SetValue(base.Model):
    """Write one cell, as JSON of its column type; the column `name` renames the item; a new label is created."""

    action: Literal["set"]
    item_id: str
    column_id: str
    value: base.ColumnValue


class Act(base.Model):
    """Delete, archive or duplicate an item or subitem, or move an item with its subitems to a second board."""

    action: Literal["delete", "archive", "duplicate", "move_to_board"]
    item_id: str


class Move(base.Model):
    """Move an item to the group of this title, which is created if it is missing."""

    action: Literal["move"]
    item_id: str
    group: str


class Add(base.Model):
    """Add an item to the first group, or a subitem to `parent_id`; values as JSON by column id."""

    action: Literal["add"]
    name: str
    parent_id: str | None = None
    columns: dict[str, base.ColumnValue] = {}


class RenameGroup(base.Model):
    """Give the group of this title another one."""

    action: Literal["rename_group"]
    group: str
    title: str


class DeleteGroup(base.Model):
    """Delete the group of this title together with its items."""

    action: Literal["delete_group"]
    group: str


class AddLabel(base.Model):
    """Add a label to a column of the items."""

    action: Literal["add_label"]
    column_id: str
    label: str


class ColumnAct(base.Model):
    """Delete a column of the board of this id, or restore it as a column of this title and type."""

    action: Literal["delete_column", "restore_column"]
    board_id: str
    column_id: str
    title: str = ""
    type: str = "text"


OfItem = SetValue | Act | Move | Add
OfOutline = RenameGroup | DeleteGroup | AddLabel | ColumnAct
Edit = Annotated[OfItem | OfOutline, Field(discriminator="action")]
Edits: TypeAdapter[OfItem | OfOutline] = TypeAdapter(Edit)


class Admin:
    """The tester's access to one service."""

    def __init__(self, api: service.Service) -> None:
        self._api = api
        self._rules = board.Board(api.state, api.settings, user=values.PERSON_ID)

    def board(self) -> dict[str, Any]:
        """All items of every state; `columns` has the values by column id, as they were last written."""
        state, board_id = self._api.state, self._api.settings.board_id
        groups = state.groups[board_id]
        return {
            "board_id": str(board_id),
            "groups": [{"id": group.id, "title": group.title} for group in groups.values()],
            "items": [
                {
                    **self._described(item),
                    "group": groups[item.group_id].title if item.group_id in groups else "",
                    "subitems": [self._described(subitem) for subitem in state.subitems(item.id)],
                }
                for item in state.items("board_id = ? ORDER BY id", (board_id,))
            ],
        }

    def _described(self, item: store.Item) -> dict[str, Any]:
        cells = self._api.state.cells(item.id)
        return {
            "id": str(item.id),
            "name": item.name,
            "state": item.state,
            "columns": {column_id: json.loads(cell.written) for column_id, cell in cells.items()},
        }

    def stats(self) -> dict[str, Any]:
        """The counters, and the complexity of each minute; `windows` are the past ones, oldest first."""
        gate, now = self._api.gate, self._api.clock.monotonic()
        return {
            **self._api.stats.as_dict(),
            "in_flight": gate.in_flight,
            "calls_today": self._api.state.calls_of(self._api.clock.now().date()) / 10,
            "complexity": {
                "limit": gate.complexity.quota,
                "minute_seconds": self._api.settings.minute,
                "spent": gate.complexity.spent(now),
                "windows": [{"opened_ago": round(now - end, 3), "spent": s} for end, s in gate.complexity.closed],
            },
        }

    def reset_stats(self) -> dict[str, Any]:
        """Reset counters and past windows, but not the current window and the calls of the day. Returns the stats."""
        self._api.stats.reset()
        self._api.gate.complexity.closed.clear()
        return self.stats()

    def set_faults(self, body: bytes) -> dict[str, Any]:
        """Replace all rules; ordinals start at 1 again. Raises pydantic.ValidationError."""
        rules = faults.Rules.validate_json(body)
        self._api.plan = faults.Plan(rules, self._api.settings.seed)
        return {"rules": len(rules)}

    def edit(self, body: bytes) -> dict[str, Any]:
        """Apply an Edit; returns the id of the edited or new item. Raises ValidationError, GraphQLError."""
        edit, now = Edits.validate_json(body), self._api.clock.now().timestamp()
        with self._api.state.transaction():
            if isinstance(edit, OfOutline):
                self._edit_outline(edit, now)
                return {"item_id": ""}
            return {"item_id": str(self._edited(edit, now).id)}

    def _edit_outline(self, edit: OfOutline, now: float) -> None:
        state, board_id = self._api.state, self._api.settings.board_id
        if isinstance(edit, ColumnAct):
            self._edit_column(edit)
            return
        if isinstance(edit, AddLabel):
            state.add_label(state.columns[board_id][edit.column_id], edit.label)
            return
        group = next((group for group in state.groups[board_id].values() if group.title == edit.group), None)
        if group is None:
            raise answers.failed("ResourceNotFoundException", f"There is no group {edit.group}")
        if isinstance(edit, RenameGroup):
            self._rules.update_group(str(board_id), group.id, "title", edit.title)
            return
        for item in state.items("board_id = ? AND group_id = ?", (board_id, group.id)):
            if item.state != "deleted":
                self._rules.remove(str(item.id), "deleted", now)
        state.remove_group(group)

    def _edit_column(self, edit: ColumnAct) -> None:
        board, state = self._rules.board(edit.board_id), self._api.state
        existing = state.columns[board.id].get(edit.column_id)
        if existing is not None:
            state.remove_column(existing)
        if edit.action == "restore_column":
            state.add_column(store.Column(board.id, edit.column_id, edit.title, edit.type))

    def _edited(self, edit: OfItem, now: float) -> store.Item:
        rules, board_id = self._rules, str(self._api.settings.board_id)
        match edit:
            case SetValue():
                cells = json.dumps({edit.column_id: edit.value})
                return rules.change(str(rules.item(edit.item_id).board_id), edit.item_id, cells, True, now)
            case Move():
                groups = {group.title: group.id for group in self._api.state.groups[int(board_id)].values()}
                group_id = groups.get(edit.group) or rules.create_group(board_id, edit.group).id
                return rules.move(edit.item_id, group_id, now)
            case Add():
                cells = json.dumps(edit.columns)
                if edit.parent_id is None:
                    return rules.create_item(board_id, edit.name, None, cells, True, now)
                return rules.create_subitem(edit.parent_id, edit.name, cells, True, now)
            case Act(action="duplicate"):
                return rules.duplicate(edit.item_id, now)
            case Act(action="move_to_board"):
                return rules.move_to_other_board(edit.item_id, now)
            case Act():
                return rules.remove(edit.item_id, "deleted" if edit.action == "delete" else "archived", now)
            case _:
                assert_never(edit)
