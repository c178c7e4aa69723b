"""The hash of a row as SQL Server computes it: one T-SQL expression over the watched columns.

Every cell is written so that no two different rows share a text: a text cell as its length in bytes, `:` and itself
(NULL is `:`, empty is `0:`), any other as its digits and `,`, which no number and no date holds. CONCAT takes NULL
for nothing and 254 arguments at most, and cuts at 4,000 characters unless one argument is NVARCHAR(MAX): so the text
is made in groups, each with one of its own.

Scheme, engine and the typed column list are part of what is hashed: hashes that were made under another list are
equal to none of today's. They never equal those of Python (mappings/hashing.py), which hash another text.
"""

import hashlib
from collections.abc import Iterator, Sequence

from sql import identifiers

SCHEME = "hashbytes-1"
# Arguments of one CONCAT, its NVARCHAR(MAX) among them: a compatible engine stops at 100.
GROUP = 96

# How long a text cell is, in bytes of the text that is hashed: NVARCHAR, whatever the code page of its column.
_TEXTS = {
    **dict.fromkeys(["NVARCHAR", "NCHAR"], "DATALENGTH({})"),
    **dict.fromkeys(["VARCHAR", "CHAR"], "DATALENGTH(CAST({} AS NVARCHAR(MAX)))"),
}
# Text of one form per value, whatever the session's language: styles as CAST and CONVERT document them.
_VALUES = {
    **dict.fromkeys(["TINYINT", "SMALLINT", "INT", "BIGINT", "BIT"], "{}"),
    # 38 digits, sign, point and the zero before it; the scale is the column's, so that 1.5 is 1.50.
    **dict.fromkeys(["DECIMAL", "NUMERIC"], "CAST({} AS NVARCHAR(41))"),
    "DATE": "CAST({} AS NVARCHAR(10))",
    "DATETIME2": "CONVERT(NVARCHAR(33), {}, 126)",
    # All 17 digits: the default keeps six.
    "FLOAT": "CONVERT(NVARCHAR(50), {}, 3)",
}


class Unhashable(ValueError):
    """Columns whose type has no one text on the server."""


def expression(columns: Sequence[tuple[str, str]]) -> str:
    """`HASHBYTES(…)`, 32 bytes, over columns of the source, called `s`; `columns` are (name, SQL type) pairs.

    Raises Unhashable, which names every column of another type than those above.
    """
    if found := refused(columns):
        raise Unhashable(f"the server cannot hash {', '.join(f'[{name}] ({kind})' for name, kind in found)}")
    groups = [f"CONCAT(CAST(N'' AS NVARCHAR(MAX)), {', '.join(some)})" for some in _groups(columns)]
    return f"HASHBYTES('SHA2_256', CONCAT({identifiers.literal(_made_with(columns))}, {', '.join(groups)}))"


def refused(columns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the (name, SQL type) pairs whose type has no one text on the server."""
    return [(name, kind) for name, kind in columns if _base(kind) not in _VALUES.keys() | _TEXTS.keys()]


def _groups(columns: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    group: list[str] = []
    for name, kind in columns:
        arguments = _arguments(f"s.{identifiers.quote(name)}", _base(kind))
        if len(group) + len(arguments) >= GROUP:
            yield group
            group = []
        group += arguments
    yield group


def _arguments(cell: str, base: str) -> list[str]:
    # DATALENGTH, for LEN leaves trailing blanks out.
    if base in _TEXTS:
        return [_TEXTS[base].format(cell), "N':'", cell]
    return [_VALUES[base].format(cell), "N','"]


def _made_with(columns: Sequence[tuple[str, str]]) -> str:
    listed = "\n".join(f"{name}\t{_base(kind)}" for name, kind in columns)
    return f"{SCHEME} sqlserver {hashlib.sha256(listed.encode()).hexdigest()}:"


def _base(kind: str) -> str:
    return kind.partition("(")[0].strip().upper()
