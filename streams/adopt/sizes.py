"""Which subitem of an adopted item stands for which size of the source. Pure.

A subitem shows its size in the size column; where that is blank, its name tells it ("Size XL"). A subitem with any
other label, or with none, belongs to users. Of two for one size the oldest one is taken, so that no third is created;
the others stay as they are and are listed.
"""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import NamedTuple

from connectors.monday import board_values
from mappings.loading import Mappings
from streams.sync import cells


class Double(NamedTuple):
    """A subitem that was left, because its item has another one of the same size."""

    item_id: str
    size: str
    taken: str
    left: str

    def __str__(self) -> str:
        return f"item {self.item_id} has two subitems of size {self.size}: {self.taken} is taken, {self.left} is left"


class Labels:
    """The sizes that the source has, as subitems spell them."""

    def __init__(self, size_columns: Sequence[str], mappings: Mappings) -> None:
        self._labels = frozenset(size_columns)
        self._size = mappings.board.subitem.size.id
        before, _, after = mappings.board.subitem.name.partition("{label}")
        self._before, self._after = before.casefold(), after.casefold()

    @cached_property
    def _ignoring_case(self) -> dict[str, str]:
        """The sizes by their spelling without case, but for those that only case tells apart (30X30, 30x30)."""
        folded: dict[str, list[str]] = {}
        for label in sorted(self._labels):
            folded.setdefault(label.casefold(), []).append(label)
        return {text: labels[0] for text, labels in folded.items() if len(labels) == 1}

    def of(self, subitem: board_values.BoardItem) -> str:
        """The size of a subitem; "" for one of users."""
        return self._size_of(cells.text_of(subitem, self._size).strip() or self._named(subitem.name))

    def _named(self, name: str) -> str:
        text = " ".join(name.split())
        folded = text.casefold()
        if not (folded.startswith(self._before) and folded.endswith(self._after)):
            return ""
        return text[len(self._before) : len(text) - len(self._after)].strip()

    def _size_of(self, text: str) -> str:
        return text if text in self._labels else self._ignoring_case.get(text.casefold(), "")


def assigned(
    item: board_values.BoardItem, labels: Labels, preferred: Collection[str] = ()
) -> tuple[dict[str, board_values.BoardItem], list[Double]]:
    """The subitem of each size of an item, and the doubles. A subitem in `preferred` is taken before the oldest."""
    taken: dict[str, board_values.BoardItem] = {}
    doubles: list[Double] = []
    active = [one for one in item.subitems if one.state == board_values.ItemState.ACTIVE]
    for subitem in sorted(active, key=lambda one: (one.id not in preferred, int(one.id))):
        size = labels.of(subitem)
        if size in taken:
            doubles.append(Double(item.id, size, taken[size].id, subitem.id))
        elif size:
            taken[size] = subitem
    return taken, doubles
