"""The worker process: it starts the Faust app with its lanes, watches it, and stops it in order or ends hard."""

import asyncio
import contextlib
import logging
import signal
import time

from connectors import locks
from streams import app as apps
from streams import topics
from streams.delivery import exits, faust_app, health, membership
from streams.diagnosis import deadline, evidence, heartbeat
from streams.resources import Resources, utcnow
from streams.runtime import (
    board_audit,
    board_writer,
    connect,
    metrics,
    pages,
    verify_slices,
    verify_timer,
    watchdog,
)

log = logging.getLogger(__name__)

# Seconds that Faust may take to start. The watchdog covers only a worker that has started.
START_WITHIN = 60.0
# Seconds that Faust may take to stop after SIGTERM.
STOP_WITHIN = 3.0


async def work(parts: Resources) -> None:
    """Works until SIGTERM or SIGINT. Raises Misconfigured or Transient when it cannot begin."""
    stop = _stop_on_signal()
    settings = parts.settings
    folder = settings.home / "locks"
    with locks.FileLock(folder / settings.worker, purpose=f"the worker name {settings.worker!r}"):
        member = membership.Member(folder / f"{settings.worker}.member", settings.worker)
        state = health.Health()
        async with board_writer.open_board_writer(parts, state) as writer:
            worker = _Worker(parts, state, writer, member, stop)
            in_order = True
            if await worker.start():
                await worker.watch()
                in_order = await worker.stop()
        if not in_order:
            exits.end_process(0, "Faust did not stop in time: unfinished events are delivered once more")


class _Worker:
    """The Faust app of this process and the tasks beside it."""

    def __init__(
        self,
        parts: Resources,
        state: health.Health,
        writer: board_writer.BoardWriter,
        member: membership.Member,
        stop: asyncio.Event,
    ) -> None:
        self._parts = parts
        self._state = state
        self._writer = writer
        self._member = member
        self._stop = stop
        self._listener = pages.listening(parts.settings.web_port, parts.settings.web_bind)
        port = self._listener.getsockname()[1]
        self._app = apps.build(parts, state, writer, member.name, port)
        self._reporter = heartbeat.Reporter(
            parts.state,
            state,
            parts.noise,
            name=parts.settings.worker,
            bootstrap=parts.bootstrap,
            address=f"http://{pages.HOST}:{port}/health",
            budget=writer.budget,
            api=writer.client,
            now=utcnow,
        )
        self._lanes = {topic.name: topics.named(topic, parts.settings.topic_prefix) for topic in topics.ALL}
        self._topic_ids: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> bool:
        """Opens the pages, waits for the broker and starts Faust. False when the process was stopped before."""
        app, parts = self._app, self._parts
        pages.declare(app, self._state, self._reporter, deadline.Question(lambda: evidence.collect(parts)))
        worker_metrics = metrics.of_worker(parts, self._state, self._reporter, app.conf.id)
        pages.declare_metrics(app, worker_metrics.render, metrics.CONTENT_TYPE)
        parts.noise.attach("aiokafka", "faust", "mode")
        await pages.show(app, self._listener)
        self._tasks.append(asyncio.create_task(exits.guarded("report", self._reporter.run())))

        def stopped(seconds: float) -> bool:
            time.sleep(seconds)
            return self._stop.is_set()

        if not await asyncio.to_thread(connect.wait_for_topics, parts.ensure_topics, self._state, stopped):
            return False
        # Read before Faust starts, so that a topic that is created again meanwhile shows as another one.
        self._topic_ids = await asyncio.to_thread(parts.admin.topic_ids, list(self._lanes.values()))
        try:
            await asyncio.wait_for(faust_app.start(app), START_WITHIN)
        except TimeoutError:
            self._member.end(exits.EXIT_AGAIN, f"Faust did not start within {START_WITHIN:g} s")
        return True

    async def watch(self) -> None:
        """Runs verify, lease and watchdog until the process is stopped. Ends it if Faust stops by itself."""
        timer = _verify_timer(self._parts, self._writer)
        self._tasks += [
            asyncio.create_task(exits.guarded("verify", timer.run())),
            asyncio.create_task(exits.guarded("verify", _verify_slices(self._parts).run())),
            asyncio.create_task(exits.guarded("sync", self._writer.hold_lease(self._owns_board))),
        ]
        dog = self._watchdog()
        dog.start()
        log.info("worker %s works", self._parts.settings.worker)
        if await self._app.wait_for_stopped(self._stop.wait()):
            exits.end_process(exits.EXIT_AGAIN, f"Faust stopped by itself: {self._app.crash_reason!r}")
        dog.stop()

    async def stop(self) -> bool:
        """Stops the tasks and Faust. Whether Faust stopped within STOP_WITHIN seconds."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(faust_app.stop(self._app, holding=bool(self._state.holding)), STOP_WITHIN)
            await asyncio.to_thread(self._reporter.stop)
            return True
        return False

    def _owns_board(self) -> bool:
        return self._app.rebalancing or faust_app.owns(self._app, self._lanes[topics.STAGED.name])

    def _watchdog(self) -> watchdog.Watchdog:
        lanes = watchdog.WatchedLanes(
            group=self._app.conf.id,
            topics=self._lanes,
            topic_ids=self._topic_ids,
            assigned=lambda: faust_app.assigned(self._app),
            rebalancing=lambda: bool(self._app.rebalancing),
        )
        return watchdog.Watchdog(self._state, self._parts.admin, lanes, end=self._member.end)


def _verify_timer(parts: Resources, writer: board_writer.BoardWriter) -> verify_timer.VerifyTimer:
    """The verify timer of this worker."""

    async def board() -> verify_timer.Summary | None:
        if not writer.writes:
            return None
        await writer.refresh_outline()
        return (await board_audit.audited(parts, writer.client)).summary(utcnow())

    def tables() -> verify_timer.Summary:
        report = parts.verifier().check(thorough=False)
        wrong = {one.record_uuid for one in report.wrong} | verify_slices.wrong(parts.state)
        return {**report.summary, "wrong": len(wrong)}

    return verify_timer.VerifyTimer(
        parts.state,
        tables,
        board,
        every=parts.settings.verify_every,
        board_every=parts.settings.verify_board_every,
        now=utcnow,
    )


def _verify_slices(parts: Resources) -> verify_slices.VerifySlices:
    """The comparison of the whole table, slice by slice."""
    return verify_slices.VerifySlices(
        parts.state,
        lambda after, count, also: parts.verifier().look(after, count, also),
        within=parts.settings.verify_within,
        share=parts.settings.verify_share,
        now=utcnow,
    )


def _stop_on_signal() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set. The process then ends within exits.END_WITHIN seconds at the latest."""
    stop = asyncio.Event()

    def request_stop() -> None:
        if stop.is_set():
            return
        stop.set()
        exits.end_within()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, request_stop)
    return stop
