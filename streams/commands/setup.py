"""`ordersync setup`: the tables, the archive, the topics, the key column of the board, and sample orders."""

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
    """The script that makes our tables on SQL Server."""
    return script.text("sqlserver")


def grants_script() -> str:
    """The script that gives a role the rights it needs there."""
    return grants.script()


def setup(settings: Settings, *, sample_orders: int, seed: int, grant: bool = False) -> list[str]:
    """Makes what is missing, in the archive too; with `grant`, gives the role its rights. Returns what it made, in
    words. Misconfigured if there is no database of that name: a typing error must not become a new one.
    """
    if grant and settings.server is None:
        raise errors.Misconfigured("--grant is for SQL Server: a SQLite file knows no roles")
    with connect.everything(settings) as parts:
        made = _summed(parts.db.apply_schema(utcnow()))
        if grant:
            made.append(give_rights(parts.db))
        made += [f"{text} of the archive" for text in _summed(archive_wiring.snapshot_archive(parts).prepare())]
        if sample_orders:
            made.append(fill_with_samples(parts, orders=sample_orders, seed=seed))
        made += [f"made topic {name}" for name in parts.ensure_topics()]
        key = parts.mappings.board.key
        if asyncio.run(connect.ask_board(parts, lambda board: board.ensure_key_column(key.id, key.title))):
            made.append(f"made column {key.title} ({key.id}) on board {parts.mappings.board.board.id}")
    return made or ["everything is there already"]


def _summed(made: Sequence[str]) -> list[str]:
    """`table A`, `table B`, `index C` as `made 2 tables: A, B` and `made 1 index: C`."""
    kinds: dict[str, list[str]] = {}
    for text in made:
        kind, _, name = text.partition(" ")
        kinds.setdefault(kind, []).append(name)
    plural = {"index": "indexes"}
    return [
        f"made {len(names)} {kind if len(names) == 1 else plural.get(kind, kind + 's')}: {', '.join(names)}"
        for kind, names in kinds.items()
    ]


def give_rights(db: database.Database) -> str:
    """Gives our role what `grants_script` names; needs an owner's login."""
    with db.write() as session:
        for statement in grants.statements():
            session.execute(statement)
    return f"role {grants.ROLE} has its rights, and no more"


def fill_with_samples(parts: Resources, *, orders: int, seed: int) -> str:
    """Fills an empty ORDERS_UNIFIED with sample orders."""
    if parts.orders.source_rows():
        raise errors.Misconfigured("ORDERS_UNIFIED holds rows already: sample orders go into an empty table only")
    live = parts.orders.columns()
    size_columns = sizes.size_columns(live, parts.mappings.board.sizes)
    names = [name for name, _ in live]
    rows = samples.generate(seed=seed, orders=orders, columns=names, size_columns=size_columns)
    with parts.db.write() as session:
        for sample in rows:
            insert_order(session, sample.row)
    return f"wrote {parts.orders.source_rows()} sample orders"


def insert_order(session: database.Session, row: Mapping[str, Cell]) -> None:
    """Writes one row of ORDERS_UNIFIED, as the people who own it would. With its NULLs the statement would be longer
    than a server may be asked about.
    """
    cells = {name: cell for name, cell in row.items() if cell is not None}
    marks = ", ".join("?" * len(cells))
    session.execute(f"INSERT INTO ORDERS_UNIFIED ({identifiers.listed(cells)}) VALUES ({marks})", tuple(cells.values()))
