"""The rights that ordersync needs on SQL Server, and no more, as a script for the owner of the database."""

from collections.abc import Iterator

from sql import identifiers, tables

ROLE = "ordersync"


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
    yield f"IF DATABASE_PRINCIPAL_ID({identifiers.literal(ROLE)}) IS NULL CREATE ROLE {identifiers.quote(ROLE)}"
    yield from grants()


def grants() -> Iterator[str]:
    """One GRANT a table: the source is only read, and so is the record of the schema."""
    for table in tables.of_engine("sqlserver"):
        only_read = table.name in (tables.SOURCE, tables.SCHEMA_VERSION)
        rights = "SELECT" if only_read else "SELECT, INSERT, UPDATE, DELETE"
        yield f"GRANT {rights} ON [dbo].{identifiers.quote(table.name)} TO {identifiers.quote(ROLE)}"
    yield f"GRANT SELECT ON [dbo].{identifiers.quote(tables.ACTIVE_BATCHES)} TO {identifiers.quote(ROLE)}"
