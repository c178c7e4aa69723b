"""The worker's pages: /health, 200 while all is well and 503 with the reason otherwise, and /metrics for Prometheus.

On loopback, unless `web_bind` says otherwise: they ask for no login.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp.web import SockSite

from connectors import errors
from schemas import workers
from streams.delivery import health

HOST = "127.0.0.1"
# A loop that has not run for so long answers nothing anyway; a lane that holds answers with its reason.
HUNG = 30.0


class App(Protocol):
    """The part of a Faust app that is used."""

    @property
    def web(self) -> Any: ...

    def page(self, path: str) -> Any: ...


class Reporter(Protocol):
    """streams.runtime.heartbeat.Reporter."""

    def state(self) -> workers.WorkerState: ...


def listening(wanted: int, host: str = HOST) -> socket.socket:
    """A socket that listens on `wanted`, or on another free port of `host` when it is taken: a second worker on a
    machine is no mistake. Raises Misconfigured when this machine cannot listen on `host` at all.
    """
    with contextlib.suppress(OSError):
        return socket.create_server((host, wanted))
    try:
        return socket.create_server((host, 0))
    except OSError as error:
        reason = f"cannot listen on {host}: {error.strerror}: set ORDERSYNC_WEB_BIND to an address of this machine"
        raise errors.Misconfigured(reason, code="WEB_BIND") from error


async def show(app: App, listener: socket.socket) -> None:
    """Opens the pages, before anything else is started: they tell why nothing else starts.

    `listener` listens already: a port that is only known to be free, another worker may take at the same moment.
    """
    app.web._transport_handlers["tcp"] = lambda: SockSite(app.web._runner, listener)
    await app.web.maybe_start()


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


def declare_metrics(app: App, render: Callable[[], bytes], content_type: str) -> None:
    """Adds the page that Prometheus reads. `render` may block."""

    async def show_metrics(web: Any, request: Any) -> Any:
        body = await asyncio.to_thread(render)
        return web.bytes(body, headers={"Content-Type": content_type})

    app.page("/metrics")(show_metrics)
