"""Detection on the server finds the same changes as in Python: on SQL Server, and its statements on SQLite."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from connectors import errors
from connectors.tables import orders, orders_pushdown
from mappings import columns, hashing, sizes
from schemas import detection, events
from schemas.base import Cell
from schemas.batches import SyncState
from sql import identifiers, pushdown
from streams.commands import pushdown as pushdown_command
from tests.contracts import engines
from tests.support import factories, hashed, transpiled
from tests.support.factories import World, identity, row

UPDATED = events.Change.UPDATED
# Texts and numbers have columns of their own on the server.
COLUMNS = ["NOTES", "XXXS", "CUSTOMER STYLE", "M"]


# test_engines.py says so when there is no SQL Server.
SERVERS = ["transpiled", *(param for param in engines.params() if "sqlserver" in param.values)]


@pytest.fixture(params=SERVERS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "transpiled":
        with transpiled.world(tmp_path) as made:
            yield made
        return
    with engines.world("sqlserver", tmp_path, request) as made:
        yield transpiled.push_down(made)


def told_apart(cells: tuple[Cell, ...]) -> dict[str, Cell]:
    """Two cells of the hash tests as a row's: a text into the one column, a number into the other."""
    found: dict[str, Cell] = dict.fromkeys(COLUMNS)
    for cell, (text, number) in zip(cells, (COLUMNS[:2], COLUMNS[2:]), strict=True):
        found[number if isinstance(cell, int) else text] = cell
    return found


def watched(world: World) -> tuple[str, ...]:
    return columns.watched(world.mappings, sizes.size_columns(world.orders.columns(), world.mappings.board.sizes))


def note(world: World, version: int) -> None:
    """The snapshot of every row becomes what it is now, as after a pass that emitted it."""
    uuids = [identity(n) for n in range(len(hashed.ROWS))]
    rows = world.orders.rows(uuids, COLUMNS)
    world.orders.move_snapshots(
        [
            detection.Snapshot(
                record_uuid=uuid,
                row_hash=hashing.RowHasher(COLUMNS)(text),
                version=version,
                customer="C",
                batch_id=None,
                planned_mutations=0,
                state=SyncState.IN_SYNC,
                row={},
            )
            for uuid, (_, _, text) in rows.items()
        ]
    )


def test_every_row_of_the_hash_tests_differs_from_every_other(world: World) -> None:
    for n, cells in enumerate(hashed.ROWS):
        world.add({"record_uuid": identity(n), **told_apart(cells)})
    server_hashes = set()
    names = identifiers.listed(COLUMNS, suffix=" = ?")
    for n, cells in enumerate(hashed.ROWS):
        with world.db.write() as session:
            session.execute(f"UPDATE ORDERS_UNIFIED SET {names}", tuple(told_apart(cells).values()))
        note(world, n + 1)
        assert list(world.orders.scan(COLUMNS)) == [], "the second scan yields nothing"
        assert world.orders.left_out() == len(hashed.ROWS)
        server_hashes |= {
            line["row_hash_bin"] for line in world.query("SELECT row_hash_bin FROM ORDERS_UNIFIED_SNAPSHOT")
        }
        edits = [(*told_apart(changed).values(), identity(other)) for other, changed in enumerate(hashed.ROWS)]
        with world.db.write() as session:
            session.execute_many(f"UPDATE ORDERS_UNIFIED SET {names} WHERE record_uuid = ?", edits)
        seen = {uuid for uuid, *_ in world.orders.scan(COLUMNS)}
        assert seen == {identity(other) for other in range(len(hashed.ROWS)) if other != n}, repr(cells)
    assert len(server_hashes) == len(hashed.ROWS)


