"""Tables that we did not make: a cell that cannot be read refuses its row, and every other row goes on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.tables import customers, history, row_states
from schemas import detection, events
from sql import identifiers
from streams.detect import holds
from streams.reconcile.states import RowState, of_row
from tests.support import factories
from tests.support.factories import World, identity, row

GREYSON = "GREYSON CLOTHIERS"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def loosen(world: World, types: dict[str, str]) -> None:
    """ORDERS_UNIFIED as another program made it: not STRICT, and with these types."""
    columns = [(name, types.get(name, kind)) for name, kind in world.orders.columns()]
    body = ", ".join(f"{identifiers.quote(name)} {kind}" for name, kind in columns)
    world.run("ALTER TABLE ORDERS_UNIFIED RENAME TO OLD_SOURCE")
    world.run(f"CREATE TABLE ORDERS_UNIFIED ({body})")
    world.run("INSERT INTO ORDERS_UNIFIED SELECT * FROM OLD_SOURCE")
    world.run("DROP TABLE OLD_SOURCE")


def put(world: World, number: int, column: str, expression: str) -> None:
    """Writes a cell as SQL text, so that it may hold anything."""
    quoted = identifiers.quote(column)
    world.run(f"UPDATE ORDERS_UNIFIED SET {quoted} = {expression} WHERE record_uuid = ?", identity(number))


def refused(world: World) -> list[tuple[str, str | None]]:
    """Code and order number of the open ERR rows."""
    return [(line["error_code"], line["order_number"]) for line in world.failures.waiting()]


def states(world: World) -> list[RowState]:
    reader = row_states.RowStates(world.db, world.production.columns)
    with reader.read(holds.FAMILY) as reading:
        return sorted(of_row(one, {}) for one in reading.rows)


# Kind of cell: column, its declared type, the cell in SQL, what the ERR row shows of it.
CELLS: dict[str, tuple[str, str, str, str]] = {
    "blob in a text": ("NOTES", "TEXT", "x'00FF'", "X'00FF'"),
    "long blob": ("NOTES", "TEXT", "zeroblob(5000)", "a BLOB of 5000 bytes"),
    "blob in a size": ("S", "INTEGER", "x'01'", "X'01'"),
    "no utf-8": ("NOTES", "TEXT", "CAST(x'61FF62' AS TEXT)", r"a\\xffb"),
    "half a surrogate pair": ("NOTES", "TEXT", "CAST(x'EDA080' AS TEXT)", "X'EDA080'"),
    "a fraction in a size": ("S", "INTEGER", "12.5", "12.5"),
    "an infinity": ("CUSTOMER PRICE", "REAL", "9e999", "infinite"),
    "an infinite size": ("S", "INTEGER", "-9e999", "-inf"),
    "blob as a name": ("CUSTOMER NAME", "TEXT", "x'FFFE'", "X'FFFE'"),
    "a name that is no utf-8": ("CUSTOMER NAME", "TEXT", "CAST(x'FF' AS TEXT)", r"\\xff"),
    "blob as an order number": ("AAG ORDER NUMBER", "", "x'FF'", "X'FF'"),
}


@pytest.mark.parametrize("kind", CELLS)
def test_an_unreadable_cell_refuses_its_row_until_it_is_corrected(world: World, kind: str) -> None:
    column, declared, cell, shown = CELLS[kind]
    world.add(*(row(n) for n in range(1, 6)))
    loosen(world, {column: declared})
    world.flow()
    before = row(3).get(column)
    put(world, 3, column, cell)
    world.edit(1, {"PO NUMBER": "a"})
    world.edit(5, {"PO NUMBER": "b"})
    assert [event.record_uuid for event in world.flow()] == [identity(1), identity(5)]
    [error] = world.errors()
    assert (error["error_code"], error["record_uuid"], error["resolved_date"]) == ("UNREADABLE_CELL", identity(3), None)
    assert error["error_message"].startswith(f"[{column}] is ")
    assert shown in error["error_message"]
    report = world.detect()
    assert (report.refused, report.changes, world.topic.take()) == (1, {}, [])
    assert states(world) == [RowState.IN_SYNC] * 4 + [RowState.REFUSED]
    # What reads the same cells goes on too.
    assert set(world.orders.customer_names()) <= {GREYSON, None}
    assert len(list(customers.Customers(world.db).rows(["PO NUMBER", column], [GREYSON]))) >= 4
    assert history.History(world.db).find(identity(3))[0]["record_uuid"] == identity(3)
    world.run(f"UPDATE ORDERS_UNIFIED SET [{column}] = ? WHERE record_uuid = ?", before, identity(3))
    assert world.flow() == []
    assert not world.failures.waiting()
    assert set(states(world)) == {RowState.IN_SYNC}


def test_each_bad_cell_has_its_row_and_a_filtered_pass_resolves_none(world: World) -> None:
    world.add(*(row(n, CUSTOMER_NAME=name) for n, name in enumerate((GREYSON, "JOHNNIE O", GREYSON), 1)))
    loosen(world, {})
    put(world, 1, "NOTES", "x'00'")
    put(world, 1, "S", "x'00'")
    put(world, 2, "NOTES", "x'00'")
    assert [event.record_uuid for event in world.flow()] == [identity(3)]
    assert len(world.failures.waiting()) == 3
    put(world, 1, "S", "1")
    world.detect(detection.Filters(customer=GREYSON))
    assert len(world.failures.waiting()) == 3
    world.detect()
    assert len(world.failures.waiting()) == 2


@pytest.mark.parametrize(
    ("column", "declared", "cell", "read"),
    [
        ("TOTAL QTY", "REAL", "12.0", 12),
        ("CUSTOMER PRICE", "DECIMAL(18,4)", "28.86", "28.86"),
        ("CUSTOMER PRICE", "REAL", "0.1 + 0.2", "0.3"),
        ("CUSTOMER PRICE", "DECIMAL(18,4)", "'28.8600'", "28.86"),
        ("CUSTOMER PRICE", "NUMERIC", "30", 30),
        ("EX FACTORY DATE", "DATE", "julianday('2026-02-28')", "2461099.5"),
        ("NOTES", "TEXT", "'a' || char(0) || 'b'", "a\x00b"),
        ("NOTES", "JSON", "json('[1, 2]')", "[1,2]"),
        ("NOTES", "TEXT", "char(55357, 56832)", None),
        ("TOTAL QTY", "", "9223372036854775807", 9223372036854775807),
        ("CUSTOMER PRICE", "REAL", "1e300", "1e+300"),
    ],
)
def test_what_can_be_read_exactly_is_read(world: World, column: str, declared: str, cell: str, read: Any) -> None:
    world.add(row(1), row(2))
    loosen(world, {column: declared})
    put(world, 1, column, cell)
    emitted = {event.record_uuid: event for event in world.passed()}
    assert identity(2) in emitted
    if read is None:
        assert refused(world) == [("UNREADABLE_CELL", "JOO-00001")]
    else:
        assert emitted[identity(1)].row[column] == read
    world.settle(*emitted.values())
    assert world.flow() == []


def test_whole_numbers_of_a_column_that_became_real_are_no_change(world: World) -> None:
    world.add(*(row(n) for n in range(1, 4)))
    world.flow()
    loosen(world, {"TOTAL QTY": "REAL"})
    assert [type(line["TOTAL QTY"]) for line in world.query("SELECT [TOTAL QTY] FROM ORDERS_UNIFIED")] == [float] * 3
    assert world.flow() == []


def test_a_row_that_raises_is_refused_and_the_others_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(*(row(n) for n in range(1, 4)))

    class Raises(events.OrderChanged):
        def __init__(self, **given: Any) -> None:
            if given["record_uuid"] == identity(2) and given["row"].get("PO NUMBER") == "4755":
                raise RecursionError("too deep")
            super().__init__(**given)

    monkeypatch.setattr(events, "OrderChanged", Raises)
    assert [event.record_uuid for event in world.flow()] == [identity(1), identity(3)]
    assert refused(world) == [("UNUSABLE_ROW", None)]
    assert world.flow() == []
    assert refused(world) == [("UNUSABLE_ROW", None)]
    world.edit(2, {"PO NUMBER": "1"})
    assert [event.record_uuid for event in world.flow()] == [identity(2)]
    assert not world.failures.waiting()
