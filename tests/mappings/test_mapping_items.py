"""Whole rows: everything wrong is told at once, and what is right is told to the API in its own form."""

import dataclasses
from collections.abc import Mapping

import pytest

import mappings
from mappings import items
from schemas import orders
from schemas.base import Cell, ColumnValue
from schemas.mappings import ColumnType

MAPPING = mappings.load()
IDS = {column.title: column.id for column in MAPPING.board.columns}
SIZES = ("XS", "S", "M")
VALID: dict[str, Cell] = {
    "record_uuid": "6f1f2a34-0000-4000-8000-000000000001",
    "AAG ORDER NUMBER": "JOO-00505",
    "CUSTOMER NAME": "johnnie o",
    "CUSTOMER STYLE": "JWHD100120",
    "CUSTOMER COLOUR DESCRIPTION": "WHITE",
    "AAG SEASON": "2026 SPRING",
    "XS": 10,
    "M": "1,000",
    "TOTAL QTY": 1010,
}


def convert(changes: Mapping[str, Cell], **lengths: int | None) -> items.Conversion:
    row = VALID | dict(changes)
    return items.convert(row, size_columns=SIZES, mappings=MAPPING, target_lengths=lengths)


def test_a_valid_row_becomes_an_order() -> None:
    conversion = convert({"CUSTOMER PRICE": "$28.86", "ORDER TYPE": "active", "NOTES": "a\nb"})
    assert conversion.problems == ()
    assert conversion.order == orders.Order(
        customer="JOHNNIE O",
        group_name="JOHNNIE O 2026 SPRING",
        item_name="JWHD100120 WHITE JOO-00505",
        values={
            "AAG ORDER NUMBER": "JOO-00505",
            "CUSTOMER": "JOHNNIE O",
            "AAG SEASON": "2026 SPRING",
            "STYLE": "JWHD100120",
            "COLOR": "WHITE",
            "ORDER TYPE": "active",
            "ORDER STATUS": "RECEIVED",
            "NOTES": "a\nb",
            "CUSTOMER PRICE": "28.8600",
        },
        sizes={"XS": 10, "M": 1000},
    )


def test_every_problem_of_a_row_is_told_at_once() -> None:
    conversion = convert(
        {
            "record_uuid": None,
            "CUSTOMER NAME": "nan",
            "CUSTOMER STYLE": None,
            "FREIGHT": "FOB AIR 2.50 SEA",
            "DISCOUNT": "12,50",
            "EX FACTORY DATE": "TBC",
            "HANDLING": "x" * 256,
            "ORDER TYPE": "REBUY",
            "XS": -1,
            "S": "2.5",
        },
        HANDLING=255,
    )
    assert conversion.order is None
    assert {problem.column: problem.severity.value for problem in conversion.problems} == {
        "record_uuid": "ERROR",
        "CUSTOMER NAME": "ERROR",
        "CUSTOMER STYLE": "ERROR",
        "FREIGHT": "ERROR",
        "DISCOUNT": "ERROR",
        "EX FACTORY DATE": "ERROR",
        "HANDLING": "ERROR",
        "ORDER TYPE": "WARNING",
        "XS": "ERROR",
        "S": "ERROR",
    }
    assert all(problem.reason and problem.advice for problem in conversion.problems)
    (freight,) = [problem for problem in conversion.problems if problem.column == "FREIGHT"]
    assert str(freight).startswith("[FREIGHT] is 'FOB AIR 2.50 SEA': it is not a number. Write")


def test_a_source_column_that_feeds_two_board_columns_is_wrong_once() -> None:
    (freight,) = [column for column in MAPPING.board.columns if column.source == "FREIGHT"]
    twin = freight.model_copy(update={"id": "numeric_twin", "title": "TWIN", "staging": "TWIN"})
    board = MAPPING.board.model_copy(update={"columns": (*MAPPING.board.columns, twin)})
    wider = mappings.Mappings(board=board, customers=MAPPING.customers, rules=MAPPING.rules)
    row = VALID | {"FREIGHT": "by air"}
    conversion = items.convert(row, size_columns=SIZES, mappings=wider, target_lengths={})
    assert [problem.column for problem in conversion.problems] == ["FREIGHT"]


