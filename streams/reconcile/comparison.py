"""comparison is the one engine that compares source, production and ledger of an order, cell by cell.

Reads: MON tables, ledger, snapshot rows, STG tables. Writes and emits: nothing. Used by verify, by the worker's slices
and by re-mapping; the demo's proof and the previews use its `differing`.

What the source shall look like on the board is its conversion with today's mapping (expected.py), never a stored copy.
An order that agrees is recognised by equal tuples and equal JSON; only one that does not is taken apart into field
values (fields.py), where a number has one form and columns have names.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from connectors.tables.records import COPIED, LedgerRecord, Newest, OrderRecord, Recorded, SizeRecord
from mappings import columns
from mappings import items as mapped
from mappings.loading import Mappings
from schemas.base import Cell, Model
from schemas.batches import SyncState
from schemas.detection import DELETED
from schemas.items import Removal
from schemas.orders import Order
from streams.reconcile import compare, fields
from streams.reconcile.expected import Expectations, Expected

# The fields of differences that no column has: the item of an order, and the version of a size.
ITEM, VERSION = "(item)", "(version)"
# As the ledger writes its columns; json.dumps makes an encoder at each call.
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


class Odd(StrEnum):
    """Which of the three differs from the others."""

    SOURCE = "source"
    PRODUCTION = "production"
    SHOWN = "board"
    ALL = "all"


class Difference(Model):
    """One cell in which source, production and board differ. None: that side has no value there.

    `column` is a column's title, or (name), (group), (quantity), (item), (version). `size` "" is the order itself.
    `shown` is what the ledger says that the board shows.
    """

    record_uuid: str
    customer: str
    column: str
    size: str = ""
    expected: str | None = None
    production: str | None = None
    shown: str | None = None

    @property
    def odd(self) -> Odd:
        """The side that the other two contradict."""
        if self.production == self.shown:
            return Odd.SOURCE
        if self.expected == self.shown:
            return Odd.PRODUCTION
        return Odd.SHOWN if self.expected == self.production else Odd.ALL

    def __str__(self) -> str:
        where = f"[{self.column}]" + (f" of size {self.size}" if self.size else "")
        return f"{where}: source {self.expected!r}, production {self.production!r}, board {self.shown!r}"


class Tables(Protocol):
    """connectors.tables.records.Records."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns of production that hold values of the order."""

    def recorded(self, record_uuids: Sequence[str], *, ledger: bool = True) -> Recorded:
        """These orders in production and in the ledger. Raises Transient."""

    def newest(self, record_uuids: Sequence[str]) -> dict[str, Newest]:
        """State and newest version of these orders. Raises Transient."""

    def staged(self, stg_ids: Sequence[int]) -> Recorded:
        """These staged orders. Raises Transient."""


class _Wanted(NamedTuple):
    """The content that an order shall have everywhere. `sizes`: quantities as text, by label."""

    name: str
    group: str
    values: Mapping[str, Cell]
    sizes: Mapping[str, str]


