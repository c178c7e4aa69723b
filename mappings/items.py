"""Converts a source row to a valid order, and a staged order to the API's column values."""

import functools
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from mappings import loading, sizes, values
from schemas import mappings as shapes
from schemas import orders
from schemas.base import Cell, ColumnValue, Model
from schemas.mappings import ColumnType

# Cells of at most so many characters are remembered with their values, so many of each column.
_SHORT, _KNOWN = 100, 4096

_REQUIRED = values.BadValue("an order needs a value here", "Fill it in")


class Conversion(Model):
    """`order` is None when a problem is an ERROR. `problems` are errors and warnings, in mapping order."""

    order: orders.Order | None
    problems: tuple[orders.Problem, ...] = ()


def convert(
    row: Mapping[str, Cell],
    *,
    size_columns: Sequence[str],
    mappings: loading.Mappings,
    target_lengths: Mapping[str, int | None],
    cut: Mapping[str, int] = MappingProxyType({}),
) -> Conversion:
    """Validate and convert a whole source row: the result lists every problem of the order.

    `row` maps source columns to cells, the key (`record_uuid`) included; blank cells may be absent.
    `target_lengths` maps a staging column to the length of its text type; None or absent means no limit. It must not
    change after its first use. `cut` gives the true length of each text of which `row` has only the beginning: it
    refuses the order.
    No content of a row raises an error.
    """
    customer, staged, problems = _convert_fields(row, mappings, target_lengths)
    quantities, size_problems = _melt(row, size_columns, mappings)
    name, group = item_name(row, mappings), group_name(customer, row, mappings)
    problems += size_problems
    problems += _part_problems(row, mappings)
    problems += _name_problems(name, group, mappings.board, target_lengths)
    problems += _total_length_problems(staged, mappings.board)
    if cut:
        # What else is wrong with the beginning of a text says nothing about the whole of it.
        problems = [problem for problem in problems if problem.column not in cut]
        problems += _cut_problems(row, cut, mappings.board)

    # A source column that feeds two board columns has its problem only once.
    distinct = tuple(dict.fromkeys(problems))
    if any(problem.severity is orders.Severity.ERROR for problem in distinct):
        return Conversion(order=None, problems=distinct)
    order = orders.Order(
        customer=customer, group_name=group, item_name=name, values=staged, sizes=quantities, warnings=distinct
    )
    return Conversion(order=order, problems=distinct)


def _convert_fields(
    row: Mapping[str, Cell], mappings: loading.Mappings, target_lengths: Mapping[str, int | None]
) -> tuple[str, dict[str, Cell], list[orders.Problem]]:
    """The canonical customer, the canonical cells by staging column, and the problems."""
    customer = ""
    staged: dict[str, Cell] = {}
    problems: list[orders.Problem] = []
    key = mappings.board.key.source
    if values.is_blank(row.get(key), mappings.rules):
        problems.append(_REQUIRED.problem(key, row.get(key)))
    for source, staging, required, is_customer, known, read in _readers(mappings, _Same(target_lengths)):
        cell = row.get(source)
        value = None
        if cell is not None:
            value, bad = known.get(cell) or read(cell)
            if bad is not None:
                problems.append(bad.problem(source, cell))
                # A warning leaves the value out, and a required column needs one.
                if bad.severity is orders.Severity.ERROR or not required:
                    continue
        if value is not None:
            staged[staging] = value
            if is_customer:
                customer = value
        elif required:
            problems.append(_REQUIRED.problem(source, cell))
    return customer, staged, problems


def _melt(
    row: Mapping[str, Cell], size_columns: Sequence[str], mappings: loading.Mappings
) -> tuple[dict[str, int], list[orders.Problem]]:
    """The quantities by size, and the problems; the total is compared only with sizes that are all valid."""
    quantities, problems = sizes.melt(row, size_columns, mappings.rules)
    if not problems:
        mismatch = sizes.total_mismatch(row, quantities, mappings.board.sizes.total, mappings.rules)
        problems = [] if mismatch is None else [mismatch]
    return quantities, problems


def _part_problems(row: Mapping[str, Cell], mappings: loading.Mappings) -> list[orders.Problem]:
    """The parts of item name and group name that are no text to send, whether they are mapped to a column or not."""
    problems = []
    for column in dict.fromkeys([*mappings.board.item_name.parts, *mappings.board.group.seasons]):
        try:
            values.text(row.get(column), mappings.rules)
        except values.BadValue as bad:
            problems.append(bad.problem(column, row.get(column)))
    return problems


