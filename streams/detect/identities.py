"""Refused rows: without a record_uuid, with one that is no UUID or that another row has too. Each gets one ERR row."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from connectors.tables import row_text
from mappings import hashing
from schemas import detection
from schemas.base import Cell
from schemas.orders import Problem
from streams.detect import events as detect_events
from streams.detect import unreadable


def refusals(
    nameless: Sequence[tuple[str | None, str]],
    columns: Sequence[str],
    duplicates: Mapping[str, int],
    spellings: Mapping[str, Sequence[str]],
) -> list[detection.Refusal]:
    """One refusal for each row without an identity, and one for each identity that several rows have.

    `nameless` are the record_uuid and the canonical text of the rows without an identity; `duplicates` gives the number
    of rows by identity, `spellings` their record_uuids as the source writes them.
    """
    refused: list[detection.Refusal] = []
    copies: dict[tuple[str | None, str], int] = {}
    for spelling, text in nameless:
        row_hash = hashing.text_hash(text)
        copy = copies[spelling, row_hash] = copies.get((spelling, row_hash), 0) + 1
        row = unreadable.readable(dict(zip(columns, row_text.cells(text), strict=True)))
        refused.append(no_identity(row, row_hash, copy) if spelling is None else no_uuid(spelling, row, row_hash, copy))
    return refused + [shared_identity(uuid, rows, spellings.get(uuid, ())) for uuid, rows in duplicates.items()]


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


def no_uuid(spelling: str, row: Mapping[str, Cell], row_hash: str, copy: int) -> detection.Refusal:
    """The refusal of a row whose record_uuid is no UUID."""
    digest = hashlib.sha256(f"{spelling}\n{row_hash}".encode()).hexdigest()
    return detection.Refusal(
        error_key=f"not-a-uuid:{digest}:{copy}",
        record_uuid=None,
        customer=_text(row.get("CUSTOMER NAME")),
        order_number=_text(row.get("AAG ORDER NUMBER")),
        code="NOT_A_UUID",
        problem=Problem(
            column="record_uuid",
            value=spelling[: unreadable.SHOWN],
            reason="it is no UUID, so ordersync could not find its item on the board a second time",
            advice=f"Give the row of order {row.get('AAG ORDER NUMBER')!r} a UUID in ORDERS_UNIFIED, such as "
            "0F8FAD5B-D9CB-469F-A165-70867728950E: 32 digits from 0 to F, with or without hyphens and braces",
        ),
        original_data=_json({name: cell for name, cell in row.items() if cell is not None}),
    )


def shared_identity(record_uuid: str, copies: int, spellings: Sequence[str] = ()) -> detection.Refusal:
    """The refusal of an identity that `copies` rows have: detection emits none of them."""
    spelled = f", spelled {' and '.join(map(repr, spellings))}" if len(spellings) > 1 else ""
    return detection.Refusal(
        error_key=f"duplicate:{record_uuid}",
        record_uuid=record_uuid,
        customer=None,
        order_number=None,
        code="DUPLICATE_IDENTITY",
        problem=Problem(
            column="record_uuid",
            value=record_uuid,
            reason=f"{copies} rows share this record_uuid{spelled}, so ordersync cannot know which one is the order",
            advice="Give each row of ORDERS_UNIFIED a record_uuid of its own",
        ),
        original_data=_json({"record_uuid": record_uuid, "rows": copies}),
    )


def _json(value: Mapping[str, Cell]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)
