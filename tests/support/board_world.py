"""The world of a schedule: the simulator, the database file, and writers that can be struck at any point."""

import asyncio
import contextlib
import itertools
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors.database.sqlite import SqliteDatabase
from connectors.monday import board as boards
from connectors.monday import budget, client, error_formats, limits, responses, transport
from connectors.simulator import config, faults, server
from connectors.tables import journal, lease, ledger, repairs, staging, state
from connectors.tables.journal import Request
from connectors.tables.lost_events import PARKED
from mappings import loading
from schemas import events, items, versions
from streams.sync import board as board_view
from streams.sync import cells, in_doubt, lookup, outline, refresh, room, writer
from streams.sync import step as sync
from tests.support import virtual
from tests.support.board_script import Person, Point, Schedule, Strike

LEASE_SECONDS = 30.0
# Seconds between two checks whether a request in doubt has ended.
LOOK = 0.5
TOKEN = "chaos"


class Killed(BaseException):
    """kill -9: no part of this process continues."""


class Points:
    """Counts how often all processes pass each point, and strikes where the schedule says."""

    def __init__(self, strikes: Sequence[Strike], met: Counter[str]) -> None:
        self._met = met
        self._strikes = {(strike.point, strike.nth): strike for strike in strikes}
        self._passed: dict[Point, int] = dict.fromkeys(Point, 0)

    def passed(self, point: Point) -> Strike | None:
        self._passed[point] += 1
        strike = self._strikes.pop((point, self._passed[point]), None)
        if strike is not None:
            self._met[f"{'frozen' if strike.frozen else 'killed'} {point}"] += 1
        return strike


class World:
    """Everything that outlives a process."""

    def __init__(
        self, schedule: Schedule, folder: Path, template: Path, mappings: loading.Mappings | None = None
    ) -> None:
        self.schedule = schedule
        self.clock = virtual.Clock()
        self.mappings = mappings or loading.load()
        self.met: Counter[str] = Counter()
        self.points = Points(schedule.strikes, self.met)
        self.rng = random.Random(f"world {schedule.seed}")
        self.keys = itertools.count(1)
        self.path = folder / "orders.db"
        shutil.copyfile(template, self.path)
        self.board_path = folder / "board.db"
        self.simulator = server.Simulator(
            config.Config(
                state=self.board_path,
                lookup_lag=schedule.lookup_lag,
                complexity_per_minute=schedule.complexity,
                seed=schedule.seed,
                **schedule.board,
            ),
            self.clock,
        )
        self.db = SqliteDatabase(self.path)
        self.staging = staging.Staging(
            self.db,
            [column.staging for column in self.mappings.board.columns],
            board_id=self.mappings.board.board.id,
            now=self.clock.now,
        )

    async def start(self) -> None:
        """Creates a board with its key column and a history of its cells; the faults begin after that."""
        await self.simulator.start()
        with contextlib.closing(sqlite3.connect(self.board_path)) as db:
            db.executescript(
                "CREATE TABLE history (n INTEGER PRIMARY KEY, item_id INTEGER, column_id TEXT, written TEXT);"
                "CREATE TRIGGER told AFTER INSERT ON cells BEGIN INSERT INTO history (item_id, column_id, written)"
                " VALUES (NEW.item_id, NEW.column_id, NEW.written); END;"
            )
        key = self.mappings.board.key
        async with self.client(budget.Budget(limits.preset("personal", "pro"))) as free:
            await boards.Board(free, self.mappings.board.board.id).ensure_key_column(key.id, key.title)
        self.simulator.admin.reset_stats()
        self.simulator.admin.set_faults(faults.Rules.dump_json(self.schedule.rules))

    async def stop(self) -> None:
        self.db.close()
        await self.simulator.stop()

    def client(self, paces: budget.Budget, post: transport.Transport | None = None) -> client.Client:
        return client.Client(
            self.simulator.url,
            TOKEN,
            budget=paces,
            clock=self.clock.monotonic,
            sleep=self.clock.sleep,
            rng=random.Random(self.rng.random()),
            post=post,
        )

    def act(self, person: Person, record_uuid: str) -> None:
        """A user removes the first item of this order or one of its subitems, if the board has it."""
        key = self.mappings.board.key.id
        for item in self.simulator.admin.board()["items"]:
            if item["state"] == "active" and item["columns"].get(key) == record_uuid:
                subitems = [one for one in item["subitems"] if one["state"] == "active"]
                target = item
                if person is Person.DELETE_SUBITEM:
                    if not subitems:
                        return
                    target = self.rng.choice(subitems)
                action = "archive" if person is Person.ARCHIVE_ITEM else "delete"
                self.met[f"by hand: {person}"] += 1
                self.simulator.admin.edit(f'{{"action": "{action}", "item_id": "{target["id"]}"}}'.encode())
                return


