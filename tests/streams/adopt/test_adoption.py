"""adopt on the simulator's real HTTP server: the items of an earlier workflow become ours, and none is made twice."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import budget, client, limits
from schemas import events
from schemas.bindings import Creates
from streams import settings
from streams.adopt import adoption, decisions, matching
from streams.resources import Resources
from streams.runtime import connect
from tests.support.arrivals import promote
from tests.support.board_facts import column
from tests.support.legacy_board import LegacyBoard, fill_source
from tests.support.virtual import timeless
from tests.support.writer_desk import Desk, desk

ORDERS = 100


class Killed(BaseException):
    """kill -9 of the command."""


class Shop:
    """One installation that is bound to a board in use."""

    def __init__(self, at: Desk, parts: Resources, api: client.Client, legacy: LegacyBoard) -> None:
        self.at, self.parts, self.api, self.legacy = at, parts, api, legacy

    @property
    def board(self) -> boards.Board:
        return boards.Board(self.api, self.parts.mappings.board.board.id)

    async def bind(self) -> None:
        binding, _ = await connect.bind(self.parts, self.board, await self.board.identity())
        assert binding.creates is Creates.HELD

    async def adopt(self, plan: str | None = None, **chosen: Any) -> adoption.Report:
        return await adoption.adopt(self.parts, self.api, plan, sleep=self.at.world.clock.sleep, **chosen)

    def kill(self, monkeypatch: pytest.MonkeyPatch, nth: int, *, after: bool) -> None:
        """Ends the command at its nth request with mutations, before it leaves or after its answer."""
        real, sent = self.api.send, 0

        async def send(body: str, **given: Any) -> Any:
            nonlocal sent
            sent += 1
            if sent == nth and not after:
                raise Killed
            reply = await real(body, **given)
            if sent == nth:
                raise Killed
            return reply

        monkeypatch.setattr(self.api, "send", send)

    async def first_load(self) -> list[events.OrderEvent]:
        """Passes, stage and sync of everything, by the real steps."""
        changed: list[events.OrderChanged] = []
        report = self.parts.detector(changed.extend).run()
        assert report.held is None
        staged = self.parts.stager().run(changed)
        return await self.at.life.step([one for one in staged if isinstance(one, events.OrderStaged)])

    def sizes(self) -> dict[str, int]:
        """The number of subitems of each item of the board."""
        return {one["id"]: len(one["subitems"]) for one in self.at.world.simulator.admin.board()["items"]}

    def keys(self) -> dict[str, str]:
        key = self.parts.mappings.board.key.id
        return {
            one["id"]: one["columns"].get(key)
            for one in self.at.world.simulator.admin.board()["items"]
            if one["state"] == "active"
        }


@contextlib.asynccontextmanager
async def shop(folder: Path, orders: int = ORDERS) -> AsyncIterator[Shop]:
    async with desk(folder, complexity=100_000_000) as at:
        await at.restart()
        parts = Resources(
            settings.Settings(home=folder, database=str(at.world.path), monday_url=at.world.simulator.url)
        )
        parts.db.apply_schema(at.world.clock.now())
        parts.__dict__["mappings"] = at.world.mappings
        legacy = LegacyBoard(at, parts, fill_source(parts, orders, seed=7))
        paces = budget.Budget(limits.preset("personal", "pro"))
        async with at.world.client(paces) as api:
            yield Shop(at, parts, api, legacy)
        parts.close()


@timeless
async def test_a_hundred_items_are_adopted_and_none_is_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shop(tmp_path) as at:
        uuids = list(at.legacy.orders)
        notes = column(at.at, "NOTES")
        for number, uuid in enumerate(uuids):
            # Each tenth shows another note; every other one has sizes by name alone.
            changed = {notes: {"text": "by hand"}} if number % 10 == 0 else {}
            item_id = at.legacy.add(uuid, named_sizes=number % 2 == 1, **changed)
            if number % 3 == 0:
                at.legacy.add_production(uuid, item_id)
        own = at.at.by_hand("add", name="a line of their own")
        await at.bind()
        at.at.reset()
        dry = await at.adopt()
        assert at.at.calls == 0
        counts = dry.found.counts
        assert counts.total() == len(uuids)
        assert counts[matching.Kind.PRODUCTION] == len(uuids[::3])
        assert (dry.found.unmatched, dry.keys, dry.doubles) == ([own], len(uuids), [])

        # Killed at the second request, before it left; then after the answer of the next one.
        for nth, after in ((2, False), (1, True)):
            at.kill(monkeypatch, nth, after=after)
            with pytest.raises(Killed):
                await at.adopt(dry.plan_id)
            monkeypatch.undo()
        assert at.parts.bindings.stored().creates is Creates.HELD  # type: ignore[union-attr]
        done = await at.adopt(dry.plan_id)
        assert done.written is not None
        assert done.written.keys == len(uuids) - 50
        assert done.found.counts[matching.Kind.KNOWN] == 25
        assert done.creates is Creates.FREE
        assert at.keys() == {item: uuid for uuid, item in at.legacy.item_ids.items()} | {own: None}
        # 4 requests with 25 keys each, of which the one that was killed before it left never did.
        assert (at.at.calls, at.at.mutations) == (4, len(uuids))
        assert at.parts.lease_status.holder() is None

        at.at.reset()
        again = await at.adopt(dry.plan_id)
        assert again.written is not None
        assert (again.plan_id, again.keys, again.written.items, at.at.calls) == (dry.plan_id, 0, 0, 0)
        effects = [str(one["effect"]) for one in at.parts.actions.newest(9)]
        assert [one["subject"] for one in at.parts.actions.newest(9)] == [f"plan {dry.plan_id}"] * 4
        assert [effect.split(" sizes")[0].split(" and")[0] for effect in effects] == [
            "0 items",
            f"{len(uuids) - 25} items",
            "ended by Killed: ",
            "ended by Killed: ",
        ]

        before = at.at.world.simulator.admin.board()
        emitted = await at.first_load()
        after_load = at.at.world.simulator.admin.board()
        assert [one["id"] for one in after_load["items"]] == [one["id"] for one in before["items"]]
        assert [len(one["subitems"]) for one in after_load["items"]] == [
            len(one["subitems"]) for one in before["items"]
        ]
        sent = {
            one.record_uuid: one.mutations for one in emitted if isinstance(one, events.OrderSynced) and one.mutations
        }
        labelled = {uuid: len(at.legacy.orders[uuid].sizes) for uuid in uuids[1::2] if at.legacy.orders[uuid].sizes}
        assert sent == {uuid: 1 for uuid in uuids[::10]} | labelled
        promote(at.at, emitted)
        with at.parts.db.read() as session:
            linked = session.query("SELECT source_uuid, version FROM MON_CustMasterSchedule AS m")
            loose = session.value("SELECT COUNT(*) AS n FROM MON_CustMasterSchedule_Subitems WHERE size_label IS NULL")
        assert (len(linked), {one["version"] for one in linked}, loose) == (len(uuids), {1}, 0)


@timeless
async def test_ambiguous_items_wait_for_a_person_and_creates_with_them(tmp_path: Path) -> None:
    async with shop(tmp_path, orders=3) as at:
        first, second, third = at.legacy.orders
        twins = [at.legacy.add(first), at.legacy.add(first)]
        at.legacy.add(second)
        size = next(iter(at.legacy.orders[second].sizes))
        (item,) = [
            one for one in at.at.world.simulator.admin.board()["items"] if one["id"] == at.legacy.item_ids[second]
        ]
        double = at.at.by_hand("duplicate", item["subitems"][0]["id"])
        await at.bind()
        plan = await at.adopt()
        assert plan.found.rows_left == 1
        assert {one.item_id for one in plan.found.ambiguous} == set(twins)
        assert [(one.size, one.left) for one in plan.doubles] == [(size, double)]
        done = await at.adopt(plan.plan_id)
        assert (done.undecided, done.creates) == (1, Creates.HELD)
        assert [uuid for uuid in at.keys().values() if uuid] == [second]

        file = tmp_path / "ambiguous.csv"
        decisions.write(file, done.found.ambiguous)
        text = file.read_text("utf-8-sig")
        decided = [f"{line}{decisions.ADOPT if twins[1] in line else ''}" for line in text.splitlines()]
        file.write_text("\n".join(decided))
        plan = await at.adopt(chosen=decisions.read(file))
        with pytest.raises(errors.Misconfigured, match="the world has moved on"):
            await at.adopt(done.plan_id, chosen=decisions.read(file))
        done = await at.adopt(plan.plan_id, chosen=decisions.read(file))
        assert (done.undecided, done.creates) == (0, Creates.FREE)
        assert done.found.spare == [twins[0]]
        assert at.keys()[twins[1]] == first
        stored = at.parts.bindings.stored()
        assert stored is not None
        assert stored.adopted_at is not None
        await at.first_load()
        active = [one for one in at.keys().values() if one]
        assert sorted(active) == sorted([first, second, third])


@timeless
async def test_adopt_refuses_while_a_worker_writes_and_before_setup(tmp_path: Path) -> None:
    async with shop(tmp_path, orders=1) as at:
        (uuid,) = at.legacy.orders
        at.legacy.add(uuid)
        with pytest.raises(errors.Misconfigured, match="run `ordersync setup` first"):
            await at.adopt()
        await at.bind()
        plan = await at.adopt()
        grant = at.parts.lease().acquire()
        assert grant is not None
        with pytest.raises(errors.Misconfigured, match=r"a worker writes .* stop `ordersync run` first"):
            await at.adopt(plan.plan_id)
        assert at.keys() == {at.legacy.item_ids[uuid]: None}
