"""Pages of active items in the order of their creation, or the last updated first.

A cursor contains its whole query, so it outlives a restart; it expires an hour after its first page.
"""

import base64
import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any

from connectors.simulator import answers, config, store, values

MAX_PAGE = 500
MAX_IDS = 100
# The virtual column by which any board can be ordered.
LAST_UPDATED = "__last_updated__"

Condition = tuple[str, list[Any]]


@dataclasses.dataclass(frozen=True)
class Page:
    """The items of one page; `cursor` is None on the last one."""

    items: list[store.Item]
    cursor: str | None


@dataclasses.dataclass(frozen=True)
class Query:
    """The content of a cursor: the arguments of the first request, and the last item returned so far."""

    board_id: int
    opened: float
    params: dict[str, Any]
    columns: list[dict[str, Any]]
    after: int = 0
    updated: float | None = None


class Search:
    """The searches of one request. `now` is in UTC seconds. Every method raises `answers.failed`."""

    def __init__(self, state: store.Store, settings: config.Config, now: float) -> None:
        self._state = state
        self._settings = settings
        self._now = now

    def items_page(self, board: store.Board, limit: int, params: dict[str, Any] | None) -> Page:
        """The first page of a board; `params` is an ItemsQuery."""
        return self._page(Query(board.id, self._now, params or {}, []), limit)

    def by_column_values(self, board: store.Board, limit: int, columns: list[dict[str, Any]]) -> Page:
        """The first page of a search: every column must equal one of its values, without case."""
        if not columns:
            raise answers.failed("InvalidArgumentException", "columns is empty")
        return self._page(Query(board.id, self._now, {}, columns), limit)

    def next_page(self, cursor: str, limit: int) -> Page:
        """The page after a cursor."""
        try:
            query = Query(**json.loads(base64.urlsafe_b64decode(cursor)))
        except (ValueError, TypeError) as reason:
            raise answers.failed("InvalidArgumentException", "This is not a cursor") from reason
        if self._now >= query.opened + self._settings.cursor_lifetime:
            raise answers.failed("InvalidArgumentException", "This cursor has expired")
        return self._page(query, limit)

    def _page(self, query: Query, limit: int) -> Page:
        if not 1 <= limit <= MAX_PAGE:
            raise answers.failed("InvalidArgumentException", f"limit must be 1 to {MAX_PAGE}")
        (start, arguments), order = _start(query)
        where = ["board_id = ?", "state = 'active'", start]
        parameters: list[Any] = [query.board_id, *arguments]
        for sql, arguments in self._conditions(query):
            where.append(f"({sql})")
            parameters += arguments
        if self._settings.lookup_lag:
            where.append("created <= ?")
            parameters.append(self._now - self._settings.lookup_lag)
        items = self._state.items(" AND ".join(where) + f" ORDER BY {order} LIMIT ?", [*parameters, limit + 1])
        if len(items) <= limit:
            return Page(items, None)
        query = dataclasses.replace(query, after=items[limit - 1].id, updated=items[limit - 1].updated)
        cursor = base64.urlsafe_b64encode(json.dumps(dataclasses.asdict(query)).encode()).decode()
        return Page(items[:limit], cursor)

    def _conditions(self, query: Query) -> Iterator[Condition]:
        board = self._state.boards[query.board_id]
        for each in query.columns:
            yield self._match(self._column(board, each["column_id"]), each["column_values"])
        if rules := [self._rule(board, rule) for rule in query.params.get("rules") or ()]:
            joined = " OR " if query.params.get("operator") == "or" else " AND "
            yield joined.join(sql for sql, _ in rules), [each for _, arguments in rules for each in arguments]
        ids = query.params.get("ids")
        if ids is not None:
            if len(ids) > MAX_IDS:
                raise answers.failed("InvalidArgumentException", f"ids is limited to {MAX_IDS}")
            yield f"id IN ({_placeholders(ids)})", [store.number(each) for each in ids]

    def _column(self, board: store.Board, column_id: str) -> store.Column:
        column = self._state.columns[board.id].get(column_id)
        if column is None:
            message = f"Column {column_id} is not on board {board.id}"
            raise answers.failed("InvalidColumnIdException", message, column_id=column_id)
        if column.type in values.NOT_SEARCHABLE:
            message = f"A {column.type} column cannot be searched"
            raise answers.failed("InvalidArgumentException", message, column_id=column_id)
        return column

    def _match(self, column: store.Column, wanted: list[str | None]) -> Condition:
        texts = [each.casefold() for each in wanted if each is not None]
        if not texts or len(texts) < len(wanted):
            raise answers.failed("InvalidArgumentException", "column_values is empty, or contains null")
        if column.type in ("dropdown", "date", "timeline") and len(texts) > 1:
            raise answers.failed("InvalidArgumentException", f"A {column.type} column is searched for one value")
        if column.type == "dropdown":
            return _contains(column, texts[0])
        return _whole(column, texts)

    def _rule(self, board: store.Board, rule: dict[str, Any]) -> Condition:
        column = self._column(board, rule["column_id"])
        sent = rule["compare_value"]
        wanted = sent if isinstance(sent, list) else [sent]
        operator = rule.get("operator") or "any_of"
        match operator:
            case "any_of":
                return self._any_of(column, wanted)
            case "contains_text":
                return _contains(column, str(wanted[0]).casefold() if wanted else "")
            case "is_not_empty":
                return _filled(column)
        sql, parameters = self._any_of(column, wanted) if operator == "not_any_of" else _filled(column)
        return f"NOT {sql}", parameters

    def _any_of(self, column: store.Column, wanted: list[Any]) -> Condition:
        if column.type not in ("status", "dropdown"):
            return _whole(column, [str(each).casefold() for each in wanted])
        if not all(isinstance(each, int) for each in wanted):
            message = f"A {column.type} column is compared with label ids"
            raise answers.failed("InvalidArgumentException", message, column_id=column.id)
        path = "$.ids" if column.type == "dropdown" else "$.index"
        return (
            "id IN (SELECT item_id FROM cells, json_each(cells.value, ?) AS chosen "
            f"WHERE column_id = ? AND folded IS NOT NULL AND chosen.value IN ({_placeholders(wanted)}))",
            [path, column.id, *wanted],
        )


