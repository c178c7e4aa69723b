"""The smallest set of rights that ordersync needs on SQL Server, as a script for the owner of the database."""

from collections.abc import Iterator

from sql import identifiers, tables

ROLE = "ordersync"

_ROLE_IS_THERE = f"EXISTS (SELECT 1 FROM sys.database_principals WHERE name = {identifiers.literal(ROLE)})"
_VIEW = f"GRANT SELECT ON [dbo].{identifiers.quote(tables.ACTIVE_BATCHES)} TO {identifiers.quote(ROLE)}"


def script() -> str:
    """`statements` as batches of a script that an operator runs; the logins of ordersync become members of the role."""
    lines = [
        "-- The poller and the workers log in with this role; `ordersync setup` needs an owner's login.",
        "-- Then: ALTER ROLE [ordersync] ADD MEMBER [their user];",
    ]
    for statement in statements():
        lines += [statement, "GO"]
    return "\n".join(lines) + "\n"


def statements() -> Iterator[str]:
    """Creates the role and grants it its rights, once the tables exist; a second run changes nothing."""
    yield f"IF NOT {_ROLE_IS_THERE} CREATE ROLE {identifiers.quote(ROLE)}"
    yield from grants()


def grants() -> Iterator[str]:
    """One GRANT for each table: ordersync only reads the source and the record of the schema."""
    for table in tables.of_engine("sqlserver"):
        only_read = table.name in (tables.SOURCE, tables.SCHEMA_VERSION)
        rights = "SELECT" if only_read else "SELECT, INSERT, UPDATE, DELETE"
        yield f"GRANT {rights} ON [dbo].{identifiers.quote(table.name)} TO {identifiers.quote(ROLE)}"
    yield _VIEW


def grant_view() -> str:
    """The GRANT for a recreated view, because the rights went with the old one; nothing without the role."""
    return f"IF {_ROLE_IS_THERE} {_VIEW}"
