"""Refused rows: source rows without a record_uuid, or with one that another row has too. Each gets one ERR row."""

import json
from collections.abc import Mapping, Sequence

from mappings import hashing
from schemas import detection
from schemas.base import Cell
from schemas.orders import Problem
from streams.detect import events as detect_events


def refusals(texts: Sequence[str], columns: Sequence[str], duplicates: Mapping[str, int]) -> list[detection.Refusal]:
    """One refusal for each row without a record_uuid, and one for each record_uuid that several rows have.

    `texts` are the canonical texts of the rows without a record_uuid; `duplicates` gives the number of rows by
    record_uuid.
    """
    refused: list[detection.Refusal] = []
    copies: dict[str, int] = {}
    for text in texts:
        row_hash = hashing.text_hash(text)
        copies[row_hash] = copies.get(row_hash, 0) + 1
        row = dict(zip(columns, hashing.cells(text), strict=True))
        refused.append(no_identity(row, row_hash, copies[row_hash]))
    return refused + [shared_identity(uuid, rows) for uuid, rows in duplicates.items()]


def no_identity(row: Mapping[str, Cell], row_hash: str, copy: int) -> detection.Refusal:
    """The refusal of a row without a record_uuid. Its key is the row hash; `copy` (1, 2, …) separates equal rows."""
    return detection.Refusal(
        error_key=f"no-identity:{row_hash}:{copy}",
        record_uuid=None,
        customer=_text(row.get("CUSTOMER NAME")),
        order_number=_text(row.get("AAG ORDER NUMBER")),
        code="NO_IDENTITY",
        problem=Problem(
            column="record_uuid",
            value=None,
            reason="the row has no record_uuid, so ordersync could not find its item on the board a second time",
            advice=f"Give the row of order {row.get('AAG ORDER NUMBER')!r} a record_uuid in ORDERS_UNIFIED",
        ),
        original_data=_json(detect_events.truncate_row(row)),
    )


def shared_identity(record_uuid: str, copies: int) -> detection.Refusal:
    """The refusal of a record_uuid that `copies` rows have: detection emits none of them."""
    return detection.Refusal(
        error_key=f"duplicate:{record_uuid}",
        record_uuid=record_uuid,
        customer=None,
        order_number=None,
        code="DUPLICATE_IDENTITY",
        problem=Problem(
            column="record_uuid",
            value=record_uuid,
            reason=f"{copies} rows share this record_uuid, so ordersync cannot know which one is the order",
            advice="Give each row of ORDERS_UNIFIED a record_uuid of its own",
        ),
        original_data=_json({"record_uuid": record_uuid, "rows": copies}),
    )


def _json(value: Mapping[str, Cell]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)
