"""One writer for tests: a real database file, the real simulator over HTTP, and virtual time."""

import contextlib
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import sql
from connectors.database.sqlite import SqliteDatabase
from connectors.simulator import faults
from connectors.tables import journal
from mappings import loading
from schemas import events
from schemas.mappings import BoardMapping
from schemas.orders import Problem, StagedOrder
from streams.sync import plan, select, writer
from streams.sync import step as sync
from tests.support import virtual
from tests.support.board_script import Schedule
from tests.support.board_world import Life, World

GROUP, OTHER_GROUP = "GREYSON CLOTHIERS 2026 SPRING", "GREYSON CLOTHIERS 2026 FALL"
QUIET = Schedule(seed=1, passes=(), rules=(), strikes=(), lookup_lag=0.0, complexity=10_000_000, batch_size=25)


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-0000000000{number:02d}"


def order(number: int, version: int = 1, /, **changes: Any) -> StagedOrder:
    """A valid order. `values` are added to the usual ones; None removes one."""
    values = {"AAG ORDER NUMBER": f"GRE-{number}", "CUSTOMER": "GREYSON CLOTHIERS", "PATTERN ID": "P-1"}
    values |= changes.pop("values", {})
    removed = changes.get("removed", False)
    body = {
        "group_name": GROUP,
        "item_name": f"POLO {number}",
        "values": {name: value for name, value in values.items() if value is not None},
        "sizes": {"S": 1, "M": 2},
    }
    return StagedOrder(
        stg_id=version << 28 | number << 11,
        record_uuid=uuid(number),
        version=version,
        row_hash=f"{number}-{version}",
        batch_id=uuid(90),
        customer="GREYSON CLOTHIERS",
        **({} if removed else body) | changes,
    )


def refusal(column: str = "PATTERN ID") -> Problem:
    return Problem(column=column, value="?", reason="no good", advice="correct it")


def synced(*emitted: events.OrderEvent) -> list[int]:
    """Mutations of each order; all of them arrived."""
    assert all(isinstance(one, events.OrderSynced) for one in emitted), emitted
    return [one.mutations for one in emitted if isinstance(one, events.OrderSynced)]


