"""The lease and the journal: one writer at a time, and no intent without the current epoch."""

import threading
from functools import partial

import pytest

from connectors import errors
from connectors.tables import lease
from connectors.tables.journal import Request
from schemas import items
from schemas.versions import ConfirmedVersion, LeftSizes, Version
from tests.contracts.engines import BATCH_1, BATCH_2
from tests.support import factories
from tests.support.factories import World, entity, identity

changed = partial(factories.changed, batch_id=BATCH_1)


@pytest.fixture
def world(world: World) -> World:
    world.batches.open([(BATCH_1, "GREYSON CLOTHIERS", 1)], version=1, started_by="test")
    world.stage(changed(1))
    return world


def taken(world: World, owner: str, seconds: float = 30.0) -> lease.Grant:
    granted = world.lease(owner, seconds).acquire()
    assert granted is not None
    return granted


def request(world: World, key: str = "K1") -> Request:
    create = items.CreateItem(record_uuid=identity(1), name="item", group_name="G", columns={"text": "é"})
    size = items.CreateSubitem(record_uuid=identity(1), size_label="S", parent_item_id="1", name="Size S", columns={})
    return Request(
        key=key,
        body='{"query": "…"}',
        mutations=(create, size),
        versions={identity(1): 1},
        first_sent_at=world.clock(),
    )


def test_one_owner_holds_it_and_the_other_waits_until_it_is_released(world: World) -> None:
    first = taken(world, "one")
    assert world.lease("two").acquire() is None
    assert world.lease("one").acquire() is None
    world.lease("one").release(first)
    assert taken(world, "two").token == first.token + 1


def test_it_runs_out_and_the_next_epoch_begins(world: World) -> None:
    one = world.lease("one", 30)
    first = one.acquire()
    assert first is not None
    world.clock.advance(20)
    assert one.renew(first)
    world.clock.advance(20)
    assert world.lease("two").acquire() is None
    world.clock.advance(11)
    second = taken(world, "two")
    assert second.token > first.token
    assert not one.renew(first)
    one.release(first)
    assert world.lease("three").acquire() is None


def test_a_lease_that_ran_out_is_not_renewed_even_if_nobody_took_it(world: World) -> None:
    one = world.lease("one", 30)
    first = one.acquire()
    assert first is not None
    world.clock.advance(31)
    assert not one.renew(first)
    again = one.acquire()
    assert again is not None
    assert again.token == first.token + 1


def test_two_boards_have_two_leases(world: World) -> None:
    taken(world, "one")
    other = lease.Lease(world.db, "other board", owner="two", seconds=30, now=world.clock)
    assert other.acquire() is not None


