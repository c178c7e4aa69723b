"""The board: the simulator's own service without HTTP, in made-up time, with its history written down."""

import asyncio
import contextlib
import contextvars
import itertools
import json
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors import errors
from connectors.monday import formats
from connectors.monday.simulator import admin, clock, config, faults, incoming, service, store
from mappings.loading import Mappings
from tests.chaos import judge
from tests.chaos.sim.loop import PROCESS, SimLoop

# The client's own: a round trip that takes longer is given up.
TIMEOUT = 60.0
HISTORY = (
    "CREATE TABLE history (n INTEGER PRIMARY KEY, item_id INTEGER, column_id TEXT, written TEXT);"
    "CREATE TRIGGER told AFTER INSERT ON cells BEGIN INSERT INTO history (item_id, column_id, written)"
    " VALUES (NEW.item_id, NEW.column_id, NEW.written); END;"
)


class Clock:
    """The loop's time, for the simulator."""

    def __init__(self, loop: SimLoop) -> None:
        self.monotonic = loop.time
        self.now = loop.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def template(path: Path, mappings: Mappings) -> None:
    """A board with its key column, and a history of its cells; to be copied for each story."""
    made = service.Service(config.Config(state=path), clock.SystemClock(), lambda: "")
    board_id, key = int(mappings.board.board.id), mappings.board.key
    with made.state.transaction():
        made.state.add_column(store.Column(board_id, key.id, key.title, "text"))
    made.state.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(HISTORY)


class Board:
    """One story's board."""

    def __init__(
        self, path: Path, made: Path, loop: SimLoop, mappings: Mappings, *, rules: Sequence[faults.Rule], **set_: Any
    ) -> None:
        shutil.copyfile(made, path)
        self._path = path
        self._mappings = mappings
        numbers = itertools.count(1)
        settings = config.Config(state=path, fault_rules=tuple(rules), **set_)
        self.service = service.Service(settings, Clock(loop), lambda: f"request-{next(numbers)}")
        self.stats = self.service.stats
        # What the server does goes on when the process that asked is dead.
        self._apart = contextvars.copy_context()
        self._apart.run(PROCESS.set, None)

    def content(self) -> dict[str, Any]:
        """As the admin page tells it."""
        return admin.Admin(self.service).board()

    def close(self) -> None:
        self.service.state.close()

    async def post(self, body: str, headers: Mapping[str, str]) -> formats.Answer:
        """Stands for connectors.monday.transport.Http, with points to die at."""
        process: Any = PROCESS.get()
        process.check()
        key = headers.get("Idempotency-Key")
        call = incoming.Call(body.encode(), headers["Authorization"], key, headers["API-Version"])
        loop = asyncio.get_running_loop()
        at_work = loop.create_task(self.service.handle(call), context=self._apart)
        # The server has it.
        await asyncio.sleep(0)
        if key is not None:
            process.sent()
            process.reached("send")
        done, _ = await asyncio.wait({at_work}, timeout=TIMEOUT)
        await process.thawed()
        if not done:
            raise errors.OutcomeUnknown("sent, no answer: timed out")
        answer, told = at_work.result()
        if key is not None:
            process.reached("response")
        if answer.cut:
            raise errors.OutcomeUnknown("sent, no answer: disconnected")
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body, ensure_ascii=False)
        return formats.Answer(
            status=answer.status, headers={name.lower(): value for name, value in told.items()}, text=text
        )

    def history(self) -> list[judge.Written]:
        """What was ever written to the columns that tell a version, oldest first."""
        key, subitem = self._mappings.board.key.id, self._mappings.board.subitem
        with contextlib.closing(sqlite3.connect(self._path)) as db:
            told = db.execute("SELECT item_id, column_id, written FROM history ORDER BY n").fetchall()
            parents = dict(db.execute("SELECT id, parent_id FROM items").fetchall())
        uuids = {item: json.loads(written) for item, column, written in told if column == key}
        sizes = {item: judge.label(json.loads(written)) for item, column, written in told if column == subitem.size.id}
        found: list[judge.Written] = []
        for item, column, written in told:
            if column == judge.STAMP:
                found.append(judge.Written(uuids.get(item, "?"), "", str(json.loads(written))))
            elif column == subitem.quantity.id:
                found.append(
                    judge.Written(uuids.get(parents[item], "?"), sizes.get(item, "?"), str(json.loads(written)))
                )
        return found
