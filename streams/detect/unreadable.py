"""Refused cells: what a canonical text cannot hold, and rows that raise. Each gets one ERR row; the other rows go on.

A cell of a canonical text is text, a whole number or nothing. connectors/tables/row_text.py puts a JSON object in the
place of a cell that the engine cannot give as such; a number with a fraction stands there where the column is one of
whole numbers.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.tables import row_text
from schemas import detection
from schemas.base import Cell
from schemas.orders import Problem

UNREADABLE, UNUSABLE = "UNREADABLE_CELL", "UNUSABLE_ROW"
# Characters of a value that an ERR row shows.
SHOWN = 200


def is_readable(cells: Sequence[object]) -> bool:
    """Are these cells those of a canonical text?"""
    return all(type(cell) in _READABLE for cell in cells)


_READABLE = frozenset({str, int, type(None)})


def readable(row: Mapping[str, Any]) -> dict[str, Cell]:
    """The row for people: an unreadable cell becomes a text that shows it."""
    return {name: cell if type(cell) in _READABLE else _described(cell)[0] for name, cell in row.items()}


def refusals(record_uuid: str, columns: Sequence[str], cells: Sequence[Any]) -> list[detection.Refusal]:
    """One refusal for each unreadable cell of this row; none for a row that has only readable ones."""
    if is_readable(cells):
        return []
    row = dict(zip(columns, cells, strict=True))
    bad = {name: _described(cell) for name, cell in row.items() if type(cell) not in _READABLE}
    original = json.dumps(readable(row), ensure_ascii=False)
    return [
        detection.Refusal(
            error_key=f"unreadable:{record_uuid}:{_digest(name, json.dumps(row[name]))}",
            record_uuid=record_uuid,
            customer=_text(row.get("CUSTOMER NAME")),
            order_number=_text(row.get("AAG ORDER NUMBER")),
            code=UNREADABLE,
            problem=Problem(
                column=name,
                value=shown,
                reason=reason,
                advice=f"Correct [{name}] in ORDERS_UNIFIED: until then the order stays as the board shows it",
            ),
            original_data=original,
        )
        for name, (shown, reason) in bad.items()
    ]


def unusable(record_uuid: str, customer: str, row_hash: str, error: Exception) -> detection.Refusal:
    """The refusal of a row that raised `error` while its event was built."""
    return detection.Refusal(
        error_key=f"unusable:{record_uuid}:{_digest(row_hash, type(error).__name__)}",
        record_uuid=record_uuid,
        customer=customer,
        order_number=None,
        code=UNUSABLE,
        problem=Problem(
            column="(row)",
            value=None,
            reason=f"no event can be built of it: {type(error).__name__}: {str(error)[:SHOWN]}",
            advice="Correct the row in ORDERS_UNIFIED, and report this text: ordersync should have named the cell",
        ),
        original_data=json.dumps({"record_uuid": record_uuid}),
    )


def _described(cell: object) -> tuple[str, str]:
    """The value, as far as it can be shown, and the reason why it is refused."""
    match cell:
        case {row_text.BLOB: str(digits), "size": int(size)}:
            return _blob(digits, size), f"it is a BLOB of {size} bytes, and no text, number or date"
        case {row_text.BYTES: str(digits), row_text.TEXT: str(text)}:
            return text[:SHOWN], f"its bytes (X'{digits}'…) are no UTF-8 text"
        case float() if math.isinf(cell):
            return str(cell), "it is an infinite number"
        case float():
            return str(cell), "it is no whole number, and the column is one of whole numbers"
        case _:
            return json.dumps(cell)[:SHOWN], "it is a JSON value, and no text, number or date"


def _blob(digits: str, size: int) -> str:
    return f"X'{digits}'" + ("…" if size > row_text.SHOWN else "")


def _text(cell: object) -> str | None:
    return str(cell) if type(cell) in (str, int) else None


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
