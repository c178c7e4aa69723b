"""Queries by more keys than one statement takes parameters, and the first row of a query."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import sql
from connectors import database

T = TypeVar("T")

# A statement takes 2,000 parameters on every engine.
PARAMETERS_PER_CHUNK = 500


def batched(values: Sequence[T], size: int = PARAMETERS_PER_CHUNK) -> Iterator[Sequence[T]]:
    """Slices of at most `size` values, in order."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def query(
    session: database.Session, statement: str, keys: Sequence[str | int], **names: Sequence[str]
) -> list[database.Row]:
    """The rows of `statement` for all keys, slice by slice: `{marks}` takes keys, `names` the other placeholders."""
    rows: list[database.Row] = []
    for some in batched(keys):
        rows += session.query(sql.expand(statement, marks=len(some), **names), tuple(some))
    return rows


def first(session: database.Session, statement: str, params: Sequence[database.Value]) -> database.Row | None:
    """The first row of a query, None when there is no row."""
    return next(iter(session.query(statement, params)), None)
