"""compare finds the fields in which the field values of several sides differ."""

from collections.abc import Iterable
from typing import NamedTuple

from connectors.monday import board_values
from mappings.loading import Mappings
from streams.reconcile import fields
from streams.sync import cells


class Field(NamedTuple):
    """One field that the sides show differently, with the value of each side; None: that side does not have it."""

    record_uuid: str
    size: str
    field: str
    values: tuple[str | None, ...]


class Difference(NamedTuple):
    """A field of two sides. None: that side does not have it."""

    record_uuid: str
    size: str
    field: str
    left: str | None
    right: str | None


def differing(*sides: Iterable[fields.FieldValue]) -> list[Field]:
    """Every field in which the sides do not have the same value, sorted. A value that one side has twice is one."""
    found: dict[tuple[str, str, str, int], list[str | None]] = {}
    for at, side in enumerate(sides):
        times: dict[tuple[str, str, str], int] = {}
        for uuid, size, field, value in side:
            # Numbers tell repeated values of one side apart, so that a second one finds no partner on another side.
            n = times[uuid, size, field] = times.get((uuid, size, field), 0) + 1
            found.setdefault((uuid, size, field, n), [None] * len(sides))[at] = value
    return [Field(*key[:3], tuple(found[key])) for key in sorted(found) if len(set(found[key])) > 1]


def differences(left: Iterable[fields.FieldValue], right: Iterable[fields.FieldValue]) -> list[Difference]:
    """Every field value that only one of two sides has."""
    return [Difference(uuid, size, field, *values) for uuid, size, field, values in differing(left, right)]


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
