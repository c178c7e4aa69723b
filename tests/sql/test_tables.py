"""The tables as data: whole, consistent, and true to the contract."""

import csv
from pathlib import Path

import pytest

from sql import identifiers, tables

CONTRACT = Path(__file__).parents[3] / "shared" / "contract"
CONTRACT_FILES = {
    "orders_unified": tables.SOURCE,
    "snapshot": tables.SNAPSHOT,
    "staging_master": tables.STAGING,
    "staging_subitems": tables.STAGING_SUBITEMS,
    "production_master": tables.PRODUCTION,
    "production_subitems": tables.PRODUCTION_SUBITEMS,
    "error_master": tables.ERRORS,
    "error_subitems": tables.ERRORS_SUBITEMS,
    "batch_processing": tables.BATCHES,
    "snapshot_archive": tables.ARCHIVE,
}
EVERY_TABLE = pytest.mark.parametrize("table", tables.all_tables().values(), ids=tables.all_tables().keys())
UNLIMITED = 10**9
CLUSTERED_KEY_BYTES, INDEX_KEY_BYTES = 900, 1_700
FIXED_BYTES = {"UNIQUEIDENTIFIER": 16, "BIGINT": 8, "INT": 4, "BIT": 1, "DATETIME2": 8, "DATE": 3}


def room(column: tables.Column) -> int:
    return column.length or UNLIMITED


def key_bytes(table: tables.Table, names: tuple[str, ...]) -> int:
    columns = [table.column(name) for name in names]
    return sum(FIXED_BYTES.get(column.base) or 2 * room(column) for column in columns)


@pytest.mark.skipif(not CONTRACT.is_dir(), reason="the shared contract is not beside this checkout")
@pytest.mark.parametrize(("file", "name"), CONTRACT_FILES.items())
def test_contract_columns_come_first_in_order_and_keep_or_widen_their_type(file: str, name: str) -> None:
    with (CONTRACT / f"{file}.columns.csv").open(encoding="utf-8", newline="") as lines:
        expected = [
            (row["name"], row["sql_type"], row["nullable"] == "yes", row.get("default") or None)
            for row in csv.DictReader(lines)
        ]
    ours = [column for column in tables.get(name).columns if column.origin == "contract"]
    declared = [(c.name, c.widened_from or c.type, c.nullable, c.default) for c in ours]
    assert declared == expected
    assert tables.get(name).columns[: len(ours)] == tuple(ours)


@EVERY_TABLE
def test_names_can_be_quoted_and_are_unique(table: tables.Table) -> None:
    identifiers.check(table.names)


@pytest.mark.parametrize("table", tables.of_engine("sqlserver"), ids=lambda table: table.name)
def test_keys_and_indexes_name_columns_that_can_be_keys(table: tables.Table) -> None:
    assert key_bytes(table, table.primary_key) <= CLUSTERED_KEY_BYTES
    assert not any(table.column(name).nullable for name in table.primary_key)
    for index in table.indexes:
        assert key_bytes(table, index.columns) <= INDEX_KEY_BYTES, index.name
        assert all(table.column(name) for name in index.when_null)


@EVERY_TABLE
def test_unique_indexes_leave_out_rows_without_the_key(table: tables.Table) -> None:
    contract = {column.name for column in table.columns if column.origin == "contract"}
    for index in table.indexes:
        if index.unique:
            # A column that we add to a table with rows starts as NULL there, whatever it is declared as.
            maybe_null = {n for n in index.columns if table.column(n).nullable or (contract and n not in contract)}
            assert maybe_null <= set(index.when_not_null), index.name


def test_index_names_are_unique_in_the_database() -> None:
    names = [index.name.casefold() for table in tables.all_tables().values() for index in table.indexes]
    assert len(names) == len(set(names))


def test_labels_that_are_keys_compare_byte_by_byte() -> None:
    for table in tables.of_engine("sqlserver"):
        keys = {
            *table.primary_key,
            *(name for index in table.indexes if index.unique for name in index.columns),
        }
        for name in keys & {"size_label", "stg_size_label", "group_name", "name", "error_key"}:
            assert table.column(name).binary, f"{table.name}.{name}"


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [(tables.STAGING, tables.PRODUCTION), (tables.STAGING_SUBITEMS, tables.PRODUCTION_SUBITEMS)],
)
def test_production_columns_are_as_wide_as_staging_columns(narrow: str, wide: str) -> None:
    shared = set(tables.get(narrow).names) & set(tables.get(wide).names)
    assert len(shared) > 15
    for name in shared:
        staged, promoted = tables.get(narrow).column(name), tables.get(wide).column(name)
        if "CHAR" in promoted.base:
            assert "CHAR" not in staged.base or room(promoted) >= room(staged), name
        else:
            assert promoted.type == staged.type, name


def test_size_columns_are_as_wide_as_order_columns() -> None:
    order = {
        name.replace(" ", "_"): tables.get(tables.STAGING).column(name) for name in tables.get(tables.STAGING).names
    }
    size = tables.get(tables.STAGING_SUBITEMS)
    for name in (
        "AAG_ORDER_NUMBER",
        "STYLE",
        "COLOR",
        "CUSTOMER",
        "PO_NUMBER",
        "CUSTOMER_ALT_PO",
        "UNIT_OF_MEASURE",
    ):
        assert room(size.column(name)) >= room(order[name]), name


def test_source_has_its_sizes_between_the_markers() -> None:
    source = tables.get(tables.SOURCE)
    start, end = source.names.index("UNIT OF MEASURE"), source.names.index("TOTAL QTY")
    between = source.columns[start + 1 : end]
    assert len(source.columns) == 268
    assert [column.name for column in between if column.base != "INT"] == ["INFOR COLOUR CODE"]
    assert len(between) == 162


def test_types_are_read() -> None:
    assert tables.Column("a", "DECIMAL(18,4)", True).base == "DECIMAL"
    assert tables.Column("a", "DECIMAL(18,4)", True).length is None
    assert tables.Column("a", "NVARCHAR(200)", True).length == 200
    assert tables.Column("a", "NVARCHAR(MAX)", True).length is None
    with pytest.raises(ValueError, match="unknown form"):
        _ = tables.Column("a", "nvarchar 200", True).base


def test_unknown_names_are_errors() -> None:
    with pytest.raises(KeyError):
        tables.get("ORDERS")
    with pytest.raises(KeyError, match=r"no column \[SIZE 99\]"):
        tables.get(tables.SOURCE).column("SIZE 99")
