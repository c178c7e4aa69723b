"""The shape of the mapping data (mappings/board.yaml, values.csv), and the error that lists its mistakes."""

import string
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, PositiveInt, StringConstraints, field_validator, model_validator

from schemas import items
from schemas.base import Model

Name = Annotated[str, StringConstraints(min_length=1, pattern=r"^\S(.*\S)?$")]
ColumnId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")]


class MappingError(Exception):
    """The mapping has mistakes, or does not fit its tables. `mistakes` has one line for each."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        super().__init__(f"the mapping has {count}:\n" + "\n".join(f"  - {line}" for line in self.mistakes))


class Strict(Model):
    """A model that converts nothing: a number is no text, an unknown key is a mistake."""

    model_config = ConfigDict(strict=True)


class ColumnType(StrEnum):
    """The board's column types that the mapping can fill; the values are the API's own words."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    NUMBERS = "numbers"
    DATE = "date"
    STATUS = "status"
    DROPDOWN = "dropdown"

    @property
    def has_labels(self) -> bool:
        """Is this a status or a dropdown?"""
        return self in (ColumnType.STATUS, ColumnType.DROPDOWN)


class LabelPolicy(StrEnum):
    """What to do with a label that the board does not have: create it, or refuse the order."""

    CREATE = "create"
    EXISTING = "existing"


class Owner(StrEnum):
    """Who owns a cell of the board: the source always, or the users once the item exists."""

    SOURCE = "source"
    PEOPLE = "people"


class Transform(StrEnum):
    """A conversion in addition to that of the column type."""

    CUSTOMER = "customer"


class Otherwise(StrEnum):
    """What to do with a value that a value map does not list. LEAVE_OUT also adds a warning."""

    KEEP = "keep"
    LEAVE_OUT = "leave out"


class ValueMap(Strict):
    """A list of values.csv that translates whole values."""

    list: Name
    otherwise: Otherwise


class Column(Strict):
    """One board column: its source column, its staging column, and the rules of its value."""

    id: ColumnId
    title: Name
    type: ColumnType
    source: Name
    staging: Name
    required: bool = False
    transform: Transform | None = None
    map: ValueMap | None = None
    labels: LabelPolicy | None = None
    owner: Owner = Owner.SOURCE

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if self.type.has_labels and self.labels is None:
            raise ValueError('a column with labels needs "labels": add "create" or "existing"')
        if not self.type.has_labels and self.labels is not None:
            raise ValueError(f'a {self.type} column has no labels: remove "labels"')
        if self.type is ColumnType.STATUS and self.labels is LabelPolicy.CREATE:
            raise ValueError('status labels are never created by the sync: write "labels": "existing"')
        if self.transform is Transform.CUSTOMER and self.type in (ColumnType.NUMBERS, ColumnType.DATE):
            raise ValueError(f'a customer is text and the column is {self.type}: remove "transform"')
        return self


class Board(Strict):
    """The ids of the two boards, and the removal policy."""

    id: Name
    subitem_board_id: Name
    removal: items.Removal


class KeyColumn(Strict):
    """The board's text column with the record_uuid. `setup` creates it: the id obeys the API's rule for new ids."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,20}$")]
    title: Name
    type: Literal[ColumnType.TEXT]
    source: Name


class ItemName(Strict):
    """The source columns that an item's name is joined from."""

    parts: Annotated[tuple[Name, ...], Field(min_length=1)]
    separator: str
    staging: Name


class Group(Strict):
    """The name of an order's group: customer, and the first season that is not blank."""

    template: Name
    seasons: Annotated[tuple[Name, ...], Field(min_length=1)]
    unknown: Name
    staging: Name

    @field_validator("template")
    @classmethod
    def _placeholders(cls, template: str) -> str:
        return _with_placeholders(template, {"customer", "season"})


class Groups(Strict):
    """Who owns the titles of the board's groups: the source gives a renamed group its name back, people keep theirs."""

    owner: Owner = Owner.SOURCE


