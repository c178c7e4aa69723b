"""The objects that queries and mutations return. Fields and arguments have the names of the schema."""

import functools
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

from graphql import GraphQLResolveInfo

from connectors.simulator import activity, answers, board, config, search, store

Info: TypeAlias = "GraphQLResolveInfo[Any]"

OBJECT_COST = 10
VALUE_COST = 1
# A measurement of other users on a filtered page (api-facts, section 2).
FILTER_COST = 5_000


class Reader:
    """The shared state of the views of one request, and the cost of their reads in points."""

    def __init__(self, state: store.Store, settings: config.Config, rules: board.Board, now: float) -> None:
        self.state = state
        self.settings = settings
        self.rules = rules
        self.search = search.Search(state, settings, now)
        self.cost = 0


class ColumnValue:
    """One cell, filled or blank."""

    def __init__(self, column: store.Column, value: str | None, text: str | None) -> None:
        self.id = column.id
        self.type = column.type
        self.value = value
        self.text = text

    @property
    def typename(self) -> str:
        """The type of this value in the schema."""
        return "".join(word.title() for word in self.type.split("_")) + "Value"


class Item:
    """An item or subitem."""

    def __init__(self, reader: Reader, item: store.Item) -> None:
        self._reader = reader
        self._item = item
        self.id = str(item.id)
        self.name = item.name
        self.state = item.state
        self.created_at = _utc(item.created)
        self.updated_at = _utc(item.updated)
        reader.cost += OBJECT_COST

    def board(self, _: Info) -> "Board":
        return Board(self._reader, self._reader.state.boards[self._item.board_id])

    def group(self, _: Info) -> "Group | None":
        group = self._reader.state.groups[self._item.board_id].get(self._item.group_id)
        return Group(self._reader, group) if group else None

    def parent_item(self, _: Info) -> "Item | None":
        parent = self._item.parent_id and self._reader.state.item(self._item.parent_id)
        return Item(self._reader, parent) if parent else None

    def subitems(self, _: Info) -> "list[Item]":
        children = self._reader.state.subitems(self._item.id)
        return [Item(self._reader, each) for each in children if each.state == "active"]

    def column_values(self, _: Info, ids: list[str] | None = None, types: list[str] | None = None) -> list[ColumnValue]:
        listed = list(self._values(ids, types))
        self._reader.cost += VALUE_COST * len(listed)
        return listed

    def _values(self, ids: list[str] | None, types: list[str] | None) -> Iterator[ColumnValue]:
        cells = self._reader.state.cells(self._item.id)
        for column in self._reader.state.columns[self._item.board_id].values():
            wanted = (ids is None or column.id in ids) and (types is None or column.type in types)
            if column.type == "name" or not wanted:
                continue
            if cell := cells.get(column.id):
                yield ColumnValue(column, cell.value, cell.text)
            elif column.type == "item_id":
                yield ColumnValue(column, None, self.id)
            elif column.type == "last_updated":
                yield ColumnValue(column, None, self.updated_at)
            else:
                blank = "" if column.type in ("text", "long_text", "numbers", "date") else None
                yield ColumnValue(column, None, blank)


class Group:
    """A group of the board."""

    def __init__(self, reader: Reader, group: store.Group) -> None:
        self.id = group.id
        self.title = group.title
        reader.cost += OBJECT_COST


class Column:
    """A column of the board."""

    def __init__(self, reader: Reader, column: store.Column) -> None:
        self._reader = reader
        self._column = column
        self.id = column.id
        self.title = column.title
        self.type = column.type
        reader.cost += OBJECT_COST

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """A JSON object since 2025-10. A status label has an `index` of its own: its place on the screen."""
        state, key = self._reader.state, (self._column.board_id, self._column.id)
        by_id = sorted((label_id, label) for label, label_id in state.labels.get(key, {}).items())
        match self.type:
            case "status":
                return {
                    "labels": [
                        {
                            "id": label_id,
                            "label": label,
                            "index": place,
                            "is_done": False,
                            "is_deactivated": False,
                        }
                        for place, (label_id, label) in enumerate(by_id)
                    ]
                }
            case "dropdown":
                return {"labels": [{"id": i, "label": label, "is_deactivated": False} for i, label in by_id]}
            case "subtasks":
                boards = state.boards.values()
                return {"boardIds": [b.id for b in boards if b.parent_board_id == self._column.board_id]}
        return {}


class LogEntry:
    """An entry of the activity log; `created_at` counts units of 100 ns, as the API does."""

    def __init__(self, reader: Reader, entry: store.Activity) -> None:
        self.id = str(uuid.UUID(int=entry.id))
        self.account_id = str(reader.state.account_id)
        self.user_id = str(entry.user_id)
        self.event = entry.event
        self.entity = entry.entity
        self.data = entry.data
        self.created_at = str(int(entry.at * 10_000_000))
        reader.cost += OBJECT_COST


class Board:
    """The board, or its subitem board."""

    def __init__(self, reader: Reader, board: store.Board) -> None:
        self._reader = reader
        self._board = board
        self.id = str(board.id)
        self.name = board.name
        self.state = "active"
        self.items_limit = reader.settings.items_limit
        reader.cost += OBJECT_COST

    def items_count(self, _: Info) -> int:
        return self._reader.state.items_count(self._board.id)

    def groups(self, _: Info, ids: list[str] | None = None) -> list[Group]:
        groups = self._reader.state.groups[self._board.id].values()
        return [Group(self._reader, each) for each in groups if ids is None or each.id in ids]

    def columns(self, _: Info, ids: list[str] | None = None, types: list[str] | None = None) -> list[Column]:
        columns = self._reader.state.columns[self._board.id].values()
        return [
            Column(self._reader, each)
            for each in columns
            if (ids is None or each.id in ids) and (types is None or each.type in types)
        ]

    def activity_logs(self, _: Info, limit: int | None, page: int | None, **filters: Any) -> list[LogEntry]:
        """The newest entries first."""
        entries = activity.read(self._reader.state, self._board, limit or 25, page or 1, filters)
        return [LogEntry(self._reader, each) for each in entries]

    def items_page(
        self,
        _: Info,
        limit: int,
        cursor: str | None = None,
        query_params: dict[str, Any] | None = None,
    ) -> "Page":
        if cursor is None:
            return Page(self._reader, self._reader.search.items_page(self._board, limit, query_params), query_params)
        if query_params is not None:
            raise answers.failed("InvalidArgumentException", "A cursor excludes query_params")
        return Page(self._reader, self._reader.search.next_page(cursor, limit))


class Page:
    """A page of items."""

    def __init__(self, reader: Reader, page: search.Page, filtered_by: Any = None) -> None:
        self._reader = reader
        self._page = page
        self.cursor = page.cursor
        reader.cost += OBJECT_COST + (FILTER_COST if filtered_by else 0)

    @functools.cached_property
    def items(self) -> list[Item]:
        return [Item(self._reader, each) for each in self._page.items]


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
