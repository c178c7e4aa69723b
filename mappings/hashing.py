"""The canonical text of a row and its hash.

Scheme `json-1`: a compact JSON array, in fixed column order, of null, integers and strings only; SHA-256 of
its UTF-8, as 64 upper-case hex digits. JSON tells NULL, "" and "NULL" apart and quotes what is inside a text,
so no two different rows share a text (the earlier team joined values with a bare `|`, and they collided).
"""

import hashlib
import json
from collections.abc import Iterable
from typing import cast

from schemas.base import Cell

SCHEME = "json-1"


def canonical_text(cells: Iterable[Cell]) -> str:
    """The row's text, byte for byte what the database builds for the same cells."""
    return json.dumps(list(cells), ensure_ascii=False, separators=(",", ":"))


def cells(text: str) -> list[Cell]:
    """The cells that a canonical text holds."""
    return cast(list[Cell], json.loads(text))


def row_hash(text: str) -> str:
    """SHA-256 of a canonical text: 64 upper-case hex digits."""
    return hashlib.sha256(text.encode()).hexdigest().upper()
