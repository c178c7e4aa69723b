"""Reads what changed on a board since a time: the items by their last update, and the activity log.

Neither is enough alone. The update of an item shows edits, moves and copies, but not what is no longer there. The log
shows removals, and it may be incomplete: an import in bulk writes no line. Renamed labels and groups change items
without an update of them, so the labels and groups are read too.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.monday import board as boards
from connectors.monday import board_values
from schemas.base import Model

# Items and lines of the log in the first call; further pages of items have the API's maximum. A larger page of the
# log might be cut without a message: its maximum is not published.
PAGE = 100
# The API shows no line of the log beyond this number.
LOG_LIMIT = 10_000
# The entity of a line that names items.
ITEM = "pulse"


class Incomplete(Exception):
    """The changes cannot be told from this read; the text says why."""


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
        items, parents, pages = await self._updated(first["items_page"], left)
        lines = await self._log(board_id, first["activity_logs"] or [], left - pages)
        for line in lines:
            ids, parent = _named(line)
            items |= ids
            parents |= dict.fromkeys(ids, parent) if parent else {}
        return BoardChanges(items=frozenset(items), parents=parents, outline=_outline(first))

    async def _first(self, board_id: str) -> dict[str, Any]:
        asked = {"board": board_id, "items": PAGE, "from": self._since.isoformat(), "entries": PAGE}
        data = await self._board.query("board_changes", asked)
        if board_id != self._board.board_id and not any(data.get("boards") or ()):
            raise Incomplete(f"this token has no access to the subitem board {board_id}")
        return boards.found(data, board_id)

    async def _updated(self, page: Mapping[str, Any], calls: int) -> tuple[set[str], dict[str, str], int]:
        """Ids and parents of the items updated since then, which come first, and the number of further pages."""
        items: set[str] = set()
        parents: dict[str, str] = {}
        newest, pages = None, 0
        while True:
            for raw in page["items"]:
                updated = datetime.fromisoformat(raw["updated_at"])
                if newest is not None and updated > newest:
                    raise Incomplete("the API did not return the last updated items first")
                newest = updated
                if updated < self._since:
                    return items, parents, pages
                items.add(str(raw["id"]))
                if raw.get("parent_item"):
                    parents[str(raw["id"])] = str(raw["parent_item"]["id"])
            if not page.get("cursor"):
                return items, parents, pages
            if pages >= calls:
                raise Incomplete("too many items changed")
            rest = {"cursor": page["cursor"], "limit": boards.PAGE_LIMIT}
            page = (await self._board.query("next_changes", rest))["next_items_page"]
            pages += 1

    async def _log(self, board_id: str, lines: Sequence[Mapping[str, Any]], calls: int) -> list[Mapping[str, Any]]:
        """The whole log since then."""
        read, number = list(lines), 1
        while len(lines) == PAGE:
            number += 1
            if number > calls + 1 or number * PAGE > LOG_LIMIT:
                raise Incomplete("the activity log is too long")
            asked = {"board": board_id, "from": self._since.isoformat(), "limit": PAGE, "page": number}
            lines = boards.found(await self._board.query("activity_log", asked), board_id)["activity_logs"] or []
            read += lines
        return read


def _outline(raw: Mapping[str, Any]) -> BoardOutline:
    columns = [column for column in raw["columns"] or () if column]
    labels = {column["id"]: board_values.read_labels(column["settings"]) for column in columns}
    return BoardOutline(
        active=int(raw["items_count"] or 0),
        subitem_boards=tuple(_subitem_boards(columns)),
        labels={column: known for column, known in labels.items() if known},
        groups={str(group["id"]): group["title"] for group in raw["groups"] or () if group},
    )


def _named(line: Mapping[str, Any]) -> tuple[set[str], str]:
    """The items that a line of the log names, and the parent of a subitem, "" if it is not named."""
    try:
        data = json.loads(line["data"] or "{}")
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise Incomplete(f"a line {line['event']} of the activity log is unreadable")
    nested = [data, *(data.get(name) for name in ("pulse", "item")), *_listed(data)]
    keys = ("pulse_id", "item_id")
    ids = {str(one[key]) for one in nested if isinstance(one, dict) for key in keys if one.get(key)}
    ids |= {str(one["id"]) for one in nested[1:] if isinstance(one, dict) and one.get("id")}
    ids |= {str(one) for key in ("pulse_ids", "item_ids") for one in data.get(key) or ()}
    if not ids and line["entity"] == ITEM:
        raise Incomplete(f"a line {line['event']} of the activity log names no item")
    return ids, str(data.get("parent_item_id") or "")


def _listed(data: Mapping[str, Any]) -> Iterator[Any]:
    for name in ("pulses", "items"):
        if isinstance(data.get(name), list):
            yield from data[name]


def _subitem_boards(columns: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for column in columns:
        if column["type"] == "subtasks":
            settings = column["settings"]
            if isinstance(settings, str):
                settings = json.loads(settings)
            yield from (str(board_id) for board_id in (settings or {}).get("boardIds") or ())
