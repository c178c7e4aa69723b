"""The databases that keep the contract: SQLite, SQL Server, and the ODBC session on SQLite's own driver."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import sql
from connectors import database, errors
from connectors.database import odbc_address, odbc_driver, sqlite
from connectors.database import sqlserver as database_sqlserver
from sql import ddl, identifiers, tables
from tests.support import factories, fakes

if TYPE_CHECKING:
    import pyodbc

ENGINES = ("sqlite", "odbc", "sqlserver")
VARIABLE = "ORDERSYNC_TEST_SQLSERVER"
# The one of docker-compose.yml (tests/test_compose_sqlserver.py holds the two together).
IMAGE = "mcr.microsoft.com/mssql/server:2022-CU26-ubuntu-22.04"
SQLITE_DRIVER = "ORDERSYNC_TEST_SQLITE_ODBC"
# Where Debian's libsqliteodbc puts it.
SQLITE_DRIVERS = "usr/lib/*/odbc/libsqlite3odbc.so"


def batch(number: int) -> str:
    """The id of a batch: the server takes a UUID only."""
    return f"{number:08X}-0000-4000-8000-00000000BA7C"


BATCH_1, BATCH_2 = batch(1), batch(2)


@cache
def why_not(engine: str) -> str | None:
    """Why nothing can be run on this engine here, and what to do about it; None when it can."""
    if engine == "sqlite":
        return None
    if engine == "sqlserver" and not os.environ.get(VARIABLE) and not _docker():
        return f"no SQL Server: set {VARIABLE} to an ODBC connection string, or start Docker"
    try:
        pyodbc = odbc_driver.load()
        if engine == "sqlserver" and not os.environ.get(VARIABLE):
            odbc_driver.find(pyodbc.drivers())
    except errors.Misconfigured as error:
        return str(error)
    if engine == "odbc" and sqlite_driver() is None:
        return f"no ODBC driver for SQLite: on Debian, apt install libsqliteodbc, or name it in {SQLITE_DRIVER}"
    return None


def _docker() -> bool:
    found = shutil.which("docker")
    return found is not None and subprocess.run([found, "info"], capture_output=True).returncode == 0


def sqlite_driver() -> str | None:
    """SQLite's ODBC driver, if there is one."""
    return os.environ.get(SQLITE_DRIVER) or next(map(str, Path("/").glob(SQLITE_DRIVERS)), None)


def params() -> list[Any]:
    """The engines that are here, each with its mark; test_engines.py says what is missing."""
    marks = {"sqlserver": [pytest.mark.sqlserver]}
    return [pytest.param(name, marks=marks.get(name, [])) for name in ENGINES if why_not(name) is None]


@contextmanager
def given_server() -> Iterator[str]:
    """An ODBC connection string of a SQL Server: the given one, or one in a container."""
    given = os.environ.get(VARIABLE)
    if given:
        yield given
        return
    # Docker's client, 0.3 s to import: most runs have no use for it.
    from testcontainers.community.mssql import SqlServerContainer  # noqa: PLC0415

    driver = odbc_driver.find(odbc_driver.load().drivers())
    password = f"Aa1-{secrets.token_hex(12)}"
    with SqlServerContainer(IMAGE, password=password) as container:
        address = f"{container.get_container_host_ip()},{container.get_exposed_port(1433)}"
        # The container's certificate is its own: this connection alone trusts it, on loopback.
        yield f"DRIVER={{{driver}}};SERVER={address};UID=SA;PWD={{{password}}};TrustServerCertificate=yes"


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """The connection string of an empty database on `server`, dropped at the end; snapshots allowed where they can be.

    Where the login may not make one: the database that `server` names, which must hold none of our tables, and holds
    none of them at the end.
    """
    name = f"ordersync_test_{secrets.token_hex(4)}"
    try:
        admin = odbc_address.connect(odbc_address.parse(with_keywords(server, DATABASE="master")))
        admin.execute(f"CREATE DATABASE [{name}]")
    except (errors.OrdersyncError, odbc_driver.load().Error) as error:
        with lent_database(server, str(error)):
            yield server
        return
    with closing(admin):
        attempt(admin, f"ALTER DATABASE [{name}] SET ALLOW_SNAPSHOT_ISOLATION ON")
        try:
            yield with_keywords(server, DATABASE=name)
        finally:
            # A process that was killed may still have its session there. Azure ends sessions by itself.
            attempt(admin, f"ALTER DATABASE [{name}] SET SINGLE_USER WITH ROLLBACK IMMEDIATE")
            admin.execute(f"DROP DATABASE [{name}]")