@pytest.mark.sqlserver
@pytest.mark.skipif(engines.why_not("sqlserver") is not None, reason=str(engines.why_not("sqlserver")))
def test_the_server_writes_every_type_as_its_stand_in_does(sqlserver: str) -> None:
    with closing(engines.sqlserver(sqlserver)) as server, server.read() as session:

        def told(kind: str, cell: Cell) -> str:
            inner = pushdown.expression([("A", kind)]).removeprefix("HASHBYTES('SHA2_256', ").removesuffix(")")
            return str(session.value(f"SELECT {inner} FROM (SELECT CAST(? AS {kind}) AS [A]) AS s", (cell,)))

        for kind, cell, expected in hashed.CELLS:
            assert told(kind, cell).partition(":")[2] == expected
        for kind, one, other in hashed.PRECISE:
            assert told(kind, one) != told(kind, other)
        expression = pushdown.expression([("A", "NVARCHAR(9)")])
        found = session.value(f"SELECT {expression} FROM (SELECT CAST(? AS NVARCHAR(9)) AS [A]) AS s", ("é",))
        assert isinstance(found, bytes)
        assert len(found) == 32


def test_the_first_and_the_last_size_and_a_date_are_seen(world: World) -> None:
    world.add(row(1), row(2), row(3), row(4))
    world.flow()
    edits: list[factories.Row] = [{"XXXS": 1}, {"ONE SIZE": 1}, {"EX FACTORY DATE": "2026-02-28"}]
    for n, cells in enumerate(edits, 1):
        world.edit(n, cells)
    assert {event.record_uuid for event in world.flow()} == {identity(1), identity(2), identity(3)}
    world.edit(3, {"EX FACTORY DATE": "2026-03-01"})
    assert [event.record_uuid for event in world.flow()] == [identity(3)]
    assert world.passed() == []


def test_only_rows_that_differ_are_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(*(row(n) for n in range(20)))
    world.flow()
    compared = count_compared(world, monkeypatch)
    report = world.detect()
    assert (report.scanned, report.quiet, compared) == (20, True, [])
    world.edit(3, {"NOTES": "new"})
    world.edit(4, {"PLANNER": "nobody watches this"})
    report = world.detect()
    assert (report.scanned, report.changes, report.emitted) == (20, {UPDATED: 1}, 1)
    assert len(compared) == 2, "once in the scan, once as its newest values are read"


