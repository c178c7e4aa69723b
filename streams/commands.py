"""What the commands do, apart from how it is shown."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from connectors import database, errors, samples
from connectors.monday import board as boards
from connectors.monday import board_values
from connectors.monday import budget as budgets
from connectors.monday import client as clients
from mappings import sizes
from schemas.base import Cell
from sql import grants, identifiers, script
from streams import embedded, overview, supervise, worker
from streams.resources import Resources, utcnow
from streams.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")


@contextmanager
def opened(settings: Settings) -> Iterator[Resources]:
    """The connectors, with the broker and the board that the settings name, or the embedded ones."""
    parts = Resources(settings)
    # A broken mapping is told before anything is started.
    log.debug("the mapping of board %s is sound", parts.mappings.board.board.id)
    with embedded.endpoints(settings, parts.limits) as ends:
        parts.bootstrap, parts.monday_url = ends.bootstrap, ends.monday_url
        try:
            yield parts
        finally:
            parts.close()


@contextmanager
def database_only(settings: Settings) -> Iterator[Resources]:
    """The connectors of commands that only read SQL: no broker, no board."""
    parts = Resources(settings)
    try:
        yield parts
    finally:
        parts.close()


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
    # What a worker needs for nothing else.
    from streams import archiving

    if grant and settings.server is None:
        raise errors.Misconfigured("--grant is for SQL Server: a SQLite file knows no roles")
    with opened(settings) as parts:
        made = _summed(parts.db.apply_schema(utcnow()))
        if grant:
            made.append(give_rights(parts.db))
        made += [f"{text} of the archive" for text in _summed(archiving.store(parts).prepare())]
        if sample_orders:
            made.append(fill_with_samples(parts, orders=sample_orders, seed=seed))
        made += [f"made topic {name}" for name in parts.ensure_topics()]
        key = parts.mappings.board.key
        if asyncio.run(with_board(parts, lambda board: board.ensure_key_column(key.id, key.title))):
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


def work(settings: Settings) -> None:
    """The worker."""
    with opened(settings) as parts:
        asyncio.run(worker.work(parts))


def services(settings: Settings, ends: embedded.Endpoints) -> list[supervise.Service]:
    """Poller and worker, as `run` supervises them."""
    environment = {
        **os.environ,
        **settings.environment(),
        "KAFKA_BOOTSTRAP_SERVERS": ends.bootstrap,
        "ORDERSYNC_MONDAY_URL": ends.monday_url,
    }
    if not settings.monday_url:
        environment["MONDAY_API_TOKEN"] = embedded.SIMULATOR_TOKEN
    logs = settings.home / "logs"
    return [
        supervise.Service("worker", supervise.ordersync("-v", "work"), environment, logs / "worker.log", standby=True),
        supervise.Service(
            "poller",
            supervise.ordersync("detect", "--every", str(settings.poll_every)),
            environment,
            logs / "poller.log",
        ),
    ]


def run(settings: Settings) -> None:
    """The always-on service: until SIGTERM or SIGINT."""
    parts = Resources(settings)
    with embedded.endpoints(settings, parts.limits) as ends:
        supervisor = supervise.Supervisor(services(settings, ends), ends.revive)
        supervisor.start()
        try:
            supervisor.wait()
        finally:
            supervisor.stop()


def status(settings: Settings) -> overview.Overview:
    """Where everything stands, out of SQL alone: it works while broker and board are away."""
    with database_only(settings) as parts:
        return overview.collect(parts)


def serve_board(settings: Settings) -> None:
    """The bundled board, until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    running = embedded.Simulator(settings, Resources(settings).limits)
    print(f"the board answers at {running.start()}", flush=True)
    try:
        stop.wait()
    finally:
        running.stop()


def board(settings: Settings) -> list[board_values.BoardItem]:
    """Every active item of the board."""
    with opened(settings) as parts:
        return asyncio.run(with_board(parts, read_items))


async def read_items(board: boards.Board) -> list[board_values.BoardItem]:
    """Every active item with its subitems."""
    return [item async for page in board.items() for item in page]


async def with_board(parts: Resources, ask: Callable[[boards.Board], Awaitable[T]], board_id: str | None = None) -> T:
    """What `ask` is answered by the board, or by another one of the account."""
    budget = budgets.Budget(parts.limits)
    async with clients.Client(parts.monday_url, parts.token(), budget=budget) as client:
        return await ask(boards.Board(client, board_id or parts.mappings.board.board.id))