class Desk:
    """`syncer` and `writer` are the real ones of one process."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.life = Life(world)

    @property
    def syncer(self) -> sync.Syncer:
        assert self.life.syncer is not None
        return self.life.syncer

    @property
    def writer(self) -> writer.Writer:
        assert isinstance(self.syncer.writer, writer.Writer)
        return self.syncer.writer

    def unfinished(self) -> list[journal.Request]:
        """The requests in doubt."""
        return journal.Journal(self.world.db, board_id="", now=self.world.clock.now).unfinished()

    def stage(self, *orders: StagedOrder) -> list[events.OrderStaged]:
        """Stages these orders, and gives their events."""
        self.world.staging.write(orders)
        return [event(one) for one in orders]

    async def sync(self, *orders: StagedOrder, **fields: Any) -> list[events.OrderEvent]:
        """Stages these orders and syncs them in one batch."""
        self.stage(*orders)
        return await self.life.step([event(one, **fields) for one in orders])

    async def again(self, *orders: StagedOrder, **fields: Any) -> list[events.OrderEvent]:
        """Syncs orders that are staged already."""
        return await self.life.step([event(one, **fields) for one in orders])

    def planned(self, *staged: events.OrderStaged) -> list[plan.Planned]:
        """The plan of the next sync of these events, as a dry run shows it. Sends and writes nothing."""
        work = select.choose(staged, self.syncer.staging).work
        known = self.syncer.ledger.known([one.order.record_uuid for one in work])
        wanted = [plan.Wanted(one.event, one.order, known.get(one.order.record_uuid, plan.NOTHING)) for one in work]
        return plan.Planner(self.syncer.mappings, self.syncer.outline).plan_all(wanted, self.syncer.ledger.groups())

    async def restart(self) -> None:
        """A new process on the same files; the old one released its lease."""
        await self.life.end(orderly=True)
        self.life = Life(self.world)

    def trouble(self, *rules: faults.Rule) -> None:
        """Replaces the faults from now on and counts requests from 1."""
        self.world.simulator.admin.set_faults(faults.Rules.dump_json(rules))

    def failed(self, *emitted: events.OrderEvent) -> None:
        """Records failures like the settle step, as far as the sync step reads them."""
        with self.world.db.write() as session:
            for one in emitted:
                assert isinstance(one, events.OrderFailed)
                params = ("", one.message, one.attempt, one.record_uuid, one.version)
                session.execute(sql.load("staging")["order_failed"], params)

    @property
    def calls(self) -> int:
        """Requests with mutations since the start or the last reset."""
        return self.world.simulator.service.stats.mutation_requests

    @property
    def mutations(self) -> int:
        return self.world.simulator.service.stats.mutations_done

    def reset(self) -> None:
        self.world.simulator.admin.reset_stats()

    def items(self, number: int, state: str = "active") -> list[dict[str, Any]]:
        """The items of an order, as the board holds them."""
        key = self.world.mappings.board.key.id
        found = self.world.simulator.admin.board()["items"]
        return [one for one in found if one["columns"].get(key) == uuid(number) and one["state"] == state]

    def item(self, number: int) -> dict[str, Any]:
        (only,) = self.items(number)
        return only

    def shown(self, number: int, source: str) -> Any:
        """The value of the board column that is filled from this source column."""
        column = next(one for one in self.world.mappings.board.columns if one.source == source)
        return self.item(number)["columns"].get(column.id)

    def sizes(self, number: int) -> dict[str, int]:
        """Quantities of the active subitems; fails if a size is there twice."""
        subitem = self.world.mappings.board.subitem
        active = [one for one in self.item(number)["subitems"] if one["state"] == "active"]
        found = {
            one["columns"][subitem.size.id]["labels"][0]: int(one["columns"][subitem.quantity.id]) for one in active
        }
        assert len(found) == len(active)
        return found

    def groups(self) -> list[str]:
        return [group["title"] for group in self.world.simulator.admin.board()["groups"]]

    def by_hand(self, action: str, item_id: str | None = None, **fields: Any) -> str:
        """An edit by a user. Returns the id of the item that was edited or created."""
        edit = {"action": action, **({} if item_id is None else {"item_id": item_id}), **fields}
        return str(self.world.simulator.admin.edit(json.dumps(edit).encode())["item_id"])

    @property
    def requests(self) -> int:
        """Requests of any kind since the start or the last reset."""
        return self.world.simulator.service.stats.requests


def event(one: StagedOrder, cause: events.Cause = events.Cause.LIVE, attempt: int = 0) -> events.OrderStaged:
    identity = {name: getattr(one, name) for name in events.OrderEvent.model_fields}
    return events.OrderStaged(**identity, cause=cause, attempt=attempt)


@contextlib.asynccontextmanager
async def desk(
    folder: Path,
    *rules: faults.Rule,
    mappings: Callable[[BoardMapping], BoardMapping] = lambda same: same,
    **schedule: Any,
) -> AsyncIterator[Desk]:
    """A fresh board and a fresh database. `schedule` are fields of tests.support.board_script.Schedule."""
    template = folder / "empty.db"
    db = SqliteDatabase(template)
    db.apply_schema(virtual.START, with_source=False)
    db.close()
    settings = {**vars(QUIET), **schedule, "rules": rules}
    bundled = loading.load()
    changed = dataclasses.replace(bundled, board=mappings(bundled.board))
    world = World(Schedule(**settings), folder, template, changed)
    await world.start()
    subject = Desk(world)
    try:
        await subject.life.begin()
        yield subject
    finally:
        await subject.life.end(orderly=True)
        await world.stop()
