"""What the commands do, apart from how it is shown."""

import asyncio
import logging
import os
import signal
import threading

from connectors.monday import board_values
from connectors.simulator import config
from streams.resources import Resources
from streams.runtime import connect, embedded, supervisor, worker
from streams.runtime import status as statuses
from streams.settings import Settings

log = logging.getLogger(__name__)


def work(settings: Settings) -> None:
    """The worker."""
    with connect.everything(settings) as parts:
        asyncio.run(worker.work(parts))


def services(settings: Settings, ends: embedded.Endpoints) -> list[supervisor.Service]:
    """Poller and worker, as `run` supervises them."""
    environment = {
        **os.environ,
        **settings.environment(),
        "KAFKA_BOOTSTRAP_SERVERS": ends.bootstrap,
        "ORDERSYNC_MONDAY_URL": ends.monday_url,
    }
    if not settings.monday_url:
        environment["MONDAY_API_TOKEN"] = config.TOKEN
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
    """The always-on service: until SIGTERM or SIGINT."""
    parts = Resources(settings)
    with embedded.endpoints(settings, parts.limits) as ends:
        running = supervisor.Supervisor(services(settings, ends), ends.revive)
        running.start()
        try:
            running.wait()
        finally:
            running.stop()


def status(settings: Settings) -> statuses.Status:
    """Where everything stands, out of SQL alone: it works while broker and board are away."""
    with connect.database(settings) as parts:
        return statuses.collect(parts)


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
    with connect.everything(settings) as parts:
        return asyncio.run(connect.ask_board(parts, connect.read_items))
