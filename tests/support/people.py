"""People at work on the board: every kind of edit that it lets a hand make, drawn by a seed."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mappings.loading import Mappings
from schemas.mappings import BoardMapping, ColumnType, Owner

VALUES: dict[ColumnType, Callable[[random.Random], Any]] = {
    ColumnType.TEXT: lambda rng: rng.choice(["by hand", "", None]),
    ColumnType.LONG_TEXT: lambda rng: rng.choice([{"text": "by\nhand"}, None]),
    ColumnType.NUMBERS: lambda rng: rng.choice(["7.25", "0", None]),
    ColumnType.DATE: lambda rng: rng.choice([{"date": "2031-01-31"}, None]),
    ColumnType.DROPDOWN: lambda rng: rng.choice([{"labels": ["BY HAND"]}, {"labels": ["BY", "HAND"]}, None]),
}


def notes_are_theirs(board: BoardMapping) -> BoardMapping:
    """The mapping of a board on which people own the column NOTES."""
    theirs = {one.source: one.model_copy(update={"owner": Owner.PEOPLE}) for one in board.columns}["NOTES"]
    columns = tuple(theirs if one.id == theirs.id else one for one in board.columns)
    return board.model_copy(update={"columns": columns})


@dataclass
class People:
    """`edit` is the board's side door; `people` is a column that they own. `notes` is what they wrote there."""

    edit: Callable[..., str]
    board: Callable[[], list[dict[str, Any]]]
    mappings: Mappings
    people: str
    rng: random.Random
    notes: dict[str, str] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)

    def act(self, times: int) -> None:
        """So many edits, each of something that is there then."""
        kinds = [getattr(self, name) for name in sorted(vars(type(self))) if name.startswith("hand_")]
        while self.done.total() < times:
            kind = self.rng.choice(kinds)
            key = self.mappings.board.key.id
            items = [one for one in self.board() if one["state"] == "active" and one["columns"].get(key)]
            item = self.rng.choice(items)
            subitems = [one for one in item["subitems"] if one["state"] == "active"]
            if subitems:
                kind(item, self.rng.choice(subitems))
                self.done[kind.__name__] += 1

    def hand_value(self, item: dict[str, Any], _: dict[str, Any]) -> None:
        columns = [c for c in self.mappings.board.columns if c.type in VALUES and c.id != self.people]
        column = self.rng.choice(columns)
        self._set(item, column.id, VALUES[column.type](self.rng))

    def hand_name(self, item: dict[str, Any], _: dict[str, Any]) -> None:
        self._set(item, "name", "renamed by hand")

    def hand_group(self, item: dict[str, Any], _: dict[str, Any]) -> None:
        self.edit("move", item["id"], group=self.rng.choice(["BY HAND", "NEW"]))

    def hand_key(self, item: dict[str, Any], _: dict[str, Any]) -> None:
        key = self.mappings.board.key.id
        other = self.rng.choice(self.board())["columns"].get(key)
        self._set(item, key, self.rng.choice([None, "no key", other]))

    def hand_removal(self, item: dict[str, Any], _: dict[str, Any]) -> None:
        self.edit(self.rng.choice(["delete", "archive"]), item["id"])

    def hand_copy(self, item: dict[str, Any], _: dict[str, Any]) -> None:
        made = self.edit("duplicate", item["id"])
        if item["id"] in self.notes:
            self.notes[made] = self.notes[item["id"]]

    def hand_quantity(self, _: dict[str, Any], subitem: dict[str, Any]) -> None:
        self._set(subitem, self.mappings.board.subitem.quantity.id, self.rng.choice(["0", "9999", None]))

    def hand_size(self, _: dict[str, Any], subitem: dict[str, Any]) -> None:
        label = self.rng.choice(["S", "M", "BY HAND"])
        self._set(subitem, self.mappings.board.subitem.size.id, {"labels": [label]})

    def hand_size_name(self, _: dict[str, Any], subitem: dict[str, Any]) -> None:
        self._set(subitem, "name", "a size")

    def hand_size_removal(self, _: dict[str, Any], subitem: dict[str, Any]) -> None:
        self.edit(self.rng.choice(["delete", "archive"]), subitem["id"])

    def hand_size_copy(self, _: dict[str, Any], subitem: dict[str, Any]) -> None:
        self.edit("duplicate", subitem["id"])

    def hand_size_pair(self, _: dict[str, Any], subitem: dict[str, Any]) -> None:
        """Only together they hold what the one held."""
        copy = self.edit("duplicate", subitem["id"])
        blank = {"id": copy} if self.rng.random() < 0.5 else subitem
        self._set(blank, self.mappings.board.subitem.quantity.id, self.rng.choice(["0", None]))

    def hand_new_size(self, item: dict[str, Any], _: dict[str, Any]) -> None:
        subitem = self.mappings.board.subitem
        columns = {subitem.size.id: {"labels": ["3XL"]}, subitem.quantity.id: "5"}
        self.edit("add", name="a size of their own", parent_id=item["id"], columns=columns)

    def hand_own_item(self, item: dict[str, Any], _: dict[str, Any]) -> None:
        self.own.add(self.edit("add", name="a line of their own"))

    def hand_own_column(self, item: dict[str, Any], _: dict[str, Any]) -> None:
        self.notes[item["id"]] = f"a note of theirs, number {len(self.notes)}"
        self._set(item, self.people, {"text": self.notes[item["id"]]})

    def _set(self, item: dict[str, Any], column_id: str, value: Any) -> None:
        self.edit("set", item["id"], column_id=column_id, value=value)
