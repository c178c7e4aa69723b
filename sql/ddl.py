"""DDL for the tables, on SQLite, SQL Server and (the archive only) PostgreSQL.

It drops nothing but our own view, and never alters the source table. `missing` yields the statements that a live
database needs; script.py joins all of them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sql import grants, identifiers, tables

ENGINES = ("sqlite", "sqlserver", "postgresql")

# Compares by code point, with case. It still ignores trailing blanks, which Python strips.
BINARY_COLLATION = "Latin1_General_BIN2"

# STRICT tables have five types. Decimals are text of fixed scale, because SQLite would turn them into floats.
_SQLITE_TYPES = {
    **dict.fromkeys(["NVARCHAR", "VARCHAR", "UNIQUEIDENTIFIER", "DATE", "DATETIME2", "DECIMAL"], "TEXT"),
    **dict.fromkeys(["UUID", "TIMESTAMP", "JSONB"], "TEXT"),
    **dict.fromkeys(["INT", "INTEGER", "BIGINT", "BIGSERIAL", "BIT"], "INTEGER"),
    **dict.fromkeys(["VARBINARY", "BYTEA"], "BLOB"),
}

# For tables that PostgreSQL shares with the others; its own tables are declared with its own types.
_POSTGRESQL_TYPES = {"NVARCHAR": "VARCHAR", "DATETIME2": "TIMESTAMP", "INT": "INTEGER"}

# The states of a batch that has ended, as in schemas/batches.py (tests/sql/test_ddl.py compares the two).
_BATCH_OVER = ("PROMOTED", "FAILED")


@dataclass(frozen=True)
class LiveColumn:
    """A column as the database has it. `type` is the engine's, with its size: `TEXT`, `NVARCHAR(200)`.

    `indexed`: an index or a key contains it. `generated`: the engine computes its values (IDENTITY or computed).
    """

    name: str
    type: str
    nullable: bool
    collation: str | None = None
    indexed: bool = False
    generated: bool = False

    @property
    def binary(self) -> bool:
        """Whether the column compares byte by byte."""
        return self.collation is not None and self.collation.upper().endswith("_BIN2")


@dataclass(frozen=True)
class Live:
    """The present schema of a database: columns by table, and the names of its indexes and views."""

    columns: Mapping[str, Sequence[LiveColumn]]
    others: Collection[str]


@dataclass(frozen=True)
class Step:
    """One statement, and what it creates in words; a blank `creates` belongs to the step beside it."""

    creates: str
    statement: str


def missing(engine: str, live: Live, *, with_source: bool, outdated: bool) -> Iterator[Step]:
    """The steps from `live` to the whole schema. `outdated` recreates the view although it exists."""
    columns = {name.casefold(): there for name, there in live.columns.items()}
    others = {name.casefold() for name in live.others}
    for table in tables.of_engine(engine):
        there = columns.get(table.name.casefold())
        if there is None and (with_source or table.name != tables.SOURCE):
            yield Step(f"table {table.name}", create_table(table, engine))
        elif there is not None and table.name != tables.SOURCE:
            yield from _complete(table, there, engine)
        for index in table.indexes:
            if index.name.casefold() not in others:
                yield Step(f"index {index.name}", create_index(table, index, engine))
    if engine != "postgresql" and (outdated or tables.ACTIVE_BATCHES.casefold() not in others):
        yield Step("", drop_view(engine))
        yield Step(f"view {tables.ACTIVE_BATCHES}", create_view(engine))
        if engine == "sqlserver":
            yield Step("", grants.grant_view())


def create_table(table: tables.Table, engine: str) -> str:
    """CREATE TABLE, which does nothing when the table exists."""
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
    """ALTER TABLE ADD. The table may have rows, so a column without a default starts as NULL."""
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
    """CREATE INDEX, which does nothing when the index exists."""
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
    """The first statement of a recreation of the view; SQL Server wants CREATE VIEW alone in its batch."""
    return f"DROP VIEW IF EXISTS {owned(tables.ACTIVE_BATCHES, engine)}"


def create_view(engine: str) -> str:
    """The view of the batches that have not ended, with the number of their open records."""
    batches = tables.get(tables.BATCHES)
    counts = ("successful_records", "failed_records", "superseded_records")
    open_records = " - ".join(f"COALESCE([{name}], 0)" for name in ("total_records", *counts))
    over = ", ".join(f"'{status}'" for status in _BATCH_OVER)
    return (
        f"CREATE VIEW {owned(tables.ACTIVE_BATCHES, engine)} AS\n"
        f"SELECT {identifiers.listed(batches.names)},\n    {open_records} AS [open_records]\n"
        f"FROM {owned(batches.name, engine)}\nWHERE COALESCE([status], '') NOT IN ({over})"
    )


def _complete(table: tables.Table, columns: Sequence[LiveColumn], engine: str) -> Iterator[Step]:
    live = {column.name.casefold(): column for column in columns}
    for column in table.columns:
        there = live.get(column.name.casefold())
        what = f"column [{column.name}] of {table.name}"
        if there is None:
            yield Step(what, add_column(table, column, engine))
        elif engine == "sqlserver" and is_narrow(there, column) and not there.indexed:
            # Existing rows may contain NULL.
            yield Step(f"wider {what}", alter_column(table, column, nullable=there.nullable))


def is_narrow(there: LiveColumn, column: tables.Column) -> bool:
    """Whether a live column is smaller than ours, or compares without case where ours compares bytes."""
    return there.type == column.widened_from or (column.binary and not there.binary)


def _column(column: tables.Column, engine: str, *, nullable: bool | None = None, default: bool = True) -> str:
    nullable = column.nullable if nullable is None else nullable
    words = [_quoted(column.name, engine), _type(column, engine)]
    if engine == "sqlserver" and column.binary:
        words.append(f"COLLATE {BINARY_COLLATION}")
    words.append("NULL" if nullable else "NOT NULL")
    # SQLite lacks the functions that some defaults call; ordersync writes those values itself on every engine.
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
    """The quoted name of a table; on SQL Server with its schema, because a login may have another default one."""
    return f"[dbo].{_quoted(name, engine)}" if engine == "sqlserver" else _quoted(name, engine)


def _literal(table_name: str) -> str:
    return identifiers.literal(f"dbo.{table_name}")
