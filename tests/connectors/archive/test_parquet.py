"""The file of an archived snapshot: every cell is read as it was written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import errors
from connectors.archive import parquet
from schemas.base import Cell

TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.none() | st.integers(-(2**63), 2**63 - 1)
ROWS = st.lists(st.tuples(TEXTS, NUMBERS, TEXTS, TEXTS, TEXTS, NUMBERS), max_size=30)
COLUMNS = [("S/M [x]", "NVARCHAR"), ("0", "INT")]


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_every_cell_is_read_as_it_was_written(rows: list[tuple[Cell, ...]]) -> None:
    file = parquet.write(rows, COLUMNS)
    assert file.rows == len(rows)
    assert parquet.columns(file.payload) == file.columns == (*parquet.OWN, "S/M [x]", "0")
    assert list(parquet.read(file.payload, file.columns)) == rows


def test_many_rows_keep_their_order_in_a_small_file() -> None:
    rows = [(f"{n:08}", n, "HASH", "IN_SYNC", "ARCTIC", n % 7) for n in range(2 * parquet.CHUNK + 1)]
    file = parquet.write(iter(rows), COLUMNS)
    assert list(parquet.read(file.payload, file.columns)) == rows
    assert len(file.payload) < file.plain_bytes / 3


def test_columns_are_read_by_name_and_a_missing_one_is_none() -> None:
    file = parquet.write([("A", 1, "H", "IN_SYNC", "x", 5)], COLUMNS)
    assert list(parquet.read(file.payload, ["0", "XXL", "record_uuid"])) == [(5, None, "A")]


def test_a_cell_that_is_not_of_its_columns_type_is_refused_by_name() -> None:
    with pytest.raises(errors.Rejected, match=r"\[0\] has a value that does not fit its declared type"):
        parquet.write([("A", 1, "H", "IN_SYNC", "x", "many")], COLUMNS)


def test_a_source_column_with_a_name_of_ours_is_refused() -> None:
    with pytest.raises(errors.Misconfigured, match="state"):
        parquet.write([], [("state", "NVARCHAR")])
