"""The worker's pages: two questions, two addresses, and /metrics for Prometheus.

/live    does this process work? For what restarts it. A paused lane, which waits for an operator, is alive.
/health  is the service well? For people and alerts: 200, or 503 with each reason and what to do.

The answer is JSON; text for a browser, or for `Accept: text/plain`. The pages ask for no login, so they listen on
loopback unless `web_bind` names another address.
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
from streams.diagnosis import deadline, evidence, judgement
from streams.diagnosis.troubles import Diagnosis, Severity

HOST = "127.0.0.1"
# Seconds. /live answers 503 when the event loop has not run for so long before this request.
HUNG = 30.0
# Seconds that SQL has for the evidence of /health. Without it the database is the reason.
EVIDENCE_WITHIN = 1.0
ILL = (Severity.DOWN, Severity.PERSON)
LISTED = (Severity.FAILURES, Severity.NOTE)


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
    """Opens the pages. The worker calls this first, so that the pages can give the reason of a start that waits.

    `listener` listens already, because another worker could take a port that is merely free.
    """
    app.web._transport_handlers["tcp"] = lambda: SockSite(app.web._runner, listener)
    await app.web.maybe_start()


def declare(app: App, state: health.Health, reporter: Reporter, known: deadline.Question[evidence.Evidence]) -> None:
    """Adds /live and /health to the app's own web server. `known` reads the evidence of the service."""

    async def show_live(web: Any, request: Any) -> Any:
        idle = state.clock() - state.ticked
        status = "ok" if idle < HUNG else f"the event loop had not run for {idle:.0f} s"
        body = {"status": status, **reporter.state().model_dump(mode="json")}
        return _answer(web, request, [status], body, well=idle < HUNG)

    async def show_health(web: Any, request: Any) -> Any:
        found = await diagnose(reporter.state(), known)
        body = {
            "status": "well" if found.well else "not well",
            "at": found.at.isoformat(),
            "reasons": [trouble.model_dump(mode="json") for trouble in found.of(*ILL)],
            "listed": [trouble.model_dump(mode="json") for trouble in found.of(*LISTED)],
            "failures": found.failures,
        }
        return _answer(web, request, found.lines, body, well=found.well)

    app.page("/live")(show_live)
    app.page("/health")(show_health)


async def diagnose(own: workers.WorkerState, known: deadline.Question[evidence.Evidence]) -> Diagnosis:
    """The diagnosis of the service, within EVIDENCE_WITHIN seconds. This process, `own`, speaks for itself."""
    try:
        read = await known.wait(EVIDENCE_WITHIN)
    except (errors.OrdersyncError, TimeoutError) as error:
        return judgement.unreadable(error, own.at, [own])
    others = [process for process in read.processes if process.name != own.name]
    return judgement.judge(read.model_copy(update={"processes": (own, *others)}))


def _answer(web: Any, request: Any, lines: list[str], body: dict[str, Any], *, well: bool) -> Any:
    """Text for whoever asks for text, else JSON."""
    status = 200 if well else 503
    if request.headers.get("Accept", "").startswith("text/"):
        return web.text("".join(f"{line}\n" for line in lines), status=status)
    return web.json(body, status=status)


def declare_metrics(app: App, render: Callable[[], bytes], content_type: str) -> None:
    """Adds /metrics. `render` may block: it runs in a thread."""

    async def show_metrics(web: Any, request: Any) -> Any:
        body = await asyncio.to_thread(render)
        return web.bytes(body, headers={"Content-Type": content_type})

    app.page("/metrics")(show_metrics)
