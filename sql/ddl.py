"""From tables as data to DDL, for SQLite, SQL Server and (the archive only) PostgreSQL.

Nothing is ever dropped but our own view, and the source table is never altered. `missing` chooses the
statements that a live database lacks; script.py puts them all together.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sql import grants, identifiers, tables

ENGINES = ("sqlite", "sqlserver", "postgresql")

# Case-sensitive by code point. Trailing blanks still count for nothing there: Python strips them.
BINARY_COLLATION = "Latin1_General_BIN2"

# STRICT tables know five types. Decimals are text of fixed scale: SQLite would turn them into floats.
_SQLITE_TYPES = {
    **dict.fromkeys(["NVARCHAR", "VARCHAR", "UNIQUEIDENTIFIER", "DATE", "DATETIME2", "DECIMAL"], "TEXT"),
    **dict.fromkeys(["UUID", "TIMESTAMP", "JSONB"], "TEXT"),
    **dict.fromkeys(["INT", "INTEGER", "BIGINT", "BIGSERIAL", "BIT"], "INTEGER"),
    **dict.fromkeys(["VARBINARY", "BYTEA"], "BLOB"),
}

# Tables that PostgreSQL shares with the others; those of its own are declared in its own words.
_POSTGRESQL_TYPES = {"NVARCHAR": "VARCHAR", "DATETIME2": "TIMESTAMP", "INT": "INTEGER"}

# schemas/batches.py: a batch in one of these is over (tests/sql/test_ddl.py holds the two together).
_BATCH_OVER = ("PROMOTED", "FAILED")


@dataclass(frozen=True)
class LiveColumn:
    """A column as the database has it. `type` is in the engine's words, sized: `TEXT`, `NVARCHAR(200)`.

    `indexed`: an index or a key holds it. `made`: the engine makes its values, it is IDENTITY or computed.
    """

    name: str
    type: str
    nullable: bool
    collation: str | None = None
    indexed: bool = False
    made: bool = False

    @property
    def binary(self) -> bool:
        """Whether it compares byte by byte."""
        return self.collation is not None and self.collation.upper().endswith("_BIN2")


@dataclass(frozen=True)
class Live:
    """What a database holds now: columns by table, and the names of its indexes and views."""

    columns: Mapping[str, Sequence[LiveColumn]]
    others: Collection[str]


@dataclass(frozen=True)
class Step:
    """One statement, and what it makes in words; an empty `makes` belongs to the step beside it."""

    makes: str
    statement: str


def missing(engine: str, live: Live, *, with_source: bool, outdated: bool) -> Iterator[Step]:
    """The steps from `live` to the whole schema. `outdated`: the view is made anew though it is there."""
    columns = {name.casefold(): found for name, found in live.columns.items()}
    others = {name.casefold() for name in live.others}
    for table in tables.of_engine(engine):
        found = columns.get(table.name.casefold())
        if found is None and (with_source or table.name != tables.SOURCE):
            yield Step(f"table {table.name}", create_table(table, engine))
        elif found is not None and table.name != tables.SOURCE:
            yield from _mend(table, found, engine)
        for index in table.indexes:
            if index.name.casefold() not in others:
                yield Step(f"index {index.name}", create_index(table, index, engine))
    if engine != "postgresql" and (outdated or tables.ACTIVE_BATCHES.casefold() not in others):
        yield Step("", drop_view(engine))
        yield Step(f"view {tables.ACTIVE_BATCHES}", create_view(engine))
        if engine == "sqlserver":
            yield Step("", grants.view_again())


def create_table(table: tables.Table, engine: str) -> str:
    """CREATE TABLE that does nothing when the table exists."""
    lines = [f"    {_column(column, engine)}" for column in table.columns]
    if table.primary_key:
        keys = ", ".join(_quoted(name, engine) for name in table.primary_key)
        lines.append(f"    CONSTRAINT {_quoted(f'PK_{table.name}', engine)} PRIMARY KEY ({keys})")
    body = " (\n" + ",\n".join(lines) + "\n)"
    if engine == "sqlserver":
        guard = f"IF OBJECT_ID({_literal(table.name)}, N'U') IS NULL\n"
        return f"{guard}CREATE TABLE {owned(table.name, engine)}{body}"
    strict = " STRICT" if engine == "sqlite" else ""
    return f"CREATE TABLE IF NOT EXISTS {owned(table.name, engine)}{body}{strict}"


def add_column(table: tables.Table, column: tables.Column, engine: str) -> str:
    """ALTER TABLE ADD. Rows may be there already, so a column without a default starts as NULL."""
    nullable = column.nullable or column.default is None
    definition = _column(column, engine, nullable=nullable)
    guard = ""
    if engine == "sqlserver":
        name = identifiers.literal(column.name)
        guard = f"IF COL_LENGTH({_literal(table.name)}, {name}) IS NULL\n"
    return f"{guard}ALTER TABLE {owned(table.name, engine)} ADD {definition}"


def alter_column(table: tables.Table, column: tables.Column, *, nullable: bool | None = None) -> str:
    """ALTER COLUMN to our wider type and collation, on SQL Server; SQLite's text has no width."""
    definition = _column(column, "sqlserver", nullable=nullable, default=False)
    return f"ALTER TABLE {owned(table.name, 'sqlserver')} ALTER COLUMN {definition}"


