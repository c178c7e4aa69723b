"""ORDERS_UNIFIED and its snapshot rows: reads, and the state of a row after any order of events."""

import itertools
from collections.abc import Iterator

import pytest

from connectors.tables import orders
from mappings import columns, hashing, sizes
from schemas import detection
from schemas.base import Cell
from schemas.batches import SyncState
from tests.contracts import engines
from tests.support import factories
from tests.support.factories import World, identity, row

WAITING, IN_SYNC, FAILED, EXCLUDED = SyncState.WAITING, SyncState.IN_SYNC, SyncState.FAILED, SyncState.EXCLUDED


@pytest.fixture(scope="module")
def lasting(engine: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[World]:
    """One world for all steps."""
    with engines.world(engine, tmp_path_factory.mktemp("lasting"), request) as made:
        yield made


# Texts that some way of writing a row down takes for one another.
CELLS: list[Cell] = [
    None, "", "NULL", "null", "0", " ", "a", "A", "á", "a ", " a", "a|b", "1:a", "[1,2]", '"', "\\", "\u0041", "\t\n",
    "x" * 20_001, "x" * 20_000 + "y", "\N{SPOOL OF THREAD}", "\u2028", "e\u0301",
]  # fmt: skip


def test_the_text_is_the_one_that_python_builds_whatever_a_cell_holds(world: World) -> None:
    names = columns.watched(world.mappings, sizes.size_columns(world.orders.columns(), world.mappings.board.sizes))
    for number, cell in enumerate(CELLS, 1):
        world.add(row(number, NOTES=cell, XXXS=number - 3, M=None))
    cells = {identity(number): cell for number, cell in enumerate(CELLS, 1)}
    found = {uuid: text for uuid, _, text, _ in world.orders.scan(names)}
    assert set(found) == set(cells)
    assert len(set(found.values())) == len(CELLS)
    for number, (uuid, cell) in enumerate(cells.items(), 1):
        made = row(number, NOTES=cell, XXXS=number - 3, M=None)
        assert found[uuid] == hashing.canonical_text([made.get(name) for name in names])
        assert world.orders.rows([uuid], names)[uuid][2] == found[uuid]


def test_a_date_is_read_as_iso_text(world: World) -> None:
    world.add(row(1, EX_FACTORY_DATE="2026-02-28"))
    assert [found[2] for found in world.orders.scan(["EX FACTORY DATE"])] == ['["2026-02-28"]']


def test_rows_without_identity_are_not_scanned_but_listed(world: World) -> None:
    world.add(row(1), row(2, record_uuid=None))
    assert [found[0] for found in world.orders.scan(["PO NUMBER"])] == [identity(1)]
    assert world.orders.without_identity(["PO NUMBER", "S"]) == [(None, '["4755",1]')]


def test_more_orders_than_a_statement_takes_are_read_in_turns(world: World) -> None:
    world.add(*(row(n) for n in range(1203)))
    assert len(world.orders.rows([identity(n) for n in range(1203)], ["PO NUMBER"])) == 1203


def test_a_snapshot_row_names_its_order(world: World) -> None:
    long = "x" * 400
    world.add(row(1, CUSTOMER_ALT_PO=long))
    (event,) = world.passed()
    found = world.snapshot(1)
    told = {name: found[name] for name in ("AAG ORDER NUMBER", "CUSTOMER STYLE", "PO NUMBER", "TOTAL_QTY", "customer")}
    assert tuple(told.values()) == ("JOO-00001", "MFA24K79", "4755", 3, "GREYSON CLOTHIERS")
    assert (found["version"], found["row_hash"], found["batch_id"]) == (event.version, event.row_hash, event.batch_id)
    assert found["planned_mutations"] == 3
    assert long.startswith(found["CUSTOMER ALT PO"])


def test_a_snapshot_never_goes_back(world: World) -> None:
    _move(world, 6)
    _move(world, 5)
    assert world.snapshot(1)["version"] == 6
    assert world.snapshot(1)["row_hash"] == "HASH-6"


# The state of an order, after its events in every possible order.

OPERATIONS = {
    "move": lambda world, v: _move(world, v),
    "settle": lambda world, v: _settle(world, v, IN_SYNC),
    "leave": lambda world, v: _settle(world, v, EXCLUDED),
    "fail": lambda world, v: _fail(world, v),
}


@pytest.mark.parametrize(
    "steps",
    [
        "move5 settle5",
        "move5 leave5",
        "move5 fail5",
        "move5 fail5 settle5",
        "move5 fail5 leave5",
        "move5 settle5 settle5",
        "settle5 move6",
        "fail5 move6",
        "move5 settle5 move6 settle6",
        "move5 settle5 move6 fail6",
        "move5 fail5 move6 settle6",
        "move5 leave5 move6 settle6",
        "move5 settle5 move6 leave6",
        "move5 fail5 move6 leave6",
        "move5 settle5 move6 fail6 leave6",
    ],
)
def test_an_order_stands_where_its_newest_version_ended(lasting: World, steps: str) -> None:
    told = steps.split()
    newest = max(step[-1] for step in told if step.startswith("move"))
    ranked = [("settle", IN_SYNC), ("leave", EXCLUDED), ("fail", FAILED)]
    expected = next((state for what, state in ranked if what + newest in told), WAITING)
    settled = max((int(step[-1]) for step in told if step.startswith(("settle", "leave"))), default=0)
    for order in itertools.permutations(told):
        lasting.run("DELETE FROM ORDERS_UNIFIED_SNAPSHOT")
        for step in order:
            OPERATIONS[step[:-1]](lasting, int(step[-1]))
        found = lasting.snapshot(1)
        reached = (found["version"], found["sync_state"], found["row_hash"], found["settled_version"])
        assert reached == (int(newest), expected, f"HASH-{newest}", settled), " ".join(order)


def test_a_settled_version_is_not_taken_back_by_an_older_failure(world: World) -> None:
    _move(world, 5)
    _settle(world, 5, IN_SYNC)
    _fail(world, 4)
    _fail(world, 5)
    found = world.snapshot(1)
    assert (found["sync_state"], found["failed_version"], found["settled_hash"]) == (IN_SYNC, 0, "HASH-5")


@pytest.mark.parametrize("end", ["settle", "fail"])
def test_an_order_that_left_without_an_event_is_detected_once_more_if_it_was_on_its_way(world: World, end: str) -> None:
    _move(world, 6, state=EXCLUDED, batch_id=None)
    OPERATIONS[end](world, 5)
    found = world.snapshot(1)
    assert (found["version"], found["sync_state"], found["row_hash"]) == (6, WAITING, "")
    assert world.orders.deleted() == [(identity(1), "GREYSON CLOTHIERS", WAITING, "")]


def test_states_and_numbers_add_up(world: World) -> None:
    world.add(*(row(n) for n in range(4)), factories.excluded_row(8), row(9, CUSTOMER_PRICE="cheap"))
    world.flow()
    world.remove(0)
    world.edit(1, {"NOTES": "new"})
    world.passed()
    found = {(line["customer"], line["sync_state"]): line["orders"] for line in world.orders.states()}
    greyson = "GREYSON CLOTHIERS"
    assert found == {(greyson, WAITING): 1, (greyson, IN_SYNC): 2, (greyson, EXCLUDED): 1, (greyson, FAILED): 1}
    assert (world.orders.source_rows(), world.orders.known_rows(), world.orders.waiting_deletes()) == (5, 5, 1)
    assert world.orders.unsettled_mutations() == 2 + 1


def _move(world: World, version: int, state: SyncState = WAITING, batch_id: str | None = engines.BATCH_1) -> None:
    world.orders.move_snapshots(
        [
            detection.Snapshot(
                record_uuid=identity(1),
                row_hash=f"HASH-{version}",
                version=version,
                customer="GREYSON CLOTHIERS",
                batch_id=batch_id,
                planned_mutations=2,
                state=state,
                row={},
            )
        ]
    )


def _settle(world: World, version: int, state: SyncState) -> None:
    with world.db.write() as session:
        end = orders.End(identity(1), version, "GREYSON CLOTHIERS", state, f"HASH-{version}")
        orders.settle(session, [end], world.clock())


def _fail(world: World, version: int) -> None:
    with world.db.write() as session:
        orders.fail(session, [orders.End(identity(1), version, "GREYSON CLOTHIERS", FAILED)], world.clock())
