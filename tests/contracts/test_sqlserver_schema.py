"""What `setup` makes on a real SQL Server: a container, or the server of ORDERSYNC_TEST_SQLSERVER."""

import re
from contextlib import closing

import pytest

from connectors import odbc, odbc_driver
from sql import ddl, grants, tables
from streams import commands
from tests import fakes
from tests.contracts import engines

pytestmark = pytest.mark.sqlserver


def run(text: str, script: str) -> None:
    with closing(odbc.connect(odbc.parse(text))) as connection:
        for batch in re.split(r"^GO\s*$", script, flags=re.MULTILINE):
            if batch.strip():
                connection.execute(batch)


def test_the_script_builds_every_table_with_its_columns_and_may_run_twice(sqlserver: str) -> None:
    run(sqlserver, ddl.script("sqlserver"))
    run(sqlserver, ddl.script("sqlserver"))
    with closing(engines.sqlserver(sqlserver)) as db:
        for table in tables.of_engine("sqlserver"):
            found = {column.name: column for column in db.columns(table.name)}
            assert list(found) == list(table.names)
            for column in table.columns:
                assert found[column.name].type == column.type
                assert found[column.name].binary or not column.binary
                assert found[column.name].nullable == column.nullable


def test_setup_makes_it_all_once_and_finds_nothing_to_say(sqlserver: str) -> None:
    with closing(engines.sqlserver(sqlserver)) as db:
        made = db.apply_schema(fakes.Clock()())
        assert {f"table {table.name}" for table in tables.of_engine("sqlserver")} <= set(made)
        assert db.apply_schema(fakes.Clock()()) == []
        assert db.mistakes() == []


def test_setup_after_the_script_makes_nothing_but_the_record(sqlserver: str) -> None:
    run(sqlserver, ddl.script("sqlserver"))
    with closing(engines.sqlserver(sqlserver)) as db:
        assert db.apply_schema(fakes.Clock()()) == [f"view {tables.ACTIVE_BATCHES}"]
        assert db.mistakes() == []


def test_tables_of_others_get_our_columns_and_keep_their_rows(sqlserver: str) -> None:
    table = tables.get(tables.PRODUCTION_SUBITEMS)
    contract = [column for column in table.columns if column.origin == "contract"]
    body = ", ".join(f"[{column.name}] {column.widened_from or column.type} NULL" for column in contract)
    run(sqlserver, f"CREATE TABLE dbo.{table.name} ({body})\nGO\nINSERT INTO {table.name} ([Size]) VALUES (N'30X30')")
    with closing(engines.sqlserver(sqlserver)) as db:
        made = db.apply_schema(fakes.Clock()())
        assert f"column [size_label] of {table.name}" in made
        assert f"wider column [STYLE] of {table.name}" in made
        assert db.mistakes() == []
        with db.read() as session:
            assert session.query(f"SELECT [Size], [size_label] FROM {table.name}") == [
                {"Size": "30X30", "size_label": None}
            ]


def test_a_key_that_the_server_counts_is_told(sqlserver: str) -> None:
    run(sqlserver, "CREATE TABLE dbo.ERR_MON_CustMasterSchedule (err_id BIGINT IDENTITY NOT NULL)")
    with closing(engines.sqlserver(sqlserver)) as db:
        db.apply_schema(fakes.Clock()())
        (told,) = db.mistakes()
    assert "[err_id] of ERR_MON_CustMasterSchedule is IDENTITY" in told


def test_the_grants_may_run_twice_and_let_a_user_do_the_work_and_no_more(sqlserver: str) -> None:
    with closing(engines.sqlserver(sqlserver)) as db:
        db.apply_schema(fakes.Clock()())
        commands.give_rights(db)
    run(sqlserver, grants.script())
    with closing(odbc.connect(odbc.parse(sqlserver))) as connection:
        connection.execute("CREATE USER [worker] WITHOUT LOGIN")
        connection.execute("ALTER ROLE [ordersync] ADD MEMBER [worker]")
        connection.execute("EXECUTE AS USER = 'worker'")
        try:
            connection.execute("UPDATE SYNC_State SET value = value")
            connection.execute("SELECT COUNT(*) FROM ORDERS_UNIFIED").fetchall()
            refused = odbc_driver.load().Error
            for forbidden in ("DELETE FROM ORDERS_UNIFIED", "CREATE TABLE dbo.X (a INT)", "DROP TABLE SYNC_State"):
                with pytest.raises(refused):
                    connection.execute(forbidden)
        finally:
            connection.execute("REVERT")
