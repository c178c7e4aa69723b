"""Sample orders: the promises that the demo, other tests and the benchmarks stand on."""

import collections
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
import tracemalloc

import pytest

from connectors import samples
from connectors.samples import catalogue
from tests.support.sample_orders import COLUMNS, SIZES, SOURCE, convert, order, quantities, some, verdict

BAD = 2 * len(catalogue.load().flaws)
GREYSON = ("GREYSON CLOTHIERS", "4755")


def digest(rows: list[samples.SampleRow]) -> str:
    text = json.dumps([[list(sample.row.items()), sample.expected, sample.why] for sample in rows])
    return hashlib.sha256(text.encode()).hexdigest()


# --- what always holds


@pytest.mark.parametrize("seed", [0, 1, 42, 2026])
def test_greyson_po_4755_has_69_orders_and_264_sizes(seed: int) -> None:
    rows = [sample for sample in some(seed) if (sample.row["CUSTOMER NAME"], sample.row["PO NUMBER"]) == GREYSON]

    assert len(rows) == 69
    assert sum(len(quantities(sample.row)) for sample in rows) == 264
    assert all(quantities(sample.row) for sample in rows)
    assert {sample.row["CUSTOMER SEASON"] for sample in rows} == {None}
    assert {sample.row["AAG SEASON"] for sample in rows} == {"2025 FALL"}
    assert {order(sample.row).group_name for sample in rows} == {"GREYSON CLOTHIERS 2025 FALL"}
    assert {sample.expected for sample in rows} == {samples.Expected.VALID}


@pytest.mark.parametrize("seed", range(5))
def test_the_first_two_rows_share_an_item_name(seed: int) -> None:
    first, second = some(seed, orders=69)[:2]

    assert order(first.row).item_name == order(second.row).item_name
    assert first.record_uuid != second.record_uuid


def test_a_row_has_every_column_of_the_table_in_its_order() -> None:
    assert len(COLUMNS) == 268
    assert len(SIZES) == 161
    assert all(tuple(sample.row) == COLUMNS for sample in some(bad=BAD))


def test_integers_stand_in_integer_columns_and_text_in_the_others() -> None:
    integer = {column.name for column in SOURCE.columns if column.base == "INT"}

    for sample in some(bad=BAD):
        for column, cell in sample.row.items():
            assert cell is None or isinstance(cell, int) == (column in integer), column


def test_orders_counts_all_but_the_bad_rows() -> None:
    rows = some(orders=200, bad=5)

    assert [sample.expected is samples.Expected.BAD for sample in rows] == [False] * 200 + [True] * 5


# --- one seed, one table


@pytest.mark.processes
def test_one_seed_makes_the_same_bytes_in_another_process() -> None:
    here = pathlib.Path(__file__)
    other = subprocess.run(
        [sys.executable, "-c", f"import {here.stem} as test; print(test.digest(test.some(3, 300, 30)))"],
        env={**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": str(here.parent)},
        cwd=here.parents[3],
        capture_output=True,
        text=True,
        check=True,
    )

    assert other.stdout.strip() == digest(some(3, 300, 30))


def test_another_seed_makes_other_rows_of_the_same_goods() -> None:
    one, other = some(1), some(2)

    assert not {sample.record_uuid for sample in one} & {sample.record_uuid for sample in other}
    assert digest(one) != digest(other)


def test_a_longer_run_begins_with_the_shorter_one_and_bad_rows_change_none() -> None:
    longer = some(orders=500, bad=3)

    assert digest(longer[:300]) == digest(some(orders=300))
    assert digest(longer[:500]) == digest(some(orders=500))


# --- what must become of them


def test_the_mapping_agrees_with_what_is_expected_of_every_row() -> None:
    for sample in some(seed=5, orders=2_500, bad=BAD):
        assert verdict(sample.row) is sample.expected, (sample.row, sample.why)


def test_a_bad_row_has_its_one_flaw_and_no_other() -> None:
    bad = [sample for sample in some(orders=69, bad=BAD) if sample.expected is samples.Expected.BAD]

    assert len({sample.why for sample in bad}) == len(catalogue.load().flaws) >= 10
    for sample in bad:
        errors = [problem for problem in convert(sample.row).problems if problem.severity == "ERROR"]
        assert [f"[{problem.column}]" for problem in errors] == [sample.why.partition("]")[0] + "]"]


def test_the_bad_freight_is_title_nines() -> None:
    freight = next(sample for sample in some(orders=69, bad=BAD) if sample.why.startswith("[FREIGHT]"))

    assert str(freight.row["CUSTOMER NAME"]).strip().upper() in {"TITLE 9", "TITLE NINE"}
    assert freight.row["FREIGHT"] == "FOB AIR 2.50 SEA"


# --- refusals and costs


def test_fewer_orders_than_greysons_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="at least 69 orders"):
        samples.generate(seed=1, orders=68, columns=COLUMNS, size_columns=SIZES)


@pytest.mark.parametrize("missing", ["CUSTOMER STYLE", "NOTES"])
def test_a_table_without_a_column_is_refused_with_its_name(missing: str) -> None:
    columns = [column for column in COLUMNS if column != missing]

    with pytest.raises(ValueError, match=missing):
        list(samples.generate(seed=1, orders=300, columns=columns, size_columns=SIZES))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_rows() -> None:
    def peak(orders: int) -> int:
        tracemalloc.start()
        try:
            collections.deque(samples.generate(seed=1, orders=orders, columns=COLUMNS, size_columns=SIZES), maxlen=0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(69)  # the catalogue is read once
    assert peak(3_000) < 1.5 * peak(300)


def test_a_hundred_thousand_rows_take_less_than_twelve_seconds() -> None:
    def spent() -> float:
        begun = time.process_time()
        some(orders=2_000)
        return time.process_time() - begun

    assert min(spent() for _ in range(3)) < 12 * 2_000 / 100_000