def test_of_many_who_ask_at_once_one_gets_it(world: World) -> None:
    granted: list[lease.Grant] = []
    gate = threading.Barrier(6)

    def ask(owner: str) -> None:
        gate.wait()
        found = world.lease(owner).acquire()
        if found is not None:
            granted.append(found)

    threads = [threading.Thread(target=ask, args=(f"owner {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 1


def test_status_shows_who_holds_it(world: World) -> None:
    status = lease.LeaseStatus(world.db, "board", now=world.clock)
    assert status.epoch() == 0
    assert status.holder() is None
    granted = taken(world, "one")
    assert f"epoch {granted.token}" in str(status.holder())
    world.clock.advance(31)
    assert status.holder() is None


def test_an_intent_is_on_the_rows_before_anything_is_sent(world: World) -> None:
    granted, intent = taken(world, "one"), request(world)
    world.journal.open(intent, granted)
    (order,) = world.query("SELECT * FROM STG_MON_CustMasterSchedule")
    assert (order["stg_status"], order["request_key"], order["update_operation"]) == ("INFLIGHT", "K1", "CREATE")
    assert order["first_sent_at"] is not None
    assert '"é"' in order["stg_api_payload"]
    sizes = {
        line["stg_size_label"]: (line["stg_status"], line["request_key"])
        for line in world.query("SELECT * FROM STG_MON_CustMasterSchedule_Subitems")
    }
    assert sizes == {"S": ("INFLIGHT", "K1"), "M": ("PENDING", None)}
    assert world.journal.unfinished() == [intent]


def test_an_intent_whose_commit_nobody_heard_of_is_written_down_once(world: World) -> None:
    granted, intent = taken(world, "one"), request(world)
    world.journal.open(intent, granted)
    world.journal.open(intent, granted)
    assert world.journal.unfinished() == [intent]


def test_who_is_about_to_send_holds_the_lease_for_its_whole_life(world: World) -> None:
    granted = taken(world, "one")
    world.clock.advance(29)
    world.journal.open(request(world), granted)
    world.clock.advance(29)
    world.journal.resend("K1", granted)
    world.clock.advance(29)
    assert world.lease("two").acquire() is None
    world.clock.advance(2)
    assert world.lease("two").acquire() is not None


@pytest.mark.parametrize("how", ["lapsed", "lapsed and taken", "released"])
def test_who_lost_the_lease_gets_an_error_and_writes_nothing(world: World, how: str) -> None:
    mine = taken(world, "one")
    if how == "released":
        world.lease("one").release(mine)
    else:
        world.clock.advance(31)
    if how == "lapsed and taken":
        taken(world, "two")
    with pytest.raises(errors.LeaseLost):
        world.journal.open(request(world), mine)
    assert world.query("SELECT * FROM SYNC_Requests") == []
    assert world.staged() == {1: "PENDING"}
    assert {line["stg_status"] for line in world.query("SELECT * FROM STG_MON_CustMasterSchedule_Subitems")} == {
        "PENDING"
    }


def test_the_same_owner_under_a_new_epoch_cannot_use_the_old_one(world: World) -> None:
    old = taken(world, "one")
    world.clock.advance(31)
    new = taken(world, "one")
    with pytest.raises(errors.LeaseLost):
        world.journal.open(request(world), old)
    world.journal.open(request(world), new)


def test_a_body_leaves_again_only_under_the_current_epoch_and_while_it_is_open(world: World) -> None:
    mine = taken(world, "one")
    world.journal.open(request(world), mine)
    world.journal.resend("K1", mine)
    assert world.journal.calls_since(world.clock().replace(hour=0)) == 2
    world.clock.advance(31)
    with pytest.raises(errors.LeaseLost):
        world.journal.resend("K1", mine)
    theirs = taken(world, "two")
    world.journal.resend("K1", theirs)
    world.journal.close("K1", [], {}, theirs, outcome="DONE")
    with pytest.raises(errors.LeaseLost):
        world.journal.resend("K1", theirs)


def test_an_outcome_is_recorded_once_with_what_the_api_confirmed(world: World) -> None:
    mine = taken(world, "one")
    world.journal.open(request(world), mine)
    item, size = entity(1, item_id="77"), entity(1, "S", item_id="78", board_id="9200771505")
    world.journal.close(
        "K1", [(item, 1), (size, 1)], {"G": "g1"}, mine, outcome="DONE", request_id="req-9", http_status=200
    )
    assert world.journal.unfinished() == []
    assert world.ledger.known([identity(1), identity(2)]) == {identity(1): (item, [size])}
    assert world.ledger.groups() == {"G": "g1"}
    (line,) = world.query("SELECT * FROM SYNC_Requests")
    assert (line["outcome"], line["request_id"], line["http_status"], line["attempts"]) == ("DONE", "req-9", 200, 1)
    (order,) = world.query("SELECT * FROM STG_MON_CustMasterSchedule")
    assert (order["stg_status"], order["stg_monday_item_id"], order["Item ID"]) == ("INFLIGHT", 77, 77)
    (done,) = world.query("SELECT * FROM STG_MON_CustMasterSchedule_Subitems WHERE stg_status = 'API_SUCCESS'")
    assert (done["stg_size_label"], done["stg_monday_subitem_id"]) == ("S", 78)


def test_a_late_outcome_of_a_former_writer_does_not_overwrite_what_came_since(world: World) -> None:
    mine = taken(world, "one")
    world.journal.open(request(world), mine)
    world.clock.advance(31)
    theirs = taken(world, "two")
    world.journal.close("K1", [(entity(1, name="newer"), 2)], {}, theirs, outcome="DONE")
    with pytest.raises(errors.LeaseLost):
        world.journal.close("K1", [(entity(1, name="older"), 1)], {"G": "old"}, mine, outcome="DONE")
    item, _ = world.ledger.known([identity(1)])[identity(1)]
    assert item is not None
    assert item.name == "newer"
    assert world.ledger.groups() == {}


def test_an_item_that_is_gone_takes_its_sizes_along(world: World) -> None:
    mine = taken(world, "one")
    for key, entities in (
        ("K1", [entity(1), entity(1, "S"), entity(1, "M")]),
        ("K2", [entity(1, active=False)]),
        ("K3", [entity(1, item_id="99")]),
    ):
        world.journal.open(request(world, key), mine)
        world.journal.close(key, [(one, 1) for one in entities], {}, mine, outcome="DONE")
        if key == "K2":
            item, sizes = world.ledger.known([identity(1)])[identity(1)]
            assert item is not None
            assert not item.active
            assert not any(size.active for size in sizes)
    item, sizes = world.ledger.known([identity(1)])[identity(1)]
    assert item is not None
    assert (item.item_id, item.active) == ("99", True)
    assert len(sizes) == 2
    assert not any(size.active for size in sizes)


def test_a_version_that_was_superseded_while_it_was_written_still_has_its_item(world: World) -> None:
    (order,) = world.staging.load([Version(identity(1), 1)]).values()
    world.batches.open([(BATCH_2, "GREYSON CLOTHIERS", 1)], version=2, started_by="test")
    world.stage(changed(1, 2, batch_id=BATCH_2))
    assert world.staged() == {1: "SUPERSEDED", 2: "PENDING"}
    world.journal.open(request(world), taken(world, "one"))
    assert world.staged() == {1: "INFLIGHT", 2: "PENDING"}
    world.check_batches()
    world.staging.finish([ConfirmedVersion(order.record_uuid, 1, "77")])
    assert world.staged() == {1: "API_SUCCESS", 2: "PENDING"}
    world.check_batches()


def test_a_size_that_left_is_staged_as_zero_once(world: World) -> None:
    stg_id = changed(1).stg_id
    for _ in range(2):
        world.staging.stage_left_sizes([LeftSizes(stg_id, Version(identity(1), 1), ["XL", "S"])])
    lines = world.query("SELECT * FROM STG_MON_CustMasterSchedule_Subitems ORDER BY stg_id")
    assert [(line["stg_size_label"], line["Order Qty"]) for line in lines] == [("S", 1), ("M", 2), ("XL", 0)]
    left = lines[-1]
    assert (left["stg_parent_stg_id"], left["update_operation"], left["stg_status"]) == (stg_id, "UPDATE", "PENDING")
    assert (left["STYLE"], left["version"], left["stg_batch_id"]) == ("MFA24K79", 1, BATCH_1)


def test_what_the_board_told_of_its_groups_replaces_what_was_known(world: World) -> None:
    world.ledger.remember_groups({"A": "a", "B": "b"})
    world.ledger.remember_groups({"B": "b2", "C": "c"})
    assert world.ledger.groups() == {"B": "b2", "C": "c"}


def test_a_second_run_may_find_other_sizes_to_have_left(world: World) -> None:
    stg_id = changed(1).stg_id
    for sizes in (["XL"], ["L", "XL"], ["3XL", "L", "XL"]):
        world.staging.stage_left_sizes([LeftSizes(stg_id, Version(identity(1), 1), sizes)])
    query = "SELECT stg_id, stg_size_label AS size FROM STG_MON_CustMasterSchedule_Subitems WHERE [Order Qty] = 0"
    rows = world.query(query)
    assert sorted(row["size"] for row in rows) == ["3XL", "L", "XL"]
    assert len({row["stg_id"] for row in rows}) == 3