def _name_problems(
    name: str, group: str, board: shapes.BoardMapping, target_lengths: Mapping[str, int | None]
) -> list[orders.Problem]:
    """The names that are too long for their staging column or the API."""
    problems = []
    for title, text, staging, limit in (
        ("item name", name, board.item_name.staging, board.limits.name),
        ("group name", group, board.group.staging, board.limits.group_name),
    ):
        try:
            values.fit(text, staging=target_lengths.get(staging), api=limit)
        except values.BadValue as bad:
            problems.append(bad.problem(title, text))
    return problems


def _cut_problems(row: Mapping[str, Cell], cut: Mapping[str, int], board: shapes.BoardMapping) -> list[orders.Problem]:
    """One problem for each text that detection has cut."""
    problems = []
    for column, length in cut.items():
        reason = f"it has {length} characters, and one item takes {board.limits.item_bytes} bytes of text"
        bad = values.BadValue(reason, "Shorten it")
        problems.append(bad.problem(column, row.get(column), length=length))
    return problems


def _total_length_problems(staged: Mapping[str, Cell], board: shapes.BoardMapping) -> list[orders.Problem]:
    """The longest text of an item whose texts together exceed the API's limit of bytes."""
    # A character has at most four bytes: the exact count is needed for few items, most have a hundredth of the limit.
    if sum(map(len, map(str, staged.values()))) * 4 <= board.limits.item_bytes:
        return []
    lengths = {column.source: len(str(staged.get(column.staging, "")).encode()) for column in board.columns}
    if sum(lengths.values()) <= board.limits.item_bytes:
        return []
    longest = max(board.columns, key=lambda column: lengths[column.source])
    reason = f"the texts of the order are {sum(lengths.values())} bytes, and one item takes {board.limits.item_bytes}"
    bad = values.BadValue(reason, "Shorten it: it is the longest of them")
    return [bad.problem(longest.source, staged[longest.staging])]


def is_excluded(row: Mapping[str, Cell], mappings: loading.Mappings) -> bool:
    """Is this an excluded row? Detection counts it and emits nothing."""
    rule = mappings.board.excluded
    try:
        if sizes.quantity(row.get(rule.zero), mappings.rules):
            return False
    except values.BadValue:
        return False
    return all(values.is_blank(row.get(column), mappings.rules) for column in rule.blank)


def item_name(row: Mapping[str, Cell], mappings: loading.Mappings) -> str:
    """The parts that are not blank, joined. The name is not unique: rows that differ by PO alone share one."""
    rule = mappings.board.item_name
    parts = [values.plain(row.get(part), mappings.rules) for part in rule.parts]
    return rule.separator.join([part for part in parts if part])


def group_name(customer: str, row: Mapping[str, Cell], mappings: loading.Mappings) -> str:
    """The name of the group: canonical customer, and the first season that is not blank."""
    rule = mappings.board.group
    season = ""
    for column in rule.seasons:
        season = season or values.plain(row.get(column), mappings.rules)
    return rule.template.format(customer=customer, season=season or rule.unknown)


def board_columns(staged: Mapping[str, Cell], record_uuid: str, mappings: loading.Mappings) -> dict[str, ColumnValue]:
    """The API's values of an item by column id, the key column first; blank columns are absent.

    `staged` maps a staging column to its canonical cell, as in Order.values.
    """
    columns: dict[str, ColumnValue] = {mappings.board.key.id: record_uuid}
    for field in _fields(mappings):
        value = staged.get(field.staging)
        if value is not None and value != "":
            columns[field.id] = field.payload(str(value))
    return columns


def canonical_text(column_id: str, cell: Cell, mappings: loading.Mappings) -> str:
    """The canonical value of a cell for this column of an item; "" for a blank cell and for one that is refused.

    What a board or an earlier workflow shows is converted like a cell of the source, so equal values have equal texts.
    Raises KeyError for a column that the mapping does not have.
    """
    try:
        return _converters(mappings)[column_id](cell) or ""
    except values.BadValue:
        return ""


def board_value(column_id: str, cell: Cell, mappings: loading.Mappings) -> ColumnValue:
    """The API's value of one column of an item. Raises KeyError for a column that the mapping does not have."""
    return _payloads(mappings)[column_id](str(cell))


def subitem_columns(size_label: str, quantity: int, mappings: loading.Mappings) -> dict[str, ColumnValue]:
    """The API's values of one size by column id."""
    subitem = mappings.board.subitem
    return {
        subitem.size.id: _PAYLOADS[subitem.size.type](size_label),
        subitem.quantity.id: _PAYLOADS[subitem.quantity.type](str(quantity)),
    }


def subitem_name(size_label: str, mappings: loading.Mappings) -> str:
    """The name of one size's subitem: "Size 32DD"."""
    return mappings.board.subitem.name.format(label=size_label)


