"""The proof: source, production and board agree row by row, and every refused row has an ERR row."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from connectors.monday import board_values
from mappings import columns as mapped_columns
from mappings import sizes
from schemas.base import Cell
from streams.reconcile import compare, fields
from streams.resources import Resources


@dataclass
class Proof:
    """The counts of a comparison, and every disagreement in `wrong`, one line each.

    `unkeyed` items of the board have no record_uuid: they belong to users.
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
        """Whether there is no disagreement."""
        return not self.wrong


def prove(parts: Resources, board: Iterable[board_values.BoardItem]) -> Proof:
    """Reads source and production and compares them with these items. Call it when every order is settled.

    A refused row must have an open ERR row with a message; production and board keep its settled version.
    """
    result = Proof()
    mappings, items = parts.mappings, list(board)
    open_errors = {str(row["record_uuid"]) for row in parts.failures.waiting() if row["error_message"]}
    # Values that users wrote into their own columns exist on the board only.
    user_columns = mapped_columns.owned_by_people(mappings)
    expectations = parts.comparison().expectations
    expected: list[fields.FieldValue] = []
    refused: set[str] = set()
    for record_uuid, row in _source(parts, result):
        one = expectations.of(record_uuid, row)
        if one.excluded:
            result.excluded += 1
        elif one.order is None or record_uuid in open_errors:
            refused.add(record_uuid)
            result.failed += 1
            if record_uuid not in open_errors:
                result.wrong.append(f"{record_uuid} was refused and has no ERR row")
        else:
            result.valid += 1
            expected += fields.of_source(record_uuid, one.order, mappings, people=user_columns)
    refused |= set(parts.orders.duplicates())
    production = fields.of_production(*parts.production.everything(), mappings, people=user_columns)
    # A refused row keeps its settled version, so production says what is expected of it.
    expected += [value for value in production if value[0] in refused]
    on_board = fields.of_board(items, mappings, people=user_columns)
    result.wrong += [_text(one) for one in compare.differing(expected, production, on_board)]
    result.wrong += [f"the board: {text}" for text in compare.duplicates(items, mappings)]
    keyed = [item for item in items if fields.key_of(item, mappings)]
    result.unkeyed = len(items) - len(keyed)
    result.items, result.subitems = len(keyed), sum(len(item.subitems) for item in keyed)
    return result


def _source(parts: Resources, result: Proof) -> Iterable[tuple[str, dict[str, Cell]]]:
    size_columns = sizes.size_columns(parts.orders.columns(), parts.mappings.board.sizes)
    watched = mapped_columns.watched(parts.mappings, size_columns)
    result.source_rows = parts.orders.source_rows()
    shared = parts.orders.duplicates()
    result.refused = sum(shared.values()) + len(parts.orders.without_identity(watched[:1]))
    for record_uuid, _, text, _ in parts.orders.scan(watched):
        if record_uuid not in shared:
            yield record_uuid, dict(zip(watched, json.loads(text), strict=True))


def _text(one: compare.Field) -> str:
    where = f"{one.record_uuid} {one.field}" + (f" of size {one.size}" if one.size else "")
    source, production, board = one.values
    return f"{where}: source {source!r}, production {production!r}, board {board!r}"
