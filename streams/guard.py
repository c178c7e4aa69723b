"""What stops a detection pass before it emits anything, and the rows that are refused for their identity.

A truncate-and-reload upstream must never wipe a board: a person looks first, then `ordersync detect --accept`.
"""

import json
from collections.abc import Mapping, Sequence

from mappings import hashing
from schemas import detection, events
from schemas.base import Cell, Model
from schemas.orders import Problem

ACCEPT = "If that is right, run `ordersync detect --accept`"


class Stop(Exception):
    """The pass may not go on. The text says why."""


class Limits(Model):
    """Shares of the known rows, and the number of rows below which the guard never stops a pass."""

    deleted: float
    changed: float
    rows: int


def listed(names: Sequence[str]) -> str:
    """Columns, as a person reads them."""
    return ", ".join(f"[{name}]" for name in names)


def reason(
    limits: Limits, known: int, counts: Mapping[events.Change, int], accepted: Mapping[events.Change, int]
) -> str | None:
    """Why the pass must stop, or None. `accepted` are changes that a person let pass and the window holds back."""
    for change, share in ((events.Change.DELETED, limits.deleted), (events.Change.UPDATED, limits.changed)):
        n = counts.get(change, 0) - accepted.get(change, 0)
        if n >= limits.rows and n > share * known:
            return (
                f"{n} of {known} orders were {change.value.lower()} at once, more than the {share:.0%} that the guard "
                f"lets pass. {ACCEPT}"
            )
    return None


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
