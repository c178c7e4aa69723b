"""What the MON tables, the STG tables and the ledger hold of some orders, as plain tuples for the comparison."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import sql
from connectors import database
from connectors.tables import chunks, staging
from schemas.base import Cell

STATEMENTS = sql.load("records")
# The columns of a size that repeat a column of its order: name there, by name of the order's column.
COPIED = {**staging.COPIED, "CUSTOMER": "CUSTOMER"}


class OrderRecord(NamedTuple):
    """An order of the MON or STG tables. `values` are its cells, in the order of `Records.columns`."""

    item_id: Cell
    version: Cell
    row_hash: Cell
    values: tuple[Cell, ...]


# One size of such an order: label, quantity, version, label and quantity once more, and the cells of COPIED.
SizeRecord = tuple[Cell, ...]


class LedgerRecord(NamedTuple):
    """An item (`size_label` "") or subitem of the ledger, unread: a table may hold anything."""

    size_label: str
    item_id: Cell
    name: Cell
    group_name: Cell
    columns_json: str
    active: Cell
    version: Cell


class Recorded(NamedTuple):
    """Orders by identity; an identity that a table does not have is absent."""

    orders: dict[str, OrderRecord]
    sizes: dict[str, list[SizeRecord]]
    ledger: dict[str, list[LedgerRecord]]


class Newest(NamedTuple):
    """The state of an order, the hash of its snapshot row, and its newest version: `stg_id` is None if not staged."""

    state: str
    row_hash: str
    stg_id: int | None
    valid: bool
    removed: bool


class Records:
    """Reads orders by identity. `columns` are the promoted columns, without the time of the update."""

    def __init__(self, db: database.Database, columns: Collection[str]) -> None:
        self._db = db
        self.columns = tuple(sorted(set(columns) - {"Item ID", "UpdateDate"}))

    def recorded(self, record_uuids: Sequence[str], *, ledger: bool = True) -> Recorded:
        """These orders in production, and in the ledger unless it is not wanted, as of one moment."""
        with self._db.read() as session:
            orders = _orders(_stream(session, "production_of", record_uuids, self.columns))
            sizes = _sizes(_stream(session, "production_sizes_of", record_uuids, COPIED.values()))
            entities: dict[str, list[LedgerRecord]] = {}
            for row in _stream(session, "ledger_of", record_uuids) if ledger else ():
                entities.setdefault(str(row[0]), []).append(LedgerRecord._make(row[1:]))
        return Recorded(orders, sizes, entities)

    def newest(self, record_uuids: Sequence[str]) -> dict[str, Newest]:
        """The snapshot rows of these orders, with the newest version; an order that was never detected is absent."""
        with self._db.read() as session:
            return {
                str(uuid): Newest(str(state), str(row_hash), stg_id, valid != staging.INVALID, operation == "DELETE")
                for uuid, state, row_hash, stg_id, valid, operation in _stream(session, "newest_of", record_uuids)
            }

    def staged(self, stg_ids: Sequence[int]) -> Recorded:
        """These staged orders, in the form of production."""
        with self._db.read() as session:
            orders = _orders(_stream(session, "staged_of", stg_ids, self.columns))
            return Recorded(orders, _sizes(_stream(session, "staged_sizes_of", stg_ids, COPIED.values())), {})


def _stream(
    session: database.Session, name: str, keys: Sequence[str | int], columns: Collection[str] = ()
) -> Iterator[database.Fields]:
    more = {"columns": tuple(columns)} if columns else {}
    for some in chunks.batched(keys):
        yield from session.stream(sql.expand(STATEMENTS[name], marks=len(some), **more), tuple(some))


def _orders(rows: Iterator[database.Fields]) -> dict[str, OrderRecord]:
    return {str(row[0]): OrderRecord(row[1], row[2], row[3], row[4:]) for row in rows}


def _sizes(rows: Iterator[database.Fields]) -> dict[str, list[SizeRecord]]:
    sizes: dict[str, list[SizeRecord]] = {}
    for row in rows:
        sizes.setdefault(str(row[0]), []).append(row[1:])
    return sizes
