"""Sample orders, and what the mapping makes of them."""

from connectors import samples
from connectors.samples import cells
from mappings import items, loading
from schemas.orders import Order
from sql import tables

SOURCE = tables.get(tables.SOURCE)
COLUMNS = SOURCE.names
_FIRST, _LAST = COLUMNS.index("UNIT OF MEASURE") + 1, COLUMNS.index("TOTAL QTY")
SIZES = tuple(column.name for column in SOURCE.columns[_FIRST:_LAST] if column.base == "INT")
LENGTHS = {column.name: column.length for column in tables.get(tables.STAGING).columns}


def some(seed: int = 1, orders: int = 400, bad: int = 0) -> list[samples.SampleRow]:
    return list(samples.generate(seed=seed, orders=orders, columns=COLUMNS, size_columns=SIZES, bad=bad))


def quantities(row: cells.Row) -> dict[str, int]:
    return {label: value for label in SIZES if isinstance(value := row.get(label), int) and value}


def convert(row: cells.Row) -> items.Conversion:
    return items.convert(row, size_columns=SIZES, mappings=loading.load(), target_lengths=LENGTHS)


def order(row: cells.Row) -> Order:
    """What a row that is an order is on the board."""
    found = convert(row).order
    assert found is not None
    return found


def verdict(row: cells.Row) -> samples.Expected:
    if items.is_excluded(row, loading.load()):
        return samples.Expected.EXCLUDED
    return samples.Expected.VALID if convert(row).order else samples.Expected.BAD
