"""The mapping against table, staging and board: all disagreements at once, in words."""

import csv
from pathlib import Path
from typing import TypeVar

import pytest

import mappings
from mappings import checks, columns, sizes
from schemas import mappings as shapes

Row = TypeVar("Row", tuple[str, str], tuple[str, str, str])
HERE = Path(__file__).parent
MAPPING = mappings.load()


def read(name: str) -> list[tuple[str, ...]]:
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


SOURCE = [(name, sql_type) for name, sql_type in read("source_columns.csv")]
STAGING = [(name, sql_type) for name, sql_type in read("staging_columns.csv")]
SUBITEMS = [(column, title, kind) for column, title, kind in read("subitem_columns.csv")]
KEY = MAPPING.board.key
BOARD = [(column, title, kind) for column, title, kind in read("board_columns.csv")]
READY = [*BOARD, (KEY.id, KEY.title, "text")]


def check(
    source: list[tuple[str, str]] = SOURCE,
    staging: list[tuple[str, str]] = STAGING,
    board: list[tuple[str, str, str]] | None = READY,
    subitems: list[tuple[str, str, str]] | None = SUBITEMS,
    mapping: mappings.Mappings = MAPPING,
) -> list[str]:
    return checks.check(
        mapping, table_columns=source, staging_columns=staging, board_columns=board, subitem_columns=subitems
    )


def replaced(rows: list[Row], key: str, row: Row) -> list[Row]:
    assert any(old[0] == key for old in rows)
    return [row if old[0] == key else old for old in rows]


def without(rows: list[Row], *keys: str) -> list[Row]:
    return [row for row in rows if row[0] not in keys]


def test_the_bundled_mapping_fits_the_contract() -> None:
    assert check() == []


def test_a_board_that_was_not_asked_is_not_judged() -> None:
    assert check(board=None, subitems=None) == []


def test_every_settable_column_with_a_source_is_mapped() -> None:
    left_to_others = {
        "Name", "matchAlias", "FCST QTY", "FCST CONSUMED QTY", "ADD TO PLANNING",
        "PPS CMT DUE", "PPS CMT RCV", "PPS STATUS",
    }  # fmt: skip
    kinds = {kind.value for kind in shapes.ColumnType}
    settable = {title for _, title, kind in BOARD if kind in kinds} - left_to_others
    assert settable == {column.title for column in MAPPING.board.columns}


def test_everything_is_told_at_once() -> None:
    found = check(
        source=without(SOURCE, "FREIGHT", "record_uuid"),
        staging=without(replaced(STAGING, "CUSTOMER PRICE", ("CUSTOMER PRICE", "DECIMAL(18,2)")), "Title", "DROP"),
        board=replaced(without(BOARD, "text_mkr5ej2x"), "date_mkr5zp5", ("date_mkr5zp5", "RECEIVED", "mirror")),
        subitems=without(SUBITEMS, "dropdown_mkrak7qp"),
    )
    text = "\n".join(found)
    for words in (
        "source table has no column [FREIGHT]",
        "source table has no column [record_uuid]",
        "staging table has no column [Title]",
        "staging table has no column [DROP]",
        "[CUSTOMER PRICE] is DECIMAL(18,2)",
        "run `ordersync setup`",
        "has no column 'text_mkr5ej2x' for [PO NUMBER]",
        "is called [RECEIVED]",
        "read-only mirror",
        "subitem board 9200771505 has no column 'dropdown_mkrak7qp'",
    ):
        assert words in text
    assert len(found) == 10


