"""stage: from changed orders to staged ones; harmless however often and in whatever order the events come."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas import events
from schemas.batches import StagingStatus
from schemas.failures import FailureType
from schemas.versions import Version
from sql import tables
from streams.detect import events as detect_events
from streams.runtime import connect
from streams.settings import Settings
from tests.support import factories
from tests.support.factories import World, changed, identity, row

DELETED = events.Change.DELETED


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        made.batches.open([(f"BATCH-{n}", "GREYSON CLOTHIERS", 1) for n in range(1, 4)], version=1, started_by="test")
        yield made


def sizes_of(world: World, number: int = 1) -> dict[int, dict[str, str]]:
    """Version → size → status."""
    found: dict[int, dict[str, str]] = {}
    for line in world.query(
        "SELECT version, stg_size_label, stg_status FROM STG_MON_CustMasterSchedule_Subitems WHERE source_uuid = ?",
        identity(number),
    ):
        found.setdefault(line["version"], {})[line["stg_size_label"]] = line["stg_status"]
    return found


def test_a_valid_order_is_staged_with_its_sizes_and_its_original_row(world: World) -> None:
    event = changed(1, sizes={"S": 3, "M": 0, "XXL": 2}, NOTES="with\nlines ")
    (staged,) = world.stage(event)
    assert isinstance(staged, events.OrderStaged)
    assert staged.identity == event.identity
    assert (staged.cause, staged.attempt) == (events.Cause.LIVE, 0)
    (line,) = world.query("SELECT * FROM STG_MON_CustMasterSchedule")
    assert (line["stg_id"], line["stg_batch_id"], line["stg_status"]) == (event.stg_id, "BATCH-1", "PENDING")
    assert (line["source_uuid"], line["version"], line["row_hash"]) == (identity(1), 1, "HASH-1")
    assert (line["Title"], line["Group"]) == ("MFA24K79 ARCTIC JOO-00001", "GREYSON CLOTHIERS 2025 FALL")
    assert (line["CUSTOMER PRICE"], line["NOTES"], line["STYLE"]) == ("12.5000", "with\nlines", "MFA24K79")
    assert (line["validation_status"], line["update_operation"]) == ("VALID", "CREATE")
    assert json.loads(line["source_row"]) == {**event.row, **event.sizes, "record_uuid": identity(1)}
    lines = world.query("SELECT * FROM STG_MON_CustMasterSchedule_Subitems ORDER BY stg_id")
    assert [(s["stg_size_label"], s["Order Qty"], s["ORDER_QTY"], s["Size"]) for s in lines] == [
        ("S", 3, 3, "S"),
        ("XXL", 2, 2, "XXL"),
    ]
    for size in lines:
        assert size["stg_parent_stg_id"] == event.stg_id < size["stg_id"] < event.stg_id + 1024
        assert (size["AAG_ORDER_NUMBER"], size["STYLE"], size["COLOR"]) == ("JOO-00001", "MFA24K79", "ARCTIC")
        assert (size["PO_NUMBER"], size["UNIT_OF_MEASURE"], size["CUSTOMER"]) == ("4755", "PCE", "GREYSON CLOTHIERS")


def test_an_order_without_sizes_is_staged_too(world: World) -> None:
    assert len(world.stage(changed(1, sizes={}))) == 1
    assert sizes_of(world) == {}


def test_what_was_staged_is_loaded_as_it_was(world: World) -> None:
    world.stage(changed(1, sizes={"S": 3}), changed(2, 1, DELETED))
    loaded = world.staging.load([Version(identity(n), 1) for n in (1, 2, 3)])
    assert loaded.keys() == {(identity(1), 1), (identity(2), 1)}
    order, gone = loaded[Version(identity(1), 1)], loaded[Version(identity(2), 1)]
    assert (order.item_name, order.sizes, order.removed) == ("MFA24K79 ARCTIC JOO-00001", {"S": 3}, False)
    assert order.values["CUSTOMER PRICE"] == "12.5000"
    assert order.values["CUSTOMER"] == "GREYSON CLOTHIERS"
    assert (gone.removed, gone.sizes, gone.values.get("STYLE")) == (True, {}, None)


def test_a_warning_stays_on_the_row_and_the_order_goes_on(world: World) -> None:
    (staged,) = world.stage(changed(1, TOTAL_QTY=99))
    assert isinstance(staged, events.OrderStaged)
    (line,) = world.query("SELECT validation_status, validation_errors FROM STG_MON_CustMasterSchedule")
    assert line["validation_status"] == "VALID"
    assert "add up to 3" in json.loads(line["validation_errors"])[0]


def test_staging_lengths_hold_where_the_table_has_none(world: World) -> None:
    with connect.database(Settings(home=world.path.parent)) as parts:
        stager = parts.stager()
        assert "NVARCHAR" not in {column.type for column in parts.db.columns(tables.STAGING)}
    for text, fits in (("x" * 200, True), ("x" * 201, False), ("\U0001f600" * 100, True), ("\U0001f600" * 101, False)):
        staged = stager.order(changed(1, PO_NUMBER=f" \u200b{text} "))
        assert [problem.column for problem in staged.problems] == ([] if fits else ["PO NUMBER"])


def test_the_err_row_of_a_very_long_text_keeps_its_beginning_and_says_its_length(world: World) -> None:
    world.add(row(1, NOTES="n" * 300_000))
    world.flow()
    (line,) = world.query("SELECT error_message, original_data FROM ERR_MON_CustMasterSchedule")
    assert "[NOTES]" in line["error_message"]
    assert "it has 300000 characters" in line["error_message"]
    kept = json.loads(line["original_data"])["NOTES"]
    assert detect_events.LONGEST - 500 < len(kept) <= detect_events.LONGEST


def test_an_invalid_order_tells_everything_that_is_wrong_and_keeps_its_row(world: World) -> None:
    event = changed(1, CUSTOMER_PRICE="cheap", CUSTOMER_STYLE=" ", sizes={"S": -1})
    (failed,) = world.stage(event)
    assert isinstance(failed, events.OrderFailed)
    assert (failed.failure, failed.code, failed.retryable) == (FailureType.VALIDATION_ERROR, "VALIDATION", False)
    for column in ("[CUSTOMER PRICE] is 'cheap'", "[CUSTOMER STYLE]", "[S] is '-1'"):
        assert column in failed.message
    assert json.loads(str(failed.original_data))["CUSTOMER PRICE"] == "cheap"
    (line,) = world.query("SELECT * FROM STG_MON_CustMasterSchedule")
    assert (line["stg_status"], line["validation_status"]) == ("API_FAILED", "INVALID")
    assert line["stg_error_message"] == failed.message
    assert line["AAG ORDER NUMBER"] == "JOO-00001"
    assert json.loads(line["source_row"])["S"] == -1
    assert sizes_of(world) == {}
    version = Version(identity(1), 1)
    assert world.staging.load([version])[version].problems


def test_a_bad_order_does_not_hold_up_its_neighbours(world: World) -> None:
    emitted = world.stage(changed(1), changed(2, CUSTOMER_PRICE="cheap"), changed(3))
    assert [(e.record_uuid, type(e)) for e in emitted] == [
        (identity(1), events.OrderStaged),
        (identity(2), events.OrderFailed),
        (identity(3), events.OrderStaged),
    ]


@pytest.mark.parametrize("status", list(StagingStatus))
def test_an_event_that_comes_again_is_harmless_in_every_status(world: World, status: StagingStatus) -> None:
    event = changed(1)
    (first,) = world.stage(event)
    world.run("UPDATE STG_MON_CustMasterSchedule SET stg_status = ?", status.value)
    before = world.query("SELECT * FROM STG_MON_CustMasterSchedule"), sizes_of(world)
    again = world.stage(event, event)
    over = status in (StagingStatus.PROMOTED, StagingStatus.SUPERSEDED)
    assert again == ([] if over else [first])
    assert (world.query("SELECT * FROM STG_MON_CustMasterSchedule"), sizes_of(world)) == before


def test_a_refused_event_that_comes_again_fails_again_and_is_staged_once(world: World) -> None:
    event = changed(1, CUSTOMER_PRICE="cheap")
    (first,), (again,) = world.stage(event), world.stage(event)
    assert isinstance(first, events.OrderFailed)
    assert isinstance(again, events.OrderFailed)
    assert again.message == first.message
    assert world.staged() == {1: "API_FAILED"}
    world.record(first)
    world.record(again)
    assert len(world.errors()) == 1
    world.check_batches()


def test_a_newer_version_supersedes_what_nobody_began_to_write(world: World) -> None:
    world.stage(changed(1, 1, batch_id="BATCH-1"))
    (staged,) = world.stage(changed(1, 2, batch_id="BATCH-2", sizes={"L": 1}))
    assert staged.version == 2
    assert world.staged() == {1: "SUPERSEDED", 2: "PENDING"}
    assert sizes_of(world) == {1: {"S": "SUPERSEDED", "M": "SUPERSEDED"}, 2: {"L": "PENDING"}}
    assert world.batch("BATCH-1")["status"] == "PROMOTED"
    world.check_batches()


@pytest.mark.parametrize("status", ["INFLIGHT", "API_SUCCESS", "API_FAILED", "PROMOTED"])
def test_what_somebody_began_to_write_is_not_superseded_by_stage(world: World, status: str) -> None:
    world.stage(changed(1, 1))
    world.run("UPDATE STG_MON_CustMasterSchedule SET stg_status = ?", status)
    world.stage(changed(1, 2, batch_id="BATCH-2"))
    assert world.staged() == {1: status, 2: "PENDING"}
    assert sizes_of(world)[1]["S"] == "PENDING"


def test_several_versions_at_once_leave_the_newest(world: World) -> None:
    emitted = world.stage(
        changed(1, 2, batch_id="BATCH-2"), changed(1, 1, batch_id="BATCH-1"), changed(1, 3, batch_id="BATCH-3")
    )
    assert [(e.version, type(e)) for e in emitted] == [(3, events.OrderStaged)]
    assert world.staged() == {1: "SUPERSEDED", 2: "SUPERSEDED", 3: "PENDING"}
    world.check_batches()


def test_an_older_version_that_comes_late_is_superseded_and_counted(world: World) -> None:
    world.stage(changed(1, 2, batch_id="BATCH-2"))
    assert world.stage(changed(1, 1, batch_id="BATCH-1")) == []
    assert world.staged() == {1: "SUPERSEDED", 2: "PENDING"}
    assert world.batch("BATCH-1")["superseded_records"] == 1
    world.check_batches()


def test_a_version_that_is_settled_already_is_not_staged_again_though_its_rows_were_archived(world: World) -> None:
    event = changed(1, 2, batch_id="BATCH-2")
    world.settle(event)
    world.run("DELETE FROM STG_MON_CustMasterSchedule")
    world.run("DELETE FROM STG_MON_CustMasterSchedule_Subitems")
    assert world.stage(event, changed(1, 1)) == []
    assert world.staged() == {1: "SUPERSEDED", 2: "SUPERSEDED"}


def test_a_refused_newer_version_leaves_the_older_one_on_its_way(world: World) -> None:
    (older,) = world.stage(changed(1, 1))
    (failed,) = world.stage(changed(1, 2, batch_id="BATCH-2", CUSTOMER_PRICE="cheap"))
    assert isinstance(failed, events.OrderFailed)
    assert world.staged() == {1: "PENDING", 2: "API_FAILED"}
    # The older one comes again: it is still the last good one.
    assert world.stage(changed(1, 1)) == [older]
    world.check_batches()


def test_a_refused_version_that_a_newer_good_one_overtook_is_no_failure(world: World) -> None:
    emitted = world.stage(changed(1, 1, CUSTOMER_PRICE="cheap"), changed(1, 2, batch_id="BATCH-2"))
    assert [(e.version, type(e)) for e in emitted] == [(2, events.OrderStaged)]
    assert world.staged() == {1: "SUPERSEDED", 2: "PENDING"}
    assert world.batch("BATCH-1")["status"] == "PROMOTED"
    world.check_batches()


def test_a_deletion_is_staged_as_one_and_supersedes(world: World) -> None:
    world.stage(changed(1, 1))
    (staged,) = world.stage(changed(1, 2, DELETED, batch_id="BATCH-2"))
    assert isinstance(staged, events.OrderStaged)
    (line,) = world.query("SELECT * FROM STG_MON_CustMasterSchedule WHERE version = 2")
    assert (line["update_operation"], line["CUSTOMER"], line["row_hash"]) == ("DELETE", "GREYSON CLOTHIERS", "DELETED")
    assert world.staged() == {1: "SUPERSEDED", 2: "PENDING"}
    assert 2 not in sizes_of(world)


def test_every_order_of_arrival_stages_the_newest_good_version(tmp_path: Path) -> None:
    events_of = {
        1: changed(1, 1, batch_id="BATCH-1"),
        2: changed(1, 2, batch_id="BATCH-2", CUSTOMER_PRICE="cheap"),
        3: changed(1, 3, batch_id="BATCH-3"),
        4: changed(1, 4, batch_id="BATCH-3", CUSTOMER_PRICE="cheap"),
    }
    with factories.world(tmp_path) as world:
        for order in itertools.permutations(events_of):
            for table in ("STG_MON_CustMasterSchedule", "STG_MON_CustMasterSchedule_Subitems"):
                world.run(f"DELETE FROM {table}")
            for version in order:
                world.stage(events_of[version])
            staged = world.staged()
            assert (staged[3], staged[4], staged[1]) == ("PENDING", "API_FAILED", "SUPERSEDED"), order
            # 2 failed if it came while it was the newest, and is superseded if 3 was there before it.
            assert staged[2] == ("API_FAILED" if order.index(2) < order.index(3) else "SUPERSEDED"), order


def test_the_alias_in_the_row_is_staged_under_its_canonical_name(world: World) -> None:
    world.add(row(1, CUSTOMER_NAME="greyson"))
    world.stage(*world.passed())
    (line,) = world.query("SELECT [CUSTOMER], [Group], stg_customer_batch FROM STG_MON_CustMasterSchedule")
    assert tuple(line.values()) == ("GREYSON CLOTHIERS", "GREYSON CLOTHIERS 2025 FALL", "GREYSON CLOTHIERS")


def replay(event: events.OrderChanged) -> events.OrderChanged:
    return event.model_copy(update={"cause": events.Cause.REPLAY})


def test_a_replay_of_what_is_settled_goes_on_and_an_older_one_does_not(world: World) -> None:
    first, second = changed(1, 1, batch_id="BATCH-1"), changed(1, 2, batch_id="BATCH-2")
    world.settle(first)
    world.settle(second)
    assert world.stage(replay(first)) == []
    (staged,) = world.stage(replay(second))
    assert isinstance(staged, events.OrderStaged)
    assert (staged.identity, staged.cause) == (second.identity, events.Cause.REPLAY)
    assert world.staged() == {1: StagingStatus.PROMOTED, 2: StagingStatus.PROMOTED}
    world.check_batches()


def test_a_replay_gives_way_to_a_newer_version_that_is_staged(world: World) -> None:
    first = changed(1, 1, batch_id="BATCH-1")
    world.settle(first)
    world.stage(changed(1, 2, batch_id="BATCH-2"))
    assert world.stage(replay(first)) == []


def test_a_refused_newer_version_does_not_keep_a_replay_back(world: World) -> None:
    first = changed(1, 1, batch_id="BATCH-1")
    world.settle(first)
    world.settle(changed(1, 2, batch_id="BATCH-2", CUSTOMER_PRICE="a lot"))
    assert [event.version for event in world.stage(replay(first))] == [1]


def test_a_settled_version_whose_staged_row_was_cleaned_away_is_staged_again(world: World) -> None:
    first = changed(1, 1, DELETED, batch_id="BATCH-1")
    world.settle(first)
    world.run("DELETE FROM STG_MON_CustMasterSchedule")
    assert [event.version for event in world.stage(replay(first))] == [1]
    assert world.staged() == {1: StagingStatus.PENDING}


@pytest.mark.parametrize("bad", [(2,), (1, 5), (1, 2, 3, 4, 5)])
def test_an_order_that_sql_refuses_is_refused_alone(world: World, bad: tuple[int, ...]) -> None:
    made = [changed(n, NOTES="\ud800" if n in bad else "fine") for n in range(1, 6)]
    emitted = world.stage(*made)
    failed = [event for event in emitted if isinstance(event, events.OrderFailed)]
    assert [event.record_uuid for event in failed] == [identity(n) for n in bad]
    assert [event.record_uuid for event in emitted] == [identity(n) for n in range(1, 6)]
    assert {world.staged(n)[1] for n in range(1, 6) if n not in bad} <= {"PENDING"}
    world.record(*failed)
    assert [line["record_uuid"] for line in world.errors()] == [identity(n) for n in bad]
    assert all("the database refuses the order" in line["error_message"] for line in world.errors())
