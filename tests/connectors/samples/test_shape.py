"""What ten thousand sample orders look like: customers, sizes, totals, and what real rows get wrong."""

import collections
import uuid
from collections.abc import Callable

import pytest

from connectors import samples
from connectors.samples import catalogue, cells, maker
from mappings import items, loading
from schemas import base
from tests.support.sample_orders import COLUMNS, LENGTHS, SIZES, quantities

MANY = 10_000


@pytest.fixture(scope="module")
def many() -> list[samples.SampleRow]:
    """Ten thousand rows without their NULLs, which would take 100 MB."""
    made = samples.generate(seed=7, orders=MANY, columns=COLUMNS, size_columns=SIZES)
    return [
        samples.SampleRow({column: cell for column, cell in sample.row.items() if cell is not None}, sample.expected)
        for sample in made
    ]


@pytest.fixture(scope="module")
def valid(many: list[samples.SampleRow]) -> list[cells.Row]:
    return [sample.row for sample in many if sample.expected is samples.Expected.VALID]


def test_po_4755_is_nowhere_else(many: list[samples.SampleRow]) -> None:
    with_po = [sample for sample in many if str(sample.row.get("PO NUMBER")).strip() == "4755"]

    assert len(with_po) == maker.GREYSON_ORDERS
    assert with_po == many[: maker.GREYSON_ORDERS]


def test_uuids_are_upper_case_and_never_repeat(many: list[samples.SampleRow]) -> None:
    found = [sample.record_uuid for sample in many]

    assert len(set(found)) == MANY
    assert all(text == str(uuid.UUID(text)).upper() for text in found)


def test_a_few_customers_have_most_of_the_orders(many: list[samples.SampleRow]) -> None:
    codes = {name: customer.code for customer in catalogue.load().customers for name in customer.names}
    share = collections.Counter(codes[str(sample.row["CUSTOMER NAME"]).strip()] for sample in many)
    ranked = [count / MANY for _, count in share.most_common()]

    assert len(share) == 40
    assert sum(ranked[:5]) > 0.5
    assert 0 < sum(ranked[20:]) < 0.2
    assert 0.04 < share["GRE"] / MANY < 0.065


def test_every_order_has_one_to_nine_sizes_and_few_have_none(valid: list[cells.Row]) -> None:
    counts = collections.Counter(len(quantities(row)) for row in valid)

    assert set(counts) == set(range(10))
    assert 0.01 < counts[0] / len(valid) < 0.02


def test_every_family_of_sizes_is_sold(valid: list[cells.Row]) -> None:
    sold = set().union(*(quantities(row) for row in valid))

    for name, family in catalogue.load().families.items():
        assert set(family) <= sold, name
        assert set(family) <= set(SIZES), name


def test_a_size_column_added_yesterday_is_used() -> None:
    new = [f"NEW {number}" for number in range(200)]
    last = COLUMNS.index("TOTAL QTY")
    wider = [*COLUMNS[:last], *new, *COLUMNS[last:]]
    rows = samples.generate(seed=1, orders=1_000, columns=wider, size_columns=[*SIZES, *new])

    assert any(sample.row[label] for sample in rows for label in new)


def test_total_qty_is_the_sum_but_for_a_few_rows(valid: list[cells.Row]) -> None:
    wrong = [row for row in valid if row.get("TOTAL QTY", 0) != sum(quantities(row).values())]

    assert 0.005 < len(wrong) / len(valid) < 0.015


def test_excluded_rows_are_few(many: list[samples.SampleRow], valid: list[cells.Row]) -> None:
    assert 0.005 < 1 - len(valid) / len(many) < 0.015


@pytest.mark.parametrize(
    ("column", "test", "least", "most"),
    [
        ("CUSTOMER SEASON", lambda cell: cell is None, 0.35, 0.55),
        ("CUSTOMER SEASON", lambda cell: str(cell).strip().lower() in {"", "nan", "null"}, 0.06, 0.12),
        ("ORDER TYPE", lambda cell: cell == "ACTIVE", 0.9, 0.97),
        ("ORDER TYPE", lambda cell: cell == "CANCELLED", 0.03, 0.05),
        ("ORDER TYPE", lambda cell: cell not in {"ACTIVE", "CANCELLED", "REBUY"}, 0.01, 0.03),
        ("ORDER TYPE", lambda cell: cell == "REBUY", 0.0005, 0.005),
        ("INFOR COLOUR CODE", lambda cell: cell == "100", 0.035, 0.065),
        ("US TARIFF RATE", lambda cell: str(cell).upper() == "TRUE", 0.01, 0.03),
        ("US DUTY RATE", lambda cell: str(cell).endswith("%"), 0.005, 0.02),
        ("CUSTOMER PRICE", lambda cell: "$" in str(cell), 0.001, 0.02),
        ("CUSTOMER PRICE", lambda cell: "," in str(cell), 0.001, 0.02),
        ("CUSTOMER COLOUR DESCRIPTION", lambda cell: cell == "DEAN BLUE/WHITE ", 0.005, 0.03),
        ("CUSTOMER STYLE", lambda cell: cell != str(cell).strip(), 0.01, 0.03),
        ("NOTES", lambda cell: "\n" in str(cell), 0.005, 0.04),
        ("NOTES", lambda cell: len(str(cell)) > 1_500, 0.005, 0.02),
    ],
)
def test_quirks_have_their_share(
    valid: list[cells.Row], column: str, test: Callable[[base.Cell], bool], least: float, most: float
) -> None:
    assert least < sum(test(row.get(column)) for row in valid) / len(valid) < most


def test_every_quirk_of_the_catalogue_occurs(valid: list[cells.Row]) -> None:
    known = catalogue.load()
    seen: dict[str, set[str]] = {}
    for row in valid:
        for column, cell in row.items():
            seen.setdefault(column, set()).add(str(cell))

    for quirk in known.quirks:
        for column in quirk.columns:
            for value in filter(None, quirk.values):
                start, mark, end = (value * quirk.times).partition("{}")
                if mark:
                    assert any(text.startswith(start) and text.endswith(end) for text in seen[column]), value
                else:
                    assert start in seen[column], (column, value)


def test_some_rows_after_greyson_share_an_item_name(valid: list[cells.Row]) -> None:
    parts = ("AAG ORDER NUMBER", "CUSTOMER STYLE", "CUSTOMER COLOUR DESCRIPTION")
    names = collections.Counter(tuple(str(row[part]).strip() for part in parts) for row in valid[69:])

    assert sum(count > 1 for count in names.values()) > 20


def test_a_board_can_hold_them_all(valid: list[cells.Row]) -> None:
    mapping = loading.load()
    converted = (items.convert(row, size_columns=SIZES, mappings=mapping, target_lengths=LENGTHS) for row in valid)
    orders = [conversion.order for conversion in converted if conversion.order]

    assert max(len(order.item_name) for order in orders) <= mapping.board.limits.name
    for column in mapping.board.columns:
        if column.type == "dropdown":
            labels = {order.values.get(column.staging) for order in orders}
            assert len(labels) <= mapping.board.limits.dropdown_labels, column.title
