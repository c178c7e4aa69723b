"""detect: what a pass emits, what it leaves alone, and what it finds again after a crash."""

import random
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from connectors.tables import orders_pushdown
from mappings import sizes
from schemas import detection, events
from schemas.batches import SyncState
from sql import identifiers, tables
from tests.support import factories, transpiled
from tests.support.factories import World, excluded_row, identity, row

CREATED, UPDATED, DELETED = events.Change.CREATED, events.Change.UPDATED, events.Change.DELETED


@pytest.fixture(params=[factories.world, transpiled.world], ids=["client", "server"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with request.param(tmp_path) as made:
        yield made


def seen(emitted: Sequence[events.OrderChanged]) -> dict[str, events.Change]:
    assert len({event.record_uuid for event in emitted}) == len(emitted)
    return {event.record_uuid: event.change for event in emitted}


def test_a_new_row_is_created_with_its_watched_cells_and_nothing_that_is_null(world: World) -> None:
    world.add(row(1, {"S": 3, "XXL": 0}, PLANNER="nobody reads this", NOTES=None))
    (event,) = world.passed()
    assert (event.record_uuid, event.change, event.customer) == (identity(1), CREATED, "GREYSON CLOTHIERS")
    assert event.row["AAG ORDER NUMBER"] == "JOO-00001"
    assert event.row["CUSTOMER PRICE"] == "12.5000"
    assert event.sizes == {"S": 3, "XXL": 0}
    assert not {"PLANNER", "NOTES", "record_uuid", "S"} & event.row.keys()


def test_a_second_pass_emits_nothing_whether_the_first_is_settled_or_not(world: World) -> None:
    world.add(*(row(n) for n in range(20)), excluded_row(30))
    first = world.passed()
    assert len(first) == 20
    assert world.passed() == []
    world.settle(*first)
    assert world.passed() == []
    report = world.detect()
    assert report.quiet
    assert report.scanned == 21
    assert report.changes == {}


def test_an_edit_of_a_column_that_nobody_watches_costs_nothing(world: World) -> None:
    world.add(row(1))
    world.flow()
    world.edit(1, {"PLANNER": "someone else", "INFOR COLOUR CODE": "100", "MONTH": "MAY"})
    assert world.passed() == []


@pytest.mark.parametrize(
    "cells",
    [
        {"CUSTOMER PRICE": "12.5001"},
        {"NOTES": ""},
        {"NOTES": "NULL"},
        {"PO NUMBER": None},
        {"S": None},
        {"S": 0},
        {"XXXS": 1},
        {"ONE SIZE": 4},
        {"TOTAL QTY": 4},
        {"CUSTOMER NAME": "greyson clothiers"},
    ],
)
def test_an_edit_of_any_watched_column_is_an_update(world: World, cells: factories.Row) -> None:
    world.add(row(1), row(2))
    world.flow()
    if not cells.keys() <= {name for name, _ in world.orders.columns()}:
        pytest.fail(f"the table has no {cells}")
    world.edit(1, cells)
    assert seen(world.flow()) == {identity(1): UPDATED}
    assert world.passed() == []


def test_the_first_and_the_last_of_161_sizes_are_watched(world: World) -> None:
    labels = sizes.size_columns(world.orders.columns(), world.mappings.board.sizes)
    assert len(labels) == 161
    world.add(row(1, {}))
    world.flow()
    for label in (labels[0], labels[-1]):
        world.edit(1, {label: 5})
        (event,) = world.flow()
        assert event.sizes[label] == 5


def test_a_row_that_left_is_deleted_once(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    world.remove(1)
    (event,) = world.flow()
    assert (event.record_uuid, event.change, event.row_hash) == (identity(1), DELETED, detection.DELETED)
    assert (event.row, event.sizes, event.customer) == ({}, {}, "GREYSON CLOTHIERS")
    assert world.passed() == []


def test_a_row_that_left_is_missed_even_if_another_came_or_was_doubled(world: World) -> None:
    world.add(*(row(n) for n in range(4)))
    world.flow()
    world.remove(1)
    world.add(row(2), row(9))
    assert seen(world.flow()) == {identity(1): DELETED, identity(9): CREATED}
    world.remove(9)
    world.add(row(1))
    assert seen(world.flow()) == {identity(9): DELETED, identity(1): CREATED}


def test_a_pass_that_met_every_snapshot_does_not_look_for_lost_rows(tmp_path: Path) -> None:
    with factories.world(tmp_path) as world:
        world.add(*(row(n) for n in range(4)))
        world.flow()
        assert world.detect(source=_Dying(world, at="deleted")).quiet
        world.remove(1)
        with pytest.raises(_Crash):
            world.detect(source=_Dying(world, at="deleted"))


def test_a_uuid_that_returns_is_created_anew_even_with_the_same_cells(world: World) -> None:
    world.add(row(1), row(2))
    first, _ = world.flow()
    world.remove(1)
    world.flow()
    world.add(row(1))
    (again,) = world.flow()
    assert again.change is CREATED
    assert again.row_hash == first.row_hash
    assert again.version > first.version
    assert set(world.states().values()) == {SyncState.IN_SYNC}


def test_an_order_that_left_and_returned_between_two_passes_is_no_news(world: World) -> None:
    world.add(row(1))
    world.flow()
    world.remove(1)
    world.add(row(1))
    assert world.passed() == []


def test_one_batch_a_customer_and_pass_counts_its_orders(world: World) -> None:
    world.add(*(row(n) for n in range(3)), *(row(n, CUSTOMER_NAME="ACME") for n in range(10, 15)))
    emitted = world.passed()
    totals = {
        line["customer_name"]: (line["total_records"], line["version"], line["confirmed_at"] is not None)
        for line in world.query("SELECT * FROM MON_BatchProcessing")
    }
    version = emitted[0].version
    assert totals == {"GREYSON CLOTHIERS": (3, version, True), "ACME": (5, version, True)}
    assert {(e.customer, e.batch_id) for e in emitted} == {
        (line["customer_name"], line["batch_id"]) for line in world.query("SELECT * FROM MON_BatchProcessing")
    }
    world.passed()
    assert len(world.query("SELECT * FROM MON_BatchProcessing")) == 2


@pytest.mark.slow
def test_many_changes_leave_in_order_and_none_is_left_out(world: World) -> None:
    world.add(*(row(n) for n in range(1203)))
    emitted = world.passed()
    assert len(seen(emitted)) == 1203
    assert [event.position for event in emitted] == list(range(1203))
    assert len({event.stg_id for event in emitted}) == 1203


def test_a_preview_tells_what_a_pass_would_emit_and_writes_nothing(world: World) -> None:
    world.add(*(row(n) for n in range(4)), row(0, record_uuid=None))

    def everything() -> dict[str, list[dict[str, object]]]:
        return {name: world.query(f"SELECT * FROM {name}") for name in tables.all_tables()}

    before = everything()
    first = world.detector.preview()
    assert everything() == before
    assert world.topic.take() == []
    assert seen(first) == seen(world.flow())
    world.edit(1, {"NOTES": "new"})
    world.remove(2)
    before = everything()
    # As narrow as this, the window would hold one of the two back.
    told = replace(world.detector, window=1).preview()
    assert everything() == before
    assert len(told) == 1
    assert seen(world.detector.preview()) == {identity(1): UPDATED, identity(2): DELETED}


# Filters.


def test_a_filtered_pass_finds_the_chosen_rows_only_and_reports_no_delete(world: World) -> None:
    world.add(row(1), row(2, CUSTOMER_NAME="ACME"), row(3, CUSTOMER_NAME="ACME", PO_NUMBER=" 77 "))
    world.flow()
    for n in (1, 2):
        world.remove(n)
    world.edit(3, {"NOTES": "new"})
    world.add(row(4))
    report = world.detect(detection.Filters(customer="ACME"))
    assert report.filtered
    assert report.changes == {UPDATED: 1}
    assert seen(world.topic.take()) == {identity(3): UPDATED}
    assert seen(world.passed()) == {identity(1): DELETED, identity(2): DELETED, identity(4): CREATED}


@pytest.mark.parametrize("name", ["GREYSON CLOTHIERS", "greyson", "Greyson", " greyson clothiers "])
def test_a_customer_is_chosen_by_any_alias_in_any_case(world: World, name: str) -> None:
    world.add(
        row(1), row(2, CUSTOMER_NAME="GREYSON"), row(3, CUSTOMER_NAME="greyson clothiers"), row(4, CUSTOMER_NAME="ACME")
    )
    world.detect(detection.Filters(customer=name))
    assert set(seen(world.topic.take())) == {identity(1), identity(2), identity(3)}


def test_a_customer_that_nobody_listed_is_chosen_in_any_case_too(world: World) -> None:
    world.add(row(1, CUSTOMER_NAME="Brand New Co"), row(2))
    world.detect(detection.Filters(customer="BRAND NEW CO"))
    assert set(seen(world.topic.take())) == {identity(1)}


def test_a_customer_without_an_order_is_a_mistake_that_is_told(world: World) -> None:
    world.add(row(1))
    with pytest.raises(errors.Misconfigured, match="no order of customer 'NOBODY'"):
        world.detect(detection.Filters(customer="NOBODY"))


@pytest.mark.parametrize(
    "chosen",
    [
        detection.Filters(po_number="99"),
        detection.Filters(aag_season="2026 SPRING"),
        detection.Filters(customer_season="SS26"),
        detection.Filters(customer="greyson", po_number="99", aag_season="2026 SPRING", customer_season="SS26"),
    ],
)
def test_rows_are_chosen_by_order_and_season(world: World, chosen: detection.Filters) -> None:
    chosen_row = row(1, PO_NUMBER="99", AAG_SEASON="2026 SPRING", CUSTOMER_SEASON="SS26")
    hidden = row(4, PO_NUMBER="\u200b99\t", AAG_SEASON="\u00a02026 Spring ", CUSTOMER_SEASON="\ufeffSS26")
    world.add(chosen_row, row(2), row(3, PO_NUMBER=None), hidden, row(5, PO_NUMBER="990"))
    world.detect(chosen)
    assert set(seen(world.topic.take())) == {identity(1), identity(4)}


def test_a_value_that_no_row_has_chooses_no_row(world: World) -> None:
    world.add(row(1, PO_NUMBER=""), row(2, PO_NUMBER=None), row(3))
    assert world.detect(detection.Filters(po_number="99")).emitted == 0
    assert world.detect(detection.Filters(po_number=" ")).emitted == 1


def test_a_limit_counts_orders_and_leaves_the_others_for_later(world: World) -> None:
    world.add(*(row(n) for n in range(10)))
    report = world.detect(detection.Filters(limit=4))
    assert (report.emitted, report.deferred, report.quiet) == (4, 6, False)
    first = seen(world.topic.take())
    world.remove(9)
    assert world.detect(detection.Filters(limit=1)).changes.get(DELETED) is None
    second = seen(world.topic.take())
    assert len(second) == 1
    assert not second.keys() & first.keys()


# Excluded rows.


def test_an_excluded_row_is_counted_and_goes_no_further(world: World) -> None:
    world.add(excluded_row(1), row(2))
    report = world.detect()
    assert (report.excluded, report.emitted) == (1, 1)
    assert world.states()[identity(1)] == SyncState.EXCLUDED
    assert world.detect().excluded == 0
    world.edit(1, {"AAG ORDER NUMBER": "still no order"})
    report = world.detect()
    assert (report.excluded, report.emitted) == (1, 0)


def test_an_order_that_becomes_excluded_after_it_was_synced_leaves_the_board(world: World) -> None:
    world.add(row(1))
    world.flow()
    blank = dict.fromkeys(world.mappings.board.excluded.blank) | {"TOTAL QTY": 0, "S": None, "M": None}
    world.edit(1, blank)
    report = world.detect()
    (event,) = world.topic.take()
    assert (report.excluded, event.change) == (1, DELETED)
    assert event.row_hash != detection.DELETED
    assert world.states() == {identity(1): SyncState.WAITING}
    world.settle(event)
    assert world.states() == {identity(1): SyncState.EXCLUDED}
    assert world.query("SELECT * FROM MON_CustMasterSchedule") == []
    assert world.passed() == []


def test_an_excluded_row_that_becomes_an_order_is_sent(world: World) -> None:
    world.add(excluded_row(1))
    world.flow()
    world.edit(1, row(1))
    assert seen(world.flow()) == {identity(1): UPDATED}
    assert world.states() == {identity(1): SyncState.IN_SYNC}


def test_an_excluded_row_leaves_the_source_in_silence(world: World) -> None:
    world.add(excluded_row(1), excluded_row(2))
    world.flow()
    world.remove(1)
    assert world.passed() == []
    assert world.states() == {identity(2): SyncState.EXCLUDED}
    world.add(row(1))
    assert seen(world.flow()) == {identity(1): CREATED}


# A crash between Kafka and the snapshot.


def test_versions_rise_with_every_pass_even_if_it_finds_nothing(world: World) -> None:
    world.add(row(1))
    numbers = [world.detect().number for _ in range(3)]
    world.edit(1, {"NOTES": "a"})
    event = world.flow()[-1]
    assert event.version > max(numbers) > numbers[0]


@pytest.mark.slow
def test_what_kafka_did_not_confirm_is_emitted_again_with_a_higher_version(world: World) -> None:
    world.add(*(row(n) for n in range(1100)))
    world.topic.break_after = 1
    with pytest.raises(errors.Transient):
        world.detect()
    before = world.topic.take()
    assert len(before) == 500
    world.topic.break_after = None
    after = world.passed()
    assert len(after) == 600
    assert not seen(before).keys() & seen(after).keys()
    assert min(e.version for e in after) > max(e.version for e in before)
    world.settle(*before, *after)
    assert set(world.states().values()) == {SyncState.IN_SYNC}
    assert len(world.states()) == 1100
    world.check_batches()


def test_a_crash_after_kafka_and_before_the_snapshot_repeats_events_and_loses_none(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    world.edit(1, {"NOTES": "a"})
    world.remove(2)
    world.add(row(3))
    with pytest.raises(_Crash):
        world.detect(source=_Dying(world))
    lost = world.topic.take()
    assert seen(lost) == {identity(1): UPDATED, identity(2): DELETED, identity(3): CREATED}
    again = world.passed()
    assert seen(again) == seen(lost)
    assert min(e.version for e in again) > max(e.version for e in lost)
    world.settle(*lost)
    world.check_batches()
    world.settle(*again)
    assert world.states() == {identity(1): SyncState.IN_SYNC, identity(3): SyncState.IN_SYNC}
    assert [line["source_uuid"] for line in world.query("SELECT source_uuid FROM MON_CustMasterSchedule")] == [
        identity(1),
        identity(3),
    ]
    assert world.passed() == []
    world.check_batches()


def test_the_repeated_events_carry_the_newest_values(world: World) -> None:
    world.add(row(1))
    with pytest.raises(_Crash):
        world.detect(source=_Dying(world))
    world.edit(1, {"NOTES": "newer"})
    first, second = [*world.topic.take(), *world.passed()]
    assert "NOTES" not in first.row
    assert second.row["NOTES"] == "newer"
    # However late the older one comes, the newer one stands.
    world.settle(second)
    world.settle(first)
    assert [line["NOTES"] for line in world.query("SELECT NOTES FROM MON_CustMasterSchedule")] == ["newer"]
    world.check_batches()


@pytest.mark.parametrize("settled_before_the_next_pass", [True, False])
def test_an_order_that_only_a_dead_poller_told_of_still_leaves_when_its_row_does(
    world: World, settled_before_the_next_pass: bool
) -> None:
    world.add(row(2))
    world.flow()
    world.add(row(1))
    with pytest.raises(_Crash):
        world.detect(source=_Dying(world))
    (told,) = world.topic.take()
    world.remove(1)
    if settled_before_the_next_pass:
        world.settle(told)
    else:
        assert world.passed() == []
        world.settle(told)
    (event,) = world.flow()
    assert (event.record_uuid, event.change, event.customer) == (identity(1), DELETED, "GREYSON CLOTHIERS")
    (left,) = world.query("SELECT source_uuid FROM MON_CustMasterSchedule")
    assert left["source_uuid"] == identity(2)
    assert world.passed() == []


def test_an_order_that_only_a_dead_poller_told_of_still_leaves_when_it_is_excluded(world: World) -> None:
    world.add(row(1))
    with pytest.raises(_Crash):
        world.detect(source=_Dying(world))
    (told,) = world.topic.take()
    world.remove(1)
    world.add(excluded_row(1))
    assert world.passed() == []
    assert world.states() == {identity(1): SyncState.EXCLUDED}
    world.settle(told)
    assert seen(world.flow()) == {identity(1): DELETED}
    assert world.states() == {identity(1): SyncState.EXCLUDED}
    assert world.query("SELECT * FROM MON_CustMasterSchedule") == []
    assert world.passed() == []


def test_the_batch_of_a_dead_poller_closes_with_what_arrived(world: World) -> None:
    world.add(*(row(n) for n in range(700)))
    world.topic.break_after = 1
    with pytest.raises(errors.Transient):
        world.detect()
    world.topic.break_after = None
    first = world.topic.take()
    world.stage(*first[:100])
    world.passed()
    batch = world.batch(first[0].batch_id)
    assert batch["total_records"] == 100
    assert "detected once more" in batch["processing_notes"]
    world.settle(*first[:100])
    assert world.batch(first[0].batch_id)["status"] == "PROMOTED"
    world.check_batches()
    world.stage(*first)
    assert world.batch(first[0].batch_id)["total_records"] == 500
    world.check_batches()


# The column list.


def test_276_sizes_work_and_a_text_column_among_them_is_none(world: World) -> None:
    extra = [(f"EXTRA {n}", "INTEGER") for n in range(115)]
    live = [(column, kind) for column, kind in world.orders.columns()]
    at = [name for name, _ in live].index("TOTAL QTY")
    world.reshape([*live[:at], *extra, *live[at:]])
    assert len(sizes.size_columns(world.orders.columns(), world.mappings.board.sizes)) == 276
    world.add(row(1, {"S": 1, "EXTRA 114": 7}, INFOR_COLOUR_CODE="100"))
    (event,) = world.flow()
    assert event.sizes == {"S": 1, "EXTRA 114": 7}
    lines = world.query("SELECT size_label, [Order Qty] AS n FROM MON_CustMasterSchedule_Subitems ORDER BY 1")
    assert [(line["size_label"], line["n"]) for line in lines] == [("EXTRA 114", "7"), ("S", "1")]


def test_a_new_size_column_is_no_storm_but_its_quantities_and_true_changes_are_emitted(world: World) -> None:
    world.add(*(row(n) for n in range(100)))
    world.flow()
    live = world.orders.columns()
    names = [name for name, _ in live]
    at = names.index("TOTAL QTY")
    world.reshape([*((c, k) for c, k in live[:at]), ("6XLT", "INTEGER"), *((c, k) for c, k in live[at:])])
    world.edit(1, {"NOTES": "a true change"})
    world.edit(2, {"6XLT": 9})
    world.edit(3, {"6XLT": 0})
    report = world.detect()
    emitted = world.topic.take()
    assert seen(emitted) == {identity(1): UPDATED, identity(2): UPDATED}
    assert report.rebaselined == 98
    assert {e.record_uuid: e.sizes.get("6XLT") for e in emitted} == {identity(1): None, identity(2): 9}
    world.edit(4, {"6XLT": 1})
    assert seen(world.passed()) == {identity(4): UPDATED}


def test_a_column_that_the_mapping_reads_from_now_on_is_no_storm(world: World) -> None:
    world.add(*(row(n, PLANNER="P", MONTH="MAY") for n in range(100)))
    world.flow()
    board = world.mappings.board
    more = board.columns[0].model_copy(
        update={"id": "text_new", "title": "PLANNER", "source": "PLANNER", "staging": "NOTES 2", "required": False}
    )
    mappings = type(world.mappings)(
        board.model_copy(update={"columns": (*board.columns, more)}), world.mappings.customers, world.mappings.rules
    )
    world.edit(5, {"PLANNER": "Q", "NOTES": "b"})
    assert seen(world.passed(mappings=mappings)) == {identity(5): UPDATED}
    assert world.passed(mappings=mappings) == []
    world.edit(6, {"PLANNER": "Q"})
    assert seen(world.passed(mappings=mappings)) == {identity(6): UPDATED}
    # And back again: the shorter list is compared under the longer one first. A worker may still stage 5 and 6 by the
    # longer one, so both are emitted once more.
    world.edit(7, {"NOTES": "c"})
    assert seen(world.passed()) == dict.fromkeys([identity(5), identity(6), identity(7)], UPDATED)


def test_a_crash_before_the_rebaseline_repeats_nothing(world: World) -> None:
    world.add(*(row(n) for n in range(10)))
    world.flow()
    world.reshape([(c, k) for c, k in world.orders.columns() if c != "XXXS"])
    assert "[XXXS]" in str(world.detect().held)
    world.edit(1, {"NOTES": "a"})
    with pytest.raises(_Crash):
        world.detect(accept=True, source=_Dying(world, at="rebaseline"))
    emitted = world.topic.take()
    assert seen(emitted) == {identity(1): UPDATED}
    world.stage(*emitted)
    assert world.detect().rebaselined == 9
    assert world.topic.take() == []
    assert world.passed() == []


def test_a_filtered_pass_never_adopts_a_new_column_list(world: World) -> None:
    world.add(row(1))
    world.flow()
    live = world.orders.columns()
    at = [name for name, _ in live].index("TOTAL QTY")
    world.reshape([*live[:at], ("6XLT", "INTEGER"), *live[at:]])
    with pytest.raises(errors.Misconfigured, match="without filters first"):
        world.detect(detection.Filters(limit=1))


# Cost.


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    peaks = []
    for rows in (20_000, 60_000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        with factories.world(folder) as world:
            _fill(world, rows)
            peaks.append(_peak(world, rows))
    assert peaks[1] < peaks[0] + 300_000


@pytest.mark.slow
def test_memory_does_not_grow_when_every_hash_of_the_server_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders_pushdown, "AFTER_SCAN", 500)
    peaks = []
    for rows in (2_000, 4_000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        with transpiled.world(folder) as world:
            _fill(world, rows)
            world.run("UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash_bin = NULL")
            peaks.append(_peak(world, rows))
    assert peaks[1] < peaks[0] + 200_000


def _peak(world: World, rows: int) -> int:
    """Bytes at most, in a pass that scans all these rows and finds nothing."""
    tracemalloc.start()
    try:
        report = world.detect()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.scanned == rows
    assert report.quiet
    return peak


@pytest.mark.slow
def test_a_burst_of_changes_is_bounded_by_the_window(world: World) -> None:
    rng = random.Random(3)
    world.add(*(row(n, CUSTOMER_NAME=f"C{rng.randrange(3)}") for n in range(3000)))
    report = world.detect(window=300)
    assert report.changes == {CREATED: 3000}
    assert report.emitted == 100
    assert report.deferred == 2900
    assert world.orders.unsettled_mutations() == 300
    report = world.detect(window=300)
    assert (report.emitted, report.deferred) == (0, 2900)


def _fill(world: World, rows: int) -> None:
    """Equal rows with a snapshot: the first is detected, the others share its hash."""
    world.add(excluded_row(0))
    world.detect()
    cells, snapshot = excluded_row(0), world.snapshot(0)
    with world.db.write() as session:
        for table, line in (("ORDERS_UNIFIED", cells), ("ORDERS_UNIFIED_SNAPSHOT", snapshot)):
            statement = f"INSERT INTO {table} ({identifiers.listed(line)}) VALUES ({', '.join('?' * len(line))})"
            lines = ((line | {"record_uuid": identity(n)}).values() for n in range(1, rows))
            session.execute_many(statement, (tuple(values) for values in lines))


class _Crash(BaseException):
    """The process died here."""


class _Dying:
    """The order table, held by a poller that dies where it is told to."""

    def __init__(self, world: World, at: str = "move_snapshots") -> None:
        self._orders = world.orders
        self._at = at

    def __getattr__(self, name: str) -> object:
        if name == self._at:
            raise _Crash
        return getattr(self._orders, name)


def test_a_row_that_was_edited_back_while_its_poller_was_dead_is_told_again(world: World) -> None:
    world.add(row(1))
    world.flow()
    world.edit(1, {"CUSTOMER STYLE": "EDITED"})
    # The event is out, and the poller dies before its snapshot moves.
    with pytest.raises(errors.Transient):
        world.detect(source=Dying(world.orders))
    (edited,) = world.topic.take()
    world.edit(1, {"CUSTOMER STYLE": row(1)["CUSTOMER STYLE"]})
    assert world.passed() == [], "the row equals its snapshot"
    world.settle(edited)
    (back,) = world.passed()
    assert (back.version > edited.version, back.row["CUSTOMER STYLE"]) == (True, row(1)["CUSTOMER STYLE"])
    world.settle(back)
    assert world.passed() == []


class Dying:
    """The order table of a poller that ends before its snapshot moves."""

    def __init__(self, orders: Any) -> None:
        self._orders = orders

    def __getattr__(self, name: str) -> Any:
        return getattr(self._orders, name)

    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None:
        raise errors.Transient("killed")
