"""roll back and release, the whole way: detection, archive, staging, the real writer, the bundled board, production."""

import contextlib
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from connectors.archive import parquet
from connectors.archive import snapshots as archived_snapshots
from connectors.tables import customers, lost_events
from schemas import events
from schemas.batches import SyncState
from streams.archive import rollback
from streams.archive import snapshots as archive_snapshots
from streams.detect import emit, holds
from streams.detect import step as detect
from tests.support import factories
from tests.support import writer_desk as desks
from tests.support.factories import identity, row
from tests.support.virtual import timeless

GREYSON, OTHER = "GREYSON CLOTHIERS", "JOHNNIE O"
Shown = dict[str, tuple[str, dict[str, str]]]


class Place(factories.World):
    """All steps over the desk's file, with its writer and its board."""

    def __init__(self, desk: desks.Desk) -> None:
        super().__init__(desk.world.path)
        self.desk = desk
        self.db.apply_schema(self.clock())
        self.store = archived_snapshots.Archive(self.db, days=30, now=self.clock)
        self.customers = customers.Customers(self.db)

    def rolling(self, window: int = 100_000) -> rollback.Rollback:
        told = emit.Emitter(self.batches, self.topic, self.orders, self.mappings, self.clock, self.detector.new_id)
        return rollback.Rollback(
            source=self.orders,
            customers=self.customers,
            snapshots=self.store,
            store=self.state,
            emitter=told,
            mappings=self.mappings,
            window=window,
            now=self.clock,
        )

    async def arrive_all(self) -> list[events.OrderChanged]:
        """Everything that was emitted goes to its end."""
        emitted = self.topic.take()
        staged = self.stage(*emitted)
        self.record(*[event for event in staged if isinstance(event, events.OrderFailed)])
        told = await self.desk.life.step([event for event in staged if isinstance(event, events.OrderStaged)])
        self.record(*[event for event in told if isinstance(event, events.OrderFailed)])
        self.promote(*[event for event in told if isinstance(event, events.OrderSynced)])
        return emitted

    async def day(self) -> datetime:
        """A pass, everything it emits, and its snapshots. Returns the time after it."""
        self.detect()
        archiver = archive_snapshots.Archiver(
            self.orders,
            self.customers,
            self.store,
            self.state,
            self.mappings,
            archive_snapshots.Retention(30, 100),
            self.clock,
        )
        for customer in archiver.ready():
            archiver.archive(customer)
        await self.arrive_all()
        return self.clock()

    async def roll_back(self, moment: datetime, customer: str = GREYSON) -> list[events.OrderChanged]:
        rolling = self.rolling()
        entry = archive_snapshots.at(self.store.entries(customer), customer, moment)
        progress = rolling.step(rolling.begin(entry, "me"))
        assert progress.left == 0
        return await self.arrive_all()

    def board(self) -> Shown:
        """What people see: name, group, columns and sizes of every active item, by identity, each once."""
        found: Shown = {}
        quantity = self.mappings.board.subitem.quantity.id
        for item in self.desk.world.simulator.admin.board()["items"]:
            if item["state"] != "active":
                continue
            columns = {name: str(value) for name, value in item["columns"].items() if value is not None}
            uuid = columns[self.mappings.board.key.id]
            assert uuid not in found
            there = [one for one in item["subitems"] if one["state"] == "active"]
            sizes = {one["name"]: one["columns"][quantity] for one in there}
            assert len(sizes) == len(there)
            # A size that an order no longer has stays on the board with a quantity of 0.
            found[uuid] = (
                f"{item['group']}: {item['name']}",
                columns | {name: n for name, n in sizes.items() if n != "0"},
            )
        return found

    def production_rows(self) -> dict[str, Any]:
        """The MON tables without what tells one promotion from another."""
        orders, sizes = self.production.everything()
        master = {row["source_uuid"]: {k: v for k, v in row.items() if k != "UpdateDate"} for row in orders}
        quantities = {
            (one["record_uuid"], one["size_label"]): one["Order Qty"] for one in sizes if str(one["Order Qty"]) != "0"
        }
        return {"orders": master, "sizes": quantities}


@contextlib.asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    async with desks.desk(folder) as desk:
        made = Place(desk)
        try:
            yield made
        finally:
            made.db.close()


def some_orders(world: factories.World) -> None:
    world.add(row(1), row(2, {"S": 5, "XL": 1}), row(3), row(4), row(5, CUSTOMER_NAME=OTHER))


def a_days_changes(world: factories.World) -> None:
    """An edit of columns and sizes, of the group, a deletion, a new order, a new size; another customer's edit."""
    world.edit(1, {"CUSTOMER STYLE": "NEW", "S": 9, "NOTES": "late"})
    world.edit(2, {"AAG SEASON": "2026 SPRING", "XL": None, "L": 4})
    world.remove(3)
    world.add(row(6))
    world.edit(5, {"CUSTOMER STYLE": "THEIRS"})


