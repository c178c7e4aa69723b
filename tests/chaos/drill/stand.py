"""What all drills have: a stage, the commands that people type at it, rest, and the three sides compared."""

import asyncio
import itertools
import json
import math
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors import errors, samples
from connectors.samples import maker
from connectors.simulator.faults import Rule, Rules
from mappings import sizes
from schemas.base import Cell
from sql import identifiers
from streams.reconcile import fields
from streams.resources import Resources, utcnow
from streams.runtime import connect, status, supervisor
from tests.chaos.real import judge_oracle as oracle
from tests.chaos.real import scale
from tests.chaos.real.outcome import Outcome
from tests.chaos.real.stage import POLLER, ROOT, Stage, stage

LOOK = 0.2
SETTLE_WITHIN = 600.0
COMMAND_WITHIN = 900.0
# Of all that is wrong so many are shown.
SHOWN = 10
# Short pauses, and a day that is long enough for a drill.
QUICK: dict[str, Any] = {"poll_every": 0.5, "retry_first": 1.0, "monday_limits": {"calls_per_day": 10_000_000}}

Row = dict[str, Cell]


@dataclass
class Stand:
    """`figures` are for the line that is printed; `wrong` says, a line each, what should not be."""

    stage: Stage
    figures: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def parts(self) -> Resources:
        return self.stage.parts

    @property
    def outcome(self) -> Outcome:
        hidden = len(self.wrong) - SHOWN
        return Outcome(not self.wrong, self.figures, self.wrong[:SHOWN] + [f"and {hidden} more"] * (hidden > 0))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command on another terminal, whatever it ends with."""
        environment = {**self.stage.services[POLLER].environment, "COLUMNS": "200"}
        command = supervisor.ordersync(*arguments)
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=COMMAND_WITHIN, check=False
        )

    def ordersync(self, *arguments: str, code: int = 0) -> str:
        """What it prints. Another exit code than this is wrong."""
        done = self.run(*arguments)
        if done.returncode != code:
            said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
            self.wrong.append(f"`ordersync {' '.join(arguments)}` ended with {done.returncode} and said {said[-1]}")
        return done.stdout

    def as_json(self, *arguments: str, code: int = 0) -> Any:
        """The same of a command that tells a program."""
        return json.loads(self.ordersync(*arguments, "--json", code=code))

    def until(self, condition: Callable[[], object], what: str, *, within: float = SETTLE_WITHIN) -> None:
        """Waits for it. Raises TimeoutError, and the drill is over."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {within:g} s: {what}")
            time.sleep(LOOK)

    def settles(self) -> float:
        """Waits until a pass that begins now finds nothing and nothing is on its way. How many seconds that took."""
        began = time.monotonic()
        if not scale.until_settled(self.stage, lambda: None, SETTLE_WITHIN):
            waiting = {state.value: n for state, n in status.collect(self.parts).total.items() if n}
            raise TimeoutError(f"not settled within {SETTLE_WITHIN:g} s: {waiting}")
        return time.monotonic() - began

    def proves(self) -> None:
        """Source = production = board, every event accounted for, nothing there twice."""
        # No more than agreement: a drill wipes logs, takes back, and makes orders fail as it likes.
        found = oracle.agrees(self.stage, oracle.Log(self.parts.bootstrap, self.parts.settings.group))
        self.wrong += [f"{name}: {said}" for name, some in found.wrong.items() for said in some]
        before = self.figures.get("duplicates", 0)
        assert isinstance(before, int)
        self.figures["duplicates"] = before + len(found.duplicates)

    def shown(self) -> list[fields.FieldValue]:
        """What the board tells of every order, to be compared; ids of items are no part of it."""
        items = asyncio.run(connect.ask_board(self.parts, connect.read_items))
        return sorted(fields.of_board(items, self.parts.mappings))

    def produced(self) -> list[fields.FieldValue]:
        """The same of production."""
        return sorted(fields.of_production(*self.parts.production.everything(), self.parts.mappings))

    def edit(self, action: str, item_id: str | None = None, **told: Any) -> str:
        """What a person does on the board. The id of the item that was edited or made."""
        body = {"action": action, **({} if item_id is None else {"item_id": item_id}), **told}
        return str(self._post("edit", json.dumps(body).encode())["item_id"])

    def trouble(self, rules: Sequence[Rule]) -> None:
        """The board's faults from now on."""
        self._post("faults", Rules.dump_json(tuple(rules)))

    def _post(self, page: str, body: bytes) -> dict[str, Any]:
        root = self.parts.monday_url.rsplit("/", 1)[0]
        request = urllib.request.Request(f"{root}/admin/{page}", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@contextmanager
def stand(folder: Path, seed: int, **told: Any) -> Iterator[Stand]:
    """On a stage of its own, of which `told` are arguments or settings. What ends a drill early is wrong."""
    with stage(folder, seed=seed, **{"orders": 0, "minute": 1.0, **QUICK, **told}) as made:
        shown = Stand(made)
        try:
            yield shown
        except (TimeoutError, errors.OrdersyncError, subprocess.TimeoutExpired) as error:
            shown.wrong.append(str(error))


def filled(seed: int, customers: Mapping[str, int]) -> Callable[[Resources], None]:
    """For a stage's `prepare`: a source in which each of these customers has so many valid orders."""

    def prepare(parts: Resources) -> None:
        parts.db.apply_schema(utcnow())
        owners = list(itertools.chain.from_iterable([name] * n for name, n in customers.items()))
        rows = valid(parts, seed, orders=math.ceil(len(owners) * 1.1) + maker.GREYSON_ORDERS)
        chosen = [{**row, "CUSTOMER NAME": name} for name, row in zip(owners, rows, strict=False)]
        assert len(chosen) == len(owners), "too few sample orders are valid"
        insert(parts, chosen)

    return prepare


def valid(parts: Resources, seed: int, *, orders: int) -> Iterator[Row]:
    """The valid ones among the sample orders of this seed."""
    names = [name for name, _ in parts.orders.columns()]
    made = samples.generate(seed=seed, orders=orders, columns=names, size_columns=size_columns(parts))
    return (one.row for one in made if one.expected is samples.Expected.VALID)


def size_columns(parts: Resources) -> tuple[str, ...]:
    """The sizes of the source."""
    return tuple(sizes.size_columns(parts.orders.columns(), parts.mappings.board.sizes))


def insert(parts: Resources, rows: Sequence[Row]) -> None:
    """New rows of the source, in one transaction."""
    names = list(rows[0])
    statement = f"INSERT INTO ORDERS_UNIFIED ({identifiers.listed(names)}) VALUES ({', '.join('?' * len(names))})"
    with parts.db.write() as session:
        session.execute_many(statement, [tuple(row[name] for name in names) for row in rows])


def update(parts: Resources, record_uuids: Sequence[str], column: str, value: Cell) -> None:
    """One column of these orders, in one transaction."""
    statement = f"UPDATE ORDERS_UNIFIED SET {identifiers.quote(column)} = ? WHERE record_uuid = ?"
    with parts.db.write() as session:
        session.execute_many(statement, [(value, uuid) for uuid in record_uuids])


def delete(parts: Resources, record_uuids: Sequence[str]) -> None:
    """These orders leave the source, in one transaction."""
    with parts.db.write() as session:
        session.execute_many("DELETE FROM ORDERS_UNIFIED WHERE record_uuid = ?", [(uuid,) for uuid in record_uuids])
