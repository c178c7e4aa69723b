"""Reads and validates the mapping data as a whole: either all of it is valid, or the error lists every mistake."""

import functools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pydantic

from mappings import customers, reading, values
from schemas import mappings as shapes

BUNDLED = Path(__file__).parent
_BLANK, _CURRENCY = "blank", "currency"
_SPREADSHEET_ERROR, _SUSPICIOUS_DATE = "spreadsheet error", "suspicious date"
_PLAIN = (_BLANK, _CURRENCY, _SPREADSHEET_ERROR, _SUSPICIOUS_DATE)  # lists that only name values


@dataclass(frozen=True, eq=False)  # compared and hashed by identity, so that functions can cache by mapping
class Mappings:
    """The whole mapping. It is loaded once, shared, and never changes."""

    board: shapes.BoardMapping
    customers: customers.Customers
    rules: shapes.ValueRules


def load(folder: Path | None = None) -> Mappings:
    """The mapping in `folder` (board.yaml, customers.csv, values.csv), or the bundled one, read once.

    Raises MappingError with every mistake of all three files: file, line, key and advice.
    """
    return _bundled() if folder is None else read(folder)


@functools.cache
def _bundled() -> Mappings:
    return read(BUNDLED)


def read(folder: Path) -> Mappings:
    """The mapping in `folder` as its files are now. Raises MappingError with every mistake of all three files."""
    board_file = reading.read_yaml(folder / "board.yaml")
    customer_file = reading.read_csv(folder / "customers.csv", ("alias", "canonical"))
    value_file = reading.read_csv(folder / "values.csv", ("list", "value", "becomes"))

    rules = _rules(value_file)
    for line, mistake in customers.mistakes(customer_file.data):
        customer_file.blame_line(line, mistake)
    board = _board(board_file)
    if value_file.data:
        _check_maps(board_file, value_file, rules)

    mistakes = [*board_file.mistakes, *customer_file.mistakes, *value_file.mistakes]
    if mistakes or board is None:
        raise shapes.MappingError(mistakes)
    pairs = [(alias, canonical) for _, alias, canonical in customer_file.data]
    return Mappings(board=board, customers=customers.Customers.of(pairs, rules), rules=rules)


def _rules(document: reading.Document) -> shapes.ValueRules:
    lists: dict[str, dict[str, str]] = {name: {} for name in _PLAIN}
    for line, name, value, becomes in document.data:
        known = lists.setdefault(name, {})
        is_plain = name in _PLAIN
        if not name or not value:
            mistake = "a list and a value are both needed: fill in the blank one or remove the line"
        elif is_plain and becomes:
            mistake = f"the list {name!r} only names values: leave the third cell blank"
        elif not is_plain and not becomes:
            mistake = f"{value!r} becomes nothing: write what it becomes"
        elif name == _SUSPICIOUS_DATE and not _is_date(value):
            mistake = f"{value!r} is not a date: write it as YYYY-MM-DD"
        elif name == _SPREADSHEET_ERROR and not value.startswith("#"):
            mistake = f"{value!r} does not begin with #, as the errors of spreadsheets do: is it a blank?"
        elif _as_matched(name, value) in known:
            mistake = f"{value!r} is in the list {name!r} already: remove one of the two"
        else:
            known[_as_matched(name, value)] = becomes
            continue
        document.blame_line(line, mistake)
    plain = {name: lists.pop(name) for name in _PLAIN}
    return shapes.ValueRules(
        blank=frozenset(plain[_BLANK]),
        currency=tuple(plain[_CURRENCY]),
        spreadsheet_errors=frozenset(plain[_SPREADSHEET_ERROR]),
        suspicious_dates=frozenset(plain[_SUSPICIOUS_DATE]),
        maps=lists,
    )


