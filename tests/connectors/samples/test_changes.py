"""The demo's changes: every kind does to its order what it says."""

import itertools
import uuid

import pytest

from connectors import samples
from connectors.samples import catalogue, cells
from connectors.samples import changes as sample_changes
from mappings import columns, loading
from tests.support.sample_orders import COLUMNS, SIZES, convert, order, quantities, some, verdict

BAD = len(catalogue.load().flaws)

Kind = sample_changes.Kind
Operation = sample_changes.Operation


@pytest.fixture(scope="module")
def table() -> dict[str, cells.Row]:
    return {sample.record_uuid: sample.row for sample in some(seed=11, orders=600, bad=BAD)}


@pytest.fixture(scope="module")
def day() -> list[sample_changes.SourceChange]:
    rows = some(seed=11, orders=600, bad=BAD)
    return sample_changes.script(rows, seed=11, size_columns=SIZES)


def changed(
    day: list[sample_changes.SourceChange], table: dict[str, cells.Row], kind: Kind
) -> list[tuple[cells.Row, cells.Row]]:
    """Each order of this kind before and after."""
    found = [change for change in day if change.kind is kind]
    assert found
    before = [named(table, change) for change in found]
    return [(row, row | change.cells) for row, change in zip(before, found, strict=True)]


def named(table: dict[str, cells.Row], change: sample_changes.SourceChange) -> cells.Row:
    """The row that a change names."""
    assert change.record_uuid is not None
    return table[change.record_uuid]


def test_the_day_has_every_kind_of_change_and_each_an_order_of_its_own(
    day: list[sample_changes.SourceChange], table: dict[str, cells.Row]
) -> None:
    assert {change.kind for change in day} == set(Kind)
    touched = [change.record_uuid for change in day if change.record_uuid]
    assert len(set(touched)) == len(touched)
    assert all(change.effect for change in day)
    assert all(verdict(table[one]) is samples.Expected.VALID for one in touched if one in table)


def test_updates_change_what_they_name_and_nothing_that_is_not_a_column(
    day: list[sample_changes.SourceChange], table: dict[str, cells.Row]
) -> None:
    for change in day:
        match change.operation:
            case Operation.UPDATE:
                before = named(table, change)
                assert change.cells.keys() <= set(COLUMNS)
                assert all(before[column] != cell for column, cell in change.cells.items() if column != "TOTAL QTY")
            case Operation.INSERT:
                assert tuple(change.cells) == COLUMNS
                assert change.cells["record_uuid"] == change.record_uuid
            case Operation.DELETE:
                assert change.record_uuid in table
                assert change.cells == {}


def test_quantities_go_up_down_to_zero_and_to_a_new_size(
    day: list[sample_changes.SourceChange], table: dict[str, cells.Row]
) -> None:
    def moves(kind: Kind) -> list[tuple[int, int]]:
        found = []
        for before, after in changed(day, table, kind):
            assert after["TOTAL QTY"] == sum(quantities(after).values())
            assert convert(after).order
            (label,) = (label for label in SIZES if before[label] != after[label])
            was, becomes = before[label] or 0, after[label]
            assert isinstance(was, int)
            assert isinstance(becomes, int)
            found.append((was, becomes))
        return found

    assert all(0 < before < after for before, after in moves(Kind.QUANTITY_UP))
    assert all(before > after > 0 for before, after in moves(Kind.QUANTITY_DOWN))
    assert all(before > 0 == after for before, after in moves(Kind.QUANTITY_ZERO))
    assert all(before == 0 < after for before, after in moves(Kind.NEW_SIZE))


def test_a_new_season_moves_the_order_to_another_group(
    day: list[sample_changes.SourceChange], table: dict[str, cells.Row]
) -> None:
    for before, after in changed(day, table, Kind.NEW_SEASON):
        assert order(before).group_name == "GREYSON CLOTHIERS 2025 FALL"
        assert order(after).group_name == "GREYSON CLOTHIERS 2026 FALL"


def test_a_cancelled_order_keeps_its_quantities(
    day: list[sample_changes.SourceChange], table: dict[str, cells.Row]
) -> None:
    for before, after in changed(day, table, Kind.CANCELLED):
        assert order(before).values["ORDER STATUS"] == "RECEIVED"
        assert order(after).values["ORDER STATUS"] == "CANCELLED"
        assert order(after).sizes == order(before).sizes


def test_a_bad_price_makes_its_order_bad(day: list[sample_changes.SourceChange], table: dict[str, cells.Row]) -> None:
    assert all(verdict(after) is samples.Expected.BAD for _, after in changed(day, table, Kind.BAD_PRICE))


def test_an_unwatched_edit_touches_no_watched_column(
    day: list[sample_changes.SourceChange], table: dict[str, cells.Row]
) -> None:
    watched = set(columns.watched(loading.load(), SIZES))

    for change in (change for change in day if change.kind is Kind.UNWATCHED):
        assert change.cells
        assert not change.cells.keys() & watched


def test_inserted_rows_are_new_orders_or_have_no_identity_of_their_own(
    day: list[sample_changes.SourceChange], table: dict[str, cells.Row]
) -> None:
    numbers = {row["AAG ORDER NUMBER"] for row in table.values()}

    for change in (change for change in day if change.operation is Operation.INSERT):
        assert convert(change.cells | {"record_uuid": str(uuid.uuid4())}).order
        assert change.cells["AAG ORDER NUMBER"] not in numbers
        match change.kind:
            case Kind.NEW_ORDER:
                assert change.record_uuid not in table
                assert verdict(change.cells) is samples.Expected.VALID
            case Kind.MISSING_UUID:
                assert change.record_uuid is None
            case Kind.DUPLICATE_UUID:
                assert change.record_uuid in table
            case other:
                pytest.fail(f"{other} inserts a row")


def test_one_seed_makes_one_day_and_greysons_orders_are_enough() -> None:
    rows = some(seed=4, orders=69)

    first = sample_changes.script(rows, seed=4, size_columns=SIZES)
    assert first == sample_changes.script(rows, seed=4, size_columns=SIZES)
    assert first != sample_changes.script(rows, seed=5, size_columns=SIZES)
    assert {change.kind for change in first} == set(Kind)


def test_too_few_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="too few sample orders"):
        sample_changes.script(some(orders=69)[:10], seed=1, size_columns=SIZES)


def test_the_script_does_not_read_a_whole_table() -> None:
    read = itertools.count()
    rows = samples.generate(seed=1, orders=5_000, columns=COLUMNS, size_columns=SIZES)

    sample_changes.script((row for row in rows if next(read) >= 0), seed=1, size_columns=SIZES)

    assert next(read) <= 2_000
