"""The canonical UUID in a cell of the source, as an SQL expression of each engine.

A UUID is compared without case, without braces and without the blanks around it; 32 digits without hyphens are one too.
Its canonical form has capitals and hyphens and no braces (schemas/identity.py says the same in Python). SQL Server's
own type has one spelling already. A text that is no UUID gives NULL and no error; SQL Server would cut a longer text.
"""

_HEX = "[0-9A-Fa-f]"
_HYPHENED = "-".join(_HEX * digits for digits in (8, 4, 4, 4, 12))
_BLANKS = "' ' || char(9) || char(10) || char(13) || char(160)"
_TEXTS = ("NVARCHAR", "VARCHAR", "NCHAR", "CHAR")


def canonical(engine: str, cell: str, kind: str = "") -> str:
    """The expression of the canonical UUID in `cell`, a column of the SQL type `kind`; NULL where there is none."""
    if engine == "sqlite":
        return f"CASE WHEN {_spelled(cell)} AND {cell} GLOB '{_HYPHENED}' THEN upper({cell}) ELSE {_cleaned(cell)} END"
    if kind.partition("(")[0].upper() not in _TEXTS:
        return cell
    bare = f"REPLACE(REPLACE(TRIM({cell}), '{{', ''), '}}', '')"
    hyphened = f"STUFF(STUFF(STUFF(STUFF({bare}, 21, 0, '-'), 17, 0, '-'), 13, 0, '-'), 9, 0, '-')"
    return (
        f"CASE LEN({bare}) WHEN 36 THEN TRY_CAST({bare} AS UNIQUEIDENTIFIER) "
        f"WHEN 32 THEN TRY_CAST({hyphened} AS UNIQUEIDENTIFIER) END"
    )


def key(engine: str, cell: str, kind: str = "") -> str:
    """An expression that is equal for two spellings of a UUID and costs a fraction of `canonical`.

    On SQLite a text that is no UUID gives a text that is none either.
    """
    if engine != "sqlite":
        return canonical(engine, cell, kind)
    spelled = f"{_spelled(cell)} AND substr({cell}, 9, 1) = '-' AND substr({cell}, 24, 1) = '-'"
    return f"CASE WHEN {spelled} THEN upper({cell}) ELSE COALESCE({_cleaned(cell)}, {cell}) END"


def _spelled(cell: str) -> str:
    # The length is that of the bytes: SQLite's functions on texts end at an embedded NUL.
    return f"typeof({cell}) = 'text' AND length(CAST({cell} AS BLOB)) = 36"


def _cleaned(cell: str) -> str:
    """The canonical UUID in any other spelling, on SQLite; NULL for what is no UUID."""
    trimmed = f"trim({cell}, {_BLANKS})"
    bare = (
        f"CASE WHEN substr({trimmed}, 1, 1) = char(123) AND substr({trimmed}, -1) = char(125) "
        f"THEN substr({trimmed}, 2, length({trimmed}) - 2) ELSE {trimmed} END"
    )
    cuts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    hyphened = " || '-' || ".join(f"substr({bare}, {first}, {digits})" for first, digits in cuts)
    return (
        f"CASE WHEN typeof({cell}) <> 'text' OR instr(CAST({cell} AS BLOB), x'00') > 0 THEN NULL "
        f"WHEN ({bare}) GLOB '{_HYPHENED}' THEN upper({bare}) "
        f"WHEN ({bare}) GLOB '{_HEX * 32}' THEN upper({hyphened}) END"
    )