def _as_matched(name: str, value: str) -> str:
    if name in (_CURRENCY, _SUSPICIOUS_DATE):
        return value
    return value.casefold() if name in (_BLANK, _SPREADSHEET_ERROR) else values.key(value)


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _board(document: reading.Document) -> shapes.BoardMapping | None:
    if document.data is None:
        return None
    for location, mistake in _clashes(document.data):
        document.blame(location, mistake)
    try:
        # Through JSON: only there does strict validation take a list for a tuple and a word for an enum.
        return shapes.BoardMapping.model_validate_json(json.dumps(document.data))
    except pydantic.ValidationError as errors:
        for error in errors.errors(include_url=False):
            document.blame(error["loc"], _mistake(error["type"], error["msg"], error["input"]))
        return None


def _mistake(kind: str, message: str, given: Any) -> str:
    if kind == "missing":
        return "this key is missing: add it"
    if kind == "extra_forbidden":
        return "this key is not known: correct its spelling or remove it"
    if kind == "string_type" and isinstance(given, int | float) and not math.isnan(given):
        return f"{given} is not text: put it in double quotes"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return f"{given!r} does not fit: {message[:1].lower()}{message[1:]}"


def _dicts(data: Any, *path: str) -> Iterator[tuple[reading.Location, dict[str, Any]]]:
    """Every dict in the list at `path`, or the dict at `path`; the schema reports any other shape."""
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    if isinstance(data, dict):
        yield path, data
    elif isinstance(data, list):
        for index, entry in enumerate(data):
            if isinstance(entry, dict):
                yield (*path, index), entry


def _clashes(data: Any) -> Iterator[tuple[reading.Location, str]]:
    """Mistakes between several parts, which the schema cannot see. It accepts valid and invalid data."""
    on_board = [*_dicts(data, "key"), *_dicts(data, "columns")]
    on_subitems = [*_dicts(data, "subitem", "size"), *_dicts(data, "subitem", "quantity")]
    staged = [*_dicts(data, "item_name"), *_dicts(data, "group"), *_dicts(data, "columns")]
    for entries, name, title in (
        (on_board, "id", "the column id"),
        (on_board, "title", "the title"),
        (on_subitems, "id", "the subitem column id"),
        (staged, "staging", "the staging column"),
    ):
        first: dict[str, reading.Location] = {}
        for location, entry in entries:
            value = entry.get(name)
            if isinstance(value, str) and first.setdefault(value, location) != location:
                used = reading.dotted(first[value])
                yield (*location, name), f"{title} {value!r} is used by {used} already: give each its own"
    for location, entry in on_board:
        if entry.get("id") == "name":
            yield (*location, "id"), 'the item\'s name comes from "item_name": remove this column'
    columns = list(_dicts(data, "columns"))
    customer_columns = [location for location, entry in columns if entry.get("transform") == "customer"]
    if columns and not customer_columns:
        yield ("columns",), 'no column holds the customer: add "transform": "customer" to one'
    for location in customer_columns[1:]:
        yield (*location, "transform"), "only one column can be the customer: remove this one"
    for location, sizes in _dicts(data, "sizes"):
        if sizes.get("after") is not None and sizes.get("after") == sizes.get("before"):
            yield location, "both markers are the same column, so no size is between them: name two columns"


def _check_maps(board: reading.Document, value_file: reading.Document, rules: shapes.ValueRules) -> None:
    used = set(_PLAIN)
    for location, column in _dicts(board.data, "columns"):
        value_map = column.get("map")
        name = value_map.get("list") if isinstance(value_map, dict) else None
        if not isinstance(name, str):
            continue
        used.add(name)
        if name not in rules.maps:
            known = ", ".join(sorted(rules.maps)) or "none"
            board.blame(
                (*location, "map", "list"),
                f"values.csv has no list {name!r} (it has: {known}): correct the name or add the list",
            )
    if board.data is not None:
        for name in sorted(rules.maps.keys() - used):
            value_file.blame_line(0, f"no column uses the list {name!r}: correct its name or remove its lines")
