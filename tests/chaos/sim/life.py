"""A process of the story: it dies, freezes or goes on at each of its effects, and everything of it with it."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from connectors import database, errors
from connectors.database import Session
from tests.chaos.sim.loop import PROCESS

if TYPE_CHECKING:
    from tests.chaos.sim.world import World


# How often a commit is not heard of, and how often it does not come to it, because a connection breaks.
BREAKS = 0.003


class Killed(BaseException):
    """kill -9: nothing of this process runs on."""


class Life:
    """One process from start to end. `role` is poller or worker, `name` that of the supervised one."""

    def __init__(self, world: "World", role: str, name: str) -> None:
        self.world, self.role, self.name = world, role, name
        self.alive = True
        self.frozen_until = 0.0
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.over = asyncio.Event()
        self.stopping = asyncio.Event()
        # How long its supervisor waits before it starts the next one; None: as it always does.
        self.pause: float | None = None
        # The log that it met at its start: it does not find its way in another.
        self.log_number = world.log.number
        self._about_to_send = False
        self._freeze: float | None = None

    @property
    def frozen(self) -> bool:
        return self.frozen_until > self.world.loop.elapsed

    def start(self, main: Callable[["Life"], Any]) -> None:
        """Runs `main` as this process."""
        PROCESS.set(self)
        try:
            # `tasks` holds it until it has ended (loop._task).
            asyncio.create_task(self._main(main))  # noqa: RUF006
        finally:
            PROCESS.set(None)

    async def _main(self, main: Callable[["Life"], Any]) -> None:
        try:
            await main(self)
        finally:
            self.die("ended")

    def check(self) -> None:
        """Nothing is done by the dead."""
        if not self.alive:
            raise Killed

    def die(self, why: str) -> None:
        """At once: what it had in memory is gone, and its tasks end at their next step."""
        if not self.alive:
            return
        self.alive = False
        self.world.say(f"{self.name} {why}")
        for task in list(self.tasks):
            task.cancel()
        self.over.set()
        self.world.ended(self)

    def end(self, code: int, why: str) -> None:
        """Stands for delivery.end_process."""
        if self.alive:
            self.world.met[f"{self.role} ended with {code}"] += 1
        self.die(f"ends with {code}: {why}")

    def luck(self) -> float:
        """From 0 to 1."""
        return self.world.rng.random()

    def met(self, what: str) -> None:
        self.world.met[what] += 1

    def reached(self, point: str, *, inside: bool = False) -> None:
        """It is at this point now: where the schedule says so it dies, freezes or is told to stop.

        `inside` a transaction nothing freezes: it would hold up the others in real time.
        """
        self.check()
        self.world.say(f"{self.name} {point}")
        for strike in self.world.struck(point, self.role):
            self.met(f"{strike.act} at {strike.point}")
            if strike.act == "kill":
                self.pause = strike.seconds
                self.die(f"is killed at {point}")
                raise Killed
            if strike.act == "stop":
                self.pause = strike.seconds
                self.stopping.set()
            else:
                self._freeze = strike.seconds
        if not inside:
            self._freeze_now()

    def gap(self) -> None:
        """Between two effects: others may have theirs."""
        self.world.loop.gap()
        self.check()

    def takes(self, seconds: float) -> None:
        """What it does right now lasts so long."""
        self.world.loop.takes(seconds)
        self.check()

    def intends(self) -> None:
        """From here to the socket no schedule freezes a life: streams.sync.writer explains that gap."""
        self._about_to_send = True

    def sent(self) -> None:
        """The request left."""
        self._about_to_send = False

    def _freeze_now(self) -> None:
        if self._freeze is None or self._about_to_send:
            return
        loop = self.world.loop
        self.frozen_until, self._freeze = loop.elapsed + self._freeze, None
        self.world.say(f"{self.name} is frozen until {self.frozen_until:.2f}")
        self.world.froze(self)
        if loop.turn is not None:
            loop.turn.give_away(self.frozen_until - loop.elapsed)
            self.check()

    async def thawed(self) -> None:
        """Once it runs again."""
        if self.frozen:
            await asyncio.sleep(self.frozen_until - self.world.loop.elapsed)
        self.check()


class Database:
    """The real database, in which every transaction is an effect."""

    def __init__(self, real: database.Database, life: Life) -> None:
        self._real, self._life = real, life

    @property
    def engine(self) -> str:
        return self._real.engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        self._life.check()
        self._life.gap()
        with self._real.read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        self._life.reached("begin")
        self._life.gap()
        with self._real.write() as session:
            yield session
            # Dead now, it is rolled back.
            self._life.reached("commit", inside=True)
            self._breaks("before the commit")
        self._life.reached("committed")
        self._breaks("before the commit was answered")
        self._life.gap()

    def _breaks(self, when: str) -> None:
        """A server's connection breaks now and then; what was on its way is done, or not."""
        if self._life.luck() < BREAKS:
            self._life.met(f"connection broken {when}")
            raise errors.Transient(f"the connection to the database broke {when}")

    def columns(self, table: str) -> list[database.Column]:
        return self._real.columns(table)

    def close(self) -> None: ...


class Struck:
    """A connector; after each method of `points` its process is at that point."""

    def __init__(self, real: Any, life: Life, points: Mapping[str, str]) -> None:
        assert all(hasattr(real, name) for name in points), f"{type(real).__name__} has lost one of {[*points]}"
        self._real, self._life, self._points = real, life, points

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        point = self._points.get(name)
        if point is None:
            return method

        def called(*args: Any, **kw: Any) -> Any:
            if point == "intent":
                self._life.intends()
            result = method(*args, **kw)
            self._life.reached(point)
            return result

        return called
