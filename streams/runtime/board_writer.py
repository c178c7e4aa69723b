"""The worker's writer: created with the first batch of events, kept while the board's partition is assigned here.

A writer needs two rights: Kafka assigns the partition to one worker, and the lease in SQL gives the board to one
process. The lease follows the partition: the first batch acquires it, and the worker releases it when the partition
moves on.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import client as clients
from connectors.tables import lease
from connectors.tables.lost_events import PARKED
from schemas import events
from schemas.bindings import Creates
from streams import topics
from streams.delivery import consumer, health
from streams.resources import Resources, new_id, utcnow
from streams.runtime import api_calls, connect
from streams.sync import board as board_view
from streams.sync import cells, in_doubt, lookup, outline, refresh, room, writer
from streams.sync import step as sync

log = logging.getLogger(__name__)

SYNC = topics.STAGED.name
# Seconds between two checks of the lease.
LOOK = 1.0
# Seconds between two attempts to acquire the lease.
ASK_EVERY = 0.5


@contextlib.asynccontextmanager
async def open_board_writer(parts: Resources, state: health.Health) -> AsyncIterator["BoardWriter"]:
    """The sync step of a worker, with the client's connections. At the end it releases the lease.

    Raises what SQL raises.
    """
    used = await asyncio.to_thread(api_calls.calls_today, parts.state, parts.journal.calls_since, utcnow())
    client = parts.board_client(
        calls_today=used,
        budget_pause=state.sleeper(SYNC, "the API's budget is used up"),
        api_pause=state.sleeper(SYNC, "the API asked to wait"),
    )
    async with client:
        board_writer = BoardWriter(parts, state, client)
        await asyncio.to_thread(board_writer.free_previous_lease)
        try:
            yield board_writer
        finally:
            with contextlib.suppress(errors.OrdersyncError):
                await board_writer.release_lease()


class BoardWriter:
    """`step` works batches of events; `hold_lease` renews the lease meanwhile."""

    def __init__(self, parts: Resources, state: health.Health, client: clients.Client) -> None:
        self._parts = parts
        self._state = state
        self.client = client
        self.budget = client.budget
        self._lease = parts.lease()
        self._grant: lease.Grant | None = None
        self._syncer: sync.Syncer | None = None
        self._columns: outline.ColumnCheck | None = None
        self._busy = asyncio.Lock()
        # The grant of this worker's name, for the next process of that name.
        self._note = parts.settings.home / "locks" / f"{parts.settings.worker}.lease"

    @property
    def writes(self) -> bool:
        """Whether this worker is the lease holder."""
        return self._grant is not None

    async def step(self, staged: list[events.OrderStaged]) -> list[events.OrderEvent]:
        """Brings the board to the staged orders. A retry goes on with the lease that a failed call has acquired.

        Raises LeaseLost, and what the API and SQL raise; Misconfigured when the board is not set up.
        """
        async with self._busy:
            grant = self._grant = self._grant or await self._acquire()
            if self._syncer is None:
                self._syncer = await self._begin(grant)
            self._state.progress(SYNC)
            await self._read_creates(self._syncer.in_doubt.room)
            try:
                return await self._syncer.run(staged)
            except errors.Rejected as rejected:
                # A read that names a column which is not there any more.
                if self._columns is not None:
                    await self._columns.refused([rejected.code])
                raise
            finally:
                waits = self._syncer.in_doubt
                self._state.note_waiting(room.ROOM, waits.room.describe(waits.for_room))

    async def _read_creates(self, held: room.Room) -> None:
        """Lets creates go on once the items of the board were adopted, which another process does."""
        if held.creates is not Creates.FREE:
            binding = await asyncio.to_thread(self._parts.bindings.stored)
            held.creates = held.creates if binding is None else binding.creates

    async def advance_in_doubt(self, *, owns: bool) -> None:
        """Goes on with in-doubt requests and parked orders while no event arrives, if this worker owns the partition.

        Reads SQL each time, or every 10 s while all parked orders wait for room: another worker may have left them, or
        have parked orders late. Raises what `step` raises.
        """
        if self._syncer is not None and self._syncer.in_doubt.rests():
            return
        if owns and not self._busy.locked() and await asyncio.to_thread(self._in_doubt) and not self._busy.locked():
            await self.step([])

    async def refresh_outline(self) -> None:
        """Reads the outline of the board again, before a verify of the board. Waits for the batch that is worked.

        Does nothing before the first batch. Raises what `step` raises.
        """
        async with self._busy:
            if self._syncer is not None:
                await self._syncer.refresh_outline()

    def _in_doubt(self) -> bool:
        return bool(self._parts.journal.unfinished() or self._parts.state.all_of(PARKED))

    def free_previous_lease(self) -> None:
        """Releases the lease of the previous process of this name. It has ended: this process holds the name's lock.

        Called at the start: the partition may move to another worker, which need not wait until that lease ends.
        Raises what SQL raises.
        """
        try:
            previous = lease.Grant.model_validate_json(self._note.read_text())
        except (FileNotFoundError, ValueError):
            return  # That process released its lease, or ended while it wrote the note: then the lease runs out.
        self._lease.release(previous)
        self._note.unlink()

    async def hold_lease(self, owns: Callable[[], bool]) -> None:
        """Renews the lease three times in its duration, and releases it once `owns` says that the partition moved on.

        Never returns. Raises LeaseLost: the caller ends the process, because the writer may be in the midst of a batch.
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
                    await self.release_lease()
                continue
            if now - renewed.setdefault(grant.token, now) < self._parts.settings.lease_seconds / 3:
                continue
            renewed = {grant.token: now}
            try:
                is_renewed = await asyncio.to_thread(self._lease.renew, grant)
            except errors.Transient as error:
                log.warning("the lease of the board was not renewed: %s", error)
                continue
            if not is_renewed and self._grant is grant:
                raise errors.LeaseLost("the lease of the board ran out or went to another process")

    async def release_lease(self) -> None:
        """Releases the lease, so that the next writer need not wait for its end. Raises what SQL raises."""
        grant, self._grant, self._syncer = self._grant, None, None
        self._state.note_waiting(room.ROOM, None)
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
        """Reads columns and outline of the board and builds the syncer. Raises Misconfigured when columns differ."""
        parts = self._parts
        board = boards.Board(self.client, parts.mappings.board.board.id)
        check = self._columns = outline.ColumnCheck(
            board, parts.mappings, utcnow, self._state.sleeper(SYNC, "checking the columns of the board")
        )
        identity = await board.identity()
        # Before the columns: those of another board are no news about ours.
        await asyncio.to_thread(connect.check_account, parts, identity)
        await check.read()
        binding, is_new = await connect.bind(parts, board, identity)
        if is_new:
            log.warning("this home is bound now: %s", binding.text)
        reading = outline.Outline(board, parts.ledger, parts.mappings)
        await reading.refresh()
        view = board_view.BoardView(board, parts.mappings, reading)
        board_lookup = lookup.BoardLookup(
            view,
            self._state.sleeper(SYNC, "looking up a mutation without an outcome on the board"),
            cells.numbers(parts.mappings),
        )
        write = self._writer(board.board_id, grant, board_lookup, check, binding.creates)
        return sync.Syncer(
            grant=grant,
            refresher=refresh.Refresher(view, parts.ledger, parts.repairs, parts.mappings, reading),
            staging=parts.staging,
            ledger=parts.ledger,
            writer=write,
            in_doubt=in_doubt.InDoubtRequests(
                parts.journal,
                write,
                board_lookup,
                parts.state,
                self._emit,
                utcnow,
                in_doubt.window(parts.settings.monday_in_flight),
                timedelta(seconds=writer.KEY_MINUTES * parts.settings.monday_minute),
                write.room,
            ),
            outline=reading,
            mappings=parts.mappings,
            now=utcnow,
        )

    def _writer(
        self,
        board_id: str,
        grant: lease.Grant,
        board_lookup: lookup.BoardLookup,
        check: outline.ColumnCheck,
        creates: Creates,
    ) -> writer.Writer:
        parts = self._parts
        return writer.Writer(
            client=self.client,
            journal=parts.journal,
            ledger=parts.ledger,
            board_lookup=board_lookup,
            board_id=board_id,
            subitem_board_id=parts.mappings.board.board.subitem_board_id,
            grant=grant,
            batch_size=parts.settings.batch_size,
            minute=parts.settings.monday_minute,
            budget_left=self.budget.mutations_left,
            now=utcnow,
            sleep=self._state.sleeper(SYNC, "the API does not answer"),
            new_key=new_id,
            progress=lambda: self._state.progress(SYNC),
            room=room.Room(utcnow, parts.settings.monday_minute, creates),
            columns=check,
        )
