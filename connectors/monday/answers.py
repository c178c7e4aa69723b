"""Checked reading of an answer's data: a value of another shape is a Transient error that names its place.

The API's schema promises the shapes, but a gateway or a defect of the API may break the promise. No part of the client
indexes the data of a read in any other way.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NoReturn

from connectors import errors

# Ids of items, subitems, boards and labels.
_NUMBER = re.compile(r"[0-9]{1,20}")
# Ids of groups and columns.
_NAME = re.compile(r"[\w.:-]{1,100}")


def number_id(value: object) -> str | None:
    """The id of an item, a subitem, a board or a label as text; None for a value that is no such id."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if 0 <= value < 10**20 else ""
    return value if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def name_id(value: object) -> str | None:
    """The id of a group or a column; None for a value that is no such id."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) and value.isprintable() else None


class Fields:
    """One object of an answer. Each method reads one field, and raises Transient for another shape or a missing field.

    A method with `or_none` returns None for null. `parent` and `step` give the place of the object, which becomes text
    only for an error: a board has some hundred thousand cells.
    """

    __slots__ = ("_parent", "_raw", "_step")

    def __init__(self, raw: Mapping[str, Any], parent: "Fields | None", step: str) -> None:
        self._raw = raw
        self._parent = parent
        self._step = step

    @property
    def place(self) -> str:
        """The place of this object, such as "find_items: items_page_by_column_values.items[3]"."""
        if self._parent is None:
            return f"{self._step}: "
        parent = self._parent.place
        return f"{parent}{self._step}" if parent.endswith(": ") else f"{parent}.{self._step}"

    def value(self, name: str) -> Any:
        """The value of a field, of any shape."""
        try:
            return self._raw[name]
        except KeyError:
            raise errors.Transient(f"{self._at(name)} is missing") from None

    def text(self, name: str) -> str:
        """A text."""
        value = self.value(name)
        return value if isinstance(value, str) else self._wrong(name, "text", value)

    def text_or_none(self, name: str) -> str | None:
        """A text."""
        return None if self.value(name) is None else self.text(name)

    def number_id(self, name: str) -> str:
        """The id of an item, a subitem or a board."""
        value = self.value(name)
        return number_id(value) or self._wrong(name, "id", value)

    def name_id(self, name: str) -> str:
        """The id of a group or a column."""
        value = self.value(name)
        return name_id(value) or self._wrong(name, "id", value)

    def child(self, name: str) -> "Fields":
        """An object."""
        value = self.value(name)
        return Fields(value, self, name) if isinstance(value, dict) else self._wrong(name, "object", value)

    def child_or_none(self, name: str) -> "Fields | None":
        """An object."""
        return None if self.value(name) is None else self.child(name)

    def children(self, name: str, *, nulls: bool = False) -> "Iterator[Fields]":
        """Each object of a list; with `nulls`, a null in the list is left out."""
        listed = self.value(name)
        if not isinstance(listed, list):
            self._wrong(name, "list", listed)
        for index, value in enumerate(listed):
            if isinstance(value, dict):
                yield Fields(value, self, f"{name}[{index}]")
            elif value is not None or not nulls:
                self._wrong(f"{name}[{index}]", "object", value)

    def children_or_none(self, name: str) -> "Iterator[Fields] | None":
        """Each object of a list that may hold nulls."""
        return None if self.value(name) is None else self.children(name, nulls=True)

    def time(self, name: str) -> datetime:
        """A time with its zone."""
        value = self.text(name)
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            return self._wrong(name, "time", value)
        return read if read.tzinfo is not None else self._wrong(name, "time with a zone", value)

    def count_or_none(self, name: str) -> int | None:
        """A number of things."""
        value = self.value(name)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
            return value
        return self._wrong(name, "count", value)

    def json(self, name: str) -> dict[str, Any]:
        """An object, or a text that contains one; null is an empty object."""
        value = self.value(name)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return self._wrong(name, "JSON", value)
        if value is None:
            return {}
        return value if isinstance(value, dict) else self._wrong(name, "object", value)

    def wrong(self, expected: str) -> NoReturn:
        """Raise the error for this object as a whole."""
        raise errors.Transient(f"{self.place} is no {expected}: {short(self._raw)}")

    def _at(self, name: str) -> str:
        return Fields({}, self, name).place

    def _wrong(self, name: str, expected: str, value: object) -> NoReturn:
        raise errors.Transient(f"{self._at(name)} is no {expected}: {short(value)}")


def read(data: Mapping[str, Any], name: str) -> Fields:
    """The data of an answer to the document `name`."""
    return Fields(data, None, name)


def short(value: object) -> str:
    """The value as JSON of one short line."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "a deep nesting"
    return text if len(text) <= 60 else f"{text[:57]}..."
