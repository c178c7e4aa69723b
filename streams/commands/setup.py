"""`ordersync setup`: creates tables, archive, topics and the key column of the board; writes sample orders."""

import asyncio
from collections.abc import Mapping, Sequence

from connectors import database, errors, samples
from mappings import sizes
from schemas.base import Cell
from sql import grants, identifiers, script
from streams.archive import wiring as archive_wiring
from streams.resources import Resources, utcnow
from streams.runtime import connect
from streams.settings import Settings


def tsql_script() -> str:
    """The T-SQL script that creates the tables of ordersync."""
    return script.text("sqlserver")


def grants_script() -> str:
    """The T-SQL script that grants a role the rights that ordersync needs."""
    return grants.script()


def setup(settings: Settings, *, sample_orders: int, seed: int, grant: bool = False) -> list[str]:
    """Creates what is missing, in the archive too; with `grant`, grants the role its rights. Returns one line each.

    Raises Misconfigured if no database has the given name: a typing error must not create one.
    """
    if grant and settings.server is None:
        raise errors.Misconfigured("--grant is for SQL Server: a SQLite file knows no roles")
    with connect.everything(settings) as parts:
        done = _summed(parts.db.apply_schema(utcnow()))
        if grant:
            done.append(give_rights(parts.db))
        done += [f"{text} of the archive" for text in _summed(archive_wiring.snapshot_archive(parts).prepare())]
        if sample_orders:
            done.append(fill_with_samples(parts, orders=sample_orders, seed=seed))
        done += [f"created topic {name}" for name in parts.ensure_topics()]
        key = parts.mappings.board.key
        if asyncio.run(connect.ask_board(parts, lambda board: board.ensure_key_column(key.id, key.title))):
            done.append(f"created column {key.title} ({key.id}) on board {parts.mappings.board.board.id}")
    return done or ["everything exists already"]


def _summed(created: Sequence[str]) -> list[str]:
    """`table A`, `table B`, `index C` as `created 2 tables: A, B` and `created 1 index: C`."""
    kinds: dict[str, list[str]] = {}
    for text in created:
        kind, _, name = text.partition(" ")
        kinds.setdefault(kind, []).append(name)
    plural = {"index": "indexes"}
    return [
        f"created {len(names)} {kind if len(names) == 1 else plural.get(kind, kind + 's')}: {', '.join(names)}"
        for kind, names in kinds.items()
    ]


def give_rights(db: database.Database) -> str:
    """Grants the role the rights of `grants_script`. Needs an owner's login. Returns one line."""
    with db.write() as session:
        for statement in grants.statements():
            session.execute(statement)
    return f"role {grants.ROLE} has its rights, and no more"


def fill_with_samples(parts: Resources, *, orders: int, seed: int) -> str:
    """Fills an empty ORDERS_UNIFIED with sample orders. Returns one line. Raises Misconfigured if it has rows."""
    if parts.orders.source_rows():
        raise errors.Misconfigured("ORDERS_UNIFIED has rows already: sample orders go into an empty table only")
    live = parts.orders.columns()
    size_columns = sizes.size_columns(live, parts.mappings.board.sizes)
    names = [name for name, _ in live]
    rows = samples.generate(seed=seed, orders=orders, columns=names, size_columns=size_columns)
    with parts.db.write() as session:
        for sample in rows:
            insert_order(session, sample.row)
    return f"wrote {parts.orders.source_rows()} sample orders"


def insert_order(session: database.Session, row: Mapping[str, Cell]) -> None:
    """Writes one row of ORDERS_UNIFIED, as its owner would, without the NULL cells.

    With all its columns the statement would have more parameters than the database allows.
    """
    cells = {name: cell for name, cell in row.items() if cell is not None}
    marks = ", ".join("?" * len(cells))
    session.execute(f"INSERT INTO ORDERS_UNIFIED ({identifiers.listed(cells)}) VALUES ({marks})", tuple(cells.values()))