def _start(query: Query) -> tuple[Condition, str]:
    """The items after the last page, and their order. The only order that the simulator offers is by the update."""
    order = [(one["column_id"], one.get("direction")) for one in query.params.get("order_by") or ()]
    if not order:
        return ("id > ?", [query.after]), "id"
    if order != [(LAST_UPDATED, "desc")]:
        raise answers.failed("InvalidArgumentException", f"order_by is {LAST_UPDATED}, desc here")
    if query.updated is None:
        return ("1 = 1", []), "updated DESC, id DESC"
    return ("(updated, id) < (?, ?)", [query.updated, query.after]), "updated DESC, id DESC"


def _placeholders(parameters: Sequence[Any]) -> str:
    return ", ".join("?" * len(parameters))


def _whole(column: store.Column, texts: list[str]) -> Condition:
    if column.type == "name":
        return f"casefold(name) IN ({_placeholders(texts)})", list(texts)
    inner = f"SELECT item_id FROM cells WHERE column_id = ? AND folded IN ({_placeholders(texts)})"
    return f"id IN ({inner})", [column.id, *texts]


def _contains(column: store.Column, text: str) -> Condition:
    if column.type == "name":
        return "instr(casefold(name), ?) > 0", [text]
    return "id IN (SELECT item_id FROM cells WHERE column_id = ? AND instr(folded, ?) > 0)", [column.id, text]


def _filled(column: store.Column) -> Condition:
    if column.type == "name":
        return "name <> ''", []
    return "id IN (SELECT item_id FROM cells WHERE column_id = ? AND folded <> '')", [column.id]
