"""Mistakes in the existing tables of a SQL Server, because users may have created some of them."""

from collections.abc import Iterator

from sql import ddl, tables


def mistakes(live: ddl.Live) -> Iterator[str]:
    """One sentence for each column that differs from our schema and that `ddl.missing` cannot always correct."""
    columns = {name.casefold(): there for name, there in live.columns.items()}
    for table in tables.of_engine("sqlserver"):
        if table.name == tables.SOURCE:
            continue
        there = {column.name.casefold(): column for column in columns.get(table.name.casefold(), ())}
        for column in table.columns:
            found = there.get(column.name.casefold())
            what = f"column [{column.name}] of {table.name}"
            if found is None:
                yield f"{what} is missing: run `ordersync setup`"
            elif found.generated:
                yield f"{what} is IDENTITY or computed: ordersync writes its values; change it to a plain {column.type}"
            elif ddl.is_narrow(found, column):
                wanted = f"{column.type}{f' COLLATE {ddl.BINARY_COLLATION}' if column.binary else ''}"
                advice = "an index uses it: drop the index, then run" if found.indexed else "run"
                yield f"{what} is {found.type}, and has to be {wanted}: {advice} `ordersync setup`"
