"""The label policy: dropdown labels may be made while there is room, status labels never."""

from collections.abc import Collection

import pytest

import mappings
from mappings import labels
from schemas.base import ColumnValue

MAPPING = mappings.load()
IDS = {column.title: column.id for column in MAPPING.board.columns}
STYLE, UNIT, SIZE = IDS["STYLE"], IDS["UNIT OF MEASURE"], MAPPING.board.subitem.size.id
FULL = frozenset(str(number) for number in range(MAPPING.board.limits.dropdown_labels))
FORTY = frozenset(f"label {number}" for number in range(MAPPING.board.limits.status_labels))


def check(columns: dict[str, ColumnValue], known: dict[str, Collection[str]]) -> labels.LabelCheck:
    return labels.check(columns, known, MAPPING)


def test_known_labels_and_other_columns_need_nothing() -> None:
    columns = {STYLE: {"labels": ["A"]}, UNIT: {"label": "PCE"}, IDS["PO NUMBER"]: "4755", "name": "x"}
    assert check(columns, {STYLE: ["A"], UNIT: ["PCE"]}) == labels.LabelCheck()


def test_clearing_needs_no_label() -> None:
    assert check({STYLE: None, UNIT: None}, {}) == labels.LabelCheck()


@pytest.mark.parametrize("column", [STYLE, SIZE])
def test_a_new_dropdown_label_is_made(column: str) -> None:
    assert check({column: {"labels": ["B"]}}, {column: ["A"]}) == labels.LabelCheck(creates=True)
    assert check({column: {"labels": ["B"]}}, {}) == labels.LabelCheck(creates=True)


def test_labels_differ_by_case() -> None:
    assert check({STYLE: {"labels": ["os"]}}, {STYLE: ["OS"]}).creates


def test_an_unknown_status_label_is_refused_by_its_source_column() -> None:
    found = check({UNIT: {"label": "BOX"}, STYLE: {"labels": ["B"]}}, {UNIT: ["PCE"]})
    (problem,) = found.problems
    assert (problem.column, problem.value) == ("UNIT OF MEASURE", "BOX")
    assert "Add it on the board" in problem.advice
    # The switch is per mutation: that another column may create is exactly why this one is checked.
    assert found.creates


def test_a_status_column_that_is_full_says_so() -> None:
    (problem,) = check({UNIT: {"label": "BOX"}}, {UNIT: FORTY}).problems
    assert "40" in problem.advice


@pytest.mark.parametrize("known", [(), ("12",)])
def test_a_status_label_of_digits_would_be_taken_for_an_id(known: Collection[str]) -> None:
    (problem,) = check({UNIT: {"label": "12"}}, {UNIT: known}).problems
    assert "id" in problem.reason


@pytest.mark.parametrize("column", [STYLE, SIZE])
def test_label_501(column: str) -> None:
    found = check({column: {"labels": ["one more"]}}, {column: FULL})
    assert not found.creates
    assert "500" in found.problems[0].reason
    assert check({column: {"labels": ["499"]}}, {column: FULL}) == labels.LabelCheck()
    assert check({column: {"labels": ["one more"]}}, {column: FULL - {"499"}}).creates


def test_two_new_labels_need_room_for_two() -> None:
    found = check({STYLE: {"labels": ["a", "b"]}}, {STYLE: FULL - {"499"}})
    assert len(found.problems) == 2


def test_the_limit_is_a_setting_of_the_mapping() -> None:
    limits = MAPPING.board.limits.model_copy(update={"dropdown_labels": 1000})
    roomier = mappings.Mappings(
        board=MAPPING.board.model_copy(update={"limits": limits}),
        customers=MAPPING.customers,
        rules=MAPPING.rules,
    )
    assert labels.check({STYLE: {"labels": ["one more"]}}, {STYLE: FULL}, roomier).creates