def test_a_problem_can_always_be_written_down() -> None:
    conversion = convert({"NOTES": "a\ud800b"})
    (problem,) = conversion.problems
    assert problem.value == "a\ufffdb"
    assert conversion.model_dump_json().encode()


def test_warnings_stay_with_the_order() -> None:
    conversion = convert({"ORDER TYPE": "REBUY", "TOTAL QTY": 7})
    assert conversion.order is not None
    assert conversion.order.warnings == conversion.problems
    assert [problem.column for problem in conversion.problems] == ["ORDER TYPE", "TOTAL QTY"]


def test_a_date_that_stands_for_none_is_left_out_with_a_warning() -> None:
    conversion = convert({"EX FACTORY DATE": "1900-01-01 00:00:00"})
    assert conversion.order is not None
    assert "CUSTOMER EX FACTORY DATE" not in conversion.order.values
    assert [(problem.column, problem.value) for problem in conversion.order.warnings] == [
        ("EX FACTORY DATE", "1900-01-01 00:00:00")
    ]


def test_the_error_of_a_spreadsheet_refuses_the_order_wherever_it_is_read() -> None:
    rule = MAPPING.board.item_name
    wider = mappings.Mappings(
        board=MAPPING.board.model_copy(update={"item_name": rule.model_copy(update={"parts": (*rule.parts, "NICK")})}),
        customers=MAPPING.customers,
        rules=MAPPING.rules,
    )
    columns = [
        "CUSTOMER NAME",
        "ORDER TYPE",
        "US TARIFF RATE",
        "NOTES",
        "CUSTOMER PRICE",
        "EX FACTORY DATE",
        "XS",
        "NICK",
    ]
    conversion = items.convert(
        VALID | dict.fromkeys(columns, "#N/A"), size_columns=SIZES, mappings=wider, target_lengths={}
    )
    assert conversion.order is None
    assert sorted(problem.column for problem in conversion.problems) == sorted(columns)
    assert {problem.reason for problem in conversion.problems} == {"it is the error of a spreadsheet"}
    assert items.convert(VALID, size_columns=SIZES, mappings=wider, target_lengths={}).order is not None


def test_invisible_characters_change_nothing() -> None:
    plain = convert({})
    hidden = {column: f"\u200b{cell}\ufeff" for column, cell in VALID.items() if isinstance(cell, str)}
    assert convert(hidden).order == plain.order
    assert items.is_excluded(dict.fromkeys(MAPPING.board.excluded.blank, "\u200b") | {"TOTAL QTY": "\u200b0"}, MAPPING)
    missing = convert({"CUSTOMER STYLE": "\u200b\u00a0"})
    assert [problem.column for problem in missing.problems] == ["CUSTOMER STYLE"]


def test_an_order_without_sizes_is_an_order() -> None:
    conversion = convert({"XS": 0, "M": None, "TOTAL QTY": 0})
    assert conversion.order is not None
    assert conversion.order.sizes == {}


@pytest.mark.parametrize(
    ("column", "staging", "staging_length", "longest"),
    [
        ("HANDLING", "HANDLING", 255, 255),
        ("HANDLING", "HANDLING", None, None),
        ("NOTES", "NOTES", None, 2000),
        ("NOTES", "NOTES", 500, 500),
        ("UNIT OF MEASURE", "UNIT OF MEASURE", 100, 30),
        ("CUSTOMER NAME", "CUSTOMER", 200, 200),
    ],
)
def test_length_against_the_smaller_of_staging_and_api(
    column: str, staging: str, staging_length: int | None, longest: int | None
) -> None:
    limit = longest or 10_000
    fits = convert({column: "é" * limit}, **{staging: staging_length})
    assert fits.order is not None
    if longest is not None:
        refused = convert({column: "😀" + "é" * (limit - 1)}, **{staging: staging_length})
        assert column in {problem.column for problem in refused.problems}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"CUSTOMER STYLE": "x" * 250}, "item name"),
        ({"AAG SEASON": "x" * 250}, "group name"),
    ],
)
def test_names_the_api_cannot_take(changes: dict[str, Cell], what: str) -> None:
    conversion = convert(changes)
    assert conversion.order is None
    assert [problem.column for problem in conversion.problems] == [what]


