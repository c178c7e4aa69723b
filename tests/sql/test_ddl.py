"""From tables as data to DDL: what is committed is current, and every engine's text is what it should be."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from schemas import batches
from sql import ddl, identifiers, live_checks, script, tables

SCHEMA = Path(ddl.__file__).parent / "schema"
DIALECTS = {"sqlite": "sqlite", "sqlserver": "tsql", "postgresql": "postgres"}
ODD_NAMES = [
    "CUSTOMER''S COLOUR CODE (CUSTOM FIELD) CUSTOMER PROVIDES THIS",
    "PROMO GROUP / CAMPAIGN (HOT 30/GLOBAL EDIT",
    "USA ONLY LSTP 75% EX WORKS",
    "0",
    "S/M",
    "DROP",
    "Group",
    "All",
]
SQLSERVER_TABLES = [table.name for table in tables.of_engine("sqlserver")]


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script.text("sqlite"))
        yield connection


def statements(engine: str) -> list[str]:
    """The statements of a script, without their comments."""
    lines = [line for line in script.text(engine).splitlines() if not line.startswith("--")]
    end = "\nGO" if engine == "sqlserver" else ";\n"
    return [part.strip() for part in ("\n".join(lines) + "\n").split(end) if part.strip()]


def live(connection: sqlite3.Connection, engine: str = "sqlite") -> ddl.Live:
    """What is there now; for another engine, as it would say it."""
    columns = {
        table.name: [ddl.LiveColumn(c.name, c.type, c.nullable, ddl.BINARY_COLLATION) for c in table.columns]
        for table in tables.of_engine(engine)
    }
    others = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('index', 'view')")]
    return ddl.Live(columns, others)


@pytest.mark.parametrize("engine", ddl.ENGINES)
def test_committed_script_is_current(engine: str) -> None:
    committed = (SCHEMA / f"{engine}.sql").read_text(encoding="utf-8")
    assert committed == script.text(engine), "run `make schema`"


@pytest.mark.parametrize("engine", ddl.ENGINES)
def test_every_statement_parses(engine: str) -> None:
    for statement in statements(engine):
        if not statement.startswith("SET QUOTED_IDENTIFIER"):
            trees = sqlglot.parse(statement, read=DIALECTS[engine])
            assert len(trees) == 1, statement
            assert trees[0] is not None, statement
            assert not list(trees[0].find_all(exp.Command)), statement


@pytest.mark.parametrize("name", SQLSERVER_TABLES)
def test_sqlserver_columns_are_the_declared_ones(name: str) -> None:
    table = tables.get(name)
    tree = sqlglot.parse_one(ddl.create_table(table, "sqlserver"), read="tsql")
    guard = tree.find(exp.ObjectId)
    assert guard is not None
    assert guard.this.name == f"dbo.{name}"
    found = list(tree.find_all(exp.ColumnDef))
    assert [column.name for column in found] == list(table.names)
    for column, declared in zip(found, table.columns, strict=True):
        not_null = column.find(exp.NotNullColumnConstraint)
        assert not_null is not None
        assert bool(not_null.args.get("allow_null")) == declared.nullable
        collated = column.find(exp.CollateColumnConstraint)
        assert (collated is not None) == declared.binary
    assert all(f"] {column.type} " in ddl.create_table(table, "sqlserver") for column in table.columns)


def test_sqlite_columns_are_the_declared_ones(database: sqlite3.Connection) -> None:
    for table in tables.of_engine("sqlite"):
        rows = database.execute(f"PRAGMA table_info({identifiers.quote(table.name)})").fetchall()
        assert [row[1] for row in rows] == list(table.names)
        assert [not row[3] for row in rows] == [column.nullable for column in table.columns]
        assert {row[2] for row in rows} <= {"TEXT", "INTEGER", "BLOB"}


def test_sqlite_script_can_run_again(database: sqlite3.Connection) -> None:
    before = database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    database.executescript((SCHEMA / "sqlite.sql").read_text(encoding="utf-8"))
    assert database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall() == before


def test_sqlite_keeps_decimals_and_refuses_what_is_no_number(database: sqlite3.Connection) -> None:
    database.execute("INSERT INTO [MON_CustMasterSchedule] ([Item ID], [FREIGHT]) VALUES (1, '12345678901234.5678')")
    assert database.execute("SELECT [FREIGHT] FROM [MON_CustMasterSchedule]").fetchone() == ("12345678901234.5678",)
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in INTEGER"):
        database.execute("INSERT INTO [ORDERS_UNIFIED] ([XL]) VALUES ('many')")


def test_odd_names_work_in_statements(database: sqlite3.Connection) -> None:
    columns = tuple(tables.Column(name, "NVARCHAR(100)", True) for name in ODD_NAMES)
    odd = tables.Table(
        "Odd 'names'", "", ("sqlite",), (ODD_NAMES[0],), tuple(replace(c, nullable=True) for c in columns)
    )
    index = tables.Index("IX odd", tuple(ODD_NAMES[1:3]), when_not_null=(ODD_NAMES[3],))
    database.execute(ddl.create_table(odd, "sqlite"))
    database.execute(ddl.create_index(odd, index, "sqlite"))
    marks, names = ", ".join("?" * len(ODD_NAMES)), identifiers.listed(odd.names)
    database.execute(f"INSERT INTO [Odd 'names'] ({names}) VALUES ({marks})", ODD_NAMES)
    where = " AND ".join(f"{identifiers.quote(name)} = ?" for name in ODD_NAMES)
    assert database.execute(f"SELECT {names} FROM [Odd 'names'] WHERE {where}", ODD_NAMES).fetchone() == tuple(
        ODD_NAMES
    )
    for statement in (ddl.create_table(odd, "sqlserver"), ddl.create_index(odd, index, "sqlserver")):
        assert len(sqlglot.parse(statement, read="tsql")) == 1
    tree = sqlglot.parse_one(ddl.create_table(odd, "sqlserver"), read="tsql")
    assert [column.name for column in tree.find_all(exp.ColumnDef)] == ODD_NAMES


def test_a_source_with_276_sizes_works(database: sqlite3.Connection) -> None:
    source = tables.get(tables.SOURCE)
    end = source.names.index("TOTAL QTY")
    more = tuple(tables.Column(f"EXTRA {n}", "INT", True) for n in range(276 - 161))
    wide = replace(source, name="WIDE", columns=source.columns[:end] + more + source.columns[end:])
    database.execute(ddl.create_table(wide, "sqlite"))
    names = identifiers.listed(wide.names)
    row = tuple(n if column.base == "INT" else "x" for n, column in enumerate(wide.columns))
    database.execute(f"INSERT INTO [WIDE] ({names}) VALUES ({', '.join('?' * len(row))})", row)
    assert database.execute(f"SELECT {names} FROM [WIDE]").fetchone() == row
    assert len(wide.columns) == 383 < 1_024
    tree = sqlglot.parse_one(ddl.create_table(wide, "sqlserver"), read="tsql")
    assert len(list(tree.find_all(exp.ColumnDef))) == len(wide.columns)
    # A MAX value leaves at most 24 bytes in the row, which holds 8,060.
    assert sum(24 if c.base == "NVARCHAR" else 16 if c.base == "UNIQUEIDENTIFIER" else 4 for c in wide.columns) < 8_060


def test_unique_keys_hold_where_they_are_set(database: sqlite3.Connection) -> None:
    insert = "INSERT INTO [MON_CustMasterSchedule_Subitems] ([record_uuid], [size_label]) VALUES (?, ?)"
    for row in [("A", "30X30"), ("A", "30x30"), (None, None), (None, None)]:
        database.execute(insert, row)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        database.execute(insert, ("A", "30X30"))


def test_view_shows_open_batches_only(database: sqlite3.Connection) -> None:
    insert = (
        "INSERT INTO [MON_BatchProcessing] ([batch_id], [customer_name], [batch_type], [status], [version], "
        "[total_records], [successful_records], [failed_records]) VALUES (?, 'C', 'ORDERS', ?, 1, 10, 6, NULL)"
    )
    for status in batches.BatchStatus:
        database.execute(insert, (status.value, status.value))
    rows = database.execute("SELECT batch_id, open_records FROM [VW_MON_ActiveBatches] ORDER BY batch_id").fetchall()
    over = {batches.BatchStatus.PROMOTED, batches.BatchStatus.FAILED}
    assert rows == sorted((status.value, 4) for status in set(batches.BatchStatus) - over)


def test_nothing_is_missing_from_a_whole_database(database: sqlite3.Connection) -> None:
    for engine in ("sqlite", "sqlserver"):
        whole = live(database, engine)
        assert list(ddl.missing(engine, whole, with_source=True, outdated=False)) == []
        outdated = ddl.missing(engine, whole, with_source=True, outdated=True)
        # On the server its rights go with the old one.
        granted = [""] if engine == "sqlserver" else []
        assert [step.makes for step in outdated] == ["", "view VW_MON_ActiveBatches", *granted]


def test_source_is_made_only_when_asked_and_never_altered(database: sqlite3.Connection) -> None:
    nothing = ddl.Live({}, ())
    makes = {s.makes for s in ddl.missing("sqlserver", nothing, with_source=True, outdated=True)}
    without = {s.makes for s in ddl.missing("sqlserver", nothing, with_source=False, outdated=True)}
    assert makes - without == {"table ORDERS_UNIFIED"}
    whole = live(database)
    shorter = {**whole.columns, tables.SOURCE: whole.columns[tables.SOURCE][:5]}
    assert list(ddl.missing("sqlite", ddl.Live(shorter, whole.others), with_source=True, outdated=False)) == []


def test_older_server_tables_get_our_columns_and_widths(database: sqlite3.Connection) -> None:
    whole = live(database, "sqlserver")
    table = tables.get(tables.STAGING_SUBITEMS)
    older = [
        ddl.LiveColumn(c.name, c.widened_from or c.type, c.nullable, "SQL_Latin1_General_CP1_CI_AS")
        for c in table.columns
        if c.origin == "contract"
    ]
    found = ddl.Live({**whole.columns, table.name: older}, whole.others)
    steps = {s.makes: s.statement for s in ddl.missing("sqlserver", found, with_source=True, outdated=False)}
    target = "[dbo].[STG_MON_CustMasterSchedule_Subitems]"
    size = steps["wider column [Size] of STG_MON_CustMasterSchedule_Subitems"]
    assert size == f"ALTER TABLE {target} ALTER COLUMN [Size] NVARCHAR(100) COLLATE Latin1_General_BIN2 NOT NULL"
    assert "wider column [stg_size_label] of STG_MON_CustMasterSchedule_Subitems" in steps
    # Declared NOT NULL, but the rows that are there have none.
    added = steps["column [version] of STG_MON_CustMasterSchedule_Subitems"]
    assert added.endswith(f"ALTER TABLE {target} ADD [version] BIGINT NULL")
    wanted = [c for c in table.columns if c.origin == "ordersync" or c.widened_from or c.binary]
    assert len(steps) == len(wanted)
    for statement in steps.values():
        assert not list(sqlglot.parse_one(statement, read="tsql").find_all(exp.Command))


def test_what_an_index_holds_is_left_and_said(database: sqlite3.Connection) -> None:
    whole = live(database, "sqlserver")
    table = tables.get(tables.STAGING_SUBITEMS)
    older = [
        ddl.LiveColumn(
            c.name,
            "NVARCHAR(20)" if c.name == "Size" else c.type,
            c.nullable,
            "Latin1_General_100_BIN2",
            indexed=c.name == "Size",
            made=c.name == "stg_id",
        )
        for c in table.columns
    ]
    found = ddl.Live({**whole.columns, table.name: older}, whole.others)
    assert list(ddl.missing("sqlserver", found, with_source=True, outdated=False)) == []
    told = list(live_checks.mistakes(found))
    assert len(told) == 2
    assert "[stg_id]" in told[0]
    assert "IDENTITY" in told[0]
    assert "[Size]" in told[1]
    assert "an index holds it" in told[1]
    assert list(live_checks.mistakes(whole)) == []


def test_a_wider_column_keeps_its_nulls() -> None:
    table = tables.get(tables.STAGING_SUBITEMS)
    statement = ddl.alter_column(table, table.column("Size"), nullable=True)
    assert statement.endswith(f"ALTER COLUMN [Size] NVARCHAR(100) COLLATE {ddl.BINARY_COLLATION} NULL")


def test_checksum_tells_engines_and_forms_apart() -> None:
    assert len({script.checksum(engine) for engine in ddl.ENGINES}) == len(ddl.ENGINES)
