"""settle: promote once, record once, and what resolves a failure."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.tables import journal
from schemas import events, items, versions
from schemas.batches import SyncState
from schemas.failures import FailureType
from schemas.versions import Version
from sql import tables
from streams import settle
from tests.support import factories
from tests.support.factories import World, changed, identity, row

DELETED = events.Change.DELETED


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        made.batches.open([(f"BATCH-{n}", "GREYSON CLOTHIERS", 1) for n in range(1, 4)], version=1, started_by="test")
        yield made


def staged(world: World, version: int, **cells: Any) -> events.OrderEvent:
    (event,) = world.stage(changed(1, version, batch_id=f"BATCH-{version}", **cells))
    return event


def production(world: World) -> list[tuple[str, int, str | None]]:
    lines = world.query("SELECT source_uuid, version, NOTES FROM MON_CustMasterSchedule ORDER BY source_uuid")
    return [(line["source_uuid"], line["version"], line["NOTES"]) for line in lines]


def test_a_synced_order_is_in_production_as_it_was_staged(world: World) -> None:
    (event,) = world.stage(changed(1, sizes={"S": 3, "XXL": 1}, NOTES="kept\nwhole"))
    (synced,) = world.arrive([event])
    assert world.promote(synced) == (1, 0)
    (order,) = world.query("SELECT * FROM MON_CustMasterSchedule")
    (before,) = world.query("SELECT * FROM STG_MON_CustMasterSchedule")
    shared = set(order) & set(before) - {"batch_id", "update_operation", "validation_status", "source_table"}
    mapped = {column.staging for column in world.mappings.board.columns} | {"Title", "Group", "CUSTOMER", "Item ID"}
    assert mapped <= shared
    assert {name: order[name] for name in mapped} == {name: before[name] for name in mapped}
    assert order["Item ID"] == int(str(synced.item_id))
    assert order["CUSTOMER PRICE"] == "12.5000"
    assert (order["source_uuid"], order["version"], order["row_hash"]) == (identity(1), 1, "HASH-1")
    assert order["batch_id"] == "BATCH-1"
    assert order["promoted_at"] is not None
    sizes = world.query("SELECT * FROM MON_CustMasterSchedule_Subitems ORDER BY size_label")
    assert [(s["size_label"], s["Size"], s["Order Qty"], s["ORDER_QTY"]) for s in sizes] == [
        ("S", "S", "3", "3"),
        ("XXL", "XXL", "1", "1"),
    ]
    assert {(s["record_uuid"], s["version"], s["STYLE"]) for s in sizes} == {(identity(1), 1, "MFA24K79")}
    assert {s["parent_item_id"] for s in sizes} == {synced.item_id}
    assert before["stg_status"] == "PROMOTED"
    found = world.snapshot(1)
    assert (found["settled_version"], found["settled_hash"], found["sync_state"]) == (1, "HASH-1", SyncState.IN_SYNC)


def test_a_size_carries_the_ids_that_the_board_gave_it(world: World) -> None:
    event = staged(world, 1)
    grant = world.lease("writer").acquire()
    assert grant is not None
    create = items.CreateSubitem(record_uuid=identity(1), size_label="S", parent_item_id="5", name="Size S", columns={})
    request = journal.Request(
        key="K", body="{}", mutations=(create,), versions={identity(1): 1}, first_sent_at=world.clock()
    )
    world.journal.open(request, grant)
    size = factories.entity(1, "S", item_id="78", board_id="9200771505")
    world.journal.close("K", [(size, 1)], {}, grant, outcome="DONE")
    world.promote(*world.arrive([event]))
    (line,) = world.query("SELECT * FROM MON_CustMasterSchedule_Subitems WHERE size_label = 'S'")
    assert (line["subitem_id"], line["Item ID"], line["subitem_board_id"]) == ("78", "78", "9200771505")


def test_promoting_twice_changes_nothing(world: World) -> None:
    synced = world.arrive([staged(world, 1)])
    assert world.promote(*synced) == (1, 0)
    before = world.query("SELECT * FROM MON_CustMasterSchedule"), world.snapshot(1)
    assert world.promote(*synced) == (0, 1)
    assert (world.query("SELECT * FROM MON_CustMasterSchedule"), world.snapshot(1)) == before
    world.check_batches()


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
def test_in_whatever_order_versions_are_promoted_the_newest_stands(world: World, order: tuple[int, ...]) -> None:
    synced = {v: world.arrive([staged(world, v, NOTES=f"note {v}")])[0] for v in (1, 2, 3)}
    for version in order:
        world.promote(synced[version])
        world.check_batches()
    assert production(world) == [(identity(1), 3, "note 3")]
    expected = {v: "PROMOTED" if v == max(order[: order.index(v) + 1]) else "SUPERSEDED" for v in (1, 2, 3)}
    assert world.staged() == expected
    assert {world.batch(f"BATCH-{v}")["status"] for v in (1, 2, 3)} == {"PROMOTED"}
    assert world.snapshot(1)["settled_version"] == 3


def test_several_versions_in_one_batch_of_events_leave_no_batch_open(world: World) -> None:
    synced = [world.arrive([staged(world, v)])[0] for v in (1, 2, 3)]
    assert world.promote(*synced) == (1, 2)
    assert world.staged() == {1: "SUPERSEDED", 2: "SUPERSEDED", 3: "PROMOTED"}
    assert world.batches.active() == []
    world.check_batches()


def test_a_size_that_went_to_zero_is_in_production_with_zero(world: World) -> None:
    world.settle(changed(1, 1, sizes={"S": 1, "M": 2}))
    event = staged(world, 2, sizes={"M": 2})
    stg_id = changed(1, 2).stg_id
    world.staging.stage_left_sizes([versions.LeftSizes(stg_id, versions.Version(identity(1), 2), ["S"])])
    world.promote(*world.arrive([event]))
    lines = world.query("SELECT size_label, [Order Qty] AS n FROM MON_CustMasterSchedule_Subitems ORDER BY 1")
    assert [(line["size_label"], line["n"]) for line in lines] == [("M", "2"), ("S", "0")]


def test_a_deleted_order_leaves_production_and_its_uuid_may_return(world: World) -> None:
    world.settle(changed(1, 1))
    world.settle(changed(2, 1, batch_id="BATCH-3"))
    world.settle(changed(1, 2, DELETED, batch_id="BATCH-2"))
    assert production(world) == [(identity(2), 1, None)]
    assert {line["record_uuid"] for line in world.query("SELECT * FROM MON_CustMasterSchedule_Subitems")} == {
        identity(2)
    }
    # The older version comes once more, and stays out.
    (late,) = [events.OrderSynced(**changed(1, 1).identity, item_id="1", mutations=0, synced_at=world.clock())]
    assert world.promote(late) == (0, 1)
    assert len(production(world)) == 1
    world.settle(changed(1, 3, batch_id="BATCH-3"))
    assert production(world) == [(identity(1), 3, None), (identity(2), 1, None)]


def test_an_order_that_was_never_staged_is_dropped(world: World) -> None:
    synced = events.OrderSynced(**changed(9).identity, item_id="1", mutations=0, synced_at=world.clock())
    assert world.promote(synced) == (0, 1)
    assert production(world) == []


def test_the_promotion_of_an_order_is_all_or_nothing(world: World) -> None:
    synced = world.arrive(world.stage(changed(1), changed(2)))
    world.run("CREATE TRIGGER no_second BEFORE INSERT ON MON_CustMasterSchedule_Subitems "
              f"WHEN NEW.record_uuid = '{identity(2)}' BEGIN SELECT RAISE(ABORT, 'disk'); END")  # fmt: skip
    assert world.promote(*synced) == (1, 1)
    assert [uuid for uuid, _, _ in production(world)] == [identity(1)]
    assert (world.staged(1), world.staged(2)) == ({1: "PROMOTED"}, {1: "API_SUCCESS"})
    assert world.query("SELECT * FROM MON_CustMasterSchedule_Subitems WHERE record_uuid = ?", identity(2)) == []
    world.run("DROP TRIGGER no_second")
    assert world.promote(*synced) == (1, 1)
    assert [uuid for uuid, _, _ in production(world)] == [identity(1), identity(2)]


def test_everything_in_production_can_be_compared(world: World) -> None:
    world.settle(changed(1, sizes={"S": 3}))
    orders, sizes = world.production.everything()
    assert [(o["source_uuid"], o["STYLE"]) for o in orders] == [(identity(1), "MFA24K79")]
    assert [(s["record_uuid"], s["size_label"], s["Order Qty"]) for s in sizes] == [(identity(1), "S", "3")]


# Failures.


def test_an_err_row_tells_a_person_everything(world: World) -> None:
    event = staged(world, 1)
    failed = world.refuse(event, http_status=400, message="invalid value for [STYLE]")
    assert world.record(failed) == []
    (line,) = world.errors()
    told = {
        "original_stg_id": changed(1).stg_id,
        "batch_id": "BATCH-1",
        "customer_batch": "GREYSON CLOTHIERS",
        "order_number": "JOO-00001",
        "item_name": "MFA24K79 ARCTIC JOO-00001",
        "group_name": "GREYSON CLOTHIERS 2025 FALL",
        "api_payload": '{"columns": {}}',
        "error_type": "API_ERROR",
        "error_message": "invalid value for [STYLE]",
        "http_status_code": 400,
        "retry_count": 0,
        "max_retries_reached": 0,
        "resolved_date": None,
        "record_uuid": identity(1),
        "version": 1,
        "customer": "GREYSON CLOTHIERS",
        "error_code": "ColumnValueException",
        "request_id": "req-1",
        "retryable": 0,
        "next_retry_at": None,
    }
    assert {name: line[name] for name in told} == told
    assert line["created_date"] is not None
    assert json.loads(line["original_data"])["PO NUMBER"] == "4755"
    (order,) = world.query("SELECT * FROM STG_MON_CustMasterSchedule")
    assert (order["stg_status"], order["stg_error_message"]) == ("API_FAILED", "invalid value for [STYLE]")
    assert world.snapshot(1)["sync_state"] == SyncState.FAILED
    assert [(line["kind"], line["error_message"]) for line in world.failures.waiting()] == [
        ("ORDER", "invalid value for [STYLE]")
    ]
    world.check_batches()


def test_an_invalid_order_has_its_err_row_too(world: World) -> None:
    (failed,) = world.stage(changed(1, CUSTOMER_PRICE="cheap"))
    assert isinstance(failed, events.OrderFailed)
    world.record(failed)
    (line,) = world.errors()
    assert (line["error_type"], line["error_code"], line["order_number"]) == (
        "VALIDATION_ERROR", "VALIDATION", "JOO-00001",
    )  # fmt: skip
    assert "[CUSTOMER PRICE] is 'cheap'" in line["error_message"]
    assert json.loads(line["original_data"])["CUSTOMER PRICE"] == "cheap"
    assert line["api_payload"] is None


def test_a_failed_size_is_in_the_table_of_sizes(world: World) -> None:
    event = staged(world, 1)
    world.record(world.refuse(event, size_label="M", failure=FailureType.PARENT_NOT_FOUND))
    assert world.errors() == []
    (line,) = world.errors(tables.ERRORS_SUBITEMS)
    assert (line["size_label"], line["order_qty"], line["subitem_name"]) == ("M", 2, "Size M")
    assert (line["error_type"], line["order_number"]) == ("PARENT_NOT_FOUND", "JOO-00001")
    assert json.loads(line["original_data"])["M"] == 2
    sizes = {
        s["stg_size_label"]: s["stg_status"] for s in world.query("SELECT * FROM STG_MON_CustMasterSchedule_Subitems")
    }
    assert sizes == {"S": "PENDING", "M": "API_FAILED"}
    assert world.staged() == {1: "API_FAILED"}
    assert world.snapshot(1)["sync_state"] == SyncState.FAILED
    assert [(f["kind"], f["size_label"]) for f in world.failures.waiting()] == [("SIZE", "M")]


def test_two_sizes_of_one_order_may_fail(world: World) -> None:
    event = staged(world, 1)
    world.record(world.refuse(event, size_label="M"), world.refuse(event, size_label="S"))
    assert {line["size_label"] for line in world.errors(tables.ERRORS_SUBITEMS)} == {"S", "M"}


def test_a_failure_that_is_told_twice_is_one_row(world: World) -> None:
    event = staged(world, 1)
    for size in (None, "M"):
        failed = world.refuse(event, size_label=size)
        world.record(failed, failed)
        world.record(failed)
    assert len(world.errors()) == len(world.errors(tables.ERRORS_SUBITEMS)) == 1
    world.check_batches()


def test_only_what_may_pass_by_itself_goes_to_the_dead_letters(world: World) -> None:
    event = staged(world, 1)
    again = world.refuse(event, retryable=True)
    assert world.record(world.refuse(event), again) == [again]


def test_a_newer_version_that_arrives_resolves_older_failures_and_a_retry_its_own(world: World) -> None:
    one, two = staged(world, 1), staged(world, 2)
    world.record(world.refuse(two), world.refuse(one), world.refuse(one, size_label="S"))
    assert len(world.failures.waiting()) == 3
    world.promote(*world.arrive([two]))
    assert {line["version"]: line["resolution"] for line in world.errors()} == {1: "SUPERSEDED", 2: "RESOLVED"}
    assert [line["resolution"] for line in world.errors(tables.ERRORS_SUBITEMS)] == ["SUPERSEDED"]
    told = {(line["resolved_by"], line["resolution_reason"]) for line in world.errors()}
    assert told == {("ordersync", "version 2 arrived")}
    assert world.failures.waiting() == []
    assert world.snapshot(1)["sync_state"] == SyncState.IN_SYNC


def test_an_older_version_that_arrives_resolves_no_newer_failure(world: World) -> None:
    one = staged(world, 1)
    world.record(world.refuse(staged(world, 2)))
    world.promote(*world.arrive([one]))
    assert [line["version"] for line in world.failures.waiting()] == [2]


@pytest.mark.parametrize("version", [1, 2])
def test_a_failure_that_comes_after_its_order_was_settled_is_old_news(world: World, version: int) -> None:
    failed = {1: world.refuse(staged(world, 1))}
    two = staged(world, 2)
    failed[2] = world.refuse(two)
    world.promote(*world.arrive([two]))
    world.record(failed[version], failed[version].model_copy(update={"size_label": "S"}))
    assert world.errors() == world.errors(tables.ERRORS_SUBITEMS) == []
    assert world.staged() == {1: "SUPERSEDED", 2: "PROMOTED"}
    assert world.snapshot(1)["sync_state"] == SyncState.IN_SYNC
    world.check_batches()


def test_a_failed_removal_is_failed_and_a_second_try_ends_it(world: World) -> None:
    world.add(row(1))
    world.flow()
    blank = dict.fromkeys(world.mappings.board.excluded.blank) | {"TOTAL QTY": 0}
    world.edit(1, blank)
    (event,) = world.passed()
    (leaving,) = world.stage(event)
    world.record(world.refuse(leaving))
    assert world.states() == {identity(1): SyncState.FAILED}
    world.promote(*world.arrive([leaving]))
    assert world.states() == {identity(1): SyncState.EXCLUDED}
    assert production(world) == []


class _Told:
    """Production that only remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, str]] = []

    def promote(self, settled: list[tuple[str, int, str]]) -> tuple[int, int]:
        self.told += settled
        return len(settled), 0


