"""Plays one schedule: people edit, the poller looks, workers work, and all of them are struck."""

import asyncio
import contextlib
import gc
import shutil
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from connectors import errors
from streams import app as apps
from streams import topics
from streams.delivery import exits, faust_app, health
from streams.runtime import board_writer, passes, supervisor
from tests.chaos import judge
from tests.chaos.sim import bad, faust
from tests.chaos.sim import world as worlds
from tests.chaos.sim.life import Killed, Life
from tests.chaos.sim.script import SIZES, Edit, Outage, Schedule
from tests.chaos.sim.world import World

# So many seconds after the last round everything has to be at rest. A day's limit alone lasts five minutes.
QUIET_WITHIN = 3000.0
LOOK = 5.0
# So many looks after a pass there is one more, whatever still waits: the sweep is part of it.
PATIENCE = 6
# And one more this many seconds after a pass that put something off.
AGAIN = 3.0
STOP_WITHIN = 3.0
# Until the watchdog notices that topics were made again.
DEAF = 20.0
NO_EDITS = (Edit("", None),)
MEMORY = Path("/dev/shm")


class Story:
    """One schedule on its world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.wanted = asyncio.Event()
        self.passes = 0
        self.quiet = False
        # Passes that were asked for, and that came to their end.
        self._wanted = self._done = 0
        self._passed = asyncio.Condition()
        self._retired: set[str] = set()

    async def play(self) -> judge.Verdict:
        world = self.world
        world.loop.set_exception_handler(_unless_killed)
        supervised = [asyncio.create_task(self._supervise("poller", "poller"))]
        names = [f"worker-{n}" for n in range(1, world.schedule.workers + 1)]
        supervised += [asyncio.create_task(self._supervise("worker", name)) for name in names]
        others = [asyncio.create_task(self._outage(outage)) for outage in world.schedule.outages]
        others += [asyncio.create_task(self._join(at, for_)) for at, for_ in self._joining()]
        for one in world.schedule.rounds:
            for edit in one.edits:
                world.loop.call_later(edit.after, world.edit, edit)
            self.want()
            await asyncio.sleep(one.pause)
        # The last edits may come later than the last pass.
        await asyncio.sleep(max(edit.after for edit in world.schedule.rounds[-1].edits or NO_EDITS))
        await asyncio.gather(*others)
        rests = await self._rest()
        # The API may still run what nobody waits for any more: that may spoil the board, too.
        await world.board.service.rest()
        verdict = judge.judge(
            world.db,
            world.board.content(),
            world.made.mappings,
            emitted=() if any(outage.wiped for outage in world.schedule.outages) else world.emitted(),
            history=world.board.history(),
            told=judge.stamps(((edit.uuid, edit.row) for edit in world.edits), SIZES),
            bad=bad.orders(world),
        )
        verdict.lost[:0] = rests
        if not rests:
            await self._nothing_is_left(verdict)
        for task in supervised:
            task.cancel()
        self._counts(verdict)
        return verdict

    # What people and the machine do.

    def want(self) -> None:
        """Asks the poller for one more pass."""
        self._wanted += 1
        self.wanted.set()

    async def _supervise(self, role: str, name: str) -> None:
        pauses = supervisor.Pauses(self.world.loop.time)
        while name not in self._retired:
            pauses.started()
            life = Life(self.world, role, name)
            self.world.lives[life] = None
            life.start(self._poll if role == "poller" else self._work)
            await life.over.wait()
            self.world.met[f"{role} started again"] += 1
            usual = pauses.ended() or 0.0
            await asyncio.sleep(usual if life.pause is None else life.pause)

    def _joining(self) -> Iterator[tuple[float, float]]:
        for joining in self.world.schedule.joining:
            yield joining.at, joining.seconds

    async def _join(self, at: float, seconds: float) -> None:
        """One more worker, for some time."""
        await asyncio.sleep(at)
        extra = asyncio.create_task(self._supervise("worker", "worker-9"))
        await asyncio.sleep(seconds)
        self._retired.add("worker-9")
        for life in [life for life in self.world.lives if life.name == "worker-9"]:
            life.stopping.set()
        await extra

    async def _outage(self, outage: Outage) -> None:
        world = self.world
        await asyncio.sleep(outage.at)
        world.met["broker away"] += 1
        world.log.returns_at = world.loop.elapsed + outage.seconds
        world.say(f"the broker is away for {outage.seconds:g} s")
        await asyncio.sleep(outage.seconds)
        if outage.wiped:
            world.met["log wiped"] += 1
            world.say("the broker has lost its data")
            world.log.wipe()
            for life in [life for life in world.lives if life.role == "worker"]:
                world.loop.call_later(world.rng.uniform(0, DEAF), life.end, exits.EXIT_AGAIN, "topics made again")

    # The processes.

    async def _poll(self, life: Life) -> None:
        """As streams.runtime.passes does, but for passes only when they are wanted: they are what costs time."""
        parts = self.world.parts(life)

        async def work() -> None:
            detector, sweep = parts.detector(passes.publisher(parts)), parts.lost_event_sweep()
            held = False
            while True:
                if self._done == self._wanted:
                    self.wanted.clear()
                    await self.wanted.wait()
                wanted = self._wanted
                report = await asyncio.to_thread(detector.run)
                if report.plan is not None:
                    # What the guard holds a person looks at, and accepts.
                    await asyncio.to_thread(parts.plans.accept, report.plan)
                held = report.held is not None
                async with self._passed:
                    self._done = wanted
                    self._passed.notify_all()
                self.passes += 1
                self.quiet = report.quiet
                if report.deferred or held:
                    self.world.met["held" if held else "deferred"] += 1
                    self.world.loop.call_later(AGAIN, self.want)
                with contextlib.suppress(errors.Transient):
                    if found := await asyncio.to_thread(sweep.advance):
                        self.world.swept += found
                        self.world.loop.call_later(0.1, self.want)

        await exits.guarded("detect", work(), life.end)

    async def _work(self, life: Life) -> None:
        """As streams.runtime.worker does."""
        parts = self.world.parts(life)
        state = health.Health(clock=self.world.loop.time)
        async with board_writer.open_board_writer(parts, state) as writing:
            # The stand-in of tests.chaos.sim.faust, which world.standing_in has put in Faust's place.
            built = apps.build(parts, state, writing, life.name)
            app = cast(faust.App, built)
            app.start()

            def owns_board() -> bool:
                staged = topics.named(topics.STAGED, parts.settings.topic_prefix)
                return app.rebalancing or faust_app.owns(built, staged)

            keeping = asyncio.create_task(exits.guarded("sync", writing.hold_lease(owns_board), life.end))
            rejoining = asyncio.create_task(self._rejoin(life, app))
            crashed = asyncio.create_task(app.crashed.wait())
            stopping = asyncio.create_task(life.stopping.wait())
            await asyncio.wait({crashed, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (keeping, rejoining, crashed, stopping):
                task.cancel()
            try:
                await asyncio.wait_for(app.stop(holding=bool(state.holding)), STOP_WITHIN)
            except TimeoutError:
                life.end(0, "Faust did not stop in time")

    async def _rejoin(self, life: Life, app: faust.App) -> None:
        """A member that was frozen finds that it is one no more, and joins again."""
        group = self.world.group
        while True:
            await asyncio.sleep(LOOK)
            await life.thawed()
            if group.members.get(life.name) is not app and life.log_number == self.world.log.number:
                group.join(app)

    # The end.

    async def _rest(self) -> list[str]:
        """Waits until nothing is on its way any more. What is, if it takes too long."""
        try:
            async with asyncio.timeout(QUIET_WITHIN):
                while True:
                    for _ in range(PATIENCE):
                        if not self._waiting():
                            break
                        await asyncio.sleep(LOOK)
                    # What arrives late may have to be detected again, so only a pass over a pipeline at rest counts.
                    rests = not self._waiting()
                    await self._pass()
                    await asyncio.sleep(1.0)
                    if rests and self.quiet and not self._waiting():
                        return []
        except TimeoutError:
            return [f"not at rest after {QUIET_WITHIN:g} s: {self._waiting()}"]

    async def _pass(self) -> None:
        """One whole pass, begun after this moment."""
        self.want()
        wanted = self._wanted
        async with self._passed:
            await self._passed.wait_for(lambda: self._done >= wanted)

    def _waiting(self) -> dict[str, int]:
        with self.world.db.read() as session:
            found = {name: int(n) for name, n in session.query(_ALL_WAITING)[0].items()}
        found["events"] = self.world.log.lag()
        # What wakes up says once more what others have said meanwhile.
        found["frozen"] = sum(life.frozen for life in self.world.lives)
        found["sends"] = int(self.world.loop.elapsed < self.world.log.troubled_until)
        return {name: n for name, n in found.items() if n}

    async def _nothing_is_left(self, verdict: judge.Verdict) -> None:
        """One more pass over unchanged data costs nothing."""
        world = self.world
        taken, sent = len(world.log.taken), world.board.stats.mutation_requests
        await self._pass()
        await asyncio.sleep(LOOK)
        if len(world.log.taken) != taken:
            verdict.other.append(f"unchanged data made {len(world.log.taken) - taken} events")
        if world.board.stats.mutation_requests != sent:
            verdict.other.append(f"unchanged data cost {world.board.stats.mutation_requests - sent} requests")

    def _counts(self, verdict: judge.Verdict) -> None:
        world = self.world
        stats = world.board.stats
        verdict.met.update(world.met)
        verdict.met.update(stats.faults)
        verdict.met.update(requests=stats.mutation_requests, mutations=stats.mutations_done, replays=stats.replays)
        verdict.met.update(
            events=len(world.log.taken), passes=self.passes, seconds=round(world.loop.elapsed), swept=world.swept
        )
        if stats.keys_reused_with_other_body:
            verdict.other.append(f"{stats.keys_reused_with_other_body} keys were used for another body")
        verdict.other += judge.beside_each_other(stats.max_writes_in_flight, stats.faults)
        if world.swept and not world.met["log wiped"]:
            verdict.lost.append(f"{world.swept} orders waited for events that the log never lost")
        verdict.other += world.log.misplaced()


_WAITING = {
    "orders": "SELECT COUNT(*) FROM ORDERS_UNIFIED_SNAPSHOT WHERE sync_state = 'WAITING'",
    "batches": "SELECT COUNT(*) FROM MON_BatchProcessing WHERE end_time IS NULL",
    "in doubt": "SELECT COUNT(*) FROM SYNC_Requests WHERE finished_at IS NULL",
    "parked": "SELECT COUNT(*) FROM SYNC_State WHERE name LIKE 'parked.%'",
    "retries": "SELECT COUNT(*) FROM ERR_MON_CustMasterSchedule"
    " WHERE resolved_date IS NULL AND retryable = 1 AND max_retries_reached = 0",
    "retries of sizes": "SELECT COUNT(*) FROM ERR_MON_CustMasterSchedule_Subitems"
    " WHERE resolved_date IS NULL AND retryable = 1 AND max_retries_reached = 0",
}
_ALL_WAITING = "SELECT " + ", ".join(f"({counted}) AS [{name}]" for name, counted in _WAITING.items())


def _unless_killed(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    if not isinstance(context.get("exception"), Killed):
        loop.default_exception_handler(context)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """For a run's files: in memory, if the machine has a file system there."""
    with tempfile.TemporaryDirectory(prefix="chaos-sim-", dir=MEMORY if MEMORY.is_dir() else None) as made:
        yield Path(made)


@contextlib.contextmanager
def prepared() -> Iterator[worlds.Templates]:
    """What the stories of this process share."""
    with folder() as made, contextlib.closing(worlds.templates(made)) as templates:
        # To look for garbage all the time takes a tenth.
        gc.disable()
        try:
            yield templates
        finally:
            gc.enable()


def verdict(chosen: Schedule, made: worlds.Templates, *, told: list[str] | None = None) -> judge.Verdict:
    """Plays a schedule, and tells every effect if asked to. What the story raises is a deviation too."""
    folder = Path(tempfile.mkdtemp(prefix=f"{chosen.seed}-", dir=made.folder))
    world = World(chosen, folder, made, tells=told is not None)
    # What the stories before left in cycles; some of it was not yet garbage when it was looked at first.
    gc.collect(2 if chosen.seed % 100 == 0 else 1)
    try:
        with worlds.played(world), asyncio.Runner(loop_factory=lambda: world.loop) as runner:
            try:
                return runner.run(Story(world).play())
            finally:
                world.close()
    except Exception:
        return judge.Verdict(other=[traceback.format_exc()])
    finally:
        if told is not None:
            told += world.told or []
        shutil.rmtree(folder)
