"""One worker process: the app, the writer with its lease, the watchdog; from start to an orderly or a hard end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator

import faust

from connectors import errors, lease, locks
from connectors.monday import board as boards
from connectors.monday import budget as budgets
from connectors.monday import client as clients
from schemas import events
from streams import app as apps
from streams import boardview, delivery, doubt, health, sync, topics, watchdog, writer
from streams.resources import Resources, new_id, utcnow

log = logging.getLogger(__name__)

STOP_WITHIN = 5.0
SYNC = topics.STAGED.name


async def work(parts: Resources) -> None:
    """Works until SIGTERM or SIGINT. Raises Misconfigured when it cannot begin."""
    state = health.Health()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    lock = locks.FileLock(
        parts.settings.home / "locks" / parts.settings.worker,
        purpose=f"the worker name {parts.settings.worker!r}",
    )
    lock.acquire()
    await asyncio.to_thread(parts.ensure_topics)
    async with _syncer(parts, state) as sync_step:
        app = apps.build(parts, state, sync_step)
        app.finalize()
        parts.noise.attach("aiokafka", "faust", "mode")
        dog = watchdog.Watchdog(
            state,
            parts.admin,
            group=app.conf.id,
            lanes={topic.name: topics.named(topic, parts.settings.topic_prefix) for topic in topics.ALL},
            assigned=lambda: {(tp.topic, tp.partition) for tp in app.consumer.assignment()},
        )
        await app.start()
        dog.start()
        log.info("worker %s works", parts.settings.worker)
        await stop.wait()
        dog.stop()
        await _stop(app)
    lock.release()


async def _stop(app: faust.App) -> None:
    """In order if it takes no longer than a few seconds; what is in work comes again after the next start."""
    try:
        await asyncio.wait_for(app.stop(), STOP_WITHIN)
    except TimeoutError:
        delivery.end_process(0, "the orderly stop took too long")


@contextlib.asynccontextmanager
async def _syncer(parts: Resources, state: health.Health) -> AsyncIterator[apps.SyncStep]:
    """The sync step. Its writer is made when the first event comes: only the partition's owner wants the lease."""
    budget = budgets.Budget(parts.limits, sleep=state.sleeper(SYNC, "the API's budget is used up"))
    client = clients.Client(
        parts.monday_url, parts.token(), budget=budget, sleep=state.sleeper(SYNC, "the API asked to wait")
    )
    async with client:
        writing = _Writing(parts, state, client, budget)
        try:
            yield writing.step
        finally:
            await writing.end()


class _Writing:
    """The writer of this process, once it holds the lease."""

    def __init__(
        self, parts: Resources, state: health.Health, client: clients.Client, budget: budgets.Budget
    ) -> None:
        self._parts = parts
        self._state = state
        self._client = client
        self._budget = budget
        self._lease = parts.lease()
        self._grant: lease.Grant | None = None
        self._syncer: sync.Syncer | None = None
        self._renewal: asyncio.Task[None] | None = None

    async def step(self, staged: list[events.OrderStaged]) -> list[events.OrderEvent]:
        """Every batch begins with what is in doubt; only then it plans."""
        if self._syncer is None:
            self._syncer = await self._begin()
        self._state.progress(SYNC)
        return await self._syncer.run(staged)

    async def _begin(self) -> sync.Syncer:
        self._grant = self._grant or await self._acquire()
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew(self._grant))
        parts = self._parts
        board = boards.Board(self._client, parts.mappings.board.board.id)
        columns = await board.columns()
        if parts.mappings.board.key.id not in {column.id for column in columns}:
            raise errors.Misconfigured("the board has no record_uuid column: run `ordersync setup`")
        await asyncio.to_thread(parts.ledger.remember_groups, await board.groups())
        write = writer.Writer(
            client=self._client,
            journal=parts.journal,
            ledger=parts.ledger,
            looker=doubt.Looker(
                boardview.BoardView(board, parts.mappings),
                self._state.sleeper(SYNC, "looking on the board for a lost answer"),
            ),
            board_id=board.board_id,
            grant=self._grant,
            batch_size=parts.settings.batch_size,
            minute=parts.settings.monday_minute,
            room=self._budget.room,
            now=utcnow,
            sleep=self._state.sleeper(SYNC, "the API does not answer"),
            new_key=new_id,
            progress=lambda: self._state.progress(SYNC),
        )
        return sync.Syncer(
            staging=parts.staging,
            journal=parts.journal,
            ledger=parts.ledger,
            writer=write,
            labels=boardview.LabelBook(columns),
            mappings=parts.mappings,
            now=utcnow,
        )

    async def _acquire(self) -> lease.Grant:
        with self._state.hold(SYNC, "another process holds the lease of the board"):
            while True:
                grant = await asyncio.to_thread(self._lease.acquire)
                if grant is not None:
                    log.info("the lease of the board is ours, epoch %d", grant.token)
                    return grant
                await asyncio.sleep(0.5)

    async def _renew(self, grant: lease.Grant) -> None:
        """A third of the lease's life, again and again. A lost lease ends the process at once."""
        while True:
            await asyncio.sleep(self._parts.settings.lease_seconds / 3)
            try:
                kept = await asyncio.to_thread(self._lease.renew, grant)
            except errors.Transient as error:
                log.warning("the lease was not renewed: %s", error)
                continue
            if not kept:
                delivery.end_process(delivery.EXIT_AGAIN, "the lease of the board went to another process")

    async def end(self) -> None:
        """Lets the next writer in at once."""
        if self._renewal is not None:
            self._renewal.cancel()
        if self._grant is not None:
            with contextlib.suppress(errors.OrdersyncError):
                await asyncio.to_thread(self._lease.release, self._grant)