def test_of_one_order_only_the_newest_synced_version_is_promoted(world: World) -> None:
    told = _Told()
    synced = [
        events.OrderSynced(**changed(n, v).identity, item_id="1", mutations=0, synced_at=world.clock())
        for n, v in ((1, 2), (2, 1), (1, 3), (1, 1))
    ]
    assert settle.promote(synced, told, world.failures) == (2, 2)  # type: ignore[arg-type]
    assert told.told == [(identity(1), 3, "HASH-3"), (identity(2), 1, "HASH-1")]


def test_a_replayed_version_that_the_board_confirmed_anew_is_promoted_anew(world: World) -> None:
    event = staged(world, 1)
    (first,) = world.arrive([event])
    world.promote(first)
    world.run("UPDATE MON_CustMasterSchedule SET NOTES = 'edited by hand'")
    assert world.promote(first) == (0, 1)
    world.staging.begin_again([Version(event.record_uuid, 1)])
    (again,) = world.arrive([event])
    assert again.item_id != first.item_id
    assert world.promote(again) == (1, 0)
    (order,) = world.query("SELECT [Item ID], NOTES FROM MON_CustMasterSchedule")
    assert order == {"Item ID": int(str(again.item_id)), "NOTES": None}
    assert world.snapshot(1)["sync_state"] == SyncState.IN_SYNC
    world.check_batches()


def test_a_version_that_production_refuses_fails_alone(world: World) -> None:
    synced = world.arrive(world.stage(*(changed(n) for n in range(1, 6))))
    world.run(
        "CREATE TRIGGER refuse BEFORE INSERT ON MON_CustMasterSchedule "
        f"WHEN NEW.source_uuid = '{identity(3)}' BEGIN SELECT RAISE(ABORT, 'too long'); END"
    )
    assert world.promote(*synced) == (4, 1)
    assert [line["record_uuid"] for line in world.errors()] == [identity(3)]
    assert "production refuses it" in world.errors()[0]["error_message"]
    world.run("DROP TRIGGER refuse")
    assert world.promote(*synced) == (1, 4)
    assert not world.failures.waiting()