@contextmanager
def lent_database(server: str, why: str) -> Iterator[None]:
    """The database that the connection string names: emptied of our tables, which it may only have from us."""
    where = odbc_address.parse(server).where
    if "DATABASE" not in odbc_address.pairs(server):
        pytest.fail(f"{VARIABLE}: this login makes no database ({why}): name an empty one, DATABASE=…")
    with closing(odbc_address.connect(odbc_address.parse(server))) as owner:
        if where not in _lent:
            with closing(sqlserver(server)) as db:
                found = [table.name for table in tables.of_engine("sqlserver") if db.columns(table.name)]
            if found:
                pytest.fail(f"{where} holds {', '.join(found)}, or another process tests there; no other: {why}")
            _lent.add(where)
        _empty(owner)
        try:
            yield
        finally:
            _empty(owner)


# Databases that were empty when the tests of this process began.
_lent: set[str] = set()


def _empty(owner: "pyodbc.Connection") -> None:
    owner.execute(ddl.drop_view("sqlserver"))
    for table in tables.of_engine("sqlserver"):
        owner.execute(f"DROP TABLE IF EXISTS {ddl.owned(table.name, 'sqlserver')}")


def attempt(connection: "pyodbc.Connection", statement: str) -> None:
    """For what some servers cannot do, and do without."""
    with suppress(odbc_driver.load().Error):
        connection.execute(statement)


def with_keywords(server: str, **given: str) -> str:
    """The connection string with other values."""
    return odbc_address.Address("", {**odbc_address.pairs(server), **given}).text


def sqlserver(text: str, **given: Any) -> database_sqlserver.SqlServerDatabase:
    address = odbc_address.parse(text)
    return database_sqlserver.SqlServerDatabase(lambda: odbc_address.connect(address), address.where, **given)


def sqlite_over_odbc(path: Path) -> database_sqlserver.SqlServerDatabase:
    """The same file that SqliteDatabase opens, with its tables, through pyodbc."""
    made = sqlite.SqliteDatabase(path)
    now = fakes.Clock()()
    made.apply_schema(now)
    line = database_sqlserver.LINE
    with made.write() as session:
        session.execute(sql.load("catalog", "sqlite")["make_line"], (line, database.to_db_time(now), line))
    made.close()
    return sqlserver(f"DRIVER={sqlite_driver()};DATABASE={path};TIMEOUT=10000;BIGINT=1", engine="sqlite")


@contextmanager
def opened(engine: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[database.Database]:
    """A database of `engine` with empty tables; closed at the end."""
    db: database.Database
    if engine == "sqlserver":
        db = sqlserver(request.getfixturevalue("server_database"))
        db.apply_schema(fakes.Clock()())
        with db.write() as session:
            for table in tables.of_engine("sqlserver"):
                if table.name not in (tables.SCHEMA_VERSION, tables.LEASE):
                    session.execute(f"DELETE FROM {identifiers.quote(table.name)}")
            session.execute("DELETE FROM SYNC_Lease WHERE name <> ?", (database_sqlserver.LINE,))
    elif engine == "odbc":
        db = sqlite_over_odbc(folder / "orders.db")
    else:
        db = sqlite.SqliteDatabase(folder / "orders.db")
        db.apply_schema(fakes.Clock()())
    try:
        yield db
    finally:
        db.close()


@contextmanager
def world(engine: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[factories.World]:
    """A world on a database of `engine`."""
    with opened(engine, folder, request) as db:
        yield factories.World(folder / "orders.db", db)
