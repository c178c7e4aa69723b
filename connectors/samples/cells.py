"""Generates prices, sizes and the quirks of real rows."""

from collections.abc import Iterable, Sequence

from connectors.samples import catalogue, dice
from schemas import base

Row = dict[str, base.Cell]

MAX_SIZES = 9
NO_SIZES_SHARE = 0.015
MIXED_SHARE = 0.02  # any sizes of the table, so that new size columns are used too
WRONG_TOTAL_SHARE = 0.01


def prices(rolls: dice.Dice, cents: int, *, landed: bool) -> Row:
    """Consistent prices as text in US dollars; `landed`: with duty and tariff, for a destination in the USA."""
    ex_works = cents * (90 + rolls.below(21)) // 100
    fees, design, freight = ex_works * 3 // 100, rolls.below(80), 60 + rolls.below(90)
    fob = ex_works + fees + design
    duty, tariff = fob * 16 // 100, fob // 10
    row: Row = {
        "CUSTOMER PRICE": _money(fob + (duty + tariff + freight if landed else 0)),
        "EX WORKS (USD)": _money(ex_works),
        "ADMINISTRATION FEE": _money(fees),
        "DESIGN FEE": _money(design),
        "FX CHARGE": _money(ex_works // 100),
        "HANDLING": "1.25",
        "FINAL FOB (USD)": _money(fob),
        "FREIGHT": _money(freight),
        "SMS PRICE USD": _money(fob * 2),
    }
    if landed:
        row |= {
            "USA ONLY LSTP 75% EX WORKS": _money(ex_works * 75 // 100),
            "US DUTY RATE": "0.16",
            "US DUTY": _money(duty),
            "US TARIFF RATE": "0.1",
            "US TARIFF": _money(tariff),
            "DDP US (USD)": _money(fob + duty + tariff + freight),
        }
    return row


def sizes(rolls: dice.Dice, family: Sequence[str], size_columns: Sequence[str]) -> Row:
    """Sizes and TOTAL QTY of an order: one to nine sizes, rarely none; rarely a wrong total."""
    kind = rolls.roll()
    if kind < NO_SIZES_SHARE:
        return {"TOTAL QTY": rolls.pick((0, None))}
    if kind < NO_SIZES_SHARE + MIXED_SHARE:
        labels = [rolls.pick(size_columns) for _ in range(1 + rolls.below(MAX_SIZES))]
        row: Row = {label: _quantity(rolls) for label in labels}
        row["TOTAL QTY"] = sum_of(row, size_columns)
    else:
        row = run_of_sizes(rolls, family, 1 + rolls.below(min(MAX_SIZES, len(family))))
    if rolls.chance(WRONG_TOTAL_SHARE):
        row["TOTAL QTY"] = sum_of(row, size_columns) + _quantity(rolls)
    return row


def run_of_sizes(rolls: dice.Dice, family: Sequence[str], count: int) -> Row:
    """`count` neighbouring sizes and their TOTAL QTY; in half of the calls the rest of the family is 0."""
    first = rolls.below(len(family) - count + 1)
    row: Row = dict.fromkeys(family, 0) if rolls.chance(0.5) else {}
    row |= {label: _quantity(rolls) for label in family[first : first + count]}
    row["TOTAL QTY"] = sum_of(row, family)
    return row


def sum_of(row: Row, size_columns: Iterable[str]) -> int:
    """The correct TOTAL QTY: the sum of the sizes."""
    quantities = (row.get(column) for column in size_columns)
    return sum(quantity for quantity in quantities if isinstance(quantity, int))


def quirks(rolls: dice.Dice, row: Row, known: Sequence[catalogue.Quirk]) -> Row:
    """The cells of this row that get a quirk, which the mapping must accept; at most one quirk for each cell."""
    changed: Row = {}
    for quirk in known:
        if not rolls.chance(quirk.share):
            continue
        column, value = rolls.pick(quirk.columns), rolls.pick(quirk.values)
        plain = row[column]
        if value is None:
            changed[column] = None
        elif "{}" not in value:
            changed[column] = value * quirk.times
        elif plain is not None:
            changed[column] = value.replace("{}", str(plain))
    return changed


def _quantity(rolls: dice.Dice) -> int:
    """1 to 600 pieces; small quantities are more likely."""
    return 1 + int(rolls.roll() ** 3 * 600)


def _money(cents: int) -> str:
    return f"{cents / 100:,.2f}"
