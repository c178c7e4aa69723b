"""Where the pages are shown, and what /live and /health say."""

import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest
from pydantic import SecretStr

from connectors import errors, kafka
from schemas import events
from streams import app as apps
from streams import resources, settings
from streams.delivery import health
from streams.detect import step as detect
from streams.diagnosis import deadline, evidence, heartbeat
from streams.runtime import pages

SECRET = "token-hunter2"


def test_workers_that_start_at_the_same_moment_get_a_port_each() -> None:
    with contextlib.closing(pages.listening(0)) as first:
        wanted = first.getsockname()[1]
        with contextlib.closing(pages.listening(wanted)) as second:
            assert second.getsockname()[1] not in (0, wanted)
    with contextlib.closing(pages.listening(wanted)) as again:
        assert again.getsockname()[1] == wanted


def test_an_address_of_another_machine_is_misconfigured() -> None:
    with pytest.raises(errors.Misconfigured, match=r"^cannot listen on 192\.0\.2\.1: .*: set ORDERSYNC_WEB_BIND"):
        pages.listening(6066, "192.0.2.1")


class Nothing:
    async def step(self, staged: list[events.OrderStaged]) -> list[events.OrderEvent]:
        return []

    async def advance_in_doubt(self, *, owns: bool) -> None:
        pass


class Pages:
    """The pages of a worker on the real web server, without a broker. `known` reads the evidence.

    `now` is the worker's monotonic time; a poller's heartbeat is in the tables.
    """

    def __init__(self, parts: resources.Resources) -> None:
        self.parts = parts
        self.now = 100.0
        self.state = health.Health(lambda: self.now)
        self.known: Callable[[], evidence.Evidence] = lambda: evidence.collect(parts)
        self.reporter = self._reporter(heartbeat.WORKER, self.state)
        self._reporter(heartbeat.POLLER, health.Health()).report()
        self._listener = pages.listening(0)
        self.app = apps.build(parts, self.state, Nothing(), "worker.1", self._listener.getsockname()[1])

    def _reporter(self, role: str, state: health.Health) -> heartbeat.Reporter:
        return heartbeat.Reporter(
            self.parts.state, state, kafka.BrokerNoise(), name=role, bootstrap="k:1", role=role, now=resources.utcnow
        )

    async def __aenter__(self) -> Self:
        pages.declare(self.app, self.state, self.reporter, deadline.Question(lambda: self.known()))
        await pages.show(self.app, self._listener)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.app.web.stop()

    async def get(self, path: str, accept: str = "*/*") -> tuple[int, str]:
        address = f"http://{pages.HOST}:{self.app.conf.web_port}{path}"
        async with aiohttp.ClientSession() as session, session.get(address, headers={"Accept": accept}) as answer:
            return answer.status, await answer.text()

    async def health(self) -> tuple[int, dict[str, Any]]:
        status, text = await self.get("/health")
        return status, json.loads(text)


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[Pages]:
    # The Kafka of this address is away, which the heartbeats of these tests do not know.
    parts = resources.Resources(settings.Settings(home=tmp_path, monday_token=SecretStr(SECRET)), bootstrap="k:1")
    parts.db.apply_schema(resources.utcnow())
    async with Pages(parts) as made:
        yield made
    parts.close()


async def test_two_questions_have_two_answers(worker: Pages) -> None:
    assert await worker.get("/live", "text/plain") == (200, "ok\n")
    assert await worker.get("/health", "text/html,*/*") == (200, "well\n")
    status, body = await worker.health()
    assert (status, body["status"], body["reasons"], body["listed"]) == (200, "well", [], [])
    # The lane waits for an operator: the process works, the service is not well.
    with worker.state.hold_in_trouble("orders.staged", "Unauthorized (HTTP 401)", asks=True):
        status, body = await worker.health()
        assert (status, body["status"]) == (503, "not well")
        [reason] = body["reasons"]
        assert (reason["part"], reason["severity"]) == ("board", "person")
        assert "Unauthorized (HTTP 401)" in reason["reason"]
        assert "`ordersync validate`" in reason["action"]
        assert (await worker.get("/live"))[0] == 200
        assert SECRET not in (await worker.get("/live"))[1] + (await worker.get("/health"))[1]
    assert (await worker.health())[0] == 200
    # The event loop hung: the process does not work, and what restarts it learns so.
    worker.now += pages.HUNG
    assert await worker.get("/live", "text/plain") == (503, "the event loop had not run for 30 s\n")
    worker.state.tick()
    assert (await worker.get("/live"))[0] == 200


async def test_failures_that_wait_are_listed_and_counted_and_the_service_is_well(worker: Pages) -> None:
    read = worker.known()
    worker.known = lambda: read.model_copy(update={"failures": {"BAD_VALUE": 3}})
    status, body = await worker.health()
    assert (status, body["status"], body["failures"], body["reasons"]) == (200, "well", {"BAD_VALUE": 3}, [])
    [listed] = body["listed"]
    assert "3 × BAD_VALUE" in listed["reason"]


async def test_what_the_tables_know_is_on_the_page_of_every_worker(worker: Pages) -> None:
    worker.parts.state.set(detect.HELD, "60 of 100 orders were deleted at once")
    status, text = await worker.get("/health", "text/plain")
    assert (status, text.count("\n")) == (503, 1)
    assert "guard: 60 of 100 orders were deleted at once" in text


async def test_a_database_that_hangs_or_fails_is_the_reason_and_the_page_answers(worker: Pages) -> None:
    go_on = threading.Event()

    def hangs() -> evidence.Evidence:
        go_on.wait(60)
        raise errors.Transient("orders.db is busy")

    worker.known = hangs
    with worker.state.hold_in_trouble(heartbeat.BROKER, "Kafka at k:1 does not answer"):
        status, body = await worker.health()
    assert status == 503
    assert [one["part"] for one in body["reasons"]] == ["database", "broker"]
    assert "does not answer" in body["reasons"][0]["reason"]
    assert (await worker.get("/live"))[0] == 200
    go_on.set()
    status, body = await worker.health()
    assert (status, [one["reason"] for one in body["reasons"]]) == (503, ["orders.db is busy"])
