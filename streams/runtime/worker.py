"""One worker process: the app, the writer with its lease, the watchdog; from start to an orderly or a hard end."""

import asyncio
import contextlib
import logging
import signal
import time

from connectors import locks
from streams import app as apps
from streams import topics
from streams.delivery import exits, faust_app, health, membership
from streams.resources import Resources, utcnow
from streams.runtime import board_writer, connect, heartbeat, metrics, pages, verify_timer, watchdog

log = logging.getLogger(__name__)

# The watchdog looks after a worker that has started; this is for one that does not.
START_WITHIN = 60.0
# After SIGTERM: how long Faust may take to stop.
STOP_WITHIN = 3.0


async def work(parts: Resources) -> None:
    """Works until SIGTERM or SIGINT. Raises Misconfigured or Transient when it cannot begin."""
    stop = _stop_on_signal()
    settings = parts.settings
    folder = settings.home / "locks"
    with locks.FileLock(folder / settings.worker, purpose=f"the worker name {settings.worker!r}"):
        member = membership.Member(folder / f"{settings.worker}.member", settings.worker)
        state = health.Health()
        async with board_writer.open_board_writer(parts, state) as writing:
            in_order = await _run(parts, state, writing, member, stop)
        if not in_order:
            exits.end_process(0, "Faust did not stop in time: what is in work comes again")


async def _run(
    parts: Resources,
    state: health.Health,
    writing: board_writer.BoardWriter,
    member: membership.Member,
    stop: asyncio.Event,
) -> bool:
    """From start to stop. Whether it stopped in order."""
    prefix = parts.settings.topic_prefix
    staged = topics.named(topics.STAGED, prefix)
    listener = pages.listening(parts.settings.web_port, parts.settings.web_bind)
    port = listener.getsockname()[1]
    app = apps.build(parts, state, writing, member.name, port)
    address = f"http://{pages.HOST}:{port}/health"
    reporter = heartbeat.Reporter(
        parts.state,
        state,
        parts.noise,
        name=parts.settings.worker,
        bootstrap=parts.bootstrap,
        address=address,
        budget=writing.budget,
        now=utcnow,
    )
    pages.declare(app, state, reporter)
    shown = metrics.of_worker(parts, state, reporter, app.conf.id)
    pages.declare_metrics(app, shown.render, metrics.CONTENT_TYPE)
    parts.noise.attach("aiokafka", "faust", "mode")
    await pages.show(app, listener)
    telling = asyncio.create_task(exits.guarded("report", reporter.run()))

    def stopped(seconds: float) -> bool:
        time.sleep(seconds)
        return stop.is_set()

    if not await asyncio.to_thread(connect.wait_for_topics, parts.ensure_topics, state, stopped):
        return True
    lanes = {topic.name: topics.named(topic, prefix) for topic in topics.ALL}
    # Before Faust looks: what is made anew while it starts shall not seem to have been there.
    topic_ids = await asyncio.to_thread(parts.admin.topic_ids, list(lanes.values()))
    try:
        await asyncio.wait_for(faust_app.start(app), START_WITHIN)
    except TimeoutError:
        member.end(exits.EXIT_AGAIN, f"Faust did not start within {START_WITHIN:g} s")

    def owns_board() -> bool:
        return app.rebalancing or faust_app.owns(app, staged)

    looking = asyncio.create_task(exits.guarded("verify", _rounds(parts, writing).run()))
    keeping = asyncio.create_task(exits.guarded("sync", writing.keep(owns_board)))
    dog = watchdog.Watchdog(
        state,
        parts.admin,
        group=app.conf.id,
        lanes=lanes,
        topic_ids=topic_ids,
        assigned=lambda: faust_app.assigned(app),
        rebalancing=lambda: bool(app.rebalancing),
        end=member.end,
    )
    dog.start()
    log.info("worker %s works", parts.settings.worker)
    if await app.wait_for_stopped(stop.wait()):
        exits.end_process(exits.EXIT_AGAIN, f"Faust stopped by itself: {app.crash_reason!r}")
    dog.stop()
    keeping.cancel()
    looking.cancel()
    telling.cancel()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(faust_app.stop(app, holding=bool(state.holding)), STOP_WITHIN)
        return True
    return False


def _rounds(parts: Resources, writing: board_writer.BoardWriter) -> verify_timer.Rounds:
    """Verify, as this worker does it beside its work."""

    async def board() -> verify_timer.Summary | None:
        if not writing.writes:
            return None
        # Tables of facts are what a worker needs for nothing else.
        from streams.runtime import board_audit

        return (await board_audit.audited(parts, writing.client)).summary(utcnow())

    return verify_timer.Rounds(
        parts.state,
        lambda: parts.verifier().check(thorough=False).summary,
        board,
        every=parts.settings.verify_every,
        board_every=parts.settings.verify_board_every,
        now=utcnow,
    )


def _stop_on_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT. From then on the process has so many seconds, whatever hangs."""
    stop = asyncio.Event()

    def told() -> None:
        if stop.is_set():
            return
        stop.set()
        exits.end_within()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told)
    return stop