class SizeRange(Strict):
    """The two marker columns around the size columns, and the column that should hold their sum.

    `also`: size columns outside the markers, where SQL Server appends new columns; `ignore`: integer columns that are
    no sizes, wherever they lie.
    """

    after: Name
    before: Name
    total: Name
    also: tuple[Name, ...] = ()
    ignore: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _decided_once(self) -> Self:
        if both := sorted(set(self.also) & set(self.ignore)):
            raise ValueError(f"[{both[0]}] is in `also` and in `ignore`: remove one of the two")
        return self


class SizeColumn(Strict):
    """The subitem column of the size label."""

    id: ColumnId
    title: Name
    type: Literal[ColumnType.DROPDOWN]
    labels: LabelPolicy


class QuantityColumn(Strict):
    """The subitem column of the quantity."""

    id: ColumnId
    title: Name
    type: Literal[ColumnType.NUMBERS]


class Subitem(Strict):
    """The name template and the two columns of a subitem."""

    name: Name
    size: SizeColumn
    quantity: QuantityColumn

    @field_validator("name")
    @classmethod
    def _placeholders(cls, template: str) -> str:
        return _with_placeholders(template, {"label"})


class Exclusion(Strict):
    """A row is no order when every one of `blank` is blank and `zero` is 0 or blank."""

    blank: Annotated[tuple[Name, ...], Field(min_length=1)]
    zero: Name


class Adopt(Strict):
    """The columns, by title or id, whose values together name one order to people: `adopt` recognises items by them."""

    business_key: Annotated[tuple[Name, ...], Field(min_length=1)] = ("AAG ORDER NUMBER", "STYLE", "COLOR", "PO NUMBER")


class Limits(Strict):
    """The limits of Monday.com: text in UTF-16 units, labels as a number for each column."""

    name: PositiveInt
    group_name: PositiveInt
    long_text: PositiveInt
    status_label: PositiveInt
    status_labels: PositiveInt
    dropdown_labels: PositiveInt
    item_bytes: PositiveInt


class BoardMapping(Strict):
    """board.yaml as a whole."""

    board: Board
    key: KeyColumn
    item_name: ItemName
    group: Group
    groups: Groups = Groups()
    sizes: SizeRange
    subitem: Subitem
    excluded: Exclusion
    limits: Limits
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    # Not in a dump: it says nothing about how a row is converted, so it is no part of the fingerprint.
    adopt: Annotated[Adopt, Field(exclude=True)] = Adopt()

    @model_validator(mode="after")
    def _has_its_business_key(self) -> Self:
        names = {name for column in self.columns for name in (column.id, column.title)}
        missing = [name for name in self.adopt.business_key if name not in names]
        if missing and self.adopt != Adopt():
            raise ValueError(f'no column has the title or id {missing[0]!r} of "adopt": correct "business_key"')
        return self

    @property
    def business_key(self) -> tuple[Column, ...]:
        """The columns of the business key that the board has, in the order of board.yaml."""
        names = set(self.adopt.business_key)
        return tuple(column for column in self.columns if names & {column.id, column.title})


class ValueRules(Strict):
    """values.csv: words that mean blank, currency signs to remove, whole values that a spreadsheet writes for an error,
    ISO dates that stand for "none", and value maps by name.

    Words and errors are casefolded. The keys of a map have no case and no spaces.
    """

    blank: frozenset[str]
    currency: tuple[str, ...]
    spreadsheet_errors: frozenset[str] = frozenset()
    suspicious_dates: frozenset[str] = frozenset()
    maps: dict[str, dict[str, str]]


def _with_placeholders(template: str, wanted: set[str]) -> str:
    try:
        names = {field for _, field, _, _ in string.Formatter().parse(template) if field is not None}
    except ValueError as error:
        raise ValueError(f"{error}: write each placeholder as {{name}}") from error
    if names != wanted:
        expected = " and ".join(f"{{{name}}}" for name in sorted(wanted))
        raise ValueError(f"it must contain {expected}, and no other placeholder")
    return template
