"""The content of the board as values, read from the API's answers."""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from connectors.monday import answers
from schemas import base

# Only these types of columns have labels; `settings` of other types may use the same words for something else.
LABELLED = ("status", "dropdown")


class ItemState(StrEnum):
    """The state of an item. Only a read by id returns an item that is not active."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"


class BoardColumn(base.Model):
    """A column. `type` is the API's word; `labels` maps each usable label of a status or dropdown to its id."""

    id: str
    title: str
    type: str
    labels: dict[str, str] = {}


class BoardGroup(base.Model):
    """A group of the board. A user may change its title; its id stays."""

    id: str
    title: str


class BoardOutline(base.Model):
    """Columns and groups, in the order of the board."""

    columns: tuple[BoardColumn, ...]
    groups: tuple[BoardGroup, ...]


class BoardIdentity(base.Model):
    """Which account and board the API reads for our token; `items`: the number of active items on the board."""

    account_id: str
    account_name: str
    board_id: str
    board_name: str
    items: int


class Shown(base.Model):
    """The cell of an item: the text that a user reads, and the API's value, parsed."""

    text: str | None = None
    value: base.ColumnValue = None


class BoardItem(base.Model):
    """An item or a subitem. A subitem has no group and no subitems of its own."""

    id: str
    name: str
    state: str
    board_id: str
    group_id: str = ""
    group_title: str = ""
    columns: dict[str, Shown]
    subitems: tuple["BoardItem", ...] = ()


class ItemPlace(NamedTuple):
    """The state of an item or subitem, and the board that it is on; "" if it is not active and the API names none."""

    state: ItemState
    board_id: str


def read_place(raw: answers.Fields) -> ItemPlace:
    """State and board of one item or subitem of an answer.

    An active one without a board is an answer of another shape: taken for a moved item, it would be created twice.
    """
    state = read_state(raw)
    board = raw.child("board") if state is ItemState.ACTIVE else raw.child_or_none("board")
    return ItemPlace(state, "" if board is None else board.number_id("id"))


def read_item(raw: answers.Fields, *, subitems: bool = False, of_item: bool = False) -> BoardItem:
    """One item of an answer: with its `subitems` if the query selected them. `of_item`: it is a subitem itself.

    Raises Transient, as every function here does for an answer of another shape.
    """
    board = raw.child_or_none("board")
    group = None if of_item else raw.child_or_none("group")
    children = raw.children_or_none("subitems") if subitems else None
    return BoardItem(
        id=raw.number_id("id"),
        name=raw.text("name"),
        state=raw.text("state"),
        board_id="" if board is None else board.number_id("id"),
        group_id="" if group is None else group.name_id("id"),
        group_title="" if group is None else group.text("title"),
        columns={
            cell.text("id"): Shown(text=cell.text_or_none("text"), value=_parsed(cell.value("value")))
            for cell in raw.children("column_values")
        },
        subitems=tuple(read_item(child, of_item=True) for child in children or ()),
    )


def read_state(raw: answers.Fields) -> ItemState:
    """The state of an item."""
    try:
        return ItemState(raw.text("state"))
    except ValueError:
        return raw.wrong("item of a known state")


def read_column(raw: answers.Fields) -> BoardColumn:
    """One column of a board."""
    kind = raw.text("type")
    labels = read_labels(raw) if kind in LABELLED else {}
    return BoardColumn(id=raw.name_id("id"), title=raw.text("title"), type=kind, labels=labels)


def read_group(raw: answers.Fields) -> BoardGroup:
    """One group of a board."""
    return BoardGroup(id=raw.name_id("id"), title=raw.text("title"))


def _parsed(value: Any) -> Any:
    """The value of the API's JSON scalar: text that contains JSON; any other value is returned unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def read_labels(column: answers.Fields) -> dict[str, str]:
    """The label ids by label, from a column's settings in either form of the API.

    A list of {id, label | name, is_deactivated?}, or an object {"1": "Done"} of label by id;
    `deactivated_labels` lists the ids that are not usable any more.
    """
    parsed = _parsed(column.value("settings"))
    if parsed is None or parsed == "":
        return {}
    if not isinstance(parsed, dict):
        column.wrong("column with settings")
    deactivated = parsed.get("deactivated_labels") or []
    if not isinstance(deactivated, list):
        column.wrong("column with labels")
    unusable = {str(label) for label in deactivated}
    labels: dict[str, str] = {}
    for number, label in _pairs(parsed.get("labels"), column):
        if isinstance(label, dict):
            label = None if label.get("is_deactivated") else label.get("label") or label.get("name")
        if label is None or label == "":
            continue
        label_id = answers.number_id(number)
        if label_id is None or not isinstance(label, str):
            column.wrong("column with labels")
        if label_id not in unusable:
            labels[label] = label_id
    return labels


def _pairs(labels: Any, column: answers.Fields) -> Iterable[tuple[Any, Any]]:
    """The id of each label, and the label as text or as an object."""
    match labels:
        case None:
            return ()
        case dict():
            return labels.items()
        case list() if all(isinstance(label, dict) for label in labels):
            return ((label.get("id"), label) for label in labels)
        case _:
            return column.wrong("column with labels")
