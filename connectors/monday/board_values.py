"""The content of the board as values, read from the API's answers."""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from schemas import base


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
    """The state of an item or subitem, and the board that it is on."""

    state: ItemState
    board_id: str


def read_item(raw: Mapping[str, Any]) -> BoardItem:
    """One item or subitem of an answer, with the fields that the query selected."""
    group = raw.get("group") or {}
    return BoardItem(
        id=str(raw["id"]),
        name=raw["name"],
        state=raw.get("state") or ItemState.ACTIVE,
        board_id=str((raw.get("board") or {}).get("id", "")),
        group_id=str(group.get("id", "")),
        group_title=group.get("title", ""),
        columns={
            cell["id"]: Shown(text=cell.get("text"), value=_parsed(cell.get("value")))
            for cell in raw.get("column_values") or ()
        },
        subitems=tuple(read_item(child) for child in raw.get("subitems") or () if child),
    )


def _parsed(value: Any) -> Any:
    """The value of the API's JSON scalar: text that contains JSON; any other value is returned unchanged."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def read_labels(settings: Any) -> dict[str, str]:
    """The label ids by label, from a column's settings in either form of the API.

    A list of {id, label | name, is_deactivated?}, or an object {"1": "Done"} of label by id;
    `deactivated_labels` lists the ids that are not usable any more.
    """
    parsed = _parsed(settings)
    if not isinstance(parsed, dict):
        return {}
    raw = parsed.get("labels")
    deactivated = {str(label) for label in parsed.get("deactivated_labels") or ()}
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(raw, dict):
        pairs = raw.items()
    elif isinstance(raw, list):
        pairs = ((label.get("id"), label) for label in raw if isinstance(label, dict))
    labels: dict[str, str] = {}
    for number, label in pairs:
        if isinstance(label, dict):
            if label.get("is_deactivated"):
                continue
            label = label.get("label") or label.get("name")
        if label and str(number) not in deactivated:
            labels[str(label)] = str(number)
    return labels
