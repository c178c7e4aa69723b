"""The worker's pages, on loopback: /health for machines. 200 while all is well, 503 with the reason otherwise."""

import contextlib
import socket
from typing import Any, Protocol

from schemas import workers
from streams import health

HOST = "127.0.0.1"
# A loop that has not run for so long answers nothing anyway; a lane that holds answers with its reason.
HUNG = 30.0


class App(Protocol):
    """The part of a Faust app that is used."""

    def page(self, path: str) -> Any: ...


class Reporter(Protocol):
    """streams.reporting.Reporter."""

    def state(self) -> workers.WorkerState: ...


def free_port(wanted: int) -> int:
    """`wanted`, or another free port of loopback when it is taken: a second worker on a machine is no mistake."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            # As the server will do it: a port in its last seconds of closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise OSError("no free port on loopback")


def declare(app: App, state: health.Health, reporter: Reporter) -> None:
    """Adds the pages to the app's own web server."""

    async def show_health(web: Any, request: Any) -> Any:
        seen = reporter.state()
        still = state.clock() - state.ticked
        well = seen.well and still < HUNG
        body = {
            "status": "ok" if well else "holding",
            "why": {lane: seen.holding.get(lane, "") for lane in seen.trouble},
            **seen.model_dump(mode="json"),
        }
        return web.json(body, status=200 if well else 503)

    app.page("/health")(show_health)
