"""The contract's value rules R001 to R097, each with our settled reading of it: see value_rules.yaml."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import mappings
from mappings import columns, items, sizes
from schemas import orders
from schemas.base import Cell, ColumnValue

HERE = Path(__file__).parent
CONTRACT = HERE.parents[2] / "shared" / "contract" / "value_rules.csv"
UUID = "6f1f2a34-0000-4000-8000-000000000001"
MAPPING = mappings.load()
IDS = {column.title: column.id for column in MAPPING.board.columns}
VALID: dict[str, Cell] = {
    "record_uuid": UUID,
    "AAG ORDER NUMBER": "JOO-00505",
    "CUSTOMER NAME": "JOHNNIE O",
    "CUSTOMER STYLE": "JWHD100120",
    "CUSTOMER COLOUR DESCRIPTION": "WHITE",
    "AAG SEASON": "2025 FALL",
    "CUSTOMER SEASON": "SPRING SUMMER 2026",
    "ORDER TYPE": "ACTIVE",
}


def table() -> list[tuple[str, str]]:
    with (HERE / "source_columns.csv").open(encoding="utf-8", newline="") as file:
        return [(row["name"], row["type"]) for row in csv.DictReader(file)]


def lengths() -> dict[str, int | None]:
    with (HERE / "staging_columns.csv").open(encoding="utf-8", newline="") as file:
        return columns.text_lengths([(row["name"], row["type"]) for row in csv.DictReader(file)])


SIZES = sizes.size_columns(table(), MAPPING.board.sizes)
LENGTHS = lengths()
CASES: list[list[Any]] = yaml.safe_load((HERE / "value_rules.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Outcome:
    """What became of one row."""

    given: dict[str, Cell]
    row: dict[str, Cell]
    conversion: items.Conversion

    @property
    def order(self) -> orders.Order:
        assert self.conversion.order is not None, [str(problem) for problem in self.conversion.problems]
        return self.conversion.order

    @property
    def told(self) -> dict[str, ColumnValue]:
        return items.board_columns(self.order.values, UUID, MAPPING)

    def problems(self, severity: orders.Severity) -> set[str]:
        return {problem.column for problem in self.conversion.problems if problem.severity is severity}


def convert(row: dict[str, Cell]) -> items.Conversion:
    return items.convert(row, size_columns=SIZES, mappings=MAPPING, target_lengths=LENGTHS)


def staged(outcome: Outcome, column: str, value: Cell) -> None:
    assert outcome.order.values[column] == value
    assert not outcome.conversion.problems


def blank(outcome: Outcome, column: str) -> None:
    assert column not in outcome.order.values
    assert IDS[column] not in outcome.told


def told(outcome: Outcome, column: str, payload: ColumnValue) -> None:
    assert outcome.told[IDS[column]] == expanded(payload)


def error(outcome: Outcome, column: str) -> None:
    assert outcome.conversion.order is None
    assert outcome.problems(orders.Severity.ERROR) == {column}


def warning(outcome: Outcome, column: str, also: list[Any]) -> None:
    assert outcome.problems(orders.Severity.WARNING) == {column}
    assert {problem.column for problem in outcome.order.warnings} == {column}
    EXPECTATIONS[also[0]](outcome, *also[1:])


def customer(outcome: Outcome, name: str) -> None:
    assert outcome.order.customer == outcome.order.values["CUSTOMER"] == name


def group(outcome: Outcome, name: str) -> None:
    assert outcome.order.group_name == name


def item(outcome: Outcome, name: str) -> None:
    # Of the row, not of the order: a part that is blank also refuses the order.
    assert items.item_name(outcome.row, MAPPING) == name


def subitem(outcome: Outcome, label: str, name: str) -> None:
    assert items.subitem_name(label, MAPPING) == name


def melted(outcome: Outcome, quantities: dict[str, int] | None = None) -> None:
    assert outcome.order.sizes == (quantities or {})


def size(outcome: Outcome, label: str, expected: bool) -> None:
    assert (label in SIZES) is expected
    assert (label in outcome.order.sizes) is expected


def never_read(outcome: Outcome, column: str) -> None:
    assert column not in columns.watched(MAPPING, SIZES)
    assert outcome.order == convert(VALID).order


def same_name_own_key(outcome: Outcome) -> None:
    twin = convert(outcome.row | {"record_uuid": "another", "PO NUMBER": "4755"}).order
    assert twin is not None
    assert twin.item_name == outcome.order.item_name
    key = MAPPING.board.key.id
    assert outcome.told[key] == UUID
    assert items.board_columns(twin.values, "another", MAPPING)[key] == "another"


def excluded(outcome: Outcome, expected: bool) -> None:
    assert items.is_excluded(outcome.given, MAPPING) is expected


EXPECTATIONS: dict[str, Callable[..., None]] = {
    check.__name__: check
    for check in (staged, blank, told, error, warning, customer, group, item, subitem, melted, size)
} | {check.__name__: check for check in (never_read, same_name_own_key, excluded)}


def expanded(cell: Any) -> Any:
    """["x", 3] as "xxx", also inside an object."""
    if isinstance(cell, dict):
        return {key: expanded(value) for key, value in cell.items()}
    return cell[0] * cell[1] if isinstance(cell, list) and len(cell) == 2 else cell


@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]}-{case[2]}" for case in CASES])
def test_rule(case: list[Any]) -> None:
    _, cells, expectation, *arguments = case
    given = expanded(cells)
    row: dict[str, Cell] = {column: cell for column, cell in (VALID | given).items() if cell is not None}
    EXPECTATIONS[expectation](Outcome(given=given, row=row, conversion=convert(row)), *arguments)


def test_every_rule_is_covered() -> None:
    assert {case[0] for case in CASES} == {f"R{number:03}" for number in range(1, 98)}


def test_no_rule_of_the_contract_is_missing() -> None:
    if not CONTRACT.exists():
        pytest.skip("the contract's value_rules.csv is not beside this checkout")
    with CONTRACT.open(encoding="utf-8", newline="") as file:
        assert {row["rule_id"] for row in csv.DictReader(file)} <= {case[0] for case in CASES}