def test_names_that_staging_cannot_hold() -> None:
    assert [problem.column for problem in convert({}, Title=10, Group=10).problems] == ["item name", "group name"]


def test_what_the_api_is_told() -> None:
    order = convert(
        {
            "ORDER DATE PO RECEIVED": "05/20/2025",
            "UNIT OF MEASURE": "PCE",
            "NOTES": 'a "quoted"\nb\\c',
            "CUSTOMER PRICE": "28.86",
            "DISCOUNT": "-0.5",
            "FREIGHT": "100",
            "US DUTY": "0",
            "PO NUMBER": "null",
        }
    ).order
    assert order is not None
    expected: dict[str, ColumnValue] = {
        "AAG ORDER NUMBER": "JOO-00505",
        "CUSTOMER": {"labels": ["JOHNNIE O"]},
        "ORDER DATE PO RECEIVED": {"date": "2025-05-20"},
        "AAG SEASON": {"labels": ["2026 SPRING"]},
        "STYLE": {"labels": ["JWHD100120"]},
        "COLOR": {"labels": ["WHITE"]},
        "UNIT OF MEASURE": {"label": "PCE"},
        "NOTES": {"text": 'a "quoted"\nb\\c'},
        "CUSTOMER PRICE": "28.86",
        "DISCOUNT": "-0.5",
        "FREIGHT": "100",
        "US DUTY": "0",
    }
    told = items.board_columns(order.values, "uuid-1", MAPPING)
    assert told == {MAPPING.board.key.id: "uuid-1"} | {IDS[title]: value for title, value in expected.items()}


def test_staging_values_that_are_blank_are_not_told() -> None:
    assert items.board_columns({"NOTES": None, "PO NUMBER": "", "unknown": "x"}, "uuid-1", MAPPING) == {
        MAPPING.board.key.id: "uuid-1"
    }


def test_what_the_api_is_told_of_a_size() -> None:
    size, quantity = MAPPING.board.subitem.size.id, MAPPING.board.subitem.quantity.id
    assert items.subitem_columns("O/S", 0, MAPPING) == {size: {"labels": ["O/S"]}, quantity: "0"}
    assert items.subitem_columns("30", 1200, MAPPING) == {size: {"labels": ["30"]}, quantity: "1200"}
    assert items.subitem_name("{label}", MAPPING) == "Size {label}"


def test_two_mappings_are_kept_apart() -> None:
    other = MAPPING.board.model_copy(update={"columns": MAPPING.board.columns[:1]})
    smaller = mappings.Mappings(board=other, customers=MAPPING.customers, rules=MAPPING.rules)
    assert len(items.board_columns({"AAG ORDER NUMBER": "A", "STYLE": "B"}, "uuid-1", MAPPING)) == 3
    assert len(items.board_columns({"AAG ORDER NUMBER": "A", "STYLE": "B"}, "uuid-1", smaller)) == 2


def test_an_item_that_is_too_large_as_a_whole_is_refused_by_its_longest_text() -> None:
    named = MAPPING.board.item_name.parts
    plain = [one for one in MAPPING.board.columns if one.type is ColumnType.TEXT and one.source not in named]
    texts = {column.source: "é" * 900 for column in plain}
    small = MAPPING.board.model_copy(update={"limits": MAPPING.board.limits.model_copy(update={"item_bytes": 5_000})})
    mapping = dataclasses.replace(MAPPING, board=small)
    row = VALID | texts | {"NOTES": "é" * 1_500}
    converted = items.convert(row, size_columns=SIZES, mappings=mapping, target_lengths={})
    assert converted.order is None
    assert [problem.column for problem in converted.problems] == ["NOTES"]
    assert "5000" in converted.problems[0].reason
