"""announce: from admitted changes to events and snapshots."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime

from mappings import hashing, items, loading
from schemas import detection, events
from schemas.base import Cell
from schemas.batches import SyncState
from streams.detect import admission
from streams.detect import events as detect_events

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
MAPPINGS = loading.load()
COLUMNS = ("CUSTOMER NAME", "PO NUMBER", "S", "M", "TOTAL QTY")
CREATED, UPDATED, DELETED = events.Change.CREATED, events.Change.UPDATED, events.Change.DELETED

Told = tuple[list[events.OrderChanged], dict[str, detection.Snapshot]]


def text(*cells: Cell) -> str:
    return hashing.canonical_text(cells)


def told(
    candidates: list[tuple[str, str, events.Change, SyncState | None]],
    rows: Mapping[str, tuple[str | None, str | None, str]],
) -> Told:
    """Customer, identity, change and former state of each candidate."""
    ids = itertools.count()
    changed, moved, refused = detect_events.build_events(
        [(customer, admission.Candidate(uuid, change, 3, was)) for customer, uuid, change, was in candidates],
        rows,
        columns=COLUMNS,
        size_columns={"S", "M"},
        version=7,
        mappings=MAPPINGS,
        now=NOW,
        new_id=lambda: f"BATCH-{next(ids)}",
    )
    assert not refused
    return changed, moved


def test_an_event_and_its_snapshot_say_the_same() -> None:
    row = text("greyson", "4755", 0, None, 5)
    (event,), moved = told([("GREYSON CLOTHIERS", "U1", CREATED, None)], {"U1": (None, None, row)})
    assert (event.customer, event.version, event.batch_id) == ("GREYSON CLOTHIERS", 7, "BATCH-0")
    assert event.row == {"CUSTOMER NAME": "greyson", "PO NUMBER": "4755", "TOTAL QTY": 5}
    assert event.sizes == {"S": 0}
    snapshot = moved["U1"]
    assert snapshot.row_hash == event.row_hash == hashing.row_hash(row)
    assert (snapshot.state, snapshot.planned_mutations, snapshot.batch_id) == (SyncState.WAITING, 3, "BATCH-0")


def test_each_customer_has_a_batch_and_each_event_a_place() -> None:
    rows = {f"U{n}": (None, None, text("A" if n < 2 else "B", "1", 1, None, 1)) for n in range(4)}
    changed, _ = told([("A" if n < 2 else "B", f"U{n}", CREATED, None) for n in range(4)], rows)
    assert len({e.batch_id for e in changed}) == 2
    assert [(e.customer, e.position) for e in changed] == [
        ("A", 0),
        ("A", 1),
        ("B", 2),
        ("B", 3),
    ]


def test_the_customer_is_the_one_that_the_row_names_now() -> None:
    (event,), moved = told([("OLD", "U1", UPDATED, None)], {"U1": ("H", "IN_SYNC", text("NEW", "1", 1, None, 1))})
    assert event.customer == moved["U1"].customer == "NEW"


def test_a_row_that_left_since_the_scan_is_left_to_the_next_pass() -> None:
    assert told([("A", "U1", UPDATED, None)], {}) == ([], {})


def test_an_identity_that_two_rows_took_since_the_scan_is_told_once() -> None:
    rows = {"U1": (None, None, text("A", "1", 1, None, 1))}
    changed, moved = told([("A", "U1", CREATED, None), ("B", "U1", CREATED, None)], rows)
    assert len(changed) == 1
    assert moved.keys() == {"U1"}


def test_a_deleted_order_travels_without_cells() -> None:
    (event,), moved = told([("A", "U1", DELETED, SyncState.IN_SYNC)], {})
    assert (event.row, event.sizes, event.row_hash) == ({}, {}, detection.DELETED)
    assert (moved["U1"].state, moved["U1"].row_hash) == (SyncState.WAITING, detection.DELETED)


def test_an_excluded_row_is_silent_only_where_the_board_cannot_show_it() -> None:
    blank = text("A", None, None, None, 0)
    for was, is_silent in ((None, True), ("EXCLUDED", True), ("IN_SYNC", False), ("WAITING", False), ("FAILED", False)):
        changed, moved = told([("A", "U1", UPDATED, None)], {"U1": ("H", was, blank)})
        assert not changed if is_silent else changed[0].change is DELETED
        assert moved["U1"].state is (SyncState.EXCLUDED if is_silent else SyncState.WAITING)
        assert moved["U1"].row_hash == hashing.row_hash(blank)
        assert detect_events.excluded(changed, [moved["U1"]] if is_silent else []) == 1


def test_an_excluded_row_that_leaves_tells_nobody() -> None:
    changed, moved = told([("A", "U1", DELETED, SyncState.EXCLUDED)], {})
    assert changed == []
    assert moved["U1"].state is SyncState.IN_SYNC
    assert moved["U1"].batch_id is None
    assert detect_events.excluded(changed, list(moved.values())) == 0


def test_a_row_that_no_item_could_hold_still_fits_into_an_event_and_is_refused_when_staged() -> None:
    names = [column.source for column in MAPPINGS.board.columns]
    row = dict.fromkeys(names, "\x01" * 2_000_000)
    cut = detect_events.truncate_row(row)
    assert len(hashing.canonical_text(cut.values()).encode()) < 900_000
    row = dict.fromkeys(names, "x") | {"HANDLING": "é" * 2_000_000}
    converted = items.convert(
        detect_events.truncate_row(row) | {"record_uuid": "U1"}, size_columns=(), mappings=MAPPINGS, target_lengths={}
    )
    assert converted.order is None
    assert any("65536" in problem.reason for problem in converted.problems)


def test_a_row_of_ordinary_length_is_sent_as_it_is() -> None:
    row: dict[str, Cell] = {"NOTES": "n" * 2_000, "PO NUMBER": None, "TOTAL QTY": 5}
    assert detect_events.truncate_row(row) == {"NOTES": "n" * 2_000, "TOTAL QTY": 5}
