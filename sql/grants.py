"""The rights that ordersync needs on SQL Server, and no more, as a script for the owner of the database."""

from collections.abc import Iterator

from sql import identifiers, tables

ROLE = "ordersync"


def script() -> str:
    """Makes the role and gives it its rights; running it again changes nothing. Whoever logs in becomes a member."""
    lines = [
        "-- The poller and the workers log in with this role; `ordersync setup` needs an owner's login.",
        "-- Then: ALTER ROLE [ordersync] ADD MEMBER [their user];",
        f"IF DATABASE_PRINCIPAL_ID({identifiers.literal(ROLE)}) IS NULL CREATE ROLE {identifiers.quote(ROLE)}",
        "GO",
    ]
    for grant in grants():
        lines += [grant, "GO"]
    return "\n".join(lines) + "\n"


def grants() -> Iterator[str]:
    """One GRANT a table: the source is only read, and so is the record of the schema."""
    for table in tables.of_engine("sqlserver"):
        only_read = table.name in (tables.SOURCE, tables.SCHEMA_VERSION)
        rights = "SELECT" if only_read else "SELECT, INSERT, UPDATE, DELETE"
        yield f"GRANT {rights} ON [dbo].{identifiers.quote(table.name)} TO {identifiers.quote(ROLE)}"
    yield f"GRANT SELECT ON [dbo].{identifiers.quote(tables.ACTIVE_BATCHES)} TO {identifiers.quote(ROLE)}"