def create_index(table: tables.Table, index: tables.Index, engine: str) -> str:
    """CREATE INDEX that does nothing when the index exists."""
    name = _quoted(index.name, engine)
    columns = ", ".join(_quoted(column, engine) for column in index.columns)
    conditions = [f"{_quoted(column, engine)} IS NOT NULL" for column in index.when_not_null]
    conditions += [f"{_quoted(column, engine)} IS NULL" for column in index.when_null]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    kind = "UNIQUE INDEX" if index.unique else "INDEX"
    target = f"ON {owned(table.name, engine)} ({columns}){where}"
    if engine != "sqlserver":
        return f"CREATE {kind} IF NOT EXISTS {name} {target}"
    known = f"name = {identifiers.literal(index.name)} AND object_id = OBJECT_ID({_literal(table.name)})"
    return f"IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE {known})\nCREATE {kind} {name} {target}"


def drop_view(engine: str) -> str:
    """The first half of making the view anew; SQL Server wants CREATE VIEW alone in its batch."""
    return f"DROP VIEW IF EXISTS {owned(tables.ACTIVE_BATCHES, engine)}"


def create_view(engine: str) -> str:
    """Batches that are not over, and how many of their records are still open."""
    batches = tables.get(tables.BATCHES)
    counts = ("successful_records", "failed_records", "superseded_records")
    open_records = " - ".join(f"COALESCE([{name}], 0)" for name in ("total_records", *counts))
    over = ", ".join(f"'{status}'" for status in _BATCH_OVER)
    return (
        f"CREATE VIEW {owned(tables.ACTIVE_BATCHES, engine)} AS\n"
        f"SELECT {identifiers.listed(batches.names)},\n    {open_records} AS [open_records]\n"
        f"FROM {owned(batches.name, engine)}\nWHERE COALESCE([status], '') NOT IN ({over})"
    )


def _mend(table: tables.Table, found: Sequence[LiveColumn], engine: str) -> Iterator[Step]:
    live = {column.name.casefold(): column for column in found}
    for column in table.columns:
        there = live.get(column.name.casefold())
        what = f"column [{column.name}] of {table.name}"
        if there is None:
            yield Step(what, add_column(table, column, engine))
        elif engine == "sqlserver" and is_narrow(there, column) and not there.indexed:
            # Rows that are there may hold NULLs.
            yield Step(f"wider {what}", alter_column(table, column, nullable=there.nullable))


def is_narrow(there: LiveColumn, column: tables.Column) -> bool:
    """Whether a live column holds less, or compares more loosely, than ours does."""
    return there.type == column.widened_from or (column.binary and not there.binary)


def _column(column: tables.Column, engine: str, *, nullable: bool | None = None, default: bool = True) -> str:
    nullable = column.nullable if nullable is None else nullable
    words = [_quoted(column.name, engine), _type(column, engine)]
    if engine == "sqlserver" and column.binary:
        words.append(f"COLLATE {BINARY_COLLATION}")
    words.append("NULL" if nullable else "NOT NULL")
    # SQLite has none of the functions that some defaults call; we write those values ourselves everywhere.
    if default and column.default is not None and (engine != "sqlite" or _is_literal(column.default)):
        words.append(f"DEFAULT {column.default}")
    return " ".join(words)


def _type(column: tables.Column, engine: str) -> str:
    if engine == "sqlite":
        return _SQLITE_TYPES[column.base]
    if engine == "postgresql":
        return column.type.replace(column.base, _POSTGRESQL_TYPES.get(column.base, column.base))
    return column.type


def _is_literal(default: str) -> bool:
    return default.startswith("'") or default.isdigit()


def _quoted(name: str, engine: str) -> str:
    return identifiers.double_quote(name) if engine == "postgresql" else identifiers.quote(name)


def owned(name: str, engine: str) -> str:
    """A table's name; on SQL Server with its schema, for `setup` may log in with another default one."""
    return f"[dbo].{_quoted(name, engine)}" if engine == "sqlserver" else _quoted(name, engine)


def _literal(table_name: str) -> str:
    return identifiers.literal(f"dbo.{table_name}")
