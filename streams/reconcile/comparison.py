"""comparison is the one engine that compares source, production and ledger of an order, cell by cell.

Reads: MON tables, ledger, snapshot rows, STG tables. Writes and emits: nothing. Used by verify, by the worker's slices
and by re-mapping; the demo's proof and the previews compare with `differences` too.

What the source shall look like on the board is its conversion with today's mapping (expected.py), never a stored copy.
An order that agrees is recognised by equal tuples and equal JSON; only one that does not is taken apart into field
values (fields.py), where a number has one form and columns have names.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from connectors.tables.records import Newest, OrderRecord, Recorded, SizeRecord
from schemas.base import Cell, Model
from schemas.batches import SyncState
from schemas.detection import DELETED
from schemas.orders import Order
from streams.reconcile import fields
from streams.reconcile.expected import Expectations, Expected

# The field of a difference that is the whole order, or the whole size.
WHOLE = "(order)"
# What the ledger holds where its JSON cannot be read.
UNREADABLE = "(unreadable)"


class Odd(StrEnum):
    """Which of the three differs from the others."""

    SOURCE = "source"
    PRODUCTION = "production"
    SHOWN = "board"
    ALL = "all"


class Difference(Model):
    """One cell in which source, production and board differ. None: that side has no value there.

    `column` is a column's title, or (name), (group), (quantity), (order). `size` "" is the order itself. `shown` is
    what the ledger says that the board shows; it equals `expected` where users own the column.
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


@dataclass(frozen=True)
class Comparison:
    """Compares chunks of rows. `expectations` converts them with today's mapping."""

    tables: Tables
    expectations: Expectations

    def remapped(self, rows: Mapping[str, Mapping[str, Cell]]) -> set[str]:
        """The identities whose conversion with today's mapping differs from what is settled or on its way.

        `rows`: watched cells of source rows, by identity. In it is an order that production shows otherwise, or does
        not have; one that is excluded now and was not, and the reverse; one that failed and converts otherwise now; and
        one on its way that was staged with other values. One that is refused now and was valid is in it too: its ERR
        row tells why, and production and board keep its last good values. Not in it is an order that a pass detects
        anyway, and one that is on its way and not staged yet, for stage converts it with today's mapping. Raises
        Transient.
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
                differs = not self._equal(expected, production)
            elif known.state == SyncState.EXCLUDED:
                differs = not expected.excluded
            elif known.stg_id is None:
                differs = False
            elif not known.valid:
                differs = not expected.refused
            elif known.removed:
                differs = not expected.excluded
            else:
                differs = not self._equal(expected, staged)
            if differs:
                found.add(uuid)
        return found

    def _equal(self, expected: Expected, recorded: Recorded) -> bool:
        """Do these tables have the order as it is expected? An excluded row is expected in none."""
        uuid = expected.record_uuid
        master, sizes = recorded.orders.get(uuid), recorded.sizes.get(uuid, ())
        if expected.order is None or master is None:
            return expected.excluded and master is None
        if master.values == self._values(expected.order) and _quantities(sizes) == _texts(expected.order.sizes):
            return True
        return self._of_production(uuid, master, sizes) == self._of_source(uuid, expected.order)

    def _values(self, order: Order) -> tuple[Cell, ...]:
        board = self.expectations.mappings.board
        values = order.values | {board.item_name.staging: order.item_name, board.group.staging: order.group_name}
        return tuple(map(values.get, self.tables.columns))

    def _of_source(self, uuid: str, order: Order) -> dict[tuple[str, str], str]:
        """The field values of an expected order, by size and field."""
        values = fields.of_source(uuid, order, self.expectations.mappings, people=self._hidden)
        return {(size, field): value for _, size, field, value in values}

    def _of_production(self, uuid: str, master: OrderRecord, sizes: Iterable[SizeRecord]) -> dict[tuple[str, str], str]:
        """The same of an order in production, or in staging."""
        row = {"Title": None, "Group": None, **dict(zip(self.tables.columns, master.values, strict=True))}
        quantities = [{"record_uuid": uuid, "size_label": size[0], "Order Qty": size[1]} for size in sizes]
        values = fields.of_production(
            [{**row, "source_uuid": uuid}], quantities, self.expectations.mappings, people=self._hidden
        )
        return {(size, field): value for _, size, field, value in values}

    @functools.cached_property
    def _hidden(self) -> frozenset[str]:
        """Ids of the board columns that production does not have."""
        known = frozenset(self.tables.columns)
        return frozenset(c.id for c in self.expectations.mappings.board.columns if c.staging not in known)


def _quantities(sizes: Iterable[SizeRecord]) -> dict[Cell, Cell]:
    """The quantities by label, as the tables have them. A size of 0 is one that left the order."""
    return {size[0]: size[1] for size in sizes if size[1] != "0"}


def _texts(sizes: Mapping[str, int]) -> dict[str, str]:
    return {label: str(quantity) for label, quantity in sizes.items()}
