"""The loader of named statements; every statement fits the tables that it names."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlglot
from sqlglot import exp

import sql
from sql import identifiers, script, tables

FILE = """-- What this file is for.

-- name: first
-- Does one thing.
SELECT a
  -- why it does
  FROM t

-- name: second
-- engine: sqlite
-- Does another.
SELECT b FROM t

-- name: second
-- engine: sqlserver
-- Does another, there.
SELECT c FROM t
"""

RUNNABLE = {
    f"{step}-{block.name}": block
    for step in sql.files()
    for block in sql.blocks(step)
    if block.engine in (None, "sqlite")
}
# Columns that staging and production, or the source, really have.
SAMPLES = {"column": "ACTIVE", "columns": ("STYLE", "COLOR"), "texts": "s.[ACTIVE], s.[All]", "table": "SYNC_State"}
SAMPLES |= {"key": "name", "holder": "value"}
SAMPLES |= dict.fromkeys(
    [
        "uuid_text", "key_text", "group_text", "plain_text", "shown_text", "name_text", "number_text", "po_text",
        "value_text",
    ],
    "s.record_uuid",
)  # fmt: skip


def expanded(block: sql.Block) -> str:
    return sql.expand(
        block.text,
        **{
            name: SAMPLES.get(name, "s.record_uuid" if name.endswith("_text") else 2)
            for name in sql.placeholders(block.text)
        },
    )


def test_every_statement_fits_the_tables() -> None:
    refused = {}
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script.text("sqlite"))
        for name, block in RUNNABLE.items():
            text = expanded(block)
            marks = re.sub(r"'[^']*'", "", text).count("?")
            try:
                connection.execute(f"EXPLAIN {text}", [None] * marks).fetchall()
            except sqlite3.Error as error:
                refused[name] = str(error)
    assert refused == {}


def cut_columns(text: str) -> Iterator[str]:
    """The text columns of an INSERT that a parameter of another type is cast for: the server cuts it in silence."""
    tree = sqlglot.parse_one(text, read="tsql")
    if not isinstance(tree, exp.Insert) or not isinstance(tree.expression, exp.Select):
        return
    types = {column.name: column.type for column in tables.get(tree.this.this.name).columns}
    for name, value in zip(tree.this.expressions, tree.expression.expressions, strict=True):
        is_cast = isinstance(value, exp.Cast) and isinstance(value.this, exp.Placeholder)
        if is_cast and "NVARCHAR" in types[name.name] and value.to.sql("tsql") != types[name.name]:
            yield name.name


def test_no_value_is_cut_on_its_way_into_a_column() -> None:
    assert {name: cut for name, block in RUNNABLE.items() if (cut := list(cut_columns(expanded(block))))} == {}
    wrong = "INSERT INTO SYNC_State (name, value) SELECT CAST(? AS NVARCHAR(9)), CAST(? AS NVARCHAR(MAX))"
    assert list(cut_columns(wrong)) == ["name"]


def test_blocks_have_name_description_engine_and_text() -> None:
    first, *others = sql.parse(FILE, "step")
    assert first == sql.Block("first", "Does one thing.", None, "SELECT a\n  FROM t")
    assert [(block.name, block.engine) for block in others] == [("second", "sqlite"), ("second", "sqlserver")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-- name: a\n-- Why.\nSELECT 1\n-- name: a\n-- Why.\nSELECT 2\n", "a exists twice"),
        ("-- name: a\nSELECT 1\n", "needs a description"),
        ("-- name: a\n-- Why.\n", "needs a description and a statement"),
        ("-- name: a b\n-- Why.\nSELECT 1\n", "not a name"),
        ("-- name: a\n-- engine: oracle\n-- Why.\nSELECT 1\n", "an unknown engine: oracle"),
        ("SELECT 1\n-- name: a\n-- Why.\nSELECT 1\n", "before the first name"),
    ],
)
def test_malformed_file_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        list(sql.parse(text, "step"))


def test_load_gives_the_statements_of_an_engine() -> None:
    assert {"live_table", "last_schema"} <= set(sql.load("catalog", "sqlite"))
    assert "indexed_columns" not in sql.load("catalog", "sqlite")
    assert "last_schema" in sql.load("catalog", "sqlserver")
    assert sql.load("catalog", "sqlserver")["live_table"] != sql.load("catalog", "sqlite")["live_table"]
    with pytest.raises(TypeError):
        sql.load("catalog", "sqlite")["last_schema"] = "other"  # type: ignore[index]


def test_expand_quotes_names_and_counts_marks() -> None:
    text = "UPDATE {table} SET {columns=?} WHERE EXISTS (SELECT {s.columns} FROM s WHERE id IN ({marks}))"
    assert sql.expand(text, table="T", columns=["DROP", "S/M"], marks=3) == (
        "UPDATE [T] SET [DROP] = ?, [S/M] = ? WHERE EXISTS (SELECT s.[DROP], s.[S/M] FROM s WHERE id IN (?, ?, ?))"
    )


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("{columns}", {}),
        ("{columns}", {"columns": []}),
        ("{columns}", {"columns": "a"}),
        ("{columns}", {"columns": ["a"], "marks": 1}),
        ("{columns}", {"columns": 3}),
        ("{table}", {"table": ["a"]}),
        ("{marks}", {"marks": 0}),
        ("{marks}", {"marks": ["a"]}),
        ("{s.marks}", {"marks": 1}),
        ("{texts}", {"texts": ""}),
    ],
)
def test_expand_refuses_values_of_the_wrong_shape(text: str, values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"were given|cannot be filled with"):
        sql.expand(text, **values)  # type: ignore[arg-type]


def test_no_value_reaches_a_text_unquoted() -> None:
    with pytest.raises(identifiers.Unusable):
        sql.expand("SELECT {columns} FROM t", columns=["a] FROM t; --"])
