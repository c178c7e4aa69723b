"""What the board shows, as values, and how they are read out of the API's answers."""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from schemas import base


class ItemState(StrEnum):
    """An item that is not active is found by its id only."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"


class BoardColumn(base.Model):
    """`type` is the API's word. `labels` maps each usable label of a status or dropdown to its id."""

    id: str
    title: str
    type: str
    labels: dict[str, str] = {}


class Shown(base.Model):
    """What a column of an item shows: the text a person reads, and the API's value, parsed."""

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


def read_item(raw: Mapping[str, Any]) -> BoardItem:
    """One item or subitem of an answer, as far as it was asked for."""
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
    """The API's JSON scalar comes as text that holds JSON; what is no such text is the value itself."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def read_labels(settings: Any) -> dict[str, str]:
    """Label ids by label, out of a column's settings, in either form that the API has for them.

    A list of {id, label | name, is_deactivated?}, or an object {"1": "Done"} of label by id;
    `deactivated_labels` lists the ids that can no longer be used.
    """
    parsed = _parsed(settings)
    if not isinstance(parsed, dict):
        return {}
    raw = parsed.get("labels")
    dead = {str(label) for label in parsed.get("deactivated_labels") or ()}
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
        if label and str(number) not in dead:
            labels[str(label)] = str(number)
    return labels
