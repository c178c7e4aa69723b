"""The activity log: one entry for each effect on an item or subitem, in the form of the API.

`data` names the item as `pulse_id`, after a move as `pulse.id`. An entry about a subitem stands in the log of the
subitem board; only the entries of a creation and of a cell name its parent.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from connectors.simulator import answers, store

# The API returns no entry beyond this number.
MAX_ENTRIES = 10_000
REMOVALS = {"archived": "archive_pulse", "deleted": "delete_pulse"}

Data = dict[str, Any]


class Log:
    """Writes the entries of one user. `now` is in UTC seconds."""

    def __init__(self, state: store.Store, user: int) -> None:
        self._state = state
        self._user = user

    def created(self, item: store.Item, now: float) -> None:
        """A new item or subitem, also a copy."""
        self._add("create_pulse", item, self._described(item) | self._parent(item), now)

    def changed(
        self,
        item: store.Item,
        renamed: str | None,
        before: Mapping[str, store.Cell],
        cells: Mapping[str, store.Cell | None],
        now: float,
    ) -> None:
        """Each cell that differs now, and the name. `item` and `before` are as they were."""
        for column_id, cell in cells.items():
            old = before.get(column_id)
            if (old and old.value) != (cell and cell.value):
                column = self._state.columns[item.board_id][column_id]
                values = {"value": _parsed(cell), "previous_value": _parsed(old)}
                about = {"column_id": column.id, "column_type": column.type, "column_title": column.title}
                self._add("update_column_value", item, self._described(item) | self._parent(item) | about | values, now)
        if renamed and renamed != item.name:
            values = {"value": {"name": renamed}, "previous_value": {"name": item.name}}
            self._add("update_name", item, self._described(item) | {"column_id": "name"} | values, now)

    def moved(self, item: store.Item, group_id: str, now: float) -> None:
        """A move to another group. `item` is as it was."""
        if group_id == item.group_id:
            return
        groups = self._state.groups[item.board_id]
        data = {
            "board_id": item.board_id,
            "pulse": {"id": item.id, "name": item.name},
            "source_group": {"id": item.group_id, "title": groups[item.group_id].title},
            "dest_group": {"id": group_id, "title": groups[group_id].title},
        }
        self._add("move_pulse_from_group", item, data, now)

    def left_board(self, item: store.Item, now: float) -> None:
        """A move to another board. `item` is as it was. The name of the event is our assumption."""
        self._add("move_pulse_from_board", item, self._described(item), now)

    def removed(self, item: store.Item, state: str, now: float) -> None:
        """An item or subitem that was archived or deleted. `item` is as it was."""
        if item.state != state:
            self._add(REMOVALS[state], item, self._described(item), now)

    def _add(self, event: str, item: store.Item, data: Data, now: float) -> None:
        text = json.dumps(data, ensure_ascii=False)
        self._state.add_activity(item.board_id, item.id, self._user, event, "pulse", text, now)

    def _described(self, item: store.Item) -> Data:
        return {
            "board_id": item.board_id,
            "group_id": item.group_id,
            "pulse_id": item.id,
            "pulse_name": item.name,
        }

    def _parent(self, item: store.Item) -> Data:
        if item.parent_id is None:
            return {}
        return {
            "parent_board_id": self._state.boards[item.board_id].parent_board_id,
            "parent_item_id": item.parent_id,
        }


def read(
    state: store.Store, board: store.Board, limit: int, page: int, filters: Mapping[str, Any]
) -> list[store.Activity]:
    """One page of a board's log, the newest entries first. Raises `answers.failed`."""
    if limit < 1 or page < 1 or limit * page > MAX_ENTRIES:
        raise answers.failed("InvalidArgumentException", f"activity_logs returns up to {MAX_ENTRIES} entries")
    where, parameters = ["board_id = ?"], [board.id]
    for condition, arguments in _conditions(filters):
        where.append(condition)
        parameters += arguments
    return state.activity(
        " AND ".join(where) + " ORDER BY id DESC LIMIT ? OFFSET ?", [*parameters, limit, limit * (page - 1)]
    )


def _conditions(filters: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    for name, sql in (("from", "at >= ?"), ("to", "at <= ?")):
        if filters.get(name) is not None:
            yield sql, [_seconds(filters[name])]
    for name, column in (("item_ids", "item_id"), ("user_ids", "user_id")):
        ids = filters.get(name)
        if ids is not None:
            yield f"{column} IN ({', '.join('?' * len(ids))})", [store.number(each) for each in ids]


def _seconds(moment: Any) -> float:
    """The UTC seconds of an ISO 8601 time with its offset."""
    try:
        parsed = datetime.fromisoformat(moment)
    except (TypeError, ValueError) as reason:
        raise answers.failed("InvalidArgumentException", f"{moment!r} is no ISO 8601 time") from reason
    if parsed.tzinfo is None:
        raise answers.failed("InvalidArgumentException", f"{moment!r} has no offset from UTC")
    return parsed.timestamp()


def _parsed(cell: store.Cell | None) -> Any:
    return None if cell is None else json.loads(cell.value)
