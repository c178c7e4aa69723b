"""The errors of SQLite with their advice, and the creation of the schema."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors import database, errors
from sql import tables
from tests.connectors.database.conftest import Open

NOW = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
SET = "UPDATE [SYNC_State] SET [value] = ? WHERE [name] = ?"
ADD = "INSERT INTO [SYNC_State] ([name], [value], [updated_at]) VALUES (?, ?, ?)"
GET = "SELECT [value] FROM [SYNC_State] WHERE [name] = ?"
AT = database.to_db_time(NOW)


@pytest.fixture
def db(opened: Open) -> database.Database:
    made = opened()
    made.apply_schema(NOW)
    with made.write() as session:
        session.execute(ADD, ("a", "a1", AT))
    return made


# Errors


def test_refused_rows_say_why(db: database.Database) -> None:
    cases = {
        "DUPLICATE": (ADD, ("a", "again", AT)),
        "NULL_REFUSED": (ADD, ("d", "d1", None)),
        "WRONG_VALUE": ("INSERT INTO [ORDERS_UNIFIED] ([XL]) VALUES (?)", ("many",)),
    }
    for code, (statement, params) in cases.items():
        with pytest.raises(errors.Rejected) as caught, db.write() as session:
            session.execute(statement, params)
        assert caught.value.code == code


@pytest.mark.parametrize("statement", ["SELECT 1 AS n FROM [Nothing]", "SELECT [nothing] FROM [SYNC_State]"])
def test_a_missing_table_or_column_asks_for_setup(db: database.Database, statement: str) -> None:
    with pytest.raises(errors.Misconfigured, match="ordersync setup") as caught, db.read() as session:
        session.query(statement)
    assert caught.value.code == "SCHEMA"


def test_a_mistake_in_a_statement_is_not_translated(db: database.Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="syntax error"), db.read() as session:
        session.query("SELEC 1")
    with pytest.raises(sqlite3.ProgrammingError, match="bindings"), db.read() as session:
        session.query(GET, ())


def test_a_file_that_cannot_be_opened_asks_for_an_operator(tmp_path: Path, opened: Open) -> None:
    with pytest.raises(errors.Misconfigured, match="check that its folder exists"), opened("no/where.db").read():
        pass
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one: " * 40)
    with pytest.raises(errors.Misconfigured, match="set another path"), opened("text.db").read():
        pass
    with pytest.raises(errors.Misconfigured, match="check its folder"):
        opened("text.db/orders.db").apply_schema(NOW)


def test_full_disk_asks_for_room(db: database.Database) -> None:
    with pytest.raises(errors.Misconfigured, match="free space") as caught, db.write() as session:
        session.query("PRAGMA max_page_count = 1")
        session.execute(SET, ("x" * 1_000_000, "a"))
    assert caught.value.code == "SQLITE_FULL"
    with db.read() as session:
        assert session.value(GET, ("a",)) == "a1"


# Schema


def test_the_schema_is_created_once_and_recorded(opened: Open, tmp_path: Path) -> None:
    db = opened("new/folder/orders.db")
    made = db.apply_schema(NOW)
    assert [what for what in made if what.startswith("table")] == [
        f"table {t.name}" for t in tables.of_engine("sqlite")
    ]
    assert "view VW_MON_ActiveBatches" in made
    assert db.apply_schema(NOW + timedelta(days=1)) == []
    with db.read() as session:
        assert session.query("SELECT [version], [applied_at] FROM [SYNC_SchemaVersion]") == [
            {"version": 1, "applied_at": AT}
        ]
        assert session.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]
        assert session.value("PRAGMA busy_timeout") == 30_000


def test_columns_are_the_live_ones(db: database.Database) -> None:
    columns = db.columns(tables.SOURCE)
    assert [column.name for column in columns] == list(tables.get(tables.SOURCE).names)
    assert (columns[0].type, columns[0].nullable) == ("TEXT", True)
    assert db.columns(tables.ACTIVE_BATCHES)[-1].name == "open_records"
    with pytest.raises(errors.Misconfigured, match="no table Nothing: run `ordersync setup`"):
        db.columns("Nothing")


def test_live_column_that_no_statement_can_name_is_refused(db: database.Database, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "orders.db")) as other:
        other.execute('CREATE TABLE "Odd" ("size]" TEXT)')
    with pytest.raises(errors.Misconfigured, match="Odd: the name 'size]'"):
        db.columns("Odd")


def test_older_tables_get_missing_columns_and_keep_their_rows(tmp_path: Path, opened: Open) -> None:
    with closing(sqlite3.connect(tmp_path / "orders.db")) as older, older:
        older.execute("CREATE TABLE [MON_CustMasterSchedule] ([Title] TEXT, [Item ID] INTEGER NOT NULL, [own] TEXT)")
        older.execute("INSERT INTO [MON_CustMasterSchedule] VALUES ('an item', 7, 'kept')")
        older.execute("CREATE TABLE [ORDERS_UNIFIED] ([record_uuid] TEXT, [XL] INTEGER)")
    db = opened()
    made = db.apply_schema(NOW)
    assert "column [source_uuid] of MON_CustMasterSchedule" in made
    assert not any("ORDERS_UNIFIED" in what and "SNAPSHOT" not in what for what in made)
    names = {column.name for column in db.columns(tables.PRODUCTION)}
    assert names == {*tables.get(tables.PRODUCTION).names, "own"}
    assert [column.name for column in db.columns(tables.SOURCE)] == ["record_uuid", "XL"]
    with db.read() as session:
        kept = session.query("SELECT [Title], [Item ID], [own], [version] FROM [MON_CustMasterSchedule]")
    assert kept == [{"Title": "an item", "Item ID": 7, "own": "kept", "version": None}]
    assert db.apply_schema(NOW) == []


def test_new_form_of_the_schema_is_a_new_version(db: database.Database) -> None:
    with db.write() as session:
        session.execute("UPDATE [SYNC_SchemaVersion] SET [checksum] = ?", ("an older form",))
        session.execute("ALTER TABLE [SYNC_Lease] DROP COLUMN [owner]")
    later = NOW + timedelta(days=1)
    assert db.apply_schema(later) == ["column [owner] of SYNC_Lease", "view VW_MON_ActiveBatches"]
    with db.read() as session:
        versions = session.query("SELECT [version], [applied_at] FROM [SYNC_SchemaVersion] ORDER BY [version]")
    assert versions == [
        {"version": 1, "applied_at": AT},
        {"version": 2, "applied_at": database.to_db_time(later)},
    ]


def test_schema_without_the_source_leaves_it_to_its_owner(opened: Open) -> None:
    db = opened()
    assert "table ORDERS_UNIFIED" not in db.apply_schema(NOW, with_source=False)
    with pytest.raises(errors.Misconfigured, match="no table ORDERS_UNIFIED"):
        db.columns(tables.SOURCE)
    assert db.apply_schema(NOW) == ["table ORDERS_UNIFIED"]
