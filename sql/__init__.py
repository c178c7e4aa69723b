"""Every SQL statement, by name; every table, as data; the one place that quotes a name.

    tables.py       the tables, out of *.csv             identifiers.py  quoting
    ddl.py          CREATE and ALTER for each engine     script.py       writes schema/<engine>.sql
    grants.py       the rights on SQL Server             live_checks.py  mistakes in existing tables
    pushdown.py     the row hash as SQL Server computes it

Each *.sql file has the statements of one module of connectors as blocks; `connectors/tables/X.py` loads `X.sql`:

    -- name: claim_staged
    -- Take the oldest rows for this worker.
    UPDATE ...

A block is portable: SQLite and SQL Server run the same bytes (tests/sql/test_lint.py). A second line
`-- engine: sqlite` (or `sqlserver`, `postgresql`) marks a block for one engine; another engine may have a block of the
same name. PostgreSQL has only the archive; connectors/archive/postgres.py translates brackets and marks for it.

`expand` fills placeholders. The end of a placeholder's name says what it takes: `{table}` one name, `{columns}` (any
plural) a list of names, `{marks}` a count of `?`, `{texts}` expressions built from quoted names, `{uuid_text}` one such
expression. `{s.columns}` puts an alias before each name, `{columns=?}` an assignment after each. Values never enter a
text: they are bound.

Imports: nothing of ours; imported by: connectors, streams.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from sql import identifiers

ENGINES = ("sqlite", "sqlserver", "postgresql")

_FOLDER = Path(__file__).parent
_NAME = re.compile(r"-- name: (\w+)")
_ENGINE = re.compile(r"-- engine: (\w+)")
_PLACEHOLDER = re.compile(r"\{(?:(?P<alias>\w+)\.)?(?P<name>\w+)(?P<assign>=\?)?\}")


@dataclass(frozen=True)
class Block:
    """One named statement. `engine` is None when every engine runs it."""

    name: str
    description: str
    engine: str | None
    text: str


def files() -> list[str]:
    """The names of the statement files, without `.sql`."""
    return sorted(path.stem for path in _FOLDER.glob("*.sql"))


@cache
def blocks(file: str) -> tuple[Block, ...]:
    """The blocks of `<file>.sql`, in order. Raises ValueError for a malformed file."""
    return tuple(parse((_FOLDER / f"{file}.sql").read_text(encoding="utf-8"), file))


@cache
def load(file: str, engine: str | None = None) -> MappingProxyType[str, str]:
    """The statements of `<file>.sql` by name: all of them, or those that `engine` can run.

    Raises ValueError when a block exists for several engines and `engine` is None.
    """
    statements: dict[str, str] = {}
    for block in blocks(file):
        if engine is not None and block.engine not in (None, engine):
            continue
        if block.name in statements:
            raise ValueError(f"{file}.sql: {block.name} exists for several engines: load it for one")
        statements[block.name] = block.text
    return MappingProxyType(statements)


def parse(text: str, source: str) -> Iterator[Block]:
    """The blocks of a statement file; `source` names it in a ValueError. Comment lines never reach the database."""
    known: set[tuple[str, str | None]] = set()
    head, *parts = re.split(r"^(?=-- name:)", text, flags=re.MULTILINE)
    if any(line.strip() and not line.startswith("--") for line in head.splitlines()):
        raise ValueError(f"{source}.sql: a statement before the first name")
    for part in parts:
        lines = part.splitlines()
        named = _NAME.fullmatch(lines.pop(0).rstrip())
        if named is None:
            raise ValueError(f"{source}.sql: not a name: {part.splitlines()[0]}")
        marked = _ENGINE.fullmatch(lines[0].rstrip()) if lines else None
        engine = marked[1] if marked else None
        if marked:
            lines.pop(0)
        if engine not in (None, *ENGINES):
            raise ValueError(f"{source}.sql: {named[1]} is for an unknown engine: {engine}")
        description = " ".join(line[2:].strip() for line in lines if line.startswith("--"))
        statement = "\n".join(line for line in lines if not line.lstrip().startswith("--")).strip()
        if not description or not statement:
            raise ValueError(f"{source}.sql: {named[1]} needs a description and a statement")
        if (named[1], engine) in known:
            raise ValueError(f"{source}.sql: {named[1]} exists twice")
        known.add((named[1], engine))
        yield Block(named[1], description, engine, statement)


def placeholders(text: str) -> tuple[str, ...]:
    """The placeholder names of a statement, each once, in order."""
    return tuple(dict.fromkeys(found["name"] for found in _PLACEHOLDER.finditer(text)))


def expand(text: str, **values: str | Sequence[str] | int) -> str:
    """`text` with every placeholder filled. Raises ValueError for a missing, unused or wrongly shaped value."""
    wanted = set(placeholders(text))
    if wanted != set(values):
        raise ValueError(f"placeholders {sorted(wanted)} were given {sorted(values)}")
    return _PLACEHOLDER.sub(lambda found: _filled(found, values[found["name"]]), text)


def _filled(found: re.Match[str], value: str | Sequence[str] | int) -> str:
    name, alias, suffix = found["name"], found["alias"] or "", " = ?" if found["assign"] else ""
    if name.endswith("marks"):
        if isinstance(value, int) and value > 0 and not alias and not suffix:
            return ", ".join("?" * value)
    elif name.endswith(("text", "texts")):
        if isinstance(value, str) and value and not alias and not suffix:
            return value
    elif name.endswith("s"):
        if not isinstance(value, (str, int)) and value:
            return identifiers.listed(value, alias, suffix)
    elif isinstance(value, str):
        return identifiers.listed([value], alias, suffix)
    raise ValueError(f"{found[0]} cannot be filled with {value!r}")
