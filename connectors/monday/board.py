"""Reads the board: its columns and groups, and its items and subitems page by page."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any

from connectors import errors
from connectors.monday import answers, board_values, documents, error_table, responses
from connectors.monday import client as clients
from schemas import items

# The API's limits are items by id in one call, and items of a page. The number of values in one search is our choice.
IDS_PER_CALL = 100
PAGE_LIMIT = 500
VALUES_PER_SEARCH = 100


class Board:
    """One board, read through one client.

    Every method that asks the API raises the errors of Client.query, and Transient for an answer of another shape.
    `calls` counts the reads through this object.
    """

    def __init__(self, client: clients.Client, board_id: str) -> None:
        self._client = client
        self.board_id = board_id
        self.calls = 0

    async def ask(self, name: str, **variables: Any) -> answers.Fields:
        """Sends one read document and counts it. Returns the data of the answer."""
        self.calls += 1
        return answers.read(await self._client.query(name, variables), name)

    async def columns(self, ids: Sequence[str] | None = None) -> list[board_values.BoardColumn]:
        """The columns in the order of the board: those with one of `ids`, or all."""
        # Without the variable, as in _selection.
        board = await self._ask_board("board_columns", **({} if ids is None else {"ids": list(ids)}))
        return [board_values.read_column(raw) for raw in board.children("columns", nulls=True)]

    async def columns_of(self, board_ids: Sequence[str]) -> dict[str, list[board_values.BoardColumn]]:
        """All columns of several boards, in one call. Raises BoardStop when one of the boards is missing."""
        read = (await self.ask("columns_of_boards", boards=list(board_ids))).children_or_none("boards") or ()
        columns = {
            board.number_id("id"): [board_values.read_column(raw) for raw in board.children("columns", nulls=True)]
            for board in read
        }
        for board_id in board_ids:
            if board_id not in columns:
                raise _not_found(board_id)
        return columns

    async def groups(self) -> list[board_values.BoardGroup]:
        """All groups, the topmost first; titles may repeat."""
        board = await self._ask_board("board_groups")
        return [board_values.read_group(raw) for raw in board.children("groups", nulls=True)]

    async def outline(self, column_ids: Sequence[str]) -> board_values.BoardOutline:
        """These columns and all groups, in one call."""
        board = await self._ask_board("board_outline", ids=list(column_ids))
        return board_values.BoardOutline(
            columns=tuple(board_values.read_column(raw) for raw in board.children("columns", nulls=True)),
            groups=tuple(board_values.read_group(raw) for raw in board.children("groups", nulls=True)),
        )

    async def identity(self) -> board_values.BoardIdentity:
        """The account of the token, and the board, in one call. The token needs `me:read` and `account:read`."""
        data = await self.ask("account_and_board", board=self.board_id)
        account, board = data.child("me").child("account"), self._board_of(data)
        return board_values.BoardIdentity(
            account_id=account.number_id("id"),
            account_name=account.text("name"),
            board_id=self.board_id,
            board_name=board.text("name"),
            items=board.count_or_none("items_count") or 0,
        )

    async def has_items_without(self, column_id: str) -> bool:
        """Whether an active item of the board has nothing in this column."""
        board = await self._ask_board("items_without", column=column_id)
        return any(True for _ in board.child("items_page").children("items"))

    async def ensure_key_column(self, column_id: str, title: str) -> bool:
        """Create the text column of the record_uuid unless it exists; return whether it was created.

        Raises Misconfigured when the column has another type, or cannot be created.
        """
        existing = {column.id: column for column in await self.columns()}.get(column_id)
        if existing is not None:
            if existing.type != "text":
                raise errors.Misconfigured(
                    f"column {column_id} is a {existing.type} column, not text", code="KEY_COLUMN_TYPE"
                )
            return False
        variables = {"board": self.board_id, "column": column_id, "title": title}
        request = documents.compose([("create_column", variables)])
        # Every process uses the same idempotency key: two setups at the same time still create one column.
        key = f"setup-{self.board_id}-{column_id}"
        reply = await self._client.send(request.body, key=key, mutations=1)
        match responses.judge(reply, request.aliases):
            case [items.Done(id=created_id)] if created_id == column_id:
                return True
            case outcome:
                raise errors.Misconfigured(f"column {column_id} was not created: {outcome}", code="KEY_COLUMN")

    async def items(
        self, *, columns: Sequence[str] | None = None, subitems: bool = True, page: int = 100
    ) -> AsyncIterator[list[board_values.BoardItem]]:
        """Every active item, one list for each page; with these columns of the items, or all.

        A page that is too complex for one request is requested once more at half its size. The cursor of the API
        expires 60 minutes after the first page.
        """
        selection = _selection(columns, subitems)
        start = {"board": self.board_id, **selection}
        limit = min(page, PAGE_LIMIT)
        cursor: str | None = None
        while True:
            try:
                if cursor is None:
                    data = await self.ask("items_page", **start, limit=limit)
                    result = self._board_of(data).child("items_page")
                else:
                    rest = {"cursor": cursor, "limit": limit, **selection}
                    result = (await self.ask("next_items_page", **rest)).child("next_items_page")
            except errors.Rejected as error:
                if error.code != "REQUEST_MAX_COMPLEXITY_EXCEEDED" or limit == 1:
                    raise
                limit = max(1, limit // 2)
                continue
            yield [board_values.read_item(raw, subitems=subitems) for raw in result.children("items")]
            cursor = result.text_or_none("cursor")
            if not cursor:
                return

    async def find_items(
        self,
        key_column: str,
        keys: Iterable[str],
        *,
        columns: Sequence[str] | None = None,
        subitems: bool = False,
    ) -> dict[str, list[board_values.BoardItem]]:
        """The active items of each key, as a list: it is empty without an item, and longer than one with duplicates.

        `columns` limits the columns of each item. The search ignores case: an item belongs to the key that its key
        column contains exactly, else to a key that differs in case only.
        """
        by_key: dict[str, list[board_values.BoardItem]] = {key: [] for key in keys}
        ignoring_case = {key.casefold(): key for key in by_key}
        read_ids: set[str] = set()
        selection = _selection(None if columns is None else [key_column, *columns], subitems)
        for values in _chunks(list(by_key), VALUES_PER_SEARCH):
            # The API charges for the limit first and refunds later; a key with more than one item is rare.
            limit = min(PAGE_LIMIT, 2 * len(values))
            search = {"board": self.board_id, "key": key_column, "values": values, "limit": limit}
            page = (await self.ask("find_items", **search, **selection)).child("items_page_by_column_values")
            while True:
                for item in (board_values.read_item(raw, subitems=subitems) for raw in page.children("items")):
                    text = item.columns.get(key_column, board_values.Shown()).text or ""
                    key = text if text in by_key else ignoring_case.get(text.casefold())
                    if key is not None and item.id not in read_ids:
                        by_key[key].append(item)
                        read_ids.add(item.id)
                cursor = page.text_or_none("cursor")
                if not cursor:
                    break
                rest = {"cursor": cursor, "limit": limit, **selection}
                page = (await self.ask("next_items_page", **rest)).child("next_items_page")
        return by_key

    async def subitems(self, item_ids: Iterable[str]) -> dict[str, list[board_values.BoardItem]]:
        """The subitems of each item; an id that is unknown to the API is absent."""
        by_item: dict[str, list[board_values.BoardItem]] = {}
        async for raw in self._by_id("subitems", item_ids):
            children = raw.children_or_none("subitems") or ()
            by_item[raw.number_id("id")] = [board_values.read_item(child, of_item=True) for child in children]
        return by_item

    async def items_by_id(
        self, item_ids: Iterable[str], *, columns: Sequence[str] | None = None
    ) -> dict[str, board_values.BoardItem]:
        """The active items of this board by id, with their subitems; any other item is absent."""
        chosen = {} if columns is None else {"columns": list(dict.fromkeys(columns))}
        read = [
            board_values.read_item(raw, subitems=True) async for raw in self._by_id("items_by_id", item_ids, **chosen)
        ]
        return {
            item.id: item
            for item in read
            if item.state == board_values.ItemState.ACTIVE and item.board_id == self.board_id
        }

    async def places(self, item_ids: Iterable[str]) -> dict[str, board_values.ItemPlace]:
        """State and board of each item or subitem by id, on whatever board; an id unknown to the API is absent."""
        asked = self._by_id("item_states", item_ids)
        return {raw.number_id("id"): board_values.read_place(raw) async for raw in asked}

    async def parents(self, item_ids: Iterable[str]) -> dict[str, str]:
        """The item of each subitem, of every state; an id that the API does not know or that has none is absent."""
        asked = self._by_id("item_parents", item_ids)
        read = [(raw.number_id("id"), raw.child_or_none("parent_item")) async for raw in asked]
        return {subitem: parent.number_id("id") for subitem, parent in read if parent is not None}

    async def _by_id(self, name: str, item_ids: Iterable[str], **more: Any) -> AsyncIterator[answers.Fields]:
        for ids in _chunks(list(dict.fromkeys(item_ids)), IDS_PER_CALL):
            for raw in (await self.ask(name, items=ids, limit=IDS_PER_CALL, **more)).children("items", nulls=True):
                yield raw

    async def _ask_board(self, name: str, **variables: Any) -> answers.Fields:
        return self._board_of(await self.ask(name, board=self.board_id, **variables))

    def _board_of(self, data: answers.Fields) -> answers.Fields:
        return found(data, self.board_id)


def found(data: answers.Fields, board_id: str) -> answers.Fields:
    """The board of an answer. Raises BoardStop when the answer has none."""
    board = next(iter(data.children_or_none("boards") or ()), None)
    if board is None:
        raise _not_found(board_id)
    return board


def _not_found(board_id: str) -> error_table.BoardStop:
    text = f"board {board_id} does not exist, or this token has no access to it"
    return error_table.BoardStop(text, code="BOARD_NOT_FOUND")


def _selection(columns: Sequence[str] | None, subitems: bool) -> dict[str, Any]:
    # An absent variable omits its argument, and the API returns all columns. Null would be a value.
    chosen = {} if columns is None else {"columns": list(dict.fromkeys(columns))}
    return {"subitems": subitems, **chosen}


def _chunks(values: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
