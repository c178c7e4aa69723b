"""What is wrong with tables that are there already, on SQL Server: users made some of them before us."""

from collections.abc import Iterator

from sql import ddl, tables


def mistakes(live: ddl.Live) -> Iterator[str]:
    """What a database of SQL Server has otherwise than we need it, and `missing` leaves as it is."""
    columns = {name.casefold(): found for name, found in live.columns.items()}
    for table in tables.of_engine("sqlserver"):
        if table.name == tables.SOURCE:
            continue
        there = {column.name.casefold(): column for column in columns.get(table.name.casefold(), ())}
        for column in table.columns:
            found = there.get(column.name.casefold())
            what = f"column [{column.name}] of {table.name}"
            if found is None:
                yield f"{what} is missing: run `ordersync setup`"
            elif found.made:
                yield f"{what} is IDENTITY or computed: ordersync writes its values; make it a plain {column.type}"
            elif ddl.is_narrow(found, column):
                wanted = f"{column.type}{f' COLLATE {ddl.BINARY_COLLATION}' if column.binary else ''}"
                why = "an index holds it: drop that, then run" if found.indexed else "run"
                yield f"{what} is {found.type}, and has to be {wanted}: {why} `ordersync setup`"
