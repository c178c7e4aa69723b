"""HTTP around the service, in its own process or inside a test."""

import json
import uuid
from typing import Any, Self

import graphql
import pydantic
from aiohttp import web

from connectors.simulator import admin, clock, config, incoming, page, service

BODY_LIMIT = 32 * 1024 * 1024


class Simulator:
    """The server: start, use `url`, stop; or `async with Simulator(settings) as simulator`."""

    def __init__(self, settings: config.Config, time: clock.Clock | None = None) -> None:
        self.service = service.Service(settings, time or clock.SystemClock(), lambda: str(uuid.uuid4()))
        self.admin = admin.Admin(self.service)
        self._settings = settings
        self._runner: web.AppRunner | None = None
        self._origin = ""

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"{self._origin}/v2"

    @property
    def admin_url(self) -> str:
        """The address of the HTML page; the paths below /admin are below it too."""
        return self._origin

    async def start(self) -> None:
        """Listen on host and port of the settings. Raises OSError."""
        app = web.Application(client_max_size=BODY_LIMIT)
        app.router.add_post("/v2", self._post)
        app.router.add_get("/", self._page)
        app.router.add_get("/admin/board", self._board)
        app.router.add_get("/admin/stats", self._stats)
        app.router.add_post("/admin/stats/reset", self._reset)
        app.router.add_post("/admin/faults", self._faults)
        app.router.add_post("/admin/edit", self._edit)
        # A hanging request must not delay the stop of the server.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()
        self._origin = "http://{}:{}".format(*self._runner.addresses[0][:2])

    async def stop(self) -> None:
        """Stop listening, end the requests that still run, and close the store."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.service.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _post(self, request: web.Request) -> web.Response:
        call = incoming.Call(
            body=await request.read(),
            token=request.headers.get("Authorization"),
            key=request.headers.get("Idempotency-Key"),
            version=request.headers.get("API-Version"),
        )
        answer, headers = await self.service.handle(call)
        if answer.cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if isinstance(answer.body, str):
            return web.Response(status=answer.status, text=answer.body, content_type="text/html", headers=headers)
        return _json(answer.body, answer.status, headers)

    async def _page(self, request: web.Request) -> web.Response:
        number = request.query.get("page", "1")
        shown = page.render(self.service, int(number) if number.isascii() and number.isdigit() else 1)
        return web.Response(text=shown, content_type="text/html")

    async def _board(self, _: web.Request) -> web.Response:
        return _json(self.admin.board())

    async def _stats(self, _: web.Request) -> web.Response:
        return _json(self.admin.stats())

    async def _reset(self, _: web.Request) -> web.Response:
        return _json(self.admin.reset_stats())

    async def _faults(self, request: web.Request) -> web.Response:
        try:
            return _json(self.admin.set_faults(await request.read()))
        except pydantic.ValidationError as error:
            return _json({"error": str(error)}, 400)

    async def _edit(self, request: web.Request) -> web.Response:
        try:
            return _json(self.admin.edit(await request.read()))
        except (pydantic.ValidationError, graphql.GraphQLError) as error:
            return _json({"error": str(error)}, 400)


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)
