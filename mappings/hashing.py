"""The canonical text of a row and its hash.

The text is a compact JSON array, in fixed column order, of null, integers and strings only. JSON distinguishes NULL, ""
and "NULL" and quotes every text, so two different rows never share a canonical text (joined with a bare `|`, as the
earlier team did, they collided). Hashes are SHA-256 as 64 upper-case hex digits.

Scheme `json-2` hashes the names of the columns with the text: a quantity that moves to another column is another row.
Scheme `json-1`, of homes of earlier versions, hashed the text alone.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import cast

from schemas.base import Cell

SCHEME = "json-2"
WITHOUT_NAMES = "json-1"


def canonical_text(cells: Iterable[Cell]) -> str:
    """The canonical text of the cells, equal byte for byte to the text that the database builds."""
    return json.dumps(list(cells), ensure_ascii=False, separators=(",", ":"))


def cells(text: str) -> list[Cell]:
    """The cells in a canonical text."""
    return cast(list[Cell], json.loads(text))


def text_hash(text: str) -> str:
    """The hash of a text alone."""
    return hashlib.sha256(text.encode()).hexdigest().upper()


class RowHasher:
    """The hash of a row by its canonical text, for one list of columns.

    `owed` is a second hash of the same row. A snapshot row has it while the order has to be converted once more, since
    the mapping changed after it was settled.
    """

    def __init__(self, columns: Sequence[str], scheme: str = SCHEME) -> None:
        names = "" if scheme == WITHOUT_NAMES else canonical_text(columns) + "\n"
        self._begun = hashlib.sha256(names.encode())
        self._owed = hashlib.sha256(f"owed {names}".encode())

    def __call__(self, text: str) -> str:
        digest = self._begun.copy()
        digest.update(text.encode())
        return digest.hexdigest().upper()

    def owed(self, text: str) -> str:
        """The hash that marks the row for one more conversion."""
        digest = self._owed.copy()
        digest.update(text.encode())
        return digest.hexdigest().upper()