@pytest.mark.parametrize(
    ("board", "words"),
    [
        (replaced(READY, "numeric_mkr5cact", ("numeric_mkr5cact", "CUSTOMER PRICE", "text")), "of type text"),
        (replaced(READY, "numeric_mkr5cact", ("numeric_mkr5cact", "CUSTOMER PRICE", "formula")), "read-only"),
        (replaced(READY, "numeric_mkr5cact", ("other", "CUSTOMER PRICE", "numbers")), "[CUSTOMER PRICE] is 'other'"),
        (replaced(READY, KEY.id, (KEY.id, KEY.title, "numbers")), "of type numbers"),
    ],
)
def test_a_board_column_that_is_another(board: list[tuple[str, str, str]], words: str) -> None:
    (found,) = check(board=board)
    assert words in found


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (without(SOURCE, "TOTAL QTY"), "no column [TOTAL QTY]"),
        (without(SOURCE, "UNIT OF MEASURE"), "no column [UNIT OF MEASURE]"),
        ([row for row in SOURCE if row[1] != "INT" or "TOTAL" in row[0]], "no integer column"),
        (replaced(SOURCE, "EX FACTORY DATE", ("EX FACTORY DATE", "INT")), "[CUSTOMER EX FACTORY DATE] takes date"),
        (replaced(SOURCE, "FREIGHT", ("FREIGHT", "DATETIME2")), "[FREIGHT] takes numbers"),
        ([*SOURCE[:60], ("NOTES", "INT"), *without(SOURCE[60:], "NOTES")], "[NOTES] is a size"),
    ],
)
def test_a_source_column_that_does_not_fit(source: list[tuple[str, str]], words: str) -> None:
    (found,) = check(source=source)
    assert words in found


@pytest.mark.parametrize(
    ("name", "sql_type", "fits"),
    [
        ("FREIGHT", "TEXT", True),
        ("FREIGHT", "NUMERIC(18, 4)", True),
        ("FREIGHT", "FLOAT", False),
        ("FREIGHT", "DECIMAL", False),
        ("NOTES", "nvarchar(max)", True),
        ("NOTES", "INT", False),
        ("CUSTOMER EX FACTORY DATE", "TEXT", True),
        ("CUSTOMER EX FACTORY DATE", "DECIMAL(18,4)", False),
    ],
)
def test_staging_types_keep_values_whole(name: str, sql_type: str, fits: bool) -> None:
    assert (check(staging=replaced(STAGING, name, (name, sql_type))) == []) is fits


def test_watched_columns_follow_the_table() -> None:
    labels = sizes.size_columns(SOURCE, MAPPING.board.sizes)
    watched = columns.watched(MAPPING, labels)
    assert watched == tuple(name for name, _ in SOURCE if name in set(watched))
    assert len(watched) == len(labels) + 45  # 44 mapped source columns and the total
    assert {"CUSTOMER SEASON", "AAG SEASON", "CUSTOMER NAME", "TOTAL QTY", "PLANNED DELIVERY METHOD"} < set(watched)
    assert not {"record_uuid", "ACTIVE", "INFOR COLOUR CODE"} & set(watched)


def test_what_only_a_rule_reads_is_watched_too() -> None:
    board = MAPPING.board.model_copy(update={"columns": MAPPING.board.columns[:1]})
    smaller = mappings.Mappings(board=board, customers=MAPPING.customers, rules=MAPPING.rules)
    watched = columns.watched(smaller, ("XS",))
    assert watched[:3] == ("AAG ORDER NUMBER", "XS", "TOTAL QTY")
    assert {*board.item_name.parts, *board.group.seasons, *board.excluded.blank} <= set(watched)
    assert len(watched) == len(set(watched))


def test_the_smaller_of_the_live_length_and_ours_holds() -> None:
    live = [("A", "TEXT"), ("B", "NVARCHAR(50)"), ("C", "NVARCHAR(500)"), ("D", "TEXT"), ("E", "NVARCHAR(9)")]
    lengths = columns.text_lengths(live, {"A": 200, "B": 200, "C": 200, "D": None})
    assert lengths == {"A": 200, "B": 50, "C": 200, "D": None, "E": 9}


def test_text_lengths() -> None:
    lengths = columns.text_lengths([("A", "NVARCHAR(200)"), ("B", "nvarchar ( 50 )"), ("C", "NVARCHAR(MAX)")])
    assert lengths == {"A": 200, "B": 50, "C": None}
    assert columns.text_length("DECIMAL(18,4)") is None
    assert columns.text_length("VARCHAR(8)") == 8


def test_columns_that_people_own() -> None:
    assert columns.owned_by_people(MAPPING) == frozenset()
    first = MAPPING.board.columns[0].model_copy(update={"owner": shapes.Owner.PEOPLE})
    board = MAPPING.board.model_copy(update={"columns": (first, *MAPPING.board.columns[1:])})
    shared = mappings.Mappings(board=board, customers=MAPPING.customers, rules=MAPPING.rules)
    assert columns.owned_by_people(shared) == {first.id}