class _Journal(journal.Journal):
    """The real journal, with points at which the process ends."""

    def __init__(self, world: World, db: SqliteDatabase) -> None:
        super().__init__(db, board_id=world.mappings.board.board.id, now=world.clock.now)
        self._points = world.points

    def open(self, request: Request, grant: lease.Grant) -> None:
        self._die_at(Point.BEFORE_INTENT)
        super().open(request, grant)

    def resend(self, key: str, grant: lease.Grant) -> None:
        self._die_at(Point.BEFORE_INTENT)
        super().resend(key, grant)

    def close(
        self, key: str, entities: Sequence[tuple[items.Entity, int]], groups: Mapping[str, str], *args: Any, **kw: Any
    ) -> None:
        self._die_at(Point.BEFORE_CLOSE)
        super().close(key, entities, groups, *args, **kw)
        self._die_at(Point.AFTER_CLOSE)

    def _die_at(self, point: Point) -> None:
        _die_at(self._points, point)


class _Staging(staging.Staging):
    """The real staging tables, with points at which the process ends."""

    def __init__(self, world: World, db: SqliteDatabase) -> None:
        board = world.mappings.board
        columns = [column.staging for column in board.columns]
        super().__init__(db, columns, board_id=board.board.id, now=world.clock.now)
        self._points = world.points

    def finish(self, ends: Sequence[versions.ConfirmedVersion]) -> None:
        _die_at(self._points, Point.BEFORE_FINISH)
        super().finish(ends)
        _die_at(self._points, Point.AFTER_FINISH)


def _die_at(points: Points, point: Point) -> None:
    strike = points.passed(point)
    if strike is not None and not strike.frozen:
        raise Killed(strike)


class _Client:
    """The real client, with a point after the wait for the budget and before the commit of the intent."""

    def __init__(self, real: client.Client, struck: Callable[[Point], Awaitable[None]]) -> None:
        self._real = real
        self._struck = struck

    async def send(
        self, body: str, *, key: str | None, mutations: int, leave: client.Leave | None = None
    ) -> responses.Reply:
        async def leaving() -> None:
            await self._struck(Point.BEFORE_LEAVE)
            if leave is not None:
                await leave()

        return await self._real.send(body, key=key, mutations=mutations, leave=leaving)


