"""guard: what stops a pass, what a person's yes means, and rows without an identity of their own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas import detection, events
from schemas.batches import SyncState
from streams.detect import guard
from tests.support import factories
from tests.support.factories import World, excluded_row, identity, row

CREATED, UPDATED, DELETED = events.Change.CREATED, events.Change.UPDATED, events.Change.DELETED
LIMITS = guard.Limits(deleted=0.2, changed=0.5, rows=50)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


@pytest.fixture
def hundred(world: World) -> World:
    """A hundred orders in sync, and two that are excluded."""
    world.add(*(row(n) for n in range(100)), excluded_row(200), excluded_row(201))
    world.flow()
    return world


@pytest.mark.parametrize(
    ("known", "counts", "stops"),
    [
        (1000, {DELETED: 200}, False),
        (1000, {DELETED: 201}, True),
        (100, {DELETED: 49}, False),
        (100, {DELETED: 50}, True),
        (1000, {UPDATED: 500}, False),
        (1000, {UPDATED: 501}, True),
        (49, {UPDATED: 49, DELETED: 0}, False),
        (0, {CREATED: 100_000}, False),
        (500, {CREATED: 500}, False),
        (100, {CREATED: 500}, False),
        (100, {CREATED: 501}, True),
        (600, {CREATED: 601}, True),
        (0, {DELETED: 0, UPDATED: 0}, False),
    ],
)
def test_shares_are_of_the_known_rows_and_fewer_than_fifty_never_stop(
    known: int, counts: dict[events.Change, int], stops: bool
) -> None:
    assert bool(guard.reasons(LIMITS, known, counts, {})) == stops


def test_what_was_accepted_is_not_held_against_the_next_pass() -> None:
    assert not guard.reasons(LIMITS, 1000, {UPDATED: 700}, {UPDATED: 690})
    assert guard.reasons(LIMITS, 1000, {UPDATED: 700}, {UPDATED: 190})
    assert guard.reasons(LIMITS, 1000, {DELETED: 700}, {UPDATED: 700})


def test_an_emptied_source_stops_everything_until_a_person_says_so(hundred: World) -> None:
    hundred.run("DELETE FROM ORDERS_UNIFIED")
    report = hundred.detect()
    assert report.held is not None
    assert "empty" in report.held
    assert report.plan is not None
    assert (report.emitted, report.quiet) == (0, False)
    assert hundred.topic.take() == []
    assert hundred.state.get("detect.held") == report.held
    assert set(hundred.states().values()) == {SyncState.IN_SYNC, SyncState.EXCLUDED}
    assert hundred.detect(accept=True).held is None
    assert {event.change for event in hundred.topic.take()} == {DELETED}
    assert hundred.state.get("detect.held") is None


def test_a_truncate_and_reload_never_reaches_the_board(hundred: World) -> None:
    rows = hundred.query("SELECT * FROM ORDERS_UNIFIED")
    hundred.run("DELETE FROM ORDERS_UNIFIED WHERE record_uuid > ?", identity(10))
    assert "DELETED" not in {e.change for e in hundred.passed()}
    assert "91 of 102 orders were deleted" in str(hundred.detect().held)
    hundred.add(*(line for line in rows if line["record_uuid"] > identity(10)))
    # The source is whole again: a held pass looks again, and there is nothing left to ask a person about.
    report = hundred.detect()
    assert (report.held, report.emitted) == (None, 0)
    assert hundred.state.get("detect.held") is None
    assert hundred.detect().quiet


def test_a_few_deletes_of_a_small_table_pass(hundred: World) -> None:
    hundred.remove(*range(49))
    assert len(hundred.passed()) == 49


@pytest.mark.parametrize("column", ["NOTES", "CUSTOMER NAME", "TOTAL QTY", "UNIT OF MEASURE", "XXXS"])
def test_a_vanished_column_stops_the_pass_and_is_named(hundred: World, column: str) -> None:
    hundred.reshape([(name, kind) for name, kind in hundred.orders.columns() if name != column])
    report = hundred.detect()
    assert report.held is not None
    assert f"[{column}]" in report.held
    assert hundred.topic.take() == []
    assert set(hundred.states().values()) == {SyncState.IN_SYNC, SyncState.EXCLUDED}


def test_a_vanished_column_that_board_yaml_reads_cannot_be_accepted(hundred: World) -> None:
    hundred.reshape([(name, kind) for name, kind in hundred.orders.columns() if name != "NOTES"])
    assert hundred.detect(accept=True).held is not None
    assert hundred.detect(accept=True).held is not None
    assert hundred.topic.take() == []


def test_a_vanished_size_that_is_accepted_changes_the_orders_that_had_it(hundred: World) -> None:
    hundred.edit(1, {"XXL": 4})
    hundred.flow()
    hundred.reshape([(name, kind) for name, kind in hundred.orders.columns() if name != "XXL"])
    assert hundred.detect().held is not None
    report = hundred.detect(accept=True)
    assert [(e.record_uuid, e.change) for e in hundred.topic.take()] == [(identity(1), UPDATED)]
    assert report.rebaselined == 101
    assert hundred.detect().quiet


def test_accepting_once_lets_pass_what_the_window_holds_back(hundred: World) -> None:
    hundred.run("UPDATE ORDERS_UNIFIED SET NOTES = 'season-wide' WHERE [TOTAL QTY] > 0")
    assert hundred.detect(window=40).held is not None
    report = hundred.detect(accept=True, window=40)
    assert (report.emitted, report.deferred) == (20, 80)
    emitted = hundred.topic.take()
    for _ in range(4):
        hundred.settle(*emitted)
        emitted = hundred.passed(window=40)
        assert len(emitted) == 20
    hundred.settle(*emitted)
    assert hundred.detect().quiet
    # The yes was for that change: the next one of its size is asked about again.
    hundred.run("UPDATE ORDERS_UNIFIED SET NOTES = 'another' WHERE [TOTAL QTY] > 0")
    assert hundred.detect().held is not None


def test_a_yes_to_edits_is_no_yes_to_deletes(hundred: World) -> None:
    hundred.run("UPDATE ORDERS_UNIFIED SET NOTES = 'season-wide' WHERE [TOTAL QTY] > 0")
    hundred.detect(accept=True, window=40)
    hundred.remove(*range(30, 90))
    assert "60 of 102 orders were deleted" in str(hundred.detect(window=40).held)


# Rows without an identity of their own.


def refusals(world: World) -> list[tuple[str, bool]]:
    """Code, and whether it is resolved, of every ERR row."""
    return [(line["error_code"], line["resolved_date"] is not None) for line in world.errors()]


def test_rows_without_uuid_are_refused_with_an_err_row_each_and_the_rest_goes_on(world: World) -> None:
    nameless = row(0, record_uuid=None)
    # Two of the three are equal in every cell.
    world.add(nameless, nameless, row(0, record_uuid=None, NOTES="other"), row(1))
    report = world.detect()
    assert (report.refused, report.emitted) == (3, 1)
    found = world.errors()
    assert refusals(world) == [("NO_IDENTITY", False)] * 3
    assert len({line["error_key"] for line in found}) == 3
    line = found[0]
    assert (line["error_type"], line["retryable"], line["record_uuid"]) == ("VALIDATION_ERROR", 0, None)
    assert (line["customer"], line["order_number"]) == ("GREYSON CLOTHIERS", "JOO-00000")
    assert "'JOO-00000'" in line["error_message"]
    assert "record_uuid" in line["error_message"]
    assert json.loads(line["original_data"])["PO NUMBER"] == "4755"
    world.detect()
    assert len(world.errors()) == 3


def test_a_row_that_is_given_a_uuid_is_sent_and_its_err_row_resolved(world: World) -> None:
    world.add(row(0, record_uuid=None), row(1))
    world.flow()
    world.run("UPDATE ORDERS_UNIFIED SET record_uuid = ? WHERE record_uuid IS NULL", identity(7))
    assert [event.record_uuid for event in world.flow()] == [identity(7)]
    assert refusals(world) == [("NO_IDENTITY", True)]
    assert world.errors()[0]["resolution"] == "RESOLVED"
    world.run("UPDATE ORDERS_UNIFIED SET record_uuid = NULL WHERE record_uuid = ?", identity(7))
    world.flow()
    assert refusals(world) == [("NO_IDENTITY", True), ("NO_IDENTITY", False)]


def test_rows_that_share_a_uuid_are_all_held_back_until_it_is_mended(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    world.add(row(1, NOTES="an impostor"), row(3), row(3), row(3))
    world.edit(2, {"NOTES": "goes on"})
    report = world.detect()
    assert [event.record_uuid for event in world.topic.take()] == [identity(2)]
    assert report.refused == 5
    assert refusals(world) == [("DUPLICATE_IDENTITY", False)] * 2
    one, three = world.errors()
    assert (one["record_uuid"], three["record_uuid"]) == (identity(1), identity(3))
    assert "2 rows share" in one["error_message"]
    assert "3 rows share" in three["error_message"]
    assert json.loads(three["original_data"]) == {"record_uuid": identity(3), "rows": 3}
    world.detect()
    assert len(world.errors()) == 2
    world.run("DELETE FROM ORDERS_UNIFIED WHERE record_uuid = ? AND NOTES = 'an impostor'", identity(1))
    # Mended, and as it was: no news.
    assert world.flow() == []
    assert refusals(world) == [("DUPLICATE_IDENTITY", True), ("DUPLICATE_IDENTITY", False)]
    world.add(row(1))
    world.detect()
    assert [done for _, done in refusals(world)] == [True, False, False]


def test_an_order_on_its_way_does_not_resolve_that_its_identity_is_shared(world: World) -> None:
    world.add(row(1), row(2))
    emitted = world.passed()
    world.add(row(1))
    world.detect()
    world.settle(*emitted)
    world.settle(factories.changed(1, version=99))
    assert refusals(world) == [("DUPLICATE_IDENTITY", False)]


def test_a_shared_uuid_whose_rows_all_leave_is_deleted(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    world.add(row(1))
    world.flow()
    world.remove(1)
    assert [(e.record_uuid, e.change) for e in world.flow()] == [(identity(1), DELETED)]
    assert refusals(world) == [("DUPLICATE_IDENTITY", True)]


def test_a_pass_that_is_held_refuses_nothing(hundred: World) -> None:
    hundred.run("UPDATE ORDERS_UNIFIED SET record_uuid = NULL, [PO NUMBER] = 'another'")
    assert "100%" not in str(held := hundred.detect().held)
    assert held is not None
    assert hundred.errors() == []


def test_a_filtered_pass_keeps_the_refusals_as_they_are(world: World) -> None:
    world.add(row(0, record_uuid=None, CUSTOMER_NAME="ACME"), row(1))
    world.detect()
    assert world.detect(detection.Filters(customer="greyson")).refused == 1
    assert refusals(world) == [("NO_IDENTITY", False)]
