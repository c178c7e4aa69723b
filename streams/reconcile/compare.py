"""Two sides as tables of facts, and where they differ, row by row."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.monday import board_values
from mappings.loading import Mappings
from streams.reconcile import fields
from streams.sync import cells

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["record_uuid", "size", "field"]


@dataclass(frozen=True)
class Difference:
    """One fact on which two sides do not agree; None: that side does not have it."""

    record_uuid: str
    size: str
    field: str
    left: str | None
    right: str | None


def frame(told: Iterable[fields.FieldValue]) -> "pd.DataFrame":
    """Facts as a table."""
    # A worker imports this module, and needs pandas only when it audits the board: not at its start.
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(told, columns=[*KEYS, "value"], dtype="str")


def differences(left: "pd.DataFrame", right: "pd.DataFrame") -> list[Difference]:
    """Every fact that the two frames do not share, duplicates of one side among them."""
    left, right = left.copy(), right.copy()
    # The same fact twice on one side is a difference too: number them.
    for side in (left, right):
        side["n"] = side.groupby(KEYS).cumcount()
    joined = left.merge(right, how="outer", on=[*KEYS, "n"], suffixes=("_left", "_right"))
    wrong = joined[joined["value_left"].ne(joined["value_right"])]
    rows = wrong[[*KEYS, "value_left", "value_right"]].itertuples(index=False, name=None)
    return [
        Difference(str(uuid), str(size), str(field), _none(one), _none(other)) for uuid, size, field, one, other in rows
    ]


def duplicates(items: Iterable[board_values.BoardItem], mappings: Mappings) -> list[str]:
    """Identities that several items carry, and sizes that an item has twice."""
    seen: dict[str, int] = {}
    found: list[str] = []
    for item in items:
        record_uuid = fields.key_of(item, mappings)
        if not record_uuid:
            continue  # People may write what they like into lines of their own.
        seen[record_uuid] = seen.get(record_uuid, 0) + 1
        sizes = [cells.text_of(subitem, mappings.board.subitem.size.id) for subitem in item.subitems]
        # Lines without a size are people's own too.
        twice = sorted(size for size in set(sizes) if size and sizes.count(size) > 1)
        found += [f"{record_uuid} has size {size} {sizes.count(size)} times" for size in twice]
    return found + [f"{uuid} has {n} items" for uuid, n in seen.items() if n > 1]


def _none(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None
