"""The daily clean-up: what has ended long ago goes, what anybody may still ask for stays."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.tables import cleanup as growth
from connectors.tables.journal import Request
from schemas import events, items
from streams import cleanup
from tests.support import factories
from tests.support.factories import World, identity, row

DAY = 24 * 3600.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def cleaner(world: World) -> cleanup.Cleaner:
    return cleanup.Cleaner(growth.Cleanup(world.db, now=world.clock), world.state, timedelta(days=30), world.clock)


def clean(world: World) -> int:
    """The whole clean-up of a day. How many steps it took."""
    made, steps = cleaner(world), 1
    while made.step():
        steps += 1
    return steps


def versions(world: World, number: int) -> list[int]:
    return sorted(world.staged(number))


def edit(world: World, number: int, name: str) -> None:
    world.edit(number, {"PO NUMBER": name})
    world.flow()


def test_settled_versions_go_by_age_and_the_newest_of_what_the_source_has_stays(world: World) -> None:
    world.add(row(1), row(2), row(3))
    world.flow()
    edit(world, 1, "4756")
    world.remove(3)
    world.flow()
    before = world.query("SELECT * FROM MON_CustMasterSchedule"), world.query("SELECT * FROM ORDERS_UNIFIED_SNAPSHOT")
    clean(world)
    assert versions(world, 1) == [1, 2], "not old enough"
    world.clock.advance(31 * DAY)
    clean(world)
    assert (versions(world, 1), versions(world, 2), versions(world, 3)) == ([2], [1], [])
    sizes = world.query("SELECT source_uuid, version FROM STG_MON_CustMasterSchedule_Subitems")
    assert {(size["source_uuid"], size["version"]) for size in sizes} == {(identity(1), 2), (identity(2), 1)}
    after = world.query("SELECT * FROM MON_CustMasterSchedule"), world.query("SELECT * FROM ORDERS_UNIFIED_SNAPSHOT")
    assert after == before


def test_what_failed_or_has_not_ended_stays(world: World) -> None:
    world.add(row(1), row(2, CUSTOMER_PRICE="cheap"))
    world.flow()
    world.edit(1, {"PO NUMBER": "4756"})
    world.stage(*world.passed())
    world.clock.advance(31 * DAY)
    clean(world)
    assert (world.staged(1), world.staged(2)) == ({1: "PROMOTED", 2: "PENDING"}, {1: "API_FAILED"})


def test_a_batch_keeps_what_it_has_counted_also_when_one_of_its_orders_ends_after_that(world: World) -> None:
    world.add(row(1), row(2))
    (one, two) = world.passed()
    staged = world.stage(one, two)
    world.record(world.refuse(staged[0]))
    world.promote(*world.arrive([staged[1]]))
    edit(world, 2, "4756")
    (batch,) = [found for found in world.query("SELECT * FROM MON_BatchProcessing") if found["version"] == 1]
    assert (batch["status"], batch["successful_records"], batch["failed_records"]) == ("FAILED", 1, 1)
    world.clock.advance(31 * DAY)
    clean(world)
    assert versions(world, 2) == [2]
    cleaned = world.batch(batch["batch_id"])
    assert cleaned == batch | {"cleanup_completed": cleaned["cleanup_completed"]}
    assert cleaned["cleanup_completed"] is not None
    world.promote(*world.arrive([staged[0]]))
    assert world.batch(batch["batch_id"]) == cleaned


def test_an_event_of_a_version_that_was_cleaned_up_is_dropped(world: World) -> None:
    world.add(row(1))
    (old,) = world.passed()
    world.settle(old)
    edit(world, 1, "4756")
    world.clock.advance(31 * DAY)
    clean(world)
    before = world.query("SELECT * FROM MON_CustMasterSchedule"), world.snapshot(1)
    assert world.stage(old) == []
    world.promote(events.OrderSynced(**old.identity, item_id="1", mutations=0, synced_at=world.clock()))
    assert (world.query("SELECT * FROM MON_CustMasterSchedule"), world.snapshot(1)) == before


def test_requests_go_once_they_are_answered_and_old(world: World) -> None:
    grant = world.lease("writer", seconds=10**8).acquire()
    assert grant is not None

    def sent(key: str) -> None:
        group = items.CreateGroup(group_name=key)
        told = Request(key=key, body="{}", mutations=(group,), versions={}, first_sent_at=world.clock())
        world.journal.open(told, grant)

    for key in ("OLD", "OPEN"):
        sent(key)
    world.journal.close("OLD", [], {}, grant, outcome="DONE")
    world.clock.advance(31 * DAY)
    midnight = world.clock()
    sent("TODAY")
    world.journal.close("TODAY", [], {}, grant, outcome="DONE")
    clean(world)
    left = {line["request_key"] for line in world.query("SELECT request_key FROM SYNC_Requests")}
    assert left == {"OPEN", "TODAY"}
    assert [request.key for request in world.journal.unfinished()] == ["OPEN"]
    assert world.journal.calls_since(midnight) == 1


def test_it_goes_in_small_steps_once_a_day_whichever_worker_looks_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add(*(row(n) for n in range(1, 8)))
    world.flow()
    for n in range(1, 8):
        world.edit(n, {"PO NUMBER": "4756"})
    world.flow()
    world.clock.advance(31 * DAY)
    monkeypatch.setattr(cleanup, "STEP", 3)
    one, another = cleaner(world), cleaner(world)
    assert one.step()
    assert not another.step()
    assert len(world.query("SELECT stg_id FROM STG_MON_CustMasterSchedule")) == 14 - 3
    while one.step():
        pass
    assert len(world.query("SELECT stg_id FROM STG_MON_CustMasterSchedule")) == 7
    assert not one.step()
    world.clock.advance(DAY + 1)
    assert another.step()


def test_how_the_tables_grow_is_counted(world: World) -> None:
    world.add(row(1, {"S": 1, "M": 2}), row(2, CUSTOMER_PRICE="cheap"))
    world.flow()
    assert growth.Cleanup(world.db, now=world.clock).rows() == {
        "STG_MON_CustMasterSchedule": 2,
        "STG_MON_CustMasterSchedule_Subitems": 2,
        "ERR_MON_CustMasterSchedule": 1,
        "ERR_MON_CustMasterSchedule_Subitems": 0,
        "MON_BatchProcessing": 1,
        "SYNC_Requests": 0,
        "snapshot_archive": 0,
    }
