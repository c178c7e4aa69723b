"""The T-SQL script on a real SQL Server: a container, or the server of ORDERSYNC_TEST_SQLSERVER."""

import re
from typing import Any

import pytest

from sql import ddl, tables

pytestmark = pytest.mark.sqlserver


def run(connection: Any, script: str) -> None:
    for batch in re.split(r"^GO\s*$", script, flags=re.MULTILINE):
        if batch.strip():
            connection.execute(batch)


def test_the_script_builds_every_table_with_its_columns_and_may_run_twice(sqlserver: Any) -> None:
    run(sqlserver, ddl.script("sqlserver"))
    run(sqlserver, ddl.script("sqlserver"))
    for table in tables.of_engine("sqlserver"):
        rows = sqlserver.execute(
            "SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
            table.name,
        ).fetchall()
        assert [row[0] for row in rows] == [column.name for column in table.columns]
