"""The proof: source, production and board agree row by row, and what is missing is accounted for."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.monday import board_values
from connectors.tables import staging
from mappings import columns as mapped_columns
from mappings import items as mapped
from mappings import sizes
from schemas.base import Cell
from schemas.orders import Order
from streams.reconcile import compare, fields
from streams.resources import Resources

SHOWN = 5


@dataclass
class Proof:
    """What was counted, and every disagreement in words. Holds when there is none.

    `unkeyed` items of the board carry no identity: they belong to people.
    """

    source_rows: int = 0
    valid: int = 0
    excluded: int = 0
    failed: int = 0
    refused: int = 0
    items: int = 0
    subitems: int = 0
    unkeyed: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.wrong


def prove(parts: Resources, board: Iterable[board_values.BoardItem]) -> Proof:
    """Reads all three sides and compares them. Run it when nothing is on its way.

    A row that was refused must have an open ERR row with a reason, and keeps what the board last showed of it.
    """
    found = Proof()
    mappings, items = parts.mappings, list(board)
    open_errors = {str(row["record_uuid"]) for row in parts.failures.waiting() if row["error_message"]}
    # What people wrote into columns of their own is on no other side.
    people = mapped_columns.owned_by_people(mappings)
    said: list[fields.FieldValue] = []
    refused: set[str] = set()
    for record_uuid, row in _source(parts, found):
        if mapped.is_excluded(row, mappings):
            found.excluded += 1
            continue
        order = _order(parts, record_uuid, row)
        if order is None or record_uuid in open_errors:
            refused.add(record_uuid)
            found.failed += 1
            if record_uuid not in open_errors:
                found.wrong.append(f"{record_uuid} was refused and no ERR row says why")
            continue
        found.valid += 1
        said += fields.of_source(record_uuid, order, mappings, people=people)
    refused |= set(parts.orders.duplicates())
    source = compare.frame(said)
    production = compare.frame(fields.of_production(*parts.production.everything(), mappings, people=people))
    shown_facts = compare.frame(fields.of_board(items, mappings, people=people))
    sides = {"production": production, "board": shown_facts}
    for name, side in sides.items():
        known = side[~side["record_uuid"].isin(refused)]
        found.wrong += [_said("source", name, one) for one in compare.differences(source, known)]
    found.wrong += [_said("production", "board", one) for one in compare.differences(production, shown_facts)]
    found.wrong += [f"the board: {said}" for said in compare.duplicates(items, mappings)]
    ours = [item for item in items if fields.key_of(item, mappings)]
    found.unkeyed = len(items) - len(ours)
    found.items, found.subitems = len(ours), sum(len(item.subitems) for item in ours)
    return found


def _source(parts: Resources, found: Proof) -> Iterable[tuple[str, dict[str, Cell]]]:
    watched = mapped_columns.watched(parts.mappings, _sizes(parts))
    found.source_rows = parts.orders.source_rows()
    doubled = parts.orders.duplicates()
    found.refused = sum(doubled.values()) + len(parts.orders.without_identity(watched[:1]))
    for record_uuid, _, text, _ in parts.orders.scan(watched):
        if record_uuid not in doubled:
            yield record_uuid, dict(zip(watched, json.loads(text), strict=True))


def _sizes(parts: Resources) -> tuple[str, ...]:
    return sizes.size_columns(parts.orders.columns(), parts.mappings.board.sizes)


def _order(parts: Resources, record_uuid: str, row: dict[str, Cell]) -> Order | None:
    live = [(column.name, column.type) for column in parts.db.columns(staging.MASTER)]
    return mapped.convert(
        {**row, parts.mappings.board.key.source: record_uuid},
        size_columns=_sizes(parts),
        mappings=parts.mappings,
        target_lengths=mapped_columns.text_lengths(live),
    ).order


def _said(left: str, right: str, one: compare.Difference) -> str:
    where = f"{one.record_uuid} {one.field}" + (f" of size {one.size}" if one.size else "")
    return f"{where}: {left} {one.left!r}, {right} {one.right!r}"
