"""Sizes: found in the live table, melted without loss, never guessed."""

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mappings
from mappings import sizes, values
from schemas import mappings as shapes
from schemas.base import Cell

# The same examples in every run, and no deadline: the machine may be busy.
SEEDED = settings(derandomize=True, deadline=None)
RULES = mappings.load().rules
MARKERS = mappings.load().board.sizes
SOURCE = Path(__file__).parent / "source_columns.csv"
LABELS = ("XS", "S", "M", "2XL", "XXL", "32DD", "O/S", "OS")


def table() -> list[tuple[str, str]]:
    with SOURCE.open(encoding="utf-8", newline="") as file:
        return [(row["name"], row["type"]) for row in csv.DictReader(file)]


def test_the_source_table_has_161_sizes_in_its_order() -> None:
    found = sizes.size_columns(table(), MARKERS)
    assert len(found) == 161
    assert found[:4] == ("XXXS", "XXS", "XS", "S")
    assert found[-1] == "S(6-8)"
    assert "INFOR COLOUR CODE" not in found
    assert not {MARKERS.after, MARKERS.before, "Sum of TOTAL QTY"} & set(found)


@pytest.mark.parametrize("sql_type", ["INT", "int", "INTEGER", "bigint", "SMALLINT", "tinyint"])
def test_a_table_of_276_sizes(sql_type: str) -> None:
    labels = [f"SIZE {number}" for number in range(276)]
    columns = [
        (MARKERS.after, "NVARCHAR(20)"),
        *((label, sql_type) for label in labels),
        (MARKERS.before, "INT"),
    ]
    assert sizes.size_columns(columns, MARKERS) == tuple(labels)


@pytest.mark.parametrize("sql_type", ["NVARCHAR(MAX)", "DECIMAL(18,4)", "BIT", "REAL", "DATE", ""])
def test_only_integer_types_are_sizes(sql_type: str) -> None:
    columns = [(MARKERS.after, "TEXT"), ("100", sql_type), ("XS", "INT"), (MARKERS.before, "INT")]
    assert sizes.size_columns(columns, MARKERS) == ("XS",)


def test_markers_are_no_sizes_whatever_their_type() -> None:
    columns = [("A", "INT"), (MARKERS.after, "INT"), ("XS", "INT"), (MARKERS.before, "INT"), ("B", "INT")]
    assert sizes.size_columns(columns, MARKERS) == ("XS",)


def test_missing_markers_are_named_together() -> None:
    with pytest.raises(shapes.MappingError) as caught:
        sizes.size_columns([("XS", "INT")], MARKERS)
    assert len(caught.value.mistakes) == 2
    assert "[UNIT OF MEASURE]" in str(caught.value)
    assert "[TOTAL QTY]" in str(caught.value)


def test_exchanged_markers_are_reported() -> None:
    with pytest.raises(shapes.MappingError, match="follows"):
        sizes.size_columns([(MARKERS.before, "INT"), ("XS", "INT"), (MARKERS.after, "TEXT")], MARKERS)


@pytest.mark.parametrize(
    ("cell", "pieces"),
    [
        (10, 10),
        (0, 0),
        (None, None),
        ("12.0", 12),
        ("12.", 12),
        (" 7 ", 7),
        ("1,200", 1200),
        ("1,200.00", 1200),
        ("007", 7),
        ("-0", 0),
        ("nan", None),
        ("\u00a0", None),
        ("\u200b\ufeff", None),
        ("\u200b12\u200b", 12),
        (2**31 - 1, 2**31 - 1),
        ("2147483647", 2**31 - 1),
    ],
)
def test_quantity(cell: Cell, pieces: int | None) -> None:
    assert sizes.quantity(cell, RULES) == pieces


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (-3, "negative"),
        ("-3", "negative"),
        ("2.5", "fraction"),
        ("0.5", "fraction"),
        ("TBC", "whole number"),
        ("12,00", "whole number"),
        ("1e3", "whole number"),
        ("$12", "whole number"),
        ("12%", "whole number"),
        (2**31, "above"),
        ("2147483648", "above"),
        ("9" * 5000, "above"),
        ("#REF!", "error of a spreadsheet"),
        (" #n/a\u200b", "error of a spreadsheet"),
    ],
)
def test_quantity_refused(cell: Cell, reason: str) -> None:
    with pytest.raises(values.BadValue, match=reason):
        sizes.quantity(cell, RULES)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (12.0, 12),
        (0.0, 0),
        (float("nan"), None),
        (12.5, "fraction"),
        (-1.0, "negative"),
        (3e9, "above"),
        (1e16, "whole"),
    ],
)
def test_a_cell_of_a_real_column_is_a_whole_number_or_refused(cell: Any, expected: int | str | None) -> None:
    if not isinstance(expected, str):
        assert sizes.quantity(cell, RULES) == expected
        assert type(sizes.quantity(cell, RULES)) is type(expected)
        return
    with pytest.raises(values.BadValue, match=expected):
        sizes.quantity(cell, RULES)


CELLS = st.none() | st.integers() | st.integers(0, 5).map(str) | st.text(max_size=6) | st.sampled_from(["nan", "2.5"])


@SEEDED
@given(st.dictionaries(st.sampled_from([*LABELS, "NOTES"]), CELLS))
@pytest.mark.slow
def test_melt_loses_nothing_and_invents_nothing(row: dict[str, Cell]) -> None:
    melted, problems = sizes.melt(row, LABELS, RULES)
    wrong = [problem.column for problem in problems]
    assert list(melted) == [label for label in LABELS if label in melted]  # in table order
    assert all(0 < pieces < 2**31 for pieces in melted.values())
    for label in LABELS:
        try:
            pieces = sizes.quantity(row.get(label), RULES)
        except values.BadValue:
            assert wrong.count(label) == 1
            assert label not in melted
        else:
            assert label not in wrong
            assert melted.get(label, 0) == (pieces or 0)
    assert set(wrong) <= set(LABELS)


@SEEDED
@given(st.lists(st.integers(0, 2**31 - 1), min_size=len(LABELS), max_size=len(LABELS)))
def test_melt_keeps_the_sum(pieces: list[int]) -> None:
    melted, problems = sizes.melt(dict(zip(LABELS, pieces, strict=True)), LABELS, RULES)
    assert not problems
    assert sum(melted.values()) == sum(pieces)


@pytest.mark.parametrize(
    ("total", "reason"),
    [(31, "add up to 30"), ("TBC", "whole number"), (-30, "negative"), (30, None), (None, None)],
)
def test_total_is_only_a_warning(total: Cell, reason: str | None) -> None:
    problem = sizes.total_mismatch({"TOTAL QTY": total}, {"XS": 10, "S": 20}, "TOTAL QTY", RULES)
    if reason is None:
        assert problem is None
    else:
        assert problem is not None
        assert reason in problem.reason
        assert problem.severity == "WARNING"
