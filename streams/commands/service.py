"""`ordersync run`, `work` and `board`: the processes of the service, and the board."""

import asyncio
import os
import signal
import threading

from connectors.monday import board_values
from connectors.simulator import config
from streams.resources import Resources
from streams.runtime import connect, embedded, supervisor, worker
from streams.settings import Settings


def work(settings: Settings) -> None:
    """Runs a worker until SIGTERM or SIGINT."""
    with connect.everything(settings) as parts:
        asyncio.run(worker.work(parts))


def services(settings: Settings, ends: embedded.Endpoints) -> list[supervisor.Service]:
    """Worker and poller as `run` supervises them, with the addresses of broker and board in their environment."""
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
    """Runs the supervisor with poller and worker until SIGTERM or SIGINT."""
    parts = Resources(settings)
    with embedded.endpoints(settings, parts.limits) as ends:
        running = supervisor.Supervisor(services(settings, ends), ends.revive)
        running.start()
        try:
            running.wait()
        finally:
            running.stop()


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
