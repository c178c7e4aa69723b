"""Reads what changed on a board since a time: the items by their last update, and the activity log.

Neither is enough alone. The update of an item shows edits, moves and copies, but not what is no longer there. The log
shows removals, and it may be incomplete: an import in bulk writes no line. Renamed labels and groups change items
without an update of them, so the labels and groups are read too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.monday import answers, board_values
from connectors.monday import board as boards
from schemas.base import Model

# Items and lines of the log in the first call; further pages of items have the API's maximum. A larger page of the
# log might be cut without a message: its maximum is not published.
PAGE = 100
# The API shows no line of the log beyond this number.
LOG_LIMIT = 10_000
# The entity of a line that names items.
ITEM = "pulse"


class Incomplete(Exception):
    """The answers do not determine the changes; the text names the reason."""


class BoardOutline(Model):
    """What a board has apart from its items: the number of active ones, label ids by column and label, groups by id."""

    active: int
    subitem_boards: tuple[str, ...]
    labels: dict[str, dict[str, str]]
    groups: dict[str, str]


class BoardChanges(Model):
    """The changes of one board. `items`: ids of items that changed, in any way, also of those that are gone.

    `parents`: the parent of a changed subitem, where the API names it.
    """

    items: frozenset[str]
    parents: dict[str, str]
    outline: BoardOutline


class Reader:
    """Reads the changes since `since`, with at most `calls` API calls a board."""

    def __init__(self, board: boards.Board, since: datetime, calls: int) -> None:
        self._board = board
        self._since = since
        self._calls = calls

    async def outline(self, board_id: str) -> BoardOutline:
        """The outline of this board: one call. Raises Incomplete, and what the API raises."""
        return _outline(await self._first(board_id))

    async def read(self, board_id: str) -> BoardChanges:
        """The changes of this board. Raises Incomplete, and what the API raises."""
        first = await self._first(board_id)
        left = self._calls - 1
        items, parents, pages = await self._updated(first.child("items_page"), left)
        lines = await self._log(board_id, first, left - pages)
        for line in lines:
            ids, parent = _named(line)
            items |= ids
            parents |= dict.fromkeys(ids, parent) if parent else {}
        return BoardChanges(items=frozenset(items), parents=parents, outline=_outline(first))

    async def _first(self, board_id: str) -> answers.Fields:
        asked = {"board": board_id, "items": PAGE, "from": self._since.isoformat(), "entries": PAGE}
        data = await self._board.ask("board_changes", **asked)
        if board_id != self._board.board_id and not any(data.value("boards") or ()):
            raise Incomplete(f"this token has no access to the subitem board {board_id}")
        return boards.found(data, board_id)

    async def _updated(self, page: answers.Fields, calls: int) -> tuple[set[str], dict[str, str], int]:
        """Ids and parents of the items updated since then, which come first, and the number of further pages."""
        items: set[str] = set()
        parents: dict[str, str] = {}
        newest, pages = None, 0
        while True:
            for raw in page.children("items"):
                updated = raw.time("updated_at")
                if newest is not None and updated > newest:
                    raise Incomplete("the API did not return the last updated items first")
                newest = updated
                if updated < self._since:
                    return items, parents, pages
                items.add(raw.number_id("id"))
                if parent := raw.child_or_none("parent_item"):
                    parents[raw.number_id("id")] = parent.number_id("id")
            if not (cursor := page.text_or_none("cursor")):
                return items, parents, pages
            if pages >= calls:
                raise Incomplete("too many items changed")
            page = (await self._board.ask("next_changes", cursor=cursor, limit=boards.PAGE_LIMIT)).child(
                "next_items_page"
            )
            pages += 1

    async def _log(self, board_id: str, first: answers.Fields, calls: int) -> list[answers.Fields]:
        """The whole log since then."""
        lines = list(first.children_or_none("activity_logs") or ())
        read, number = list(lines), 1
        while len(lines) == PAGE:
            number += 1
            if number > calls + 1 or number * PAGE > LOG_LIMIT:
                raise Incomplete("the activity log is too long")
            asked = {"board": board_id, "from": self._since.isoformat(), "limit": PAGE, "page": number}
            page = boards.found(await self._board.ask("activity_log", **asked), board_id)
            lines = list(page.children_or_none("activity_logs") or ())
            read += lines
        return read


def _outline(raw: answers.Fields) -> BoardOutline:
    columns = list(raw.children_or_none("columns") or ())
    labels = {column.name_id("id"): board_values.read_labels(column) for column in columns}
    groups = raw.children_or_none("groups") or ()
    return BoardOutline(
        active=raw.count_or_none("items_count") or 0,
        subitem_boards=tuple(_subitem_boards(columns)),
        labels={column: known for column, known in labels.items() if known},
        groups={group.name_id("id"): group.text("title") for group in groups},
    )


def _named(line: answers.Fields) -> tuple[set[str], str]:
    """The items that a line of the log names, and the parent of a subitem, "" if it is not named."""
    event = line.text("event")
    try:
        data = json.loads(line.text_or_none("data") or "{}")
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Incomplete(f"a line {event} of the activity log is unreadable")
    nested = [data, *(data.get(name) for name in ("pulse", "item")), *_listed(data)]
    keys = ("pulse_id", "item_id")
    ids = {str(one[key]) for one in nested if isinstance(one, dict) for key in keys if one.get(key)}
    ids |= {str(one["id"]) for one in nested[1:] if isinstance(one, dict) and one.get("id")}
    ids |= {str(one) for key in ("pulse_ids", "item_ids") for one in _as_list(data.get(key))}
    if not ids and line.value("entity") == ITEM:
        raise Incomplete(f"a line {event} of the activity log names no item")
    if not all(map(answers.number_id, ids)):
        raise Incomplete(f"a line {event} of the activity log names what is no item")
    return ids, str(data.get("parent_item_id") or "")


def _listed(data: Mapping[str, Any]) -> Iterator[Any]:
    for name in ("pulses", "items"):
        yield from _as_list(data.get(name))


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _subitem_boards(columns: Sequence[answers.Fields]) -> Iterator[str]:
    for column in columns:
        if column.text("type") == "subtasks":
            settings = column.json("settings")
            for board_id in _as_list(settings.get("boardIds")):
                yield answers.number_id(board_id) or column.wrong("column with the ids of boards")
