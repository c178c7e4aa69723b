"""Everything that outlives a process: tables, log, group, board, and what the schedule has in store."""

import functools
import itertools
import logging
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from connectors import backoff
from connectors.monday import budget, client
from mappings import columns as mapped_columns
from mappings import loading
from mappings import sizes as mapped_sizes
from schemas import codec, events
from sql import identifiers, tables
from streams import app as apps
from streams import resources, settings, topics
from streams.delivery import consumer, faust_app
from streams.runtime import board_writer
from tests.chaos.sim import board, faust, loop
from tests.chaos.sim.life import Database, Life, Struck
from tests.chaos.sim.log import Admin, Log, Producer, Trouble, partitioner_of_production
from tests.chaos.sim.reused import Reused
from tests.chaos.sim.script import SIZES, Edit, Schedule

TOKEN = "chaos"
# What looks whether there is something to do looks this seldom: a finer look costs time and shows nothing more.
RETRY_EVERY = 10.0
DOUBTS_EVERY = 4.0
SLICE = 2.0


@dataclass(frozen=True)
class Templates:
    """What is made once a process: a board to be copied for each story, and tables to be restored."""

    folder: Path
    mappings: loading.Mappings
    settings: settings.Settings
    partition_of: Callable[[str, int], int]
    wide: Reused
    narrow: Reused

    @property
    def board(self) -> Path:
        return self.folder / "board.template"

    def close(self) -> None:
        self.wide.close()
        self.narrow.close()


def templates(folder: Path) -> Templates:
    """Makes them, in an empty folder."""
    mappings = loading.load()
    made = Templates(
        folder,
        mappings,
        settings.Settings(home=folder, monday_token=TOKEN, monday_url=settings.BUNDLED, web_port=0),
        partitioner_of_production(),
        Reused(folder / "wide.db"),
        Reused(folder / "narrow.db"),
    )
    board.template(made.board, mappings)
    for db in (made.wide, made.narrow):
        db.apply_schema(loop.START)
    _narrow(made.narrow, mappings)
    for db in (made.wide, made.narrow):
        db.seal()
    return made


def _narrow(db: Reused, mappings: loading.Mappings) -> None:
    """The source with the columns that the mapping reads, and some sizes: most stories need no more."""
    live = [(column.name, column.type) for column in db.columns(tables.SOURCE)]
    sizes = set(mapped_sizes.size_columns(live, mappings.board.sizes))
    wanted = {"record_uuid", mappings.board.sizes.before, *mapped_columns.watched(mappings, SIZES)}
    kept = [(name, kind) for name, kind in live if name in wanted and (name not in sizes or name in SIZES)]
    body = ", ".join(f"{identifiers.quote(name)} {kind}" for name, kind in kept)
    with db.write() as session:
        session.execute("DROP TABLE ORDERS_UNIFIED")
        session.execute(f"CREATE TABLE ORDERS_UNIFIED ({body}) STRICT")


class World:
    """One story's."""

    def __init__(self, schedule: Schedule, folder: Path, made: Templates, *, tells: bool = False) -> None:
        self.schedule, self.made, self.folder = schedule, made, folder
        self.loop = loop.SimLoop(schedule.seed, schedule.interleaved)
        self.rng = random.Random(f"world {schedule.seed}")
        self.met: Counter[str] = Counter()
        self.told: list[str] | None = [] if tells else None
        # In the order in which they began: a set's own order is another one in every process.
        self.lives: dict[Life, None] = {}
        self.swept = 0
        # What the source ever said, in its order.
        self.edits: list[Edit] = []
        self._ids = itertools.count(1)
        self._sends = itertools.count(1)
        self._strikes = {(strike.point, strike.nth): strike for strike in schedule.strikes}
        self._passed: Counter[str] = Counter()
        # A worker's own; its file lock makes it.
        (folder / "locks").mkdir()
        self.db = made.wide if schedule.wide else made.narrow
        self.db.restore()
        self.log = Log(made.partition_of, self.loop.time)
        self.group = faust.Group(self.log, random.Random(f"group {schedule.seed}"), self._met)
        self.log.heard = self.group.heard
        self.board = board.Board(
            folder / "board.db", made.board, self.loop, made.mappings, rules=schedule.rules,
            lookup_lag=schedule.lookup_lag, complexity_per_minute=schedule.complexity, seed=schedule.seed,
        )  # fmt: skip

    def close(self) -> None:
        """Ends what stands still, and forgets it all."""
        for life in list(self.lives):
            life.die("ends with the story")
        self.loop.end()
        self.board.close()

    def say(self, text: str) -> None:
        if self.told is not None:
            self.told.append(f"{self.loop.elapsed:9.3f} {text}")

    def _met(self, what: str) -> None:
        self.met[what] += 1

    def new_id(self) -> str:
        return str(uuid.UUID(int=next(self._ids))).upper()

    # What the schedule has in store.

    def struck(self, point: str, role: str) -> Iterator[Any]:
        """The strikes at this passage."""
        for name in (point, f"any of {role}"):
            self._passed[name] += 1
            strike = self._strikes.pop((name, self._passed[name]), None)
            if strike is not None:
                yield strike

    def trouble(self) -> Trouble | None:
        share = self.schedule.failing_sends.get(next(self._sends))
        return None if share is None else Trouble(share)

    def froze(self, life: Life) -> None:
        """Whoever is silent for a session loses its partitions."""
        self.loop.call_later(faust.SESSION, self._expel, life)

    def ended(self, life: Life) -> None:
        self.lives.pop(life, None)
        self.loop.call_later(faust.SESSION, self._expel, life)

    def _expel(self, life: Life) -> None:
        app = self.group.members.get(life.name)
        if app is not None and app.process is life and (life.frozen or not life.alive):
            self.group.gone(app)

    def edit(self, edit: Edit) -> None:
        """What people do to the source."""
        self.edits.append(edit)
        self.say(f"edit {edit.uuid[-2:]}: {None if edit.row is None else edit.row.get('PATTERN ID')}")
        with self.db.write() as session:
            session.execute("DELETE FROM ORDERS_UNIFIED WHERE record_uuid = ?", (edit.uuid,))
            if edit.row is not None:
                marks = ", ".join("?" * len(edit.row))
                names = identifiers.listed(edit.row)
                session.execute(f"INSERT INTO ORDERS_UNIFIED ({names}) VALUES ({marks})", tuple(edit.row.values()))

    def emitted(self) -> set[tuple[str, int]]:
        """Identity and version of all that was emitted into the log as it is now."""
        changed = (event for _, event in self.log.taken if event.message.topic == topics.CHANGED.name)
        decoded = (
            codec.decode(events.OrderChanged, event.value) for event in changed if event.message.log == self.log.number
        )
        return {(event.record_uuid, event.version) for event in decoded}

    def parts(self, life: Life) -> resources.Resources:
        """A process's resources: real connectors over this world."""
        return Parts(self, life)


