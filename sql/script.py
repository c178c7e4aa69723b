"""The whole schema of an engine as a script; `python -m sql.script` writes it to `schema/<engine>.sql`."""

import hashlib
from pathlib import Path

from sql import ddl, grants, identifiers, tables


def text(engine: str) -> str:
    """The whole schema of an engine as a script that an operator reads and runs; a second run changes nothing."""
    objects = _objects(engine)
    return f"{objects}\n{_rows(_digest(objects))}" if engine == "sqlserver" else objects


def checksum(engine: str) -> str:
    """The form of the schema: SHA-256, in hex, of the statements of the script."""
    return _digest(_objects(engine))


def _objects(engine: str) -> str:
    sqlserver = engine == "sqlserver"
    end = "\nGO" if sqlserver else ";"
    parts = [f"-- Written by `python -m sql.script` from sql/tables/*.csv, for {engine}. Do not edit."]
    if sqlserver:
        # Indexes with WHERE need it, and sqlcmd switches it off.
        parts.append("-- `ordersync setup` does the same, and widens columns of older tables.")
        parts.append(f"SET QUOTED_IDENTIFIER ON{end}")
    for table in tables.of_engine(engine):
        parts.append(f"-- {table.purpose}\n{ddl.create_table(table, engine)}{end}")
        if sqlserver and any(column.origin == "contract" for column in table.columns):
            added = [column for column in table.columns if column.origin == "ordersync"]
            parts += [f"{ddl.add_column(table, column, engine)}{end}" for column in added]
        parts += [f"{ddl.create_index(table, index, engine)}{end}" for index in table.indexes]
    if engine != "postgresql":
        parts += [f"{ddl.drop_view(engine)}{end}", f"-- Open batches.\n{ddl.create_view(engine)}{end}"]
    if sqlserver:
        parts.append(f"{grants.grant_view()}{end}")
    return "\n\n".join(parts) + "\n"


def _rows(digest: str) -> str:
    """The two rows that `ordersync setup` writes too: the lock row of the writers, and the form of the schema."""
    lease, versions = ddl.owned(tables.LEASE, "sqlserver"), ddl.owned(tables.SCHEMA_VERSION, "sqlserver")
    line, this = identifiers.literal(tables.WRITE_LINE), identifiers.literal(digest)
    newest = f"[version] = (SELECT MAX([version]) FROM {versions})"
    return (
        f"-- Write transactions stand in line for the lock of this row.\n"
        f"IF NOT EXISTS (SELECT 1 FROM {lease} WHERE [name] = {line})\n"
        f"INSERT INTO {lease} ([name], [token], [expires_at]) VALUES ({line}, 0, SYSUTCDATETIME())\nGO\n\n"
        f"-- Which form of the schema this is.\n"
        f"IF NOT EXISTS (SELECT 1 FROM {versions} WHERE [checksum] = {this} AND {newest})\n"
        f"INSERT INTO {versions} ([version], [applied_at], [checksum])\n"
        f"SELECT COALESCE(MAX([version]), 0) + 1, SYSUTCDATETIME(), {this} FROM {versions}\nGO\n"
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    """Writes `schema/<engine>.sql` for every engine."""
    for engine in ddl.ENGINES:
        (Path(__file__).parent / "schema" / f"{engine}.sql").write_text(text(engine), encoding="utf-8")


if __name__ == "__main__":
    main()