@dataclass(frozen=True)
class Comparison:
    """Compares orders. `expectations` converts their rows with today's mapping."""

    tables: Tables
    expectations: Expectations

    def remapped(self, rows: Mapping[str, Mapping[str, Cell]]) -> set[str]:
        """The identities whose conversion with today's mapping differs from what is settled or on its way.

        `rows`: watched cells of source rows, by identity. In it is an order that production shows otherwise, or does
        not have; one that is excluded now and was not, and the reverse; one that failed and converts otherwise now; and
        one on its way that was staged with other values, or is not staged yet: its event has the columns of before, and
        a worker that has the mapping of before may convert it. One that is refused now and was valid is in it too: its
        ERR row tells why, and production and board keep its last good values. Not in it is an order that a pass detects
        anyway. Raises Transient.
        """
        newest = self.tables.newest(list(rows))
        settled = {uuid for uuid, one in newest.items() if one.state == SyncState.IN_SYNC}
        keys = {uuid: one.stg_id for uuid, one in newest.items() if uuid not in settled and one.stg_id is not None}
        production = self.tables.recorded(sorted(settled), ledger=False)
        staged = self.tables.staged(list(keys.values()))
        found: set[str] = set()
        for uuid, row in rows.items():
            known = newest.get(uuid)
            if known is None or known.row_hash in ("", DELETED):
                continue
            expected = self.expectations.of(uuid, row)
            if uuid in settled:
                differs = not self.in_production(expected, production)
            elif known.state == SyncState.EXCLUDED:
                differs = not expected.excluded
            elif known.stg_id is None:
                differs = True
            elif not known.valid:
                differs = not expected.refused
            elif known.removed:
                differs = not expected.excluded
            else:
                differs = not self.in_production(expected, staged)
            if differs:
                found.add(uuid)
        return found

    def in_production(self, expected: Expected, recorded: Recorded) -> bool:
        """Has production the order as it is expected, whatever its versions are?

        An excluded row is expected in none, and a refused one never is as expected.
        `recorded` may hold staged orders in place of production.
        """
        master, sizes = recorded.orders.get(expected.record_uuid), recorded.sizes.get(expected.record_uuid, ())
        if expected.order is None or master is None:
            return expected.excluded and master is None
        wanted = _of_order(expected.order)
        if master.values == self._cells(wanted) and _quantities(sizes) == wanted.sizes:
            return True
        uuid = expected.record_uuid
        as_expected = fields.of_source(uuid, expected.order, self.expectations.mappings)
        production = self._of_production(uuid, master, sizes) + self._unstored(as_expected)
        return not compare.differing(as_expected, production)

    def staged_alike(self, expected: Expected, stg_id: int) -> bool:
        """May the staged version of this key be sent once more? It has the values that are expected of the row.

        Of a refused row, these are the values of production. Raises Transient.
        """
        staged = self.tables.staged([stg_id])
        if not expected.refused:
            return self.in_production(expected, staged)
        uuid = expected.record_uuid
        production = self.tables.recorded([uuid], ledger=False)
        one, other = staged.orders.get(uuid), production.orders.get(uuid)
        if one is None or other is None:
            return one is other
        same = _quantities(staged.sizes.get(uuid, ())) == _quantities(production.sizes.get(uuid, ()))
        return same and one.values == other.values

    def differences(self, expected: Expected, recorded: Recorded, customer: str) -> list[Difference]:
        """The cells in which source, production and ledger do not agree, with the copies and versions of the sizes.

        Of a refused row, production has the expected values. The caller compares versions and hashes of orders, and
        finds a valid order that is not in production: here it has no difference.
        """
        uuid = expected.record_uuid
        master, sizes = recorded.orders.get(uuid), recorded.sizes.get(uuid, [])
        entries = recorded.ledger.get(uuid, [])
        if expected.excluded or master is None:
            # An excluded row is expected nowhere, and a refused one where its last good version is shown.
            ids = [str(entry.item_id) for entry in entries if entry.active and not entry.size_label]
            if self._keeps or not ids or expected.order is not None:
                return []
            item_id = None if expected.excluded else ids[0]
            return [Difference(record_uuid=uuid, customer=customer, column=ITEM, expected=item_id, shown=ids[0])]
        wanted = _of_order(expected.order) if expected.order is not None else self._last_good(master, sizes)
        if (
            master.values == self._cells(wanted)
            and self._sizes_agree(master, sizes, wanted)
            and self._ledger_agrees(uuid, str(master.item_id), entries, wanted)
        ):
            return []
        return self._apart(uuid, customer, recorded, wanted)

    def _apart(self, uuid: str, customer: str, recorded: Recorded, wanted: _Wanted) -> list[Difference]:
        """The differences of an order that does not agree at first sight."""
        master, sizes = recorded.orders[uuid], recorded.sizes.get(uuid, [])
        mappings = self.expectations.mappings
        expected = fields.of_order(uuid, wanted.name, wanted.group, wanted.values, wanted.sizes, mappings)
        production = self._of_production(uuid, master, sizes) + self._unstored(expected)
        item = next((one for one in recorded.ledger.get(uuid, ()) if not one.size_label), None)
        item_id = str(master.item_id)
        shown = [(uuid, "", ITEM, str(item.item_id))] if item is not None and item.active else []
        if shown:
            expected, production = [*expected, *shown], [*production, (uuid, "", ITEM, item_id)]
            shown += fields.of_ledger(uuid, recorded.ledger[uuid], mappings, people=self._people)
            # Users own these columns on the board.
            shown += [value for value in expected if value[2] in self._people]
        else:
            # The whole item is missing: one difference.
            shown = expected
            expected, production = [*expected, (uuid, "", ITEM, item_id)], [*production, (uuid, "", ITEM, item_id)]
        repeated, in_production = self._of_copies(uuid, master, sizes, wanted)
        found = compare.differing(expected + repeated, production + in_production, shown + repeated)
        return [_difference(one, customer, mappings) for one in found]

    # At first sight: an order that agrees costs no more than this.

    def _cells(self, wanted: _Wanted) -> tuple[Cell, ...]:
        board = self.expectations.mappings.board
        values = {**wanted.values, board.item_name.staging: wanted.name, board.group.staging: wanted.group}
        return tuple(map(values.get, self.tables.columns))

    def _sizes_agree(self, master: OrderRecord, sizes: Sequence[SizeRecord], wanted: _Wanted) -> bool:
        copies = tuple(map(wanted.values.get, COPIED))
        for label, quantity, version, *rest in sizes:
            if version != master.version or (label, quantity, *copies) != tuple(rest):
                return False
        return len(sizes) == len({size[0] for size in sizes}) and _quantities(sizes) == wanted.sizes

    def _ledger_agrees(self, uuid: str, item_id: str, entries: Sequence[LedgerRecord], wanted: _Wanted) -> bool:
        mappings = self.expectations.mappings
        size_id, quantity_id = self._subitem
        seen = 0
        for entry in entries:
            label = entry.size_label
            if not label:
                named = entry.active and entry.name == wanted.name and entry.group_name == wanted.group
                if not named or str(entry.item_id) != item_id or not self._item_agrees(uuid, entry, wanted):
                    return False
                seen += 1
            elif entry.active:
                name, size, quantity = fields.of_subitem(str(entry.name), entry.columns_json, size_id, quantity_id)
                if (name, size, quantity) != (
                    mapped.subitem_name(label, mappings),
                    label,
                    wanted.sizes.get(label, "0"),
                ):
                    return False
                seen += quantity != "0"
        return seen == 1 + len(wanted.sizes)

    def _item_agrees(self, uuid: str, entry: LedgerRecord, wanted: _Wanted) -> bool:
        mappings = self.expectations.mappings
        # The text that the ledger has since the item was created; an update may have changed the order of its columns.
        pieces = [f'"{mappings.board.key.id}": "{uuid}"']
        for column in mappings.board.columns:
            cell = wanted.values.get(column.staging)
            if cell is not None and cell != "":
                pieces.append(_json_of(mappings, column.id, cell))
        if entry.columns_json == "{" + ", ".join(pieces) + "}":
            return True
        desired, known = mapped.board_columns(wanted.values, uuid, mappings), fields.loaded(entry.columns_json)
        for column_id in self._people:
            known.pop(column_id, None)
            desired.pop(column_id, None)
        return known == desired

    # Taken apart.

    def _of_production(self, uuid: str, master: OrderRecord, sizes: Iterable[SizeRecord]) -> list[fields.FieldValue]:
        row = {"Title": None, "Group": None, **dict(zip(self.tables.columns, master.values, strict=True))}
        quantities = [{"record_uuid": uuid, "size_label": size[0], "Order Qty": size[1]} for size in sizes]
        return fields.of_production([{**row, "source_uuid": uuid}], quantities, self.expectations.mappings)

    def _unstored(self, expected: Iterable[fields.FieldValue]) -> list[fields.FieldValue]:
        """The expected values that production has no column for."""
        return [value for value in expected if value[2] in self._hidden]

    def _of_copies(
        self, uuid: str, master: OrderRecord, sizes: Iterable[SizeRecord], wanted: _Wanted
    ) -> tuple[list[fields.FieldValue], list[fields.FieldValue]]:
        """What rows of sizes repeat of their order, where it is wrong: the right values, and those of production."""
        names = (VERSION, "Size", "ORDER_QTY", *COPIED.values())
        right: list[fields.FieldValue] = []
        wrong: list[fields.FieldValue] = []
        for label, quantity, *repeated in sizes:
            expected = (master.version, label, quantity, *map(wanted.values.get, COPIED))
            for name, one, other in zip(names, expected, repeated, strict=True):
                if one != other:
                    right.append((uuid, str(label), name, str(one)))
                    wrong.append((uuid, str(label), name, str(other)))
        return right, wrong

    def _last_good(self, master: OrderRecord, sizes: Iterable[SizeRecord]) -> _Wanted:
        board = self.expectations.mappings.board
        values = dict(zip(self.tables.columns, master.values, strict=True))
        name, group = str(values.pop(board.item_name.staging, "")), str(values.pop(board.group.staging, ""))
        quantities = {str(label): str(quantity) for label, quantity in _quantities(sizes).items()}
        return _Wanted(name, group, {name: cell for name, cell in values.items() if cell is not None}, quantities)

    @functools.cached_property
    def _subitem(self) -> tuple[str, str]:
        subitem = self.expectations.mappings.board.subitem
        return subitem.size.id, subitem.quantity.id

    @functools.cached_property
    def _people(self) -> frozenset[str]:
        return columns.owned_by_people(self.expectations.mappings)

    @functools.cached_property
    def _keeps(self) -> bool:
        return self.expectations.mappings.board.board.removal is Removal.KEEP

    @functools.cached_property
    def _hidden(self) -> frozenset[str]:
        """Ids of the board columns that production does not have."""
        known = frozenset(self.tables.columns)
        return frozenset(c.id for c in self.expectations.mappings.board.columns if c.staging not in known)


@functools.lru_cache(maxsize=16_384)  # the orders of a season share most of their values
def _json_of(mappings: Mappings, column_id: str, cell: Cell) -> str:
    """One column of an item as the ledger writes it."""
    return f'"{column_id}": {_ENCODE(mapped.board_value(column_id, cell, mappings))}'


def _of_order(order: Order) -> _Wanted:
    sizes = {label: str(quantity) for label, quantity in order.sizes.items()}
    return _Wanted(order.item_name, order.group_name, order.values, sizes)


def _quantities(sizes: Iterable[SizeRecord]) -> dict[Cell, Cell]:
    """The quantities by label, as the tables have them. A size of 0 is one that left the order."""
    return {size[0]: size[1] for size in sizes if size[1] != "0"}


def _difference(one: compare.Field, customer: str, mappings: Mappings) -> Difference:
    expected, production, shown = one.values
    return Difference(
        record_uuid=one.record_uuid,
        customer=customer,
        column=fields.title(one.field, mappings),
        size=one.size,
        expected=expected,
        production=production,
        shown=shown,
    )
