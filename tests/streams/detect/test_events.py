"""announce: from admitted changes to events and snapshots."""

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from mappings import hashing, items, loading
from schemas import detection, events
from schemas.base import Cell
from schemas.batches import SyncState
from streams.detect import admission
from streams.detect import events as detect_events

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
MAPPINGS = loading.load()
COLUMNS = ("CUSTOMER NAME", "PO NUMBER", "S", "M", "TOTAL QTY")
ROW_HASH = hashing.RowHasher(COLUMNS)
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
        row_hash_of=ROW_HASH,
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
    assert snapshot.row_hash == event.row_hash == ROW_HASH(row)
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
        assert moved["U1"].row_hash == ROW_HASH(blank)
        assert detect_events.excluded(changed, [moved["U1"]] if is_silent else []) == 1


def test_an_excluded_row_that_leaves_tells_nobody() -> None:
    changed, moved = told([("A", "U1", DELETED, SyncState.EXCLUDED)], {})
    assert changed == []
    assert moved["U1"].state is SyncState.IN_SYNC
    assert moved["U1"].batch_id is None
    assert detect_events.excluded(changed, list(moved.values())) == 0


def test_a_row_that_no_item_could_hold_still_fits_into_an_event() -> None:
    names = [column.source for column in MAPPINGS.board.columns]
    row, cut = detect_events.truncated(dict.fromkeys(names, "a" + "\x01" * 2_000_000 + "a"))
    assert len(hashing.canonical_text(row.values()).encode()) < 900_000
    assert cut == dict.fromkeys(names, 2_000_002)


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("NOTES", "é" * 150_000),
        ("NOTES", "a" + " " * 150_000 + "b"),  # its beginning alone would be a short text
        ("CUSTOMER PRICE", "0" * 150_000 + "5"),  # its beginning alone would be 0
        ("NOTES FOR PRICE", "\U0001f600" * 75_000),
    ],
)
def test_a_text_that_was_cut_refuses_its_order_with_its_true_length(column: str, cell: str) -> None:
    names = [mapped.source for mapped in MAPPINGS.board.columns]
    row, cut = detect_events.truncated(dict.fromkeys(names, "1") | {column: cell})
    length = len(cell.encode("utf-16-le")) // 2
    assert cut == {column: length}
    converted = items.convert(
        row | {"record_uuid": "U1"}, size_columns=(), mappings=MAPPINGS, target_lengths={}, cut=cut
    )
    assert converted.order is None
    (problem,) = [problem for problem in converted.problems if problem.column == column]
    assert str(length) in problem.reason
    assert str(problem.value).endswith(f"… ({length} characters)")


def test_white_space_is_trimmed_before_a_long_row_is_cut() -> None:
    row, cut = detect_events.truncated({"NOTES": " " * 200_000 + "n", "PO NUMBER": "\u200b4755"})
    assert (row, cut) == ({"NOTES": "n", "PO NUMBER": "4755"}, {})


def test_a_row_of_ordinary_length_is_sent_as_it_is() -> None:
    row: dict[str, Cell] = {"NOTES": "n" * 2_000, "PO NUMBER": None, "TOTAL QTY": 5}
    assert detect_events.truncate_row(row) == {"NOTES": "n" * 2_000, "TOTAL QTY": 5}
