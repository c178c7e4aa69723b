"""The canonical text of a row and its hash.

Scheme `json-1`: a compact JSON array, in fixed column order, of null, integers and strings only; SHA-256 of
its UTF-8, as 64 upper-case hex digits. JSON distinguishes NULL, "" and "NULL" and quotes every text, so two different
rows never share a canonical text (joined with a bare `|`, as the earlier team did, they collided).
"""

import hashlib
import json
from collections.abc import Iterable
from typing import cast

from schemas.base import Cell

SCHEME = "json-1"


def canonical_text(cells: Iterable[Cell]) -> str:
    """The canonical text of the cells, equal byte for byte to the text that the database builds."""
    return json.dumps(list(cells), ensure_ascii=False, separators=(",", ":"))


def cells(text: str) -> list[Cell]:
    """The cells in a canonical text."""
    return cast(list[Cell], json.loads(text))


def row_hash(text: str) -> str:
    """SHA-256 of a canonical text: 64 upper-case hex digits."""
    return hashlib.sha256(text.encode()).hexdigest().upper()