class _Field(NamedTuple):
    """A column of the mapping with its converter, its limit and its format for the API."""

    id: str
    source: str
    staging: str
    required: bool
    is_customer: bool
    is_text: bool
    api_limit: int | None
    convert: Callable[[Cell], str | None]
    payload: Callable[[str], ColumnValue]


@functools.lru_cache(maxsize=8)
def _fields(mappings: loading.Mappings) -> tuple[_Field, ...]:
    limits = {
        ColumnType.LONG_TEXT: mappings.board.limits.long_text,
        ColumnType.STATUS: mappings.board.limits.status_label,
    }
    return tuple(
        _Field(
            id=column.id,
            source=column.source,
            staging=column.staging,
            required=column.required,
            is_customer=column.transform is shapes.Transform.CUSTOMER,
            is_text=column.type not in (ColumnType.NUMBERS, ColumnType.DATE),
            api_limit=limits.get(column.type),
            convert=_converter(column, mappings),
            payload=_PAYLOADS[column.type],
        )
        for column in mappings.board.columns
    )


class _Same:
    """A mapping that never changes, compared by identity, so that functions can cache by it."""

    def __init__(self, lengths: Mapping[str, int | None]) -> None:
        self.lengths = lengths

    def __hash__(self) -> int:
        return id(self.lengths)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.lengths is self.lengths


# The canonical value of a cell, and what is wrong with the cell; one of them at most.
_Read = tuple[str | None, values.BadValue | None]


class _Reader(NamedTuple):
    """A column of the mapping with its reader, and the results of cells that it has read: most cells repeat others."""

    source: str
    staging: str
    required: bool
    is_customer: bool
    known: dict[Cell, _Read]
    read: Callable[[Cell], _Read]


@functools.lru_cache(maxsize=8)
def _readers(mappings: loading.Mappings, target: _Same) -> tuple[_Reader, ...]:
    return tuple(_reader(field, target.lengths.get(field.staging)) for field in _fields(mappings))


def _reader(field: _Field, length: int | None) -> _Reader:
    known: dict[Cell, _Read] = {}

    def read(cell: Cell) -> _Read:
        try:
            value = field.convert(cell)
            if value is not None and field.is_text:
                values.fit(value, staging=length, api=field.api_limit)
            found: _Read = value, None
        except values.BadValue as bad:
            found = None, bad.with_traceback(None)
        if not isinstance(cell, str) or len(cell) <= _SHORT:
            if len(known) >= _KNOWN:
                known.clear()
            known[cell] = found
        return found

    return _Reader(field.source, field.staging, field.required, field.is_customer, known, read)


@functools.lru_cache(maxsize=8)
def _payloads(mappings: loading.Mappings) -> dict[str, Callable[[str], ColumnValue]]:
    return {field.id: field.payload for field in _fields(mappings)}


@functools.lru_cache(maxsize=8)
def _converters(mappings: loading.Mappings) -> dict[str, Callable[[Cell], str | None]]:
    return {field.id: field.convert for field in _fields(mappings)}


def _converter(column: shapes.Column, mappings: loading.Mappings) -> Callable[[Cell], str | None]:
    """The function from a cell to its canonical value: value map, type, transform. It may raise BadValue."""
    rules = mappings.rules
    by_type = values.CONVERTERS[column.type]
    if column.transform is shapes.Transform.CUSTOMER:
        return lambda cell: mappings.customers.canonical(by_type(cell, rules)) or None
    if column.map is None:
        return lambda cell: by_type(cell, rules)
    name, known = column.map.list, rules.maps[column.map.list]
    keep = column.map.otherwise is shapes.Otherwise.KEEP

    def mapped(cell: Cell) -> str | None:
        written = values.plain(cell, rules)
        becomes = known.get(values.key(written)) if written else None
        if becomes is None:
            values.refuse_error(written, rules)
        if written and becomes is None and not keep:
            raise values.BadValue(
                f"the list {name!r} of values.csv does not know it",
                f"[{column.title}] stays blank until the list does",
                orders.Severity.WARNING,
            )
        return by_type(cell if becomes is None else becomes, rules)

    return mapped


_PAYLOADS: Mapping[ColumnType, Callable[[str], ColumnValue]] = {
    ColumnType.TEXT: lambda value: value,
    ColumnType.LONG_TEXT: lambda value: {"text": value},
    ColumnType.NUMBERS: lambda value: value.rstrip("0").rstrip(".") if "." in value else value,
    ColumnType.DATE: lambda value: {"date": value},
    ColumnType.STATUS: lambda value: {"label": value},
    ColumnType.DROPDOWN: lambda value: {"labels": [value]},
}
