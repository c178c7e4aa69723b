"""`ordersync run`, `work` and `board`: the processes of the service, and the board."""

import asyncio
import logging
import os
import signal
import threading

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import board_values
from connectors.simulator import config
from schemas.bindings import Binding
from streams.binding import compare
from streams.resources import Resources
from streams.runtime import connect, embedded, supervisor, worker
from streams.settings import Settings

log = logging.getLogger(__name__)


def work(settings: Settings) -> None:
    """Runs a worker until SIGTERM or SIGINT."""
    with connect.everything(settings) as parts:
        asyncio.run(worker.work(parts))


def services(settings: Settings, ends: embedded.Endpoints) -> list[supervisor.Service]:
    """Worker and poller as `run` supervises them, with the addresses of broker and board in their environment."""
    environment = {
        **settings.environment_of_child(os.environ),
        "KAFKA_BOOTSTRAP_SERVERS": ends.bootstrap,
        "ORDERSYNC_MONDAY_URL": ends.monday_url,
    }
    if not settings.api_url:
        environment |= {"MONDAY_API_TOKEN": config.TOKEN, "ORDERSYNC_MONDAY_TOKEN_FILE": ""}
    logs = settings.home / "logs"
    return [
        supervisor.Service(
            "worker", supervisor.ordersync("-v", "work"), environment, logs / "worker.log", standby=True
        ),
        supervisor.Service(
            "poller",
            supervisor.ordersync("detect", "--every", str(settings.poll_every)),
            environment,
            logs / "poller.log",
        ),
    ]


def run(settings: Settings) -> None:
    """Runs the supervisor with poller and worker until SIGTERM or SIGINT."""
    with embedded.endpoints(settings, Resources(settings).limits) as ends:
        running = supervisor.Supervisor(services(settings, ends), ends.revive)
        running.start()
        try:
            for line in bind(settings, ends):
                print(line, flush=True)
            running.wait()
        finally:
            running.stop()


def bind(settings: Settings, ends: embedded.Endpoints) -> list[str]:
    """Binds a home of an earlier version. Returns lines about it, none for a bound home.

    Raises Misconfigured if database, board or API are not the bound ones, or the ledger is that of another board. Any
    other trouble is the worker's too: the worker binds the home once it reaches the board.
    """
    parts = Resources(settings, bootstrap=ends.bootstrap, monday_url=ends.monday_url)
    try:
        if connect.check_binding(parts, asks_api=True) is not None:
            return []
        binding, is_new = asyncio.run(connect.ask_board(parts, lambda board: _bind(parts, board)))
        return binding.lines if is_new else []
    except errors.OrdersyncError as error:
        if getattr(error, "code", "") == compare.CODE:
            raise
        log.warning("this home is not bound yet: %s", error)
        return []
    finally:
        parts.close()


async def _bind(parts: Resources, board: boards.Board) -> tuple[Binding, bool]:
    return await connect.bind(parts, board, await board.identity())


def serve_board(settings: Settings) -> None:
    """Runs the bundled board until SIGTERM or SIGINT, and prints its address."""
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
    """Every active item of the board, with its subitems. Raises what the board's client raises."""
    with connect.everything(settings) as parts:
        return asyncio.run(connect.ask_board(parts, connect.read_items))
