"""What `setup` makes on a real SQL Server: a container, or the server of ORDERSYNC_TEST_SQLSERVER."""

import re
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from connectors.database import odbc_address, odbc_driver
from connectors.tables.batches import Batches
from sql import grants, script, tables
from streams.commands import setup
from tests.contracts import engines
from tests.support import fakes

pytestmark = pytest.mark.sqlserver


def run(text: str, batches: str) -> None:
    with closing(odbc_address.connect(odbc_address.parse(text))) as connection:
        for batch in re.split(r"^GO\s*$", batches, flags=re.MULTILINE):
            if batch.strip():
                connection.execute(batch)


def test_the_script_builds_every_table_with_its_columns_and_may_run_twice(sqlserver: str) -> None:
    run(sqlserver, script.text("sqlserver"))
    run(sqlserver, script.text("sqlserver"))
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


def test_after_the_script_setup_has_nothing_to_do_and_the_database_can_be_written(sqlserver: str) -> None:
    run(sqlserver, script.text("sqlserver"))
    with closing(engines.sqlserver(sqlserver)) as db:
        with db.write() as session:
            assert session.value("SELECT COUNT(*) FROM SYNC_SchemaVersion") == 1
        assert db.apply_schema(fakes.Clock()()) == []
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


def test_columns_that_the_server_fills_are_told(sqlserver: str) -> None:
    run(sqlserver, "CREATE TABLE dbo.ERR_MON_CustMasterSchedule (err_id BIGINT IDENTITY NOT NULL)")
    times = "start_time DATETIME2 NULL, end_time DATETIME2 NULL"
    computed = "duration_seconds AS DATEDIFF(SECOND, start_time, end_time)"
    run(sqlserver, f"CREATE TABLE dbo.{tables.BATCHES} (batch_id UNIQUEIDENTIFIER NOT NULL, {times}, {computed})")
    with closing(engines.sqlserver(sqlserver)) as db:
        db.apply_schema(fakes.Clock()())
        told = "\n".join(db.mistakes())
    for what in ("[err_id] of ERR_MON_CustMasterSchedule", f"[duration_seconds] of {tables.BATCHES}"):
        assert f"{what} is IDENTITY or computed" in told


def test_a_database_without_snapshots_is_told(sqlserver: str) -> None:
    for state, told in (("OFF", 1), ("ON", 0)):
        try:
            run(sqlserver, f"ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION {state}")
        except odbc_driver.load().Error as error:
            pytest.skip(f"this server does not change that: {error}")
        with closing(engines.sqlserver(sqlserver)) as db:
            assert len(db.notes()) == told


@contextmanager
def service(server: str) -> Iterator[str]:
    """The connection string of a new login that is a user of this database, in our role."""
    name, password = f"ordersync_test_{secrets.token_hex(4)}", f"Aa1-{secrets.token_hex(12)}"
    with closing(odbc_address.connect(odbc_address.parse(server))) as owner:
        try:
            owner.execute(f"CREATE LOGIN [{name}] WITH PASSWORD = '{password}'")
        except odbc_driver.load().Error as error:
            pytest.skip(f"this login of {engines.VARIABLE} makes no other: {error}")
        try:
            owner.execute(f"CREATE USER [{name}] FOR LOGIN [{name}]")
            owner.execute(f"ALTER ROLE [{grants.ROLE}] ADD MEMBER [{name}]")
            yield engines.with_keywords(server, UID=name, PWD=password)
            owner.execute(f"DROP USER [{name}]")
        finally:
            owner.execute(f"DROP LOGIN [{name}]")


def test_the_grants_may_run_twice_and_let_a_user_do_the_work_and_no_more(sqlserver: str) -> None:
    with closing(engines.sqlserver(sqlserver)) as db:
        db.apply_schema(fakes.Clock()())
        setup.give_rights(db)
        run(sqlserver, grants.script())
        # An older form of the schema: the view is made anew.
        run(sqlserver, "DELETE FROM SYNC_SchemaVersion")
        assert db.apply_schema(fakes.Clock()()) == [f"view {tables.ACTIVE_BATCHES}"]
    with service(sqlserver) as given:
        with closing(engines.sqlserver(given)) as worker:
            assert worker.apply_schema(fakes.Clock()()) == []
            assert worker.mistakes() == []
            with worker.write() as session:
                session.execute("UPDATE SYNC_State SET value = value")
            with worker.read() as session:
                assert session.query("SELECT record_uuid FROM ORDERS_UNIFIED") == []
            assert Batches(worker, now=fakes.Clock()).active() == []
        with closing(odbc_address.connect(odbc_address.parse(given))) as connection:
            for forbidden in ("DELETE FROM ORDERS_UNIFIED", "CREATE TABLE dbo.X (a INT)", "DROP TABLE SYNC_State"):
                with pytest.raises(odbc_driver.load().Error):
                    connection.execute(forbidden)
