"""Where a SQL Server for tests comes from: one that is given, or a container; else a reason to skip."""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

VARIABLE = "ORDERSYNC_TEST_SQLSERVER"
IMAGE = "mcr.microsoft.com/mssql/server:2022-CU16-ubuntu-22.04"


@pytest.fixture
def sqlserver() -> Iterator[Any]:
    """A pyodbc connection to an empty database of this test's own, dropped at the end."""
    with _server() as text:
        pyodbc = _pyodbc()
        name = f"ordersync_test_{secrets.token_hex(4)}"
        admin = pyodbc.connect(_in_database(text, "master"), autocommit=True)
        try:
            admin.execute(f"CREATE DATABASE [{name}]")
            try:
                own = pyodbc.connect(_in_database(text, name), autocommit=True)
                try:
                    yield own
                finally:
                    own.close()
            finally:
                admin.execute(f"DROP DATABASE [{name}]")
        finally:
            admin.close()


@contextmanager
def _server() -> Iterator[str]:
    given = os.environ.get(VARIABLE)
    if given:
        yield given
        return
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip(f"no SQL Server: set {VARIABLE} to an ODBC connection string, or start Docker")
    from testcontainers.mssql import SqlServerContainer

    password = f"Aa1-{secrets.token_hex(12)}"
    with SqlServerContainer(IMAGE, password=password) as container:
        address = f"{container.get_container_host_ip()},{container.get_exposed_port(1433)}"
        driver = _driver()
        # The container's certificate is its own: this connection alone trusts it, on loopback.
        yield f"DRIVER={{{driver}}};SERVER={address};UID=SA;PWD={{{password}}};TrustServerCertificate=yes"


def _driver() -> str:
    found = sorted(name for name in _pyodbc().drivers() if re.fullmatch(r"ODBC Driver \d+ for SQL Server", name))
    if not found:
        pytest.skip(f"Docker is there, but no ODBC driver for SQL Server: install one, or set {VARIABLE}")
    return str(found[-1])


def _pyodbc() -> Any:
    try:
        import pyodbc
    except ImportError as error:
        pytest.skip(f"pyodbc cannot be loaded ({error}): on Debian, apt install libodbc2")
    return pyodbc


def _in_database(text: str, name: str) -> str:
    parts = [part for part in text.split(";") if part and not part.strip().upper().startswith("DATABASE=")]
    return ";".join([*parts, f"DATABASE={name}"])
