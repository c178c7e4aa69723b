"""compare puts field values into tables and finds the rows in which two tables differ."""

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
    """One field that two sides show differently; None: that side does not have it."""

    record_uuid: str
    size: str
    field: str
    left: str | None
    right: str | None


def frame(values: Iterable[fields.FieldValue]) -> "pd.DataFrame":
    """Field values as a table of four text columns: the KEYS and `value`."""
    # A worker imports this module, and needs pandas only when it audits the board: not at its start.
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(values, columns=[*KEYS, "value"], dtype="str")


def differences(left: "pd.DataFrame", right: "pd.DataFrame") -> list[Difference]:
    """Every field value that only one frame has. A value that one side has twice is one of them."""
    left, right = left.copy(), right.copy()
    # Numbers tell repeated values of one side apart, so that a second one finds no partner on the other side.
    for side in (left, right):
        side["n"] = side.groupby(KEYS).cumcount()
    joined = left.merge(right, how="outer", on=[*KEYS, "n"], suffixes=("_left", "_right"))
    wrong = joined[joined["value_left"].ne(joined["value_right"])]
    rows = wrong[[*KEYS, "value_left", "value_right"]].itertuples(index=False, name=None)
    return [
        Difference(str(uuid), str(size), str(field), _none(one), _none(other)) for uuid, size, field, one, other in rows
    ]


def duplicates(items: Iterable[board_values.BoardItem], mappings: Mappings) -> list[str]:
    """One line for each identity that several items carry, and for each size that an item has twice."""
    times: dict[str, int] = {}
    lines: list[str] = []
    for item in items:
        record_uuid = fields.key_of(item, mappings)
        if not record_uuid:
            continue  # The item belongs to users, who may write anything into it.
        times[record_uuid] = times.get(record_uuid, 0) + 1
        sizes = [cells.text_of(subitem, mappings.board.subitem.size.id) for subitem in item.subitems]
        # Subitems without a size belong to users too.
        twice = sorted(size for size in set(sizes) if size and sizes.count(size) > 1)
        lines += [f"{record_uuid} has size {size} {sizes.count(size)} times" for size in twice]
    return lines + [f"{uuid} has {n} items" for uuid, n in times.items() if n > 1]


def _none(value: Any) -> str | None:
    return str(value) if isinstance(value, str) else None
