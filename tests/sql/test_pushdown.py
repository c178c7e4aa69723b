"""The hash that the server computes: the hashed text, and the limits of its T-SQL."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp

import sql
from mappings import columns, loading, sizes
from sql import pushdown, script, tables, uuids
from tests.support import transpiled
from tests.support.hashed import CELLS, PRECISE

LIVE = [(column.name, column.type) for column in tables.get(tables.SOURCE).columns]


@pytest.fixture(scope="module")
def engine() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        transpiled.add_functions(connection)
        yield connection


def run(engine: sqlite3.Connection, expression: str, cells: Mapping[str, object]) -> object:
    row = ", ".join(f"? AS [{name}]" for name in cells)
    statement = f"SELECT {expression} FROM (SELECT {row}) AS s"
    return engine.execute(transpiled.to_sqlite(statement), list(cells.values())).fetchone()[0]


def text(engine: sqlite3.Connection, kinds: Sequence[tuple[str, str]], cells: Mapping[str, object]) -> str:
    """The hashed text without its prefix."""
    inner = pushdown.expression(kinds).removeprefix("HASHBYTES('SHA2_256', ").removesuffix(")")
    made_with, _, found = str(run(engine, inner, cells)).partition(":")
    scheme, server, fingerprint = made_with.split()
    assert (scheme, server, len(fingerprint)) == ("hashbytes-1", "sqlserver", 64)
    return found


@pytest.mark.parametrize(("kind", "cell", "expected"), CELLS)
def test_a_cell_is_written_in_one_way(engine: sqlite3.Connection, kind: str, cell: object, expected: str) -> None:
    assert text(engine, [("A", kind)], {"A": cell}) == expected


@pytest.mark.parametrize(("kind", "one", "other"), PRECISE)
def test_the_last_digit_counts(engine: sqlite3.Connection, kind: str, one: str, other: str) -> None:
    assert text(engine, [("A", kind)], {"A": one}) != text(engine, [("A", kind)], {"A": other})


@pytest.mark.parametrize("kind", ["XML", "SQL_VARIANT", "DATETIME", "MONEY", "TIME", "NTEXT", "VARBINARY(8)", "REAL"])
def test_a_type_that_has_no_one_text_is_refused_by_name(kind: str) -> None:
    with pytest.raises(pushdown.Unhashable) as refused:
        pushdown.expression([("S", "INT"), ("WHEN", kind)])
    assert f"[WHEN] ({kind})" in str(refused.value)
    assert "[S]" not in str(refused.value)


def test_another_list_of_columns_gives_another_hash_of_the_same_text(engine: sqlite3.Connection) -> None:
    lists = [[("A", "INT")], [("A", "BIGINT")], [("B", "INT")], [("A", "DECIMAL(5,0)")]]
    cells = {"A": 5, "B": 5}
    assert {text(engine, kinds, cells) for kinds in lists} == {"5,"}
    assert len({run(engine, pushdown.expression(kinds), cells) for kinds in lists}) == len(lists)


def test_a_wider_text_column_is_the_same_list(engine: sqlite3.Connection) -> None:
    made = {run(engine, pushdown.expression([("A", f"NVARCHAR({n})")]), {"A": "x"}) for n in ("100", "200", "MAX")}
    assert len(made) == 1


TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"])) | st.text("0123:,|NUL'", max_size=4)
KINDS = [("A", "NVARCHAR(MAX)"), ("N", "INT"), ("B", "NVARCHAR(9)"), ("M", "INT"), ("D", "DATE")]
ROWS = st.tuples(
    TEXTS,
    st.none() | st.integers(-3, 12),
    TEXTS,
    st.none() | st.integers(-3, 12),
    st.none() | st.dates().map(str),
)


@given(ROWS, ROWS)
def test_rows_have_one_hash_only_if_they_are_equal(one: tuple[object, ...], other: tuple[object, ...]) -> None:
    with closing(sqlite3.connect(":memory:")) as engine:
        transpiled.add_functions(engine)
        names = [name for name, _ in KINDS]
        hashes = [
            run(engine, pushdown.expression(KINDS), dict(zip(names, row, strict=True))) for row in (one, other, one)
        ]
    assert hashes[0] == hashes[2]
    assert (hashes[0] == hashes[1]) == (one == other)


def watched(extra: int) -> list[tuple[str, str]]:
    """The watched columns with their types; with some more sizes."""
    at = [name for name, _ in LIVE].index("TOTAL QTY")
    live = [*LIVE[:at], *((f"EXTRA {n}", "INT") for n in range(extra)), *LIVE[at:]]
    mappings = loading.load()
    kinds = dict(live)
    return [(name, kinds[name]) for name in columns.watched(mappings, sizes.size_columns(live, mappings.board.sizes))]


@pytest.mark.parametrize("extra", [0, 115, 400])
def test_every_group_keeps_the_limits_of_concat(extra: int) -> None:
    kinds = watched(extra)
    tree = sqlglot.parse_one(f"SELECT {pushdown.expression(kinds)} AS h FROM T AS s", read="tsql")
    outer, *groups = tree.find_all(exp.Concat)
    assert len(outer.expressions) == len(groups) + 1 <= pushdown.GROUP
    for group in groups:
        assert 3 <= len(group.expressions) <= pushdown.GROUP
        assert group.expressions[0].sql("tsql") == "CAST(N'' AS NVARCHAR(MAX))"
    assert {column.name for column in tree.find_all(exp.Column)} == {name for name, _ in kinds}


@pytest.mark.parametrize("name", ["scan", "scan_chosen"])
@pytest.mark.parametrize(("extra", "kind"), [(0, "UNIQUEIDENTIFIER"), (115, "UNIQUEIDENTIFIER"), (0, "NVARCHAR(MAX)")])
def test_the_whole_query_is_one_select_of_t_sql_that_locks_and_writes_nothing(name: str, extra: int, kind: str) -> None:
    kinds = watched(extra)
    cells = [f"s.[{column}] AS c{at}" for at, (column, _) in enumerate(kinds)]
    given = {
        "uuid_text": uuids.canonical("sqlserver", "s.record_uuid", kind),
        "hash_texts": pushdown.expression(kinds),
        "named_texts": ", ".join(cells),
        "cell_texts": ", ".join(f"d.c{at}" for at in range(len(cells))),
    }
    block = sql.load("orders_pushdown", "sqlserver")[name]
    statement = sql.expand(block, **given, **{name: 2 for name in sql.placeholders(block) if name.endswith("marks")})
    (tree,) = sqlglot.parse(statement, read="tsql")
    assert isinstance(tree, exp.Select)
    assert not list(tree.find_all(exp.Hint, exp.WithTableHint, exp.Into, exp.Command, exp.Limit))
    assert [table.name for table in tree.find_all(exp.Table)] == ["ORDERS_UNIFIED", "ORDERS_UNIFIED_SNAPSHOT"]


@pytest.mark.parametrize("column", ["[row_hash_bin] VARBINARY(32)", "[row_hash_bin_of] NVARCHAR(64)"])
def test_snapshots_that_are_there_get_the_column(column: str) -> None:
    name = column[1:].partition("]")[0]
    assert (
        f"IF COL_LENGTH(N'dbo.ORDERS_UNIFIED_SNAPSHOT', N'{name}') IS NULL\n"
        f"ALTER TABLE [dbo].[ORDERS_UNIFIED_SNAPSHOT] ADD {column} NULL"
    ) in script.text("sqlserver")
