"""Source rows without an identity of their own: refused, with one ERR row each."""

import json
from collections.abc import Mapping, Sequence

from mappings import hashing
from schemas import detection
from schemas.base import Cell
from schemas.orders import Problem


def refusals(texts: Sequence[str], columns: Sequence[str], duplicates: Mapping[str, int]) -> list[detection.Refusal]:
    """Of rows without an identity, given by their texts, and of identities that several rows claim: one each."""
    found: list[detection.Refusal] = []
    copies: dict[str, int] = {}
    for text in texts:
        row_hash = hashing.row_hash(text)
        copies[row_hash] = copies.get(row_hash, 0) + 1
        row = dict(zip(columns, hashing.cells(text), strict=True))
        found.append(no_identity(row, row_hash, copies[row_hash]))
    return found + [shared_identity(uuid, rows) for uuid, rows in duplicates.items()]


def no_identity(row: Mapping[str, Cell], row_hash: str, copy: int) -> detection.Refusal:
    """A row without record_uuid, known by its hash until it is mended; equal rows are told apart by `copy`."""
    return detection.Refusal(
        error_key=f"no-identity:{row_hash}:{copy}",
        record_uuid=None,
        customer=_text(row.get("CUSTOMER NAME")),
        order_number=_text(row.get("AAG ORDER NUMBER")),
        code="NO_IDENTITY",
        problem=Problem(
            column="record_uuid",
            value=None,
            reason="the row has no identity, so its item could never be found again",
            advice=f"Give the row of order {row.get('AAG ORDER NUMBER')!r} a record_uuid in ORDERS_UNIFIED",
        ),
        original_data=_json({name: cell for name, cell in row.items() if cell is not None}),
    )


def shared_identity(record_uuid: str, copies: int) -> detection.Refusal:
    """A record_uuid that several rows claim: none of them is sent."""
    return detection.Refusal(
        error_key=f"duplicate:{record_uuid}",
        record_uuid=record_uuid,
        customer=None,
        order_number=None,
        code="DUPLICATE_IDENTITY",
        problem=Problem(
            column="record_uuid",
            value=record_uuid,
            reason=f"{copies} rows share this identity, so nobody can say which one is the order",
            advice="Give each row of ORDERS_UNIFIED a record_uuid of its own",
        ),
        original_data=_json({"record_uuid": record_uuid, "rows": copies}),
    )


def _json(value: Mapping[str, Cell]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)