@timeless
@pytest.mark.slow
async def test_rolled_back_and_released_twice_is_exact_each_time(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        some_orders(world)
        morning = await world.day()
        before, produced = world.board(), world.production_rows()
        a_days_changes(world)
        await world.day()
        after, produced_after = world.board(), world.production_rows()
        others = {identity(5): after[identity(5)]}
        assert before.keys() == {identity(n) for n in (1, 2, 3, 4, 5)}
        assert before != after
        for _ in range(2):
            told = await world.roll_back(morning)
            assert {event.record_uuid: event.change for event in told} == {
                identity(1): events.Change.UPDATED,
                identity(2): events.Change.UPDATED,
                identity(3): events.Change.CREATED,
                identity(6): events.Change.DELETED,
            }
            assert world.board() == before | others
            assert world.production_rows()["sizes"] == produced["sizes"]
            assert await world.roll_back(morning) == []
            calls = world.desk.calls
            await world.day()
            assert (world.board(), world.desk.calls) == (before | others, calls)
            assert world.rolling().release(GREYSON) == 4
            await world.day()
            assert (world.board(), world.production_rows().keys()) == (after, produced_after.keys())
            assert world.production_rows()["sizes"] == produced_after["sizes"]
            world.check_batches()
        assert set(world.states().values()) == {SyncState.IN_SYNC}


@timeless
async def test_after_a_release_the_newest_source_counts_whatever_happened_meanwhile(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        some_orders(world)
        morning = await world.day()
        a_days_changes(world)
        await world.day()
        await world.roll_back(morning)
        world.edit(1, {"CUSTOMER STYLE": "NEWEST"})
        world.edit(4, {"CUSTOMER STYLE": "NEWEST"})
        world.remove(2)
        world.add(row(7))
        await world.day()
        assert identity(7) not in world.board()
        world.rolling().release(GREYSON)
        await world.day()
        board = world.board()
        assert board.keys() == {identity(n) for n in (1, 4, 5, 6, 7)}
        assert "NEWEST" in board[identity(1)][0]
        assert "NEWEST" in board[identity(4)][0]
        assert world.detect().quiet


@timeless
async def test_a_roll_back_of_everything_is_no_accident_for_the_guard_nor_is_its_release(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        world.add(*(row(n, {}) for n in range(1, 61)))
        morning = await world.day()
        for n in range(1, 31):
            world.edit(n, {"NOTES": "new"})
        world.remove(*range(31, 36))
        await world.day()
        assert len(await world.roll_back(morning)) == 35
        for n in range(1, 61):
            world.edit(n, {"NOTES": "newer"})
        world.remove(*range(1, 30))
        assert world.rolling().release(GREYSON) == 60
        report = world.detect()
        assert (report.held, report.emitted) == (None, 60)
        await world.arrive_all()
        assert len(world.board()) == 26


@timeless
async def test_a_crash_in_the_middle_is_mended_by_going_on(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        some_orders(world)
        morning = await world.day()
        before = world.board()
        a_days_changes(world)
        await world.day()
        rolling = world.rolling()
        begun = rolling.begin(archive_snapshots.at(world.store.entries(GREYSON), GREYSON, morning), "me")
        world.topic.break_after = 0
        with pytest.raises(errors.Transient):
            rolling.step(begun)
        world.topic.break_after = None
        assert world.detect().emitted == 0
        (left,) = world.rolling().unfinished()
        assert world.rolling().step(left) == rollback.Progress(emitted=4, left=0)
        assert world.rolling().unfinished() == []
        await world.arrive_all()
        assert world.board() == before | {identity(5): world.board()[identity(5)]}
        world.check_batches()


@timeless
async def test_events_that_the_log_lost_are_emitted_again(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        some_orders(world)
        morning = await world.day()
        before = world.board()
        a_days_changes(world)
        await world.day()
        rolling = world.rolling()
        rolling.step(rolling.begin(archive_snapshots.at(world.store.entries(GREYSON), GREYSON, morning), "me"))
        assert len(world.topic.take()) == 4
        sweep = lost_events.LostEvents(
            world.db, numbers=detect.PASS, again=world.clock() - world.clock(), now=world.clock
        )
        assert sweep.reschedule(sweep.newest()) == 4
        assert world.passed() == []
        (left,) = rolling.unfinished()
        assert rolling.step(left).emitted == 4
        await world.arrive_all()
        assert world.board() == before | {identity(5): world.board()[identity(5)]}


@timeless
async def test_the_window_lets_a_roll_back_in_step_by_step(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        world.add(*(row(n) for n in range(1, 11)))
        morning = await world.day()
        for n in range(1, 11):
            world.edit(n, {"CUSTOMER STYLE": "NEW"})
        await world.day()
        rolling = world.rolling(window=6)
        assert rolling.step(rolling.begin(world.store.entries()[0], "me")) == rollback.Progress(emitted=3, left=7)
        assert morning > world.store.entries()[0].taken_at
        steps = 1
        while left := rolling.unfinished():
            await world.arrive_all()
            rolling.step(left[0])
            steps += 1
        assert steps == 4
        await world.arrive_all()
        assert not any("NEW" in name for name, _ in world.board().values())


@timeless
async def test_what_is_on_its_way_is_replaced(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        some_orders(world)
        morning = await world.day()
        before = world.board()
        world.edit(1, {"CUSTOMER STYLE": "NEW"})
        world.detect()
        on_their_way = world.topic.take()
        rolling = world.rolling()
        assert world.customers.waiting(GREYSON) == 1
        rolling.step(rolling.begin(archive_snapshots.at(world.store.entries(GREYSON), GREYSON, morning), "me"))
        newer = world.topic.take()
        staged = [event for event in world.stage(*on_their_way, *newer) if isinstance(event, events.OrderStaged)]
        told = await world.desk.life.step(staged)
        world.promote(*[event for event in told if isinstance(event, events.OrderSynced)])
        assert world.board() == before
        assert set(world.states().values()) == {SyncState.IN_SYNC}
        world.check_batches()


@timeless
async def test_a_preview_says_what_a_roll_back_does_and_does_nothing(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        some_orders(world)
        morning = await world.day()
        a_days_changes(world)
        await world.day()
        entry = archive_snapshots.at(world.store.entries(GREYSON), GREYSON, morning)
        facts = world.query("SELECT name, value FROM SYNC_State")
        found, told = world.rolling().preview(entry)
        assert world.query("SELECT name, value FROM SYNC_State") == facts
        assert world.topic.take() == []
        assert len(found.changes) == len(told) == 4
        emitted = await world.roll_back(morning)
        same = {"version", "batch_id", "detected_at"}
        assert [one.model_dump(exclude=same) for one in told] == [one.model_dump(exclude=same) for one in emitted]


@timeless
async def test_orders_that_another_customer_has_now_and_shared_identities_are_left_alone(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        some_orders(world)
        await world.day()
        world.add(row(4, NOTES="a copy"))
        world.edit(1, {"NOTES": "new"})
        morning = await world.day()
        world.edit(3, {"CUSTOMER NAME": OTHER})
        await world.day()
        found, told = world.rolling().preview(archive_snapshots.at(world.store.entries(GREYSON), GREYSON, morning))
        assert (found.others, found.shared, told) == ([identity(3)], [identity(4)], [])


@timeless
async def test_a_snapshot_that_lacks_a_watched_column_is_refused_and_a_size_it_lacks_is_blank(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        some_orders(world)
        morning = await world.day()
        entry = archive_snapshots.at(world.store.entries(GREYSON), GREYSON, morning)
        after_total = [name for name, _ in world.orders.columns()].index("TOTAL QTY")
        live = world.orders.columns()
        world.reshape([*live[:after_total], ("NEW SIZE", "INTEGER"), *live[after_total:]])
        with pytest.raises(errors.Misconfigured, match="let one pass run first"):
            world.rolling().preview(entry)
        await world.day()
        assert world.rolling().preview(entry)[1] == []
        world.edit(1, {"NEW SIZE": 3})
        await world.day()
        (event,) = await world.roll_back(morning)
        assert (event.record_uuid, event.sizes) == (identity(1), {"S": 1, "M": 2})
        rolling = world.rolling()
        rolling = rollback.Rollback(**{**vars(rolling), "snapshots": _Lacking(world.db, days=30, now=world.clock)})
        with pytest.raises(errors.Misconfigured, match=r"does not have \[AAG ORDER NUMBER\], \[CUSTOMER NAME\]"):
            rolling.preview(entry)


@timeless
async def test_a_row_that_was_bad_then_is_refused_again_and_the_rest_arrives(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        world.add(row(1, CUSTOMER_PRICE="no price"), row(2))
        morning = await world.day()
        world.edit(1, {"CUSTOMER PRICE": "1"})
        world.edit(2, {"CUSTOMER STYLE": "NEW"})
        await world.day()
        await world.roll_back(morning)
        assert world.states() == {identity(1): SyncState.FAILED, identity(2): SyncState.IN_SYNC}
        assert [failure["record_uuid"] for failure in world.failures.waiting()] == [identity(1)]
        assert "NEW" not in world.board()[identity(2)][0]
        world.rolling().release(GREYSON)
        await world.day()
        assert set(world.states().values()) == {SyncState.IN_SYNC}


@timeless
async def test_a_hold_whose_snapshot_is_gone_says_so(tmp_path: Path) -> None:
    async with place(tmp_path) as world:
        with pytest.raises(errors.Misconfigured, match="the archive no longer has the snapshot"):
            world.rolling().step(holds.Hold(customer=GREYSON, by="me", at=world.clock(), snapshot=7, complete=False))


class _Lacking(archived_snapshots.Archive):
    """An archive whose files know of nothing but their own columns."""

    def payload(self, entry: archived_snapshots.Entry) -> bytes:
        return parquet.write([], [("S", "INT")]).payload
