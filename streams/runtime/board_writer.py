"""The writer of this process: made when the first event comes, for as long as the board's partition is ours.

Two rights are needed to write. Kafka gives one worker the partition; the lease in SQL gives one process the board.
The lease follows the partition: it is taken with the first batch, and given back when the partition moves on.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import client as clients
from connectors.tables import lease
from connectors.tables.lost_events import PARKED
from mappings import labels
from schemas import events
from streams import topics
from streams.delivery import consumer, health
from streams.resources import Resources, new_id, utcnow
from streams.runtime import api_calls
from streams.sync import board as board_view
from streams.sync import in_doubt, lookup, refresh, writer
from streams.sync import step as sync

log = logging.getLogger(__name__)

SYNC = topics.STAGED.name
LOOK = 1.0
ASK_EVERY = 0.5


@contextlib.asynccontextmanager
async def open_board_writer(parts: Resources, state: health.Health) -> AsyncIterator["BoardWriter"]:
    """The sync step's side of a worker, with the client's connections and, at the end, without a lease."""
    used = await asyncio.to_thread(api_calls.calls_today, parts.state, parts.journal.calls_since, utcnow())
    client = parts.board_client(
        calls_today=used,
        budget_pause=state.sleeper(SYNC, "the API's budget is used up"),
        api_pause=state.sleeper(SYNC, "the API asked to wait"),
    )
    async with client:
        made = BoardWriter(parts, state, client)
        await asyncio.to_thread(made.inherit)
        try:
            yield made
        finally:
            with contextlib.suppress(errors.OrdersyncError):
                await made.give_back()


class BoardWriter:
    """`step` works batches; `keep` looks after the lease meanwhile."""

    def __init__(self, parts: Resources, state: health.Health, client: clients.Client) -> None:
        self._parts = parts
        self._state = state
        self.client = client
        self.budget = client.budget
        self._lease = parts.lease()
        self._grant: lease.Grant | None = None
        self._syncer: sync.Syncer | None = None
        self._busy = asyncio.Lock()
        # The grant of this worker's name, for its next life.
        self._note = parts.settings.home / "locks" / f"{parts.settings.worker}.lease"

    @property
    def writes(self) -> bool:
        """Is the right to write this worker's?"""
        return self._grant is not None

    async def step(self, staged: list[events.OrderStaged]) -> list[events.OrderEvent]:
        """Brings the board to what is staged. What `_begin` reached before it raised is used by the next try."""
        async with self._busy:
            grant = self._grant = self._grant or await self._acquire()
            if self._syncer is None:
                self._syncer = await self._begin(grant)
            self._state.progress(SYNC)
            return await self._syncer.run(staged)

    async def settle_doubts(self, *, owns: bool) -> None:
        """Goes on with requests in doubt and parked orders while no event arrives, if the partition is ours.

        SQL is asked each time: another worker may have left them, or have parked orders late. Raises what `step` does.
        """
        if owns and not self._busy.locked() and await asyncio.to_thread(self._in_doubt) and not self._busy.locked():
            await self.step([])

    def _in_doubt(self) -> bool:
        return bool(self._parts.journal.unfinished() or self._parts.state.all_of(PARKED))

    def inherit(self) -> None:
        """Frees the lease of an earlier life of this worker, which is surely over: we hold the lock on its name.

        At the start, for the partition may go to another worker, and it should not wait until that lease runs out.
        """
        try:
            left = lease.Grant.model_validate_json(self._note.read_text())
        except (FileNotFoundError, ValueError):
            return  # It gave the lease back, or it died while it wrote: then the lease runs out by itself.
        self._lease.release(left)
        self._note.unlink()

    async def keep(self, owns: Callable[[], bool]) -> None:
        """Renews the lease three times in its life; gives it back once the partition is not ours any more.

        Raises LeaseLost: whoever runs this ends the process, because the writer may be in the midst of a batch.
        """
        loop = asyncio.get_running_loop()
        renewed: dict[int, float] = {}
        while True:
            await asyncio.sleep(LOOK)
            grant, now = self._grant, loop.time()
            if grant is None:
                continue
            if not owns() and not self._busy.locked():
                async with self._busy:
                    await self.give_back()
                continue
            if now - renewed.setdefault(grant.token, now) < self._parts.settings.lease_seconds / 3:
                continue
            renewed = {grant.token: now}
            try:
                kept = await asyncio.to_thread(self._lease.renew, grant)
            except errors.Transient as error:
                log.warning("the lease of the board was not renewed: %s", error)
                continue
            if not kept and self._grant is grant:
                raise errors.LeaseLost("the lease of the board ran out or went to another process")

    async def give_back(self) -> None:
        """Lets the next writer in at once."""
        grant, self._grant, self._syncer = self._grant, None, None
        if grant is not None:
            await asyncio.to_thread(self._lease.release, grant)
            self._note.unlink(missing_ok=True)
            log.info("the lease of the board is given back, epoch %d", grant.token)

    def _emit(self, staged: Sequence[events.OrderStaged]) -> None:
        self._parts.producer.send_all(consumer.outgoing(staged, self._parts.settings.topic_prefix))

    async def _acquire(self) -> lease.Grant:
        with self._state.hold(SYNC, "another process holds the lease of the board"):
            while True:
                grant = await asyncio.to_thread(self._lease.acquire)
                if grant is not None:
                    await asyncio.to_thread(self._note.write_text, grant.model_dump_json())
                    log.info("the lease of the board is ours, epoch %d", grant.token)
                    return grant
                await asyncio.sleep(ASK_EVERY)

    async def _begin(self, grant: lease.Grant) -> sync.Syncer:
        """The syncer, with what the board has now. Raises Misconfigured when the board is not set up."""
        parts = self._parts
        board = boards.Board(self.client, parts.mappings.board.board.id)
        key = parts.mappings.board.key.id
        columns = await board.columns([key, *labels.with_labels(parts.mappings)])
        if key not in {column.id for column in columns}:
            raise errors.Misconfigured(
                "the board has no record_uuid column: run `ordersync setup`", code="NO_KEY_COLUMN"
            )
        await asyncio.to_thread(parts.ledger.remember_groups, await board.groups())
        view = board_view.BoardView(board, parts.mappings)
        board_lookup = lookup.BoardLookup(view, self._state.sleeper(SYNC, "looking on the board for a lost answer"))
        write = writer.Writer(
            client=self.client,
            journal=parts.journal,
            ledger=parts.ledger,
            board_lookup=board_lookup,
            board_id=board.board_id,
            grant=grant,
            batch_size=parts.settings.batch_size,
            minute=parts.settings.monday_minute,
            budget_left=self.budget.mutations_left,
            now=utcnow,
            sleep=self._state.sleeper(SYNC, "the API does not answer"),
            new_key=new_id,
            progress=lambda: self._state.progress(SYNC),
        )
        return sync.Syncer(
            grant=grant,
            refresher=refresh.Refresher(view, parts.ledger, parts.repairs, parts.mappings),
            staging=parts.staging,
            ledger=parts.ledger,
            writer=write,
            in_doubt=in_doubt.InDoubtRequests(parts.journal, write, board_lookup, parts.state, self._emit, utcnow),
            labels=board_view.LabelBook(columns),
            mappings=parts.mappings,
            now=utcnow,
        )
