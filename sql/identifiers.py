"""The one place that quotes a name.

Column names are data, because the live source table has them. Brackets quote them on SQLite and on SQL Server; this
module refuses a name that brackets cannot quote on both engines, before it reaches a statement.
"""

from collections.abc import Iterable

# SQL Server's limit, in UTF-16 units.
MAX_LENGTH = 128

# "]" has no escape in SQLite's brackets, "?" is a parameter to some drivers, braces are ours (sql.expand).
_FORBIDDEN = frozenset("]?{}")


class Unusable(ValueError):
    """A name that cannot be quoted in the same way on every engine; the text says what to do about it."""


def quote(name: str) -> str:
    """`[name]`, for SQLite and SQL Server. Raises Unusable, as all functions of this module do."""
    return f"[{_usable(name)}]"


def double_quote(name: str) -> str:
    """`"name"`, for PostgreSQL, which knows no brackets."""
    doubled = _usable(name).replace('"', '""')
    return f'"{doubled}"'


def literal(name: str) -> str:
    """`N'name'`: a name as text, for SQL Server's catalogue functions."""
    doubled = _usable(name).replace("'", "''")
    return f"N'{doubled}'"


def listed(names: Iterable[str], alias: str = "", suffix: str = "") -> str:
    """`[a], [b]`; with an alias `s.[a], s.[b]`; a suffix such as ` = ?` follows each name."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(f"{prefix}{quote(name)}{suffix}" for name in names)


def check(names: Iterable[str]) -> None:
    """Raises Unusable for names that cannot be quoted, or names of one table that differ by case only."""
    known: dict[str, str] = {}
    for name in names:
        folded = _usable(name).casefold()
        if folded in known:
            raise Unusable(f"[{known[folded]}] and [{name}] are one name to a database: rename one of them")
        known[folded] = name


def _usable(name: str) -> str:
    bad = sorted({char for char in name if char in _FORBIDDEN or not char.isprintable()})
    if bad:
        raise Unusable(f"the name {name!r} holds {' '.join(map(repr, bad))}, which no engine can quote: rename it")
    if not name.strip() or len(name.encode("utf-16-le")) // 2 > MAX_LENGTH:
        raise Unusable(f"the name {name!r} is blank or longer than {MAX_LENGTH} characters: rename it")
    return name
