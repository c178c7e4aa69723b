"""The canonical text of a row (mappings/hashing.py) out of a query: one part in SQL, the rest in Python.

SQLite builds JSON arrays of as many cells as one of its functions takes. SQL Server before 2022 builds none, so it
returns the cells. Both engines give the same text for the same cells.
"""

import json
from collections.abc import Sequence
from typing import Any

from connectors.tables import chunks
from sql import identifiers

# SQLite takes at most 127 arguments to a function.
ARGUMENTS = 127


def selected(engine: str, columns: Sequence[str | None]) -> list[str]:
    """The select list for the text of these columns, with the source called `s`; a column None is read as NULL."""
    cells = ["NULL" if name is None else f"s.{identifiers.quote(name)}" for name in columns]
    if engine == "sqlite":
        return [f"json_array({', '.join(some)})" for some in chunks.batched(cells, ARGUMENTS)]
    return cells


def joined(engine: str, parts: Sequence[Any]) -> str:
    """The canonical text, joined from the values of the select list."""
    if engine != "sqlite":
        return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    text = str(parts[0])
    for array in parts[1:]:
        text = f"{text[:-1]},{array[1:]}"
    return text
