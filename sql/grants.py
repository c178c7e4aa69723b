"""The rights that ordersync needs on SQL Server, and no more, as a script for the owner of the database."""

from collections.abc import Iterator

from sql import identifiers, tables

ROLE = "ordersync"

_ROLE_IS_THERE = f"EXISTS (SELECT 1 FROM sys.database_principals WHERE name = {identifiers.literal(ROLE)})"
_VIEW = f"GRANT SELECT ON [dbo].{identifiers.quote(tables.ACTIVE_BATCHES)} TO {identifiers.quote(ROLE)}"


def script() -> str:
    """`statements` as batches, for a person to run. Whoever logs in becomes a member of the role."""
    lines = [
        "-- The poller and the workers log in with this role; `ordersync setup` needs an owner's login.",
        "-- Then: ALTER ROLE [ordersync] ADD MEMBER [their user];",
    ]
    for statement in statements():
        lines += [statement, "GO"]
    return "\n".join(lines) + "\n"


def statements() -> Iterator[str]:
    """Make the role and give it its rights, once the tables are there; running them again changes nothing."""
    yield f"IF NOT {_ROLE_IS_THERE} CREATE ROLE {identifiers.quote(ROLE)}"
    yield from grants()


def grants() -> Iterator[str]:
    """One GRANT a table: the source is only read, and so is the record of the schema."""
    for table in tables.of_engine("sqlserver"):
        only_read = table.name in (tables.SOURCE, tables.SCHEMA_VERSION)
        rights = "SELECT" if only_read else "SELECT, INSERT, UPDATE, DELETE"
        yield f"GRANT {rights} ON [dbo].{identifiers.quote(table.name)} TO {identifiers.quote(ROLE)}"
    yield _VIEW


def view_again() -> str:
    """For a view that was made anew: its rights went with the old one."""
    return f"IF {_ROLE_IS_THERE} {_VIEW}"
