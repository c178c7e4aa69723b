"""What matching needs of source, production, ledger and board. Reads only.

Of the source and of production it keeps the business key and the name of each row, of the board the cells that our
columns fill; equal cells are kept once.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import board_values
from connectors.tables import row_text
from mappings import items as mapped
from mappings.loading import Mappings
from schemas.base import Cell
from streams.adopt.matching import BusinessKey, Item, Row
from streams.detect import holds
from streams.progress import Progress
from streams.reconcile import fields
from streams.resources import Resources
from streams.runtime import board_audit
from streams.sync import board as board_view
from streams.sync import cells, outline


@dataclass
class Source:
    """The orders of the source. `excluded` rows are no orders; `unusable` ones have no identity of their own."""

    rows: list[Row] = field(default_factory=list)
    excluded: int = 0
    unusable: int = 0


@dataclass
class Legacy:
    """The production rows of an earlier workflow: how many, the business key by item id, and the items with one row."""

    rows: int = 0
    keys: dict[str, BusinessKey] = field(default_factory=dict)
    single: set[str] = field(default_factory=set)


@dataclass
class World:
    """Everything that is matched. `items`: the board's items by id, with the names of their groups."""

    source: Source
    legacy: Legacy
    known: Mapping[str, str]
    items: dict[str, board_values.BoardItem]
    shown: list[Item]
    calls: int


class Keys:
    """Business keys and names, out of cells of the source, of production and of the board."""

    def __init__(self, mappings: Mappings) -> None:
        self._mappings = mappings
        self._columns = mappings.board.business_key

    @property
    def staging(self) -> list[str]:
        """The staging columns of the business key."""
        return [column.staging for column in self._columns]

    @property
    def sources(self) -> list[str]:
        """The source columns that rows are matched by, and those that say whether a row is an order."""
        board = self._mappings.board
        names = [column.source for column in self._columns]
        names += [*board.item_name.parts, *board.excluded.blank, board.excluded.zero]
        return list(dict.fromkeys(names))

    def of_row(self, record_uuid: str, row: Mapping[str, Cell]) -> Row:
        """A row of the source."""
        key = self.complete(self._texts(row.get(column.source) for column in self._columns))
        return Row(record_uuid, key, _folded(mapped.item_name(row, self._mappings)))

    def of_staged(self, row: Mapping[str, Any]) -> BusinessKey:
        """A row of production; a column that production does not have is blank."""
        return self.complete(self._texts(row.get(column.staging) for column in self._columns))

    def of_item(self, item: board_values.BoardItem) -> Item:
        """An item of the board."""
        texts = self._texts(cells.text_of(item, column.id) for column in self._columns)
        named = fields.key_of(item, self._mappings)
        return Item(item.id, named, self.complete(texts), _folded(item.name), texts)

    def complete(self, texts: BusinessKey) -> BusinessKey:
        """The key, or () if a required column is blank: it does not name one order."""
        required = [text for text, column in zip(texts, self._columns, strict=True) if column.required]
        return texts if all(required) and any(texts) else ()

    def _texts(self, values: Iterable[Any]) -> BusinessKey:
        # A cell that is no text and no whole number is one of another program's table.
        read = (value if value is None or isinstance(value, str | int) else str(value) for value in values)
        return tuple(
            mapped.canonical_text(column.id, value, self._mappings).casefold()
            for column, value in zip(self._columns, read, strict=True)
        )


def _folded(name: str) -> str:
    return " ".join(name.split()).casefold()


def read_source(parts: Resources, keys: Keys) -> Source:
    """The orders of the source. Raises what SQL raises."""
    found, names = Source(), keys.sources
    with parts.row_states.read(holds.FAMILY, names) as reading:
        for row in reading.rows:
            if row.record_uuid is None or row.copies is not None:
                found.unusable += 1
                continue
            read = [cell if isinstance(cell, str | int) else None for cell in row_text.cells(row.text)]
            by_name = dict(zip(names, read, strict=True))
            if mapped.is_excluded(by_name, parts.mappings):
                found.excluded += 1
            else:
                found.rows.append(keys.of_row(row.record_uuid, by_name))
    return found


def read_legacy(parts: Resources, keys: Keys) -> Legacy:
    """The production rows of an earlier workflow. Raises what SQL raises."""
    found = Legacy()
    for item_id, rows in parts.production.legacy(keys.staging).items():
        found.rows += len(rows)
        named = {keys.of_staged(row) for row in rows}
        if len(named) == 1:
            found.keys[item_id] = named.pop()
        if len(rows) == 1:
            found.single.add(item_id)
    return found


async def read(parts: Resources, board: boards.Board, groups: outline.Groups, used: float, report: Progress) -> World:
    """Reads everything. `used`: the calls of the day so far.

    Raises Misconfigured when the calls of the day would not suffice, and what SQL and the API raise.
    """
    identity = await board.identity()
    _require_calls(parts, identity.items, used)
    keys = Keys(parts.mappings)
    mapping = parts.mappings.board
    columns = [mapping.key.id, *(column.id for column in mapping.columns)]
    subitem_columns = {mapping.subitem.size.id, mapping.subitem.quantity.id}
    slim = _Slim()
    items: dict[str, board_values.BoardItem] = {}
    async for page in board.items(columns=columns, page=board_audit.PAGE):
        for item in page:
            kept = slim.of(item, frozenset(columns), subitem_columns)
            items[item.id] = board_view.named(kept, groups)
        report("reading the board", len(items), identity.items)
    # After the board: an order that is new meanwhile is only one more without an item.
    source = await asyncio.to_thread(read_source, parts, keys)
    legacy = await asyncio.to_thread(read_legacy, parts, keys)
    known = await asyncio.to_thread(parts.ledger.items_of_orders)
    return World(source, legacy, known, items, [keys.of_item(item) for item in items.values()], board.calls)


class _Slim:
    """Items with the filled cells of our columns, as texts; equal cells are one object."""

    def __init__(self) -> None:
        self._cells: dict[str, board_values.Shown] = {}

    def of(
        self, item: board_values.BoardItem, columns: frozenset[str], subitem_columns: set[str]
    ) -> board_values.BoardItem:
        """The item with its subitems."""
        subitems = tuple(
            one.model_copy(update={"columns": self._filled(one.columns, subitem_columns)}) for one in item.subitems
        )
        return item.model_copy(update={"columns": self._filled(item.columns, columns), "subitems": subitems})

    def _filled(self, shown: Mapping[str, board_values.Shown], columns: Iterable[str]) -> dict[str, board_values.Shown]:
        texts = {name: shown[name].text for name in columns if name in shown and shown[name].text}
        return {
            name: self._cells.setdefault(text, board_values.Shown(text=text)) for name, text in texts.items() if text
        }


def _require_calls(parts: Resources, items: int, used: float) -> None:
    calls, limit = math.ceil(items / board_audit.PAGE) + 1, parts.limits.calls_per_day
    if used + calls > limit * board_audit.SHARE:
        raise errors.Misconfigured(
            f"reading the board takes about {calls} calls, and {used:.0f} of {limit} calls of this day are used: "
            "the rest is kept for the changes. Try again after midnight UTC",
            code="DAILY_BUDGET",
        )
