"""The hash of a row as SQL Server computes it: one T-SQL expression over the watched columns.

Every cell is written so that no two different rows have the same text: a text cell as its length in bytes, `:` and
itself (NULL is `:`, empty is `0:`), any other cell as its digits and `,`, which no number and no date contains. CONCAT
ignores NULL, takes 254 arguments at most, and cuts at 4,000 characters unless one argument is NVARCHAR(MAX); so the
text is built in groups, each with such an argument.

The hashed text includes the scheme, the engine and the typed column list, so a hash of another list equals none of the
present ones. No hash equals one of Python (mappings/hashing.py), which hashes another text.
"""

import hashlib
from collections.abc import Iterator, Sequence

from sql import identifiers

SCHEME = "hashbytes-1"
# Arguments of one CONCAT, with its NVARCHAR(MAX): a compatible engine allows 100.
GROUP = 96

# The length of a text cell in bytes of the hashed text, which is NVARCHAR, whatever the code page of the column.
_TEXTS = {
    **dict.fromkeys(["NVARCHAR", "NCHAR"], "DATALENGTH({})"),
    **dict.fromkeys(["VARCHAR", "CHAR"], "DATALENGTH(CAST({} AS NVARCHAR(MAX)))"),
}
# Every value has one text, whatever the language of the session: the styles are those of CAST and CONVERT.
_VALUES = {
    **dict.fromkeys(["TINYINT", "SMALLINT", "INT", "BIGINT", "BIT"], "{}"),
    # 38 digits, sign, point and the zero before it; the scale is the column's, so that 1.5 is 1.50.
    **dict.fromkeys(["DECIMAL", "NUMERIC"], "CAST({} AS NVARCHAR(41))"),
    "DATE": "CAST({} AS NVARCHAR(10))",
    "DATETIME2": "CONVERT(NVARCHAR(33), {}, 126)",
    # Style 3 keeps all 17 digits, the default six.
    "FLOAT": "CONVERT(NVARCHAR(50), {}, 3)",
}


class Unhashable(ValueError):
    """Columns of a type without an exact text on the server."""


def expression(columns: Sequence[tuple[str, str]]) -> str:
    """`HASHBYTES(…)`, 32 bytes, over columns of the source, called `s`; `columns` are (name, SQL type) pairs.

    Raises Unhashable, which names every column of another type than those above.
    """
    if unhashable := refused(columns):
        raise Unhashable(f"the server cannot hash {', '.join(f'[{name}] ({kind})' for name, kind in unhashable)}")
    groups = [f"CONCAT(CAST(N'' AS NVARCHAR(MAX)), {', '.join(some)})" for some in _groups(columns)]
    return f"HASHBYTES('SHA2_256', CONCAT({identifiers.literal(_prefix(columns))}, {', '.join(groups)}))"


def refused(columns: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The (name, SQL type) pairs whose type has no exact text on the server."""
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
    # DATALENGTH counts trailing blanks, LEN does not.
    if base in _TEXTS:
        return [_TEXTS[base].format(cell), "N':'", cell]
    return [_VALUES[base].format(cell), "N','"]


def _prefix(columns: Sequence[tuple[str, str]]) -> str:
    listed = "\n".join(f"{name}\t{_base(kind)}" for name, kind in columns)
    return f"{SCHEME} sqlserver {hashlib.sha256(listed.encode()).hexdigest()}:"


def _base(kind: str) -> str:
    return kind.partition("(")[0].strip().upper()
