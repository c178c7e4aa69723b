"""Generates one row after the other. It remembers only the order numbers that take more rows."""

import bisect
import dataclasses
import datetime
import itertools
from collections.abc import Iterator, Sequence

from connectors.samples import catalogue, cells, dice

GREYSON_ORDERS = 69
GREYSON_SIZES = 264
GREYSON: cells.Row = {
    "CUSTOMER NAME": "GREYSON CLOTHIERS",
    "PO NUMBER": "4755",
    "AAG SEASON": "2025 FALL",
    "CUSTOMER SEASON": None,
    "ORDER TYPE": "ACTIVE",
}
TWIN_SHARE = 0.01  # style, colour and order number of the row before: two rows with one item name

_MAX_ROWS_OF_ORDER = 8
_GREYSON_MAX_SIZES = 8
_DAYS = tuple((datetime.date(2025, 1, 6) + datetime.timedelta(days=n)).isoformat() for n in range(600))
_BLANKS = (None, None, None, "", "  ", "\u00a0", "nan", "NULL")
_BLANK_IF_EXCLUDED = (
    "PLANNED DELIVERY METHOD",
    "CUSTOMER STYLE",
    "CUSTOMER COLOUR DESCRIPTION",
    "PO NUMBER",
    "CUSTOMER ALT PO",
    "AAG SEASON",
    "CUSTOMER SEASON",
)


@dataclasses.dataclass(slots=True)
class _Order:
    """An order number that takes more rows. `product` is the style and colour of its newest row."""

    cells: cells.Row
    rows_left: int
    product: tuple[catalogue.Style, str] | None = None


class Maker:
    """Generates rows. `columns` are those of the table, in its order; `size_columns` are its size columns."""

    def __init__(
        self,
        rolls: dice.Dice,
        goods: catalogue.Catalogue,
        columns: Sequence[str],
        size_columns: Sequence[str],
    ) -> None:
        self._rolls = rolls
        self._goods = goods
        self._blank: cells.Row = dict.fromkeys(columns)
        self._size_columns = size_columns
        self._by_code = {customer.code: customer for customer in goods.customers}
        self._weights = list(itertools.accumulate(1 / rank for rank in range(1, len(goods.customers) + 1)))
        self._styles = goods.styles()
        self._numbers = dict.fromkeys(self._by_code, 0)
        self._open: dict[str, _Order] = {}

    def greyson(self) -> Iterator[cells.Row]:
        """Generate the 69 orders of PO 4755 with exactly 264 sizes; the first two share an item name."""
        customer = next(c for c in self._goods.customers if GREYSON["CUSTOMER NAME"] in c.names)
        styles = [s for s in self._styles[customer.code] if len(s.sizes) >= _GREYSON_MAX_SIZES]
        counts = [1] * GREYSON_ORDERS
        while sum(counts) < GREYSON_SIZES:
            at = self._rolls.below(GREYSON_ORDERS)
            counts[at] = min(counts[at] + 1, _GREYSON_MAX_SIZES)
        for at, count in enumerate(counts):
            row, style = self._next(customer, styles, twin=at == 1)
            yield self._checked(row | GREYSON | cells.run_of_sizes(self._rolls, style.sizes, count))

    def order(self, code: str | None = None) -> cells.Row:
        """An order of the customer with this code, or of a random customer."""
        customer = self._by_code[code] if code else self._customer()
        row, style = self._next(customer, self._styles[customer.code])
        return self._checked(row | cells.sizes(self._rolls, style.sizes, self._size_columns))

    def flawed(self, flaw: catalogue.Flaw) -> cells.Row:
        """An order with this flaw and no other."""
        return self._checked(self.order(flaw.customer) | {flaw.column: flaw.cell})

    def empty(self) -> cells.Row:
        """A row without goods, which the mapping must exclude."""
        row = self._blank | {column: self._rolls.pick(_BLANKS) for column in _BLANK_IF_EXCLUDED}
        row["CUSTOMER NAME"] = self._rolls.pick(self._customer().names)
        row["TOTAL QTY"] = self._rolls.pick((0, None))
        row["record_uuid"] = self._rolls.uuid()
        return self._checked(row)

    def _customer(self) -> catalogue.Customer:
        """A random customer: the n-th is 1/n as likely as the first."""
        return self._goods.customers[bisect.bisect(self._weights, self._rolls.roll() * self._weights[-1])]

    def _next(
        self, customer: catalogue.Customer, styles: Sequence[catalogue.Style], *, twin: bool = False
    ) -> tuple[cells.Row, catalogue.Style]:
        """The next row of this customer without its sizes, and its style."""
        rolls = self._rolls
        order = self._open.get(customer.code)
        if order is None or (order.rows_left < 1 and not twin):
            order = self._open[customer.code] = self._new_order(customer)
        order.rows_left -= 1
        row = self._blank | order.cells
        if order.product is None or not (twin or rolls.chance(TWIN_SHARE)):
            order.product = (rolls.pick(styles), rolls.pick(self._goods.colours))
        else:  # only these two cells of a twin differ for a user
            row["DESTINATION WAREHOUSE"] = rolls.pick(self._goods.header["DESTINATION WAREHOUSE"])
            row["PLANNED DELIVERY METHOD"] = rolls.pick(self._goods.header["PLANNED DELIVERY METHOD"])
        style, colour = order.product
        row |= {
            "record_uuid": rolls.uuid(),
            "CUSTOMER STYLE": style.code,
            "STYLE DESCRIPTION": style.description,
            "CUSTOMER COLOUR DESCRIPTION": colour,
            "CATEGORY": style.garment.category,
            "HS CODE": style.garment.hs_code,
            "PATTERN ID": f"P-{style.code[-6:]}",
            "ALIAS/RELATED ITEM": f"{style.code}-{colour[:3]}",
        }
        row |= {column: rolls.pick(choices) for column, choices in self._goods.line.items()}
        row |= cells.prices(rolls, style.garment.cents, landed=row["DESTINATION"] == "USA")
        return row | cells.quirks(rolls, row, self._goods.quirks), style

    def _new_order(self, customer: catalogue.Customer) -> _Order:
        rolls = self._rolls
        self._numbers[customer.code] += 1
        received = rolls.below(330)
        ready = received + 60 + rolls.below(90)
        fields: cells.Row = {
            "CUSTOMER NAME": rolls.pick(customer.names),
            "CUSTOMER CODE": customer.code,
            "AAG ORDER NUMBER": f"{customer.code}-{self._numbers[customer.code]:05d}",
            "PO NUMBER": str(10_000 + rolls.below(990_000)),
            "CUSTOMER ALT PO": f"ALT-{rolls.below(100_000):05d}" if rolls.chance(0.3) else None,
            "ORDER DATE PO RECEIVED": _DAYS[received],
            "EX FACTORY DATE": _DAYS[ready],
            "ETA CUSTOMER WAREHOUSE DATE": _DAYS[ready + 14 + rolls.below(40)],
        }
        fields |= {column: rolls.pick(choices) for column, choices in self._goods.header.items()}
        return _Order(fields, rows_left=1 + rolls.below(_MAX_ROWS_OF_ORDER))

    def _checked(self, row: cells.Row) -> cells.Row:
        """The row. Raises ValueError if it has a column that the table does not have."""
        if len(row) != len(self._blank):
            missing = ", ".join(sorted(row.keys() - self._blank.keys()))
            raise ValueError(f"the table lacks columns that samples fill: {missing}")
        return row
