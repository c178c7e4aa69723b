"""The board: the simulator's own service without HTTP, in made-up time, with its history written down."""

import asyncio
import contextvars
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from connectors import errors
from connectors.monday import error_formats
from connectors.simulator import admin, answers, clock, config, faults, incoming, service, store
from mappings.loading import Mappings
from tests.chaos import history, judge
from tests.chaos.sim.loop import PROCESS, SimLoop

# The client's own: a round trip that takes longer is given up.
TIMEOUT = 60.0


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
    history.watch(path)


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
        # Key of the request and position in it of every mutation that an answer refused, or said nothing about.
        self.failed: set[tuple[str, int]] = set()
        # What the server does goes on when the process that asked is dead.
        self._apart = contextvars.copy_context()
        self._apart.run(PROCESS.set, None)

    def content(self) -> dict[str, Any]:
        """As the admin page tells it."""
        return admin.Admin(self.service).board()

    def close(self) -> None:
        self.service.state.close()

    async def post(self, body: str, headers: Mapping[str, str]) -> error_formats.Answer:
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
            self.failed.update((key, at) for at in _failing(answer))
        if key is not None:
            process.reached("response")
        if answer.cut:
            raise errors.OutcomeUnknown("sent, no answer: disconnected")
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body, ensure_ascii=False)
        return error_formats.Answer(
            status=answer.status, headers={name.lower(): value for name, value in told.items()}, text=text
        )

    def history(self) -> list[judge.Written]:
        """What was ever written to the columns that tell a version, oldest first."""
        return history.read(self._path, self._mappings)


def _failing(answer: answers.Answer) -> Iterator[int]:
    """The positions of the mutations that it refuses, or says nothing about; what a limit held back is none of them."""
    if not isinstance(answer.body, dict):
        return
    held = {
        error["path"][0]
        for error in answer.body.get("errors", ())
        # Errors of the older form are texts, and refuse nothing by its alias.
        if isinstance(error, dict)
        and error.get("path")
        and error.get("extensions", {}).get("status_code") == HTTPStatus.TOO_MANY_REQUESTS
    }
    for alias, made in (answer.body.get("data") or {}).items():
        if made is None and alias not in held:
            yield int(alias.removeprefix("m"))
