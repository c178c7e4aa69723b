"""The canonical text: no two different rows share one, and no row has two."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from mappings import hashing
from schemas.base import Cell
from tests.support.hashed import ROWS


def test_no_two_of_these_rows_share_a_text_or_a_hash() -> None:
    seen: dict[str, tuple[Cell, ...]] = {}
    for row in ROWS:
        row_hash = hashing.text_hash(hashing.canonical_text(row))
        assert row_hash not in seen, f"{row!r} is taken for {seen[row_hash]!r}"
        seen[row_hash] = row
    assert len(seen) == len(ROWS)


def test_the_first_and_the_last_of_161_sizes_both_count() -> None:
    blank: list[Cell] = [None] * 161
    texts = {hashing.canonical_text(cells) for cells in (blank, [1, *blank[1:]], [*blank[:-1], 1], [*blank, 1])}
    assert len(texts) == 4


CELLS = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(CELLS, max_size=8))
def test_a_text_holds_its_cells_and_nothing_else(row: list[Cell]) -> None:
    text = hashing.canonical_text(row)
    assert hashing.cells(text) == row
    assert [type(cell) for cell in hashing.cells(text)] == [type(cell) for cell in row]


@given(st.lists(CELLS, max_size=4), st.lists(CELLS, max_size=4))
def test_equal_texts_come_from_equal_rows_only(one: list[Cell], other: list[Cell]) -> None:
    same = [(type(cell), cell) for cell in one] == [(type(cell), cell) for cell in other]
    assert (hashing.canonical_text(one) == hashing.canonical_text(other)) == same


def test_a_text_is_compact_json_and_its_hash_is_sha256_of_its_utf8() -> None:
    text = hashing.canonical_text([None, "a\tb", "\N{SPOOL OF THREAD}", 7])
    assert text == '[null,"a\\tb","\N{SPOOL OF THREAD}",7]'
    assert hashing.text_hash(text) == hashlib.sha256(text.encode("utf-8")).hexdigest().upper()
    # What sha256sum says of the two bytes "[]": hashes are stored, so they may never change.
    assert hashing.text_hash("[]") == "4F53CDA18C2BAA0C0354BB5F9A3ECBE5ED12AB4D8E11BA873C2F11161202B945"
