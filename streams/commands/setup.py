"""`ordersync setup`: creates tables, archive, topics and the key column of the board, and binds the home to them.

It writes sample orders where it is asked to.
"""

import asyncio
from collections.abc import Mapping, Sequence

from connectors import database, errors, samples
from connectors.monday import board as boards
from connectors.monday import board_values
from mappings import sizes
from schemas.base import Cell
from schemas.bindings import Binding
from sql import grants, identifiers, script
from streams.archive import wiring as archive_wiring
from streams.binding import compare
from streams.resources import Resources, new_id, utcnow
from streams.runtime import board_audit, connect, verify_timer
from streams.settings import Settings


def tsql_script() -> str:
    """The T-SQL script that creates the tables of ordersync."""
    return script.text("sqlserver")


def grants_script() -> str:
    """The T-SQL script that grants a role the rights that ordersync needs."""
    return grants.script()


def setup(settings: Settings, *, sample_orders: int, seed: int, grant: bool = False, rebind: bool = False) -> list[str]:
    """Creates what is missing, in the archive too; with `grant`, grants the role its rights. Returns one line each.

    An unbound home is bound; with `rebind`, a bound one too, and the ledger of another board is forgotten. Raises
    Misconfigured if no database has the given name (a typing error must not create one), and if the home is bound to
    another database, account, board or API.
    """
    if grant and settings.server is None:
        raise errors.Misconfigured("--grant is for SQL Server: a SQLite file knows no roles")
    with connect.everything(settings, check=not rebind) as parts:
        done = _summed(parts.db.apply_schema(utcnow()))
        if grant:
            done.append(give_rights(parts.db))
        done += [f"{text} of the archive" for text in _summed(archive_wiring.snapshot_archive(parts).prepare())]
        if sample_orders:
            done.append(fill_with_samples(parts, orders=sample_orders, seed=seed))
        done += [f"created topic {name}" for name in parts.ensure_topics()]
        done += prepare_board(parts, rebind=rebind)
    return done or ["everything exists already"]


def prepare_board(parts: Resources, *, rebind: bool = False) -> list[str]:
    """Creates the key column and binds the home, once its account is the bound one. Returns one line each.

    Raises Misconfigured for another account, and with `rebind` while a writer holds the lease; and what board and SQL
    raise.
    """
    return asyncio.run(connect.ask_board(parts, lambda board: _prepare_board(parts, board, rebind=rebind)))


async def _prepare_board(parts: Resources, board: boards.Board, *, rebind: bool) -> list[str]:
    identity, key = await board.identity(), parts.mappings.board.key
    if not rebind:
        connect.check_account(parts, identity)
    elif (holder := parts.lease_status.holder()) is not None:
        raise errors.Misconfigured(f"a worker writes to the board ({holder}): stop `ordersync run` first")
    done: list[str] = []
    if await board.ensure_key_column(key.id, key.title):
        done.append(f"created column {key.title} ({key.id}) on board {board.board_id}")
    if rebind:
        binding, forgotten = await _bind_anew(parts, board, identity)
        return [*done, *forgotten, *binding.lines]
    binding, is_new = await connect.bind(parts, board, identity)
    return [*done, *(binding.lines if is_new else ())]


async def _bind_anew(
    parts: Resources, board: boards.Board, identity: board_values.BoardIdentity
) -> tuple[Binding, list[str]]:
    """Binds to what the settings name now. The ledger stays if the database was bound to this very board."""
    stored = parts.bindings.stored()
    here = connect.place(parts, asks_api=True)
    board_of_ledger = None if stored is None else (stored.api, stored.account_id, stored.board_id)
    forgotten: list[str] = []
    if stored is not None and board_of_ledger == (here.api, identity.account_id, here.board_id):
        creates = stored.creates
    else:
        counts = parts.ledger.forget()
        parts.state.erase_all([board_audit.SINCE, verify_timer.BOARD])
        creates = await connect.creates_of(board, identity, parts.mappings.board.key.id)
        forgotten = [f"forgot the ledger: {', '.join(f'{n} {kind}' for kind, n in counts.items())}"]
        forgotten += ["`ordersync adopt` finds on the board what is ours"] if identity.items else []
    same = stored is not None and not compare.is_copy(stored, here)
    binding = connect.new_binding(parts, identity, creates, stored.database_id if stored and same else new_id())
    parts.bindings.replace(binding)
    return binding, forgotten


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