def count_compared(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of rows that travelled, from now on."""
    compared: list[str] = []
    assert isinstance(world.orders, orders_pushdown.PushdownOrders)

    def noting(columns: Sequence[str]) -> Callable[[str], str]:
        def row_hash(text: str) -> str:
            compared.append(text)
            return hashing.RowHasher(columns)(text)

        return row_hash

    monkeypatch.setattr(world.orders, "_hasher", noting)
    return compared


def test_snapshots_of_a_detection_that_was_not_pushed_down_are_adopted_without_an_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add(*(row(n) for n in range(25)))
    client = orders.Orders(world.db, world.clock)
    assert len(world.flow(source=client)) == 25
    monkeypatch.setattr(orders_pushdown, "AFTER_SCAN", 10)
    compared = count_compared(world, monkeypatch)
    travelled = []
    for _ in range(4):
        report = world.detect()
        assert report.quiet
        assert report.scanned == 25
        travelled.append(len(compared))
        compared.clear()
    assert travelled == [25, 15, 5, 0], "memory is bounded: the rest is noted after the next scan"
    world.edit(7, {"NOTES": "here"})
    assert [event.record_uuid for event in world.flow(source=client)] == [identity(7)]
    world.edit(8, {"NOTES": "there"})
    assert [event.record_uuid for event in world.flow()] == [identity(8)]
    assert world.passed() == []


def test_a_hash_counts_only_beside_the_row_hash_of_its_read(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    world.run("UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = '' WHERE record_uuid = ?", identity(1))
    assert [event.record_uuid for event in world.flow()] == [identity(1)], (
        "detected once more, though the row is the same"
    )
    # Rolled back: the snapshot is of a row that the source does not hold.
    snapshot = world.snapshot(2)
    world.orders.rows([identity(2)], watched(world))
    world.orders.move_snapshots(
        [
            detection.Snapshot(
                record_uuid=identity(2),
                row_hash=hashing.text_hash('["of old"]'),
                version=snapshot["version"] + 1,
                customer=snapshot["customer"],
                batch_id=None,
                planned_mutations=0,
                state=SyncState.IN_SYNC,
                row={},
            )
        ]
    )
    assert [event.record_uuid for event in world.flow()] == [identity(2)]


def test_no_hash_is_stored_for_an_order_that_is_to_be_detected_once_more(world: World) -> None:
    world.add(row(1))
    world.flow(source=orders.Orders(world.db, world.clock))
    assert list(world.orders.scan(watched(world))) == []
    world.run("UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = ''")
    world.orders.note_unchanged()
    assert [event.record_uuid for event in world.flow()] == [identity(1)]


def test_a_row_edited_while_its_event_is_sent_is_detected_once_more(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    world.edit(1, {"NOTES": "a"})
    publish = world.topic

    def edit_and_publish(changed: list[events.OrderChanged]) -> None:
        world.edit(1, {"NOTES": "b"})
        publish(changed)

    assert [event.row["NOTES"] for event in world.flow(publish=edit_and_publish)] == ["a"]
    assert [event.row["NOTES"] for event in world.flow()] == ["b"]
    assert world.passed() == []


def test_a_trial_finds_that_both_ways_agree(world: World) -> None:
    world.add(*(row(n, NOTES=f"note {n % 7}", S=n) for n in range(10)))
    trial = pushdown_command.PushdownTrial(
        transpiled.orders_of(world), watched(world), hashing.RowHasher(watched(world)), random.Random(5)
    )
    assert trial.check(100) == pushdown_command.Verdict(10, 10, ())
    world.flow()
    world.edit(3, {"NOTES": "note 4"})
    assert trial.check(100) == pushdown_command.Verdict(10, 1, ())


def test_a_preview_notes_nothing(world: World) -> None:
    world.add(row(1))
    world.flow(source=orders.Orders(world.db, world.clock))
    assert world.detector.preview() == []
    assert world.snapshot(1)["row_hash_bin"] is None


def test_a_chosen_pass_a_delete_and_rows_that_are_refused_are_as_everywhere(world: World) -> None:
    world.add(row(1), row(2, PO_NUMBER="77"), row(3, CUSTOMER_NAME="OTHER", PO_NUMBER="77"), row(4), row(4))
    world.add(row(5, record_uuid=None))
    report = world.detect(detection.Filters(customer="greyson", po_number="77"))
    assert (report.scanned, report.emitted, report.refused) == (1, 1, 3)
    first = world.topic.take()
    assert [event.record_uuid for event in first] == [identity(2)]
    report = world.detect(detection.Filters(po_number="77"))
    assert (report.scanned, report.emitted) == (2, 1), "one of them is known by now"
    world.settle(*first, *world.topic.take())
    assert {event.record_uuid for event in world.flow()} == {identity(1)}
    world.remove(1)
    assert [(event.record_uuid, event.change) for event in world.flow()] == [(identity(1), events.Change.DELETED)]
    report = world.detect()
    assert (report.scanned, report.emitted, report.refused) == (4, 0, 3)


def test_the_guard_stops_an_emptied_source_and_counts_the_changes(world: World) -> None:
    world.add(*(row(n) for n in range(60)))
    world.flow()
    with world.db.write() as session:
        session.execute("UPDATE ORDERS_UNIFIED SET NOTES = ?", ("all of them",))
    assert "60 of 60 orders were updated at once" in str(world.detect().held)
    assert world.detect(accept=True).emitted == 60
    world.settle(*world.topic.take()[-60:])
    world.run("DELETE FROM ORDERS_UNIFIED")
    assert "ORDERS_UNIFIED is empty" in str(world.detect().held)


def test_a_column_that_cannot_be_hashed_is_named(tmp_path: Path) -> None:
    with transpiled.world(tmp_path) as world:
        transpiled.database_of(world).types["NOTES"] = "XML"
        with pytest.raises(errors.Misconfigured, match=r"\[NOTES\] \(XML\).* set detect_hash to client"):
            world.detect()


def test_a_column_of_another_type_is_no_storm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with transpiled.world(tmp_path) as world:
        world.add(*(row(n) for n in range(9)))
        world.flow()
        transpiled.database_of(world).types["S"] = "BIGINT"
        compared = count_compared(world, monkeypatch)
        # The pass that adopts the new type reads every row; the next one stores the server's hashes of that type.
        assert world.detect().quiet
        assert world.detect().quiet
        assert len(compared) == 9
        assert world.detect().quiet
        assert len(compared) == 9
