"""Sample rows of ORDERS_UNIFIED: realistic, seeded, as many as you like.

The first 69 rows are always the order that the project is measured by: GREYSON CLOTHIERS PO 4755 with 264
sizes, grouped by its AAG season. Then come rows of forty customers, a few of which have most of the orders;
about one in a hundred is empty and must be excluded. Rows that must be refused come last, so that asking
for some changes no other row. `catalogue.yaml` says what they are made of.
"""

import dataclasses
import enum
import itertools
from collections.abc import Iterator, Sequence

from connectors.samples import catalogue, cells, dice, maker

EXCLUDED_SHARE = 0.01


class Expected(enum.StrEnum):
    """What the mapping must say of a row."""

    VALID = "VALID"
    EXCLUDED = "EXCLUDED"
    BAD = "BAD"


@dataclasses.dataclass(frozen=True, slots=True)
class SampleRow:
    """One row with every column of the table, in its order, and what must become of it.

    `why` says what is wrong with a BAD row. Not a pydantic model: checking 268 cells would take longer
    than making them.
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
    """`orders` rows, GREYSON's 69 and the excluded ones among them, then `bad` rows more; memory stays flat.

    `columns` are all columns of the table, `size_columns` those of them that hold sizes. With one seed, a
    longer run begins with the shorter one. Raises ValueError for fewer than 69 orders at once, and for a
    table without a column that samples fill at the first row that fills it.
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