class Life:
    """One process: its own connections, budget, lease and writer. Tests use no part of it after its end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._db = SqliteDatabase(world.path)
        self._lease = lease.Lease(
            self._db, "board", owner=f"life-{next(world.keys)}", seconds=LEASE_SECONDS, now=world.clock.now
        )
        self._http: transport.Http | None = None
        self._stack = contextlib.AsyncExitStack()
        self._grant: lease.Grant | None = None
        self._renewal: asyncio.Task[None] | None = None
        self.frozen = asyncio.Event()
        self.syncer: sync.Syncer | None = None
        self.facts = state.State(self._db, world.clock.now)
        # The end of the topic: events of parked orders that were re-emitted.
        self.reemitted: list[events.OrderStaged] = []

    async def step(self, batch: Sequence[events.OrderStaged]) -> list[events.OrderEvent]:
        """Works a batch of events, and the re-emitted events of parked orders as the topic would deliver them."""
        syncer = await self.begin()
        emitted = await syncer.run(batch)
        while self.parked or self.reemitted:
            await self.recover()
            again, self.reemitted = self.reemitted, []
            emitted += await syncer.run(again)
        return emitted

    @property
    def parked(self) -> list[events.OrderStaged]:
        return [events.OrderStaged.model_validate(one["event"]) for one in self.facts.all_of(PARKED).values()]

    async def recover(self) -> int:
        """Ends all in-doubt requests without any event. Returns how many there were."""
        syncer = await self.begin()
        found = journal.Journal(self._db, board_id="", now=self._world.clock.now).unfinished()
        while await syncer.in_doubt.advance():
            await self._world.clock.sleep(LOOK)
        return len(found)

    async def begin(self) -> sync.Syncer:
        """The syncer, once the lease is ours."""
        if self.syncer is None:
            self.syncer = await self._begin()
        return self.syncer

    async def end(self, *, orderly: bool) -> None:
        """Ends the process; an orderly end releases the lease."""
        if self._renewal is not None:
            self._renewal.cancel()
        if orderly and self._grant is not None:
            self._lease.release(self._grant)
        await self._stack.aclose()
        self._db.close()

    async def _begin(self) -> sync.Syncer:
        world = self._world
        while self._grant is None:
            self._grant = self._lease.acquire()
            if self._grant is None:
                await world.clock.sleep(0.5)
        self._renewal = asyncio.create_task(self._renew(self._grant))
        self.paces = paces = budget.Budget(
            limits.preset("personal", "pro"),
            clock=world.clock.monotonic,
            sleep=world.clock.sleep,
            utcnow=world.clock.now,
        )
        self._http = await self._stack.enter_async_context(transport.Http(world.simulator.url, timeout=60.0))
        api = await self._stack.enter_async_context(world.client(paces, self._post))
        board = boards.Board(api, world.mappings.board.board.id)
        books = ledger.Ledger(self._db, board_id=board.board_id, now=world.clock.now)
        reading = outline.Outline(board, books, world.mappings, world.clock.monotonic)
        await reading.refresh()
        log = _Journal(world, self._db)
        view = board_view.BoardView(board, world.mappings, reading)
        board_lookup = lookup.BoardLookup(view, world.clock.sleep, cells.numbers(world.mappings))
        write = writer.Writer(
            client=_Client(api, self._struck),
            journal=log,
            ledger=books,
            board_lookup=board_lookup,
            board_id=board.board_id,
            subitem_board_id=world.mappings.board.board.subitem_board_id,
            grant=self._grant,
            batch_size=world.schedule.batch_size,
            minute=60.0,
            budget_left=paces.mutations_left,
            now=world.clock.now,
            sleep=world.clock.sleep,
            new_key=lambda: f"key-{next(world.keys)}",
            progress=lambda: None,
            room=room.Room(world.clock.now, 60.0),
            columns=outline.ColumnCheck(board, world.mappings, world.clock.now, world.clock.sleep),
        )
        return sync.Syncer(
            grant=self._grant,
            refresher=refresh.Refresher(
                view, books, repairs.Repairs(self._db, world.clock.now), world.mappings, reading
            ),
            staging=_Staging(world, self._db),
            ledger=books,
            writer=write,
            in_doubt=in_doubt.InDoubtRequests(
                log,
                write,
                board_lookup,
                self.facts,
                lambda staged: self.reemitted.extend(staged),
                world.clock.now,
                in_doubt.window(),
                timedelta(minutes=writer.KEY_MINUTES),
                write.room,
            ),
            outline=reading,
            mappings=world.mappings,
            now=world.clock.now,
        )

    async def _renew(self, grant: lease.Grant) -> None:
        while not self.frozen.is_set() and self._lease.renew(grant):
            await self._world.clock.sleep(LEASE_SECONDS / 3)

    async def _post(self, body: str, headers: Mapping[str, str]) -> error_formats.Answer:
        """The real transport, with points at which the process ends or freezes."""
        assert self._http is not None
        if "Idempotency-Key" not in headers:
            return await self._http(body, headers)
        await self._struck(Point.AFTER_INTENT)
        sent = asyncio.create_task(self._http(body, headers))
        if strike := self._world.points.passed(Point.AFTER_SEND):
            # Time stands still until the server has received the body.
            await self._world.clock.sleep(0.001)
            sent.cancel()
            raise Killed(strike)
        answer = await sent
        await self._struck(Point.AFTER_ANSWER)
        return answer

    async def _struck(self, point: Point) -> None:
        strike = self._world.points.passed(point)
        if strike is None:
            return
        if not strike.frozen:
            raise Killed(strike)
        self.frozen.set()
        await self._world.clock.sleep(strike.seconds)