class Parts(resources.Resources):
    """The wiring of production, with a database, a log and random numbers of this world."""

    def __init__(self, world: World, life: Life) -> None:
        changed = {"worker": life.name, "home": world.folder, "batch_size": world.schedule.batch_size}
        changed |= {"window_minutes": world.schedule.window_minutes, "retry_first": 5.0, "retry_tries": 2}
        super().__init__(world.made.settings.model_copy(update=changed), "model", "http://127.0.0.1:1/v2")
        self._world = world
        usual = resources.Resources
        given = self.__dict__
        given["mappings"] = world.made.mappings
        given["db"] = Database(world.db, life)
        given["producer"] = Producer(world.log, life, world.trouble)
        given["admin"] = Admin(world.log, life)
        for name, points in STRUCK.items():
            given[name] = Struck(getattr(usual, name).func(self), life, points)

    def retrier(self) -> Any:
        made = super().retrier()
        made.rng.seed(self._world.rng.random())
        return made


# Connector → method → the point behind it.
STRUCK = {
    "orders": {"rows": "hash", "move_snapshots": "snapshot"},
    "staging": {"write": "stage-commit", "finish": "finish"},
    "journal": {"open": "intent", "resend": "intent", "close": "close"},
    "production": {"promote": "promote-commit"},
    "failures": {"record": "record"},
}


@contextmanager
def played(world: World) -> Iterator[None]:
    """Production in this world: its clock, its ids, its board; Faust and the end of a process are models."""
    now = world.loop.now

    def end(code: int, why: str) -> None:
        life = loop.PROCESS.get()
        assert isinstance(life, Life)
        life.end(code, why)

    rng = random.Random(f"pauses {world.schedule.seed}")
    pauses = functools.partial(backoff.delays, rng=rng, tries=consumer.TRIES)
    clock = world.loop.time
    stand_ins = (
        (resources, "utcnow", now),
        (board_writer, "utcnow", now),
        (board_writer, "LOOK", SLICE),
        (board_writer, "ASK_EVERY", SLICE),
        (resources, "new_id", world.new_id),
        (board_writer, "new_id", world.new_id),
        (consumer, "SLICE", SLICE),
        (apps, "RETRY_EVERY", RETRY_EVERY),
        (apps, "DOUBTS_EVERY", DOUBTS_EVERY),
        (faust_app, "create_app", lambda s, bootstrap, member, web_port=0: _app(world, member)),
        (consumer, "Delivery", functools.partial(consumer.Delivery, end=end, pauses=pauses)),
        (budget, "Budget", functools.partial(budget.Budget, clock=clock, utcnow=now)),
        (client, "Client", functools.partial(client.Client, clock=clock, rng=rng, post=world.board.post)),
        (identifiers, "quote", _quote),
    )
    with ExitStack() as stack:
        for where, name, stands_for in stand_ins:
            stack.enter_context(mock.patch.object(where, name, stands_for))
        yield


# Pure, and asked for every column in every pass.
_quote = functools.cache(identifiers.quote)


def _app(world: World, member: str) -> faust.App:
    life = loop.PROCESS.get()
    return faust.App(member, world.group, life, random.Random(world.rng.random()))


def silent() -> None:
    """Production's log is not read here, and costs time."""
    logging.disable(logging.CRITICAL)
