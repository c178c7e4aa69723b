"""The worker's pages: /health (200, or 503 with the reason) and /metrics for Prometheus.

The pages ask for no login, so they listen on loopback unless `web_bind` names another address.
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
# Seconds. /health answers 503 when the event loop has not run for so long before this request.
HUNG = 30.0


class App(Protocol):
    """The part of a Faust app that the pages need."""

    @property
    def web(self) -> Any:
        """The app's web server."""

    def page(self, path: str) -> Any:
        """A decorator for the handler of this path."""


class Reporter(Protocol):
    """streams.runtime.heartbeat.Reporter."""

    def state(self) -> workers.WorkerState:
        """The state of the worker now."""


def listening(wanted: int, host: str = HOST) -> socket.socket:
    """A socket that listens on port `wanted` of `host`, or on a free port when another worker has that one.

    Raises Misconfigured when this machine cannot listen on `host` at all.
    """
    with contextlib.suppress(OSError):
        return socket.create_server((host, wanted))
    try:
        return socket.create_server((host, 0))
    except OSError as error:
        reason = f"cannot listen on {host}: {error.strerror}: set ORDERSYNC_WEB_BIND to an address of this machine"
        raise errors.Misconfigured(reason, code="WEB_BIND") from error


async def show(app: App, listener: socket.socket) -> None:
    """Opens the pages. The worker calls this first, so that /health can give the reason of a start that waits.

    `listener` listens already, because another worker could take a port that is merely free.
    """
    app.web._transport_handlers["tcp"] = lambda: SockSite(app.web._runner, listener)
    await app.web.maybe_start()


def declare(app: App, state: health.Health, reporter: Reporter) -> None:
    """Adds the pages to the app's own web server."""

    async def show_health(web: Any, request: Any) -> Any:
        worker = reporter.state()
        idle = state.clock() - state.ticked
        well = worker.well and idle < HUNG
        body = {
            "status": "ok" if well else "holding",
            "why": {lane: worker.holding.get(lane, "") for lane in worker.trouble},
            **worker.model_dump(mode="json"),
        }
        return web.json(body, status=200 if well else 503)

    app.page("/health")(show_health)


def declare_metrics(app: App, render: Callable[[], bytes], content_type: str) -> None:
    """Adds /metrics. `render` may block: it runs in a thread."""

    async def show_metrics(web: Any, request: Any) -> Any:
        body = await asyncio.to_thread(render)
        return web.bytes(body, headers={"Content-Type": content_type})

    app.page("/metrics")(show_metrics)
