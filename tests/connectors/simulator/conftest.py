"""A simulator in this process over real HTTP, with a clock that only moves when a test moves it."""

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.simulator import config, server

BOARD = 9200517329
SUBITEM_BOARD = 9200771505
START = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


class FakeClock:
    """Sleepers wake when `advance` passes their time."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def monotonic(self) -> float:
        return self._elapsed

    def now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed)

    async def sleep(self, seconds: float) -> None:
        if not seconds:
            return
        woken = asyncio.get_running_loop().create_future()
        sleeper = (self._elapsed + seconds, woken)
        self._sleepers.append(sleeper)
        self._changed.set()
        try:
            await woken
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    @property
    def sleeping(self) -> int:
        return len(self._sleepers)

    async def until_sleeping(self, count: int) -> None:
        """Until this many requests wait for the time to pass."""
        async with asyncio.timeout(60):
            while self.sleeping < count:
                self._changed.clear()
                await self._changed.wait()

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds
        due = [woken for end, woken in self._sleepers if end <= self._elapsed]
        self._sleepers = [(end, woken) for end, woken in self._sleepers if end > self._elapsed]
        for woken in due:
            if not woken.done():
                woken.set_result(None)


@dataclasses.dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.json.get("errors", [])]


class Api:
    """Talks to one simulator, as any client would."""

    board = BOARD
    subitem_board = SUBITEM_BOARD

    def __init__(self, session: aiohttp.ClientSession, simulator: server.Simulator, clock: FakeClock) -> None:
        self.simulator = simulator
        self.clock = clock
        self._session = session

    async def post(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        token: str | None = "token",
        version: str | None = None,
    ) -> Reply:
        told = {"Authorization": token, "Idempotency-Key": key, "API-Version": version}
        headers = {name: value for name, value in told.items() if value is not None}
        return await self.send(json.dumps({"query": query, "variables": variables or {}}), headers)

    async def send(self, body: str, headers: dict[str, str]) -> Reply:
        async with self._session.post(self.simulator.url, data=body, headers=headers) as response:
            return Reply(response.status, dict(response.headers), await response.text())

    async def create(self, name: str = "Polo", columns: dict[str, Any] | None = None, **more: Any) -> Reply:
        """One item; `labels=True` makes missing labels."""
        labels = more.pop("labels", False)
        return await self.post(
            "mutation ($name: String!, $columns: JSON, $labels: Boolean) { create_item(board_id: 9200517329, "
            "item_name: $name, column_values: $columns, create_labels_if_missing: $labels) { id } }",
            {"name": name, "columns": json.dumps(columns or {}), "labels": labels},
            **more,
        )

    async def item(self, name: str = "Polo", columns: dict[str, Any] | None = None, **more: Any) -> str:
        """The id of a new item."""
        reply = await self.create(name, columns, **more)
        return str(reply.json["data"]["create_item"]["id"])

    async def subitem(self, parent: str, columns: dict[str, Any] | None = None) -> str:
        reply = await self.post(
            'mutation ($p: ID!, $c: JSON) { create_subitem(parent_item_id: $p, item_name: "Size M", '
            "column_values: $c, create_labels_if_missing: true) { id } }",
            {"p": parent, "c": json.dumps(columns or {})},
        )
        return str(reply.json["data"]["create_subitem"]["id"])

    async def batch(self, names: list[str], **more: Any) -> Reply:
        """One request with an aliased create_item (m0, m1, …) for each name."""
        aliases = " ".join(
            f'm{n}: create_item(board_id: 9200517329, item_name: "{name}") {{ id }}' for n, name in enumerate(names)
        )
        return await self.post(f"mutation {{ {aliases} }}", **more)

    async def admin(self, path: str, body: Any = None) -> Reply:
        url = f"{self.simulator.admin_url}/{path}"
        call = self._session.get(url) if body is None else self._session.post(url, data=json.dumps(body))
        async with call as response:
            return Reply(response.status, dict(response.headers), await response.text())

    async def names(self) -> list[str]:
        """Of all items that are active."""
        items = (await self.admin("admin/board")).json["items"]
        return [item["name"] for item in items if item["state"] == "active"]

    async def stats(self) -> Any:
        return (await self.admin("admin/stats")).json


Start = Callable[..., Awaitable[Api]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Start a simulator with these settings; each has its own board unless `state` says otherwise."""
    running: list[server.Simulator] = []
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def run(**settings: Any) -> Api:
            defaults = {"state": tmp_path / f"board-{len(running)}.sqlite", "latency": 0.0}
            clock = FakeClock()
            simulator = server.Simulator(config.Config(**{**defaults, **settings}), clock)
            await simulator.start()
            running.append(simulator)
            return Api(session, simulator, clock)

        yield run
    for simulator in running:
        await simulator.stop()


@pytest.fixture
async def api(start: Start) -> Api:
    """A simulator as it comes."""
    return await start()
