"""The rights are the smallest set: the source is only read, our tables are written, no other table is named."""

import re

from sql import grants, tables


def given() -> dict[str, str]:
    found = [re.fullmatch(r"GRANT (.+) ON \[dbo\]\.\[(.+)\] TO \[ordersync\]", line) for line in grants.grants()]
    return {match[2]: match[1] for match in found if match is not None}


def test_every_table_is_granted_once_and_the_source_is_only_read() -> None:
    rights = given()
    assert len(rights) == len(list(grants.grants()))
    assert set(rights) == {table.name for table in tables.of_engine("sqlserver")} | {tables.ACTIVE_BATCHES}
    only_read = {name for name, right in rights.items() if right == "SELECT"}
    assert only_read == {tables.SOURCE, tables.SCHEMA_VERSION, tables.ACTIVE_BATCHES}
    assert {right for right in rights.values() if right != "SELECT"} == {"SELECT, INSERT, UPDATE, DELETE"}


def test_the_script_is_batches_of_one_statement() -> None:
    role, *rights = [
        "\n".join(line for line in batch.splitlines() if not line.startswith("--")).strip()
        for batch in grants.script().split("\nGO\n")
    ]
    there = "EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'ordersync')"
    assert role == f"IF NOT {there} CREATE ROLE [ordersync]"
    assert grants.grant_view() == f"IF {there} {rights[-2]}"
    assert [right for right in rights if right] == list(grants.grants())
    assert [role, *grants.grants()] == list(grants.statements())
