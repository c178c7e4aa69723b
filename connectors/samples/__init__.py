"""Sample rows of ORDERS_UNIFIED: realistic, seeded, in any number.

    changes.py    sample changes of the rows, with the effect that the board must show
    maker.py      generates one row after the other
    cells.py      prices, sizes and quirks of a row
    catalogue.py  the shape of catalogue.yaml: customers, garments, quirks, flaws
    dice.py       random numbers from one seed

The first 69 rows are always the project's reference order: GREYSON CLOTHIERS PO 4755 with 264 sizes, grouped by its AAG
season. Rows of forty customers follow, a few of which have most of the orders; about one in a hundred is empty and must
be excluded. Rows that must be refused are last, so that their number changes no other row.

Imports: schemas.base; imported by: streams.demo, benchmarks.
"""

import dataclasses
import enum
import itertools
from collections.abc import Iterator, Sequence

from connectors.samples import catalogue, cells, dice, maker

EXCLUDED_SHARE = 0.01


class Expected(enum.StrEnum):
    """The result that the mapping must have for a row."""

    VALID = "VALID"
    EXCLUDED = "EXCLUDED"
    BAD = "BAD"


@dataclasses.dataclass(frozen=True, slots=True)
class SampleRow:
    """One row with every column of the table, in its order, and its expected result.

    `why` is the flaw of a BAD row. This is no pydantic model: the validation of 268 cells would take longer than their
    generation.
    """

    row: cells.Row
    expected: Expected
    why: str = ""

    @property
    def record_uuid(self) -> str:
        """The identity of the row, upper-case, as the server writes it."""
        return str(self.row["record_uuid"])


def generate(
    *, seed: int, orders: int, columns: Sequence[str], size_columns: Sequence[str], bad: int = 0
) -> Iterator[SampleRow]:
    """Generate `orders` rows, GREYSON's 69 and the excluded ones included, then `bad` more; memory use is constant.

    `columns` are all columns of the table, `size_columns` its size columns. With the same seed, a longer run begins
    with the shorter one. Raises ValueError at once for fewer than 69 orders, and at the first row that fills a column
    that the table does not have.
    """
    if orders < maker.GREYSON_ORDERS:
        raise ValueError(f"at least {maker.GREYSON_ORDERS} orders: GREYSON PO 4755 is always among them")
    goods = catalogue.load()
    rolls = dice.Dice(seed)
    rows = maker.Maker(rolls, goods, columns, size_columns)
    return itertools.chain(
        (SampleRow(row, Expected.VALID) for row in rows.greyson()),
        (_any(rolls, rows) for _ in range(orders - maker.GREYSON_ORDERS)),
        (
            SampleRow(rows.flawed(flaw), Expected.BAD, f"[{flaw.column}] {flaw.why}")
            for flaw in itertools.islice(itertools.cycle(goods.flaws), bad)
        ),
    )


def _any(rolls: dice.Dice, rows: maker.Maker) -> SampleRow:
    if rolls.chance(EXCLUDED_SHARE):
        return SampleRow(rows.empty(), Expected.EXCLUDED, "no goods, no purchase order, no season")
    return SampleRow(rows.order(), Expected.VALID)
