"""verify on real tables: the five states add up at every moment, and what only claims to be in sync is named."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.tables import row_states
from schemas import events
from schemas.batches import SyncState
from streams.reconcile import comparison, findings, verify
from tests.support import factories
from tests.support.factories import World, identity, row

GREYSON, JOHNNIE = "GREYSON CLOTHIERS", "JOHNNIE O"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def check(world: World, *, thorough: bool = True) -> verify.TablesReport:
    """One check; the states add up to the rows, whatever it finds."""
    found = world.verifier().check(thorough=thorough)
    assert found.source_rows == world.query("SELECT COUNT(*) AS n FROM ORDERS_UNIFIED")[0]["n"]
    assert sum(found.total.values()) == found.source_rows
    return found


def states(found: verify.TablesReport) -> dict[str, int]:
    return {state.value: n for state, n in found.total.items() if n}


def kinds(found: verify.TablesReport) -> list[tuple[findings.Kind, str]]:
    return [(one.kind, one.record_uuid) for one in found.wrong]


def test_every_way_that_a_row_can_stand_is_counted_once(world: World) -> None:
    world.add(*(row(n) for n in range(1, 6)), factories.excluded_row(6))
    world.flow()
    world.add(row(7), {**row(8), "record_uuid": None}, {**row(9), "record_uuid": None})
    world.edit(2, {"CUSTOMER PRICE": "a lot"})
    world.edit(3, {"record_uuid": identity(4)})
    world.flow()
    world.add(row(10))
    world.edit(5, {"PO NUMBER": "4756"})
    found = check(world)
    # 1 and 7 arrived, 5 and 10 changed since; refused: the one bad price, two of one identity, two of none.
    assert states(found) == {"IN_SYNC": 2, "WAITING": 2, "FAILED": 5, "EXCLUDED": 1}
    assert (found.undetected, found.refused, found.wrong) == (2, 4, ())


def test_what_is_on_its_way_waits_and_a_quick_check_takes_the_last_pass_for_the_source(world: World) -> None:
    world.add(row(1), row(2, CUSTOMER_NAME=JOHNNIE))
    world.flow()
    world.edit(1, {"NOTES": "new"})
    assert states(check(world, thorough=False)) == {"IN_SYNC": 2}
    assert states(check(world)) == {"IN_SYNC": 1, "WAITING": 1}
    world.passed()
    found = check(world)
    assert found.customers == {GREYSON: {SyncState.WAITING: 1}, JOHNNIE: {SyncState.IN_SYNC: 1}}
    assert found.undetected == 0


def test_a_customer_on_hold_is_held_with_all_its_rows(world: World) -> None:
    world.add(row(1), row(2, CUSTOMER_NAME=JOHNNIE))
    world.flow()
    world.state.set(f"hold.{GREYSON}", {"by": "test"})
    world.add(row(3))
    world.edit(1, {"NOTES": "new"})
    assert check(world).customers == {GREYSON: {SyncState.HELD: 2}, JOHNNIE: {SyncState.IN_SYNC: 1}}


def test_rows_marked_as_in_sync_that_never_arrived_are_named(world: World) -> None:
    world.add(row(1), row(2), row(3))
    world.flow()
    world.edit(1, {"NOTES": "new"})
    world.passed()
    world.run("UPDATE ORDERS_UNIFIED_SNAPSHOT SET sync_state = 'IN_SYNC'")
    world.run("DELETE FROM MON_CustMasterSchedule WHERE source_uuid = ?", identity(2))
    found = check(world, thorough=False)
    assert kinds(found) == [
        (findings.Kind.NEVER_SENT, identity(1)),
        (findings.Kind.NOT_IN_PRODUCTION, identity(2)),
    ]
    assert states(found) == {"IN_SYNC": 1, "WAITING": 2}


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE MON_CustMasterSchedule SET NOTES = 'by hand' WHERE source_uuid = ?",
        "UPDATE MON_CustMasterSchedule SET [Item ID] = 7 WHERE source_uuid = ?",
        "UPDATE MON_CustMasterSchedule_Subitems SET [Order Qty] = '99' WHERE record_uuid = ? AND size_label = 'S'",
        "DELETE FROM MON_CustMasterSchedule_Subitems WHERE record_uuid = ? AND size_label = 'S'",
    ],
)
def test_production_edited_by_hand_is_found(world: World, edit: str) -> None:
    world.add(row(1), row(2, NOTES=None))
    world.flow()
    assert check(world).wrong == ()
    world.run(edit, identity(2))
    found = check(world)
    assert kinds(found) == [(findings.Kind.PRODUCTION_EDITED, identity(2))]
    assert states(found) == {"IN_SYNC": 1, "WAITING": 1}


def test_a_forged_high_version_with_a_wrong_price_everywhere_but_in_the_source_is_found(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    (price,) = [one for one in world.mappings.board.columns if one.staging == "CUSTOMER PRICE"]
    forged: dict[str, str | int] = {"sync_state": "IN_SYNC", "settled_version": 10**6, "version": 10**6}
    world.run(f"UPDATE ORDERS_UNIFIED_SNAPSHOT SET {', '.join(f'{n} = ?' for n in forged)} WHERE record_uuid = ?",
              *forged.values(), identity(2))  # fmt: skip
    for table in ("MON", "STG_MON"):
        world.run(f"UPDATE {table}_CustMasterSchedule SET [CUSTOMER PRICE] = '1.0000', version = 1000000 "
                  "WHERE source_uuid = ?", identity(2))  # fmt: skip
        key = "record_uuid" if table == "MON" else "source_uuid"
        world.run(f"UPDATE {table}_CustMasterSchedule_Subitems SET version = 1000000 WHERE {key} = ?", identity(2))
    item, _ = world.ledger.known([identity(2)])[identity(2)]
    assert item is not None
    world.run("UPDATE SYNC_Ledger SET columns_json = ?, version = 1000000 WHERE record_uuid = ? AND size_label = ''",
              json.dumps({**item.columns, price.id: "1"}), identity(2))  # fmt: skip
    found = check(world)
    (wrong,) = found.wrong
    (cell,) = wrong.differences
    assert (cell.column, cell.expected, cell.production, cell.shown) == (price.title, "12.5", "1", "1")
    assert (wrong.kind, cell.odd) == (findings.Kind.CONVERTED_OTHERWISE, comparison.Odd.SOURCE)
    # With the right price, the version alone is found too.
    world.run("UPDATE MON_CustMasterSchedule SET [CUSTOMER PRICE] = '12.5000' WHERE source_uuid = ?", identity(2))
    columns_json = json.dumps(item.columns)
    world.run("UPDATE SYNC_Ledger SET columns_json = ? WHERE record_uuid = ? AND size_label = ''", columns_json,
              identity(2))  # fmt: skip
    assert kinds(check(world)) == [(findings.Kind.FUTURE, identity(2))]


def test_a_version_of_production_that_was_not_settled_is_found_with_the_cells_that_it_changed(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    forge = "UPDATE MON_CustMasterSchedule SET version = version + 1"
    world.run(f"{forge}, [CUSTOMER PRICE] = '1.0000' WHERE source_uuid = ?", identity(1))
    world.run(f"{forge} WHERE source_uuid = ?", identity(2))
    found = check(world)
    assert kinds(found) == [(findings.Kind.NOT_IN_PRODUCTION, identity(number)) for number in (1, 2)]
    named = [{(one.column, one.expected, one.production) for one in wrong.differences} for wrong in found.wrong]
    # Sizes have the version of their order in production.
    versions = {(comparison.VERSION, "2", "1")}
    assert named == [{("CUSTOMER PRICE", "12.5", "1")} | versions, versions]


def test_rows_of_other_programs_are_counted_and_left_alone(world: World) -> None:
    world.add(row(1))
    world.flow()
    world.run("INSERT INTO MON_CustMasterSchedule ([Item ID], Title) VALUES (1, 'of another program')")
    world.run("INSERT INTO MON_CustMasterSchedule ([Item ID], source_uuid) VALUES (2, ?)", identity(77))
    world.run("INSERT INTO MON_CustMasterSchedule_Subitems ([Size]) VALUES ('S')")
    found = check(world)
    assert found.wrong == ()
    assert found.legacy == {"production": 2, "sizes of production": 1}
    assert row_states.RowStates(world.db, world.production.columns).production_items()[identity(77)] == ("2", 0)


def test_an_order_that_left_is_found_only_when_no_removal_is_on_its_way(world: World) -> None:
    world.add(row(1), row(2), row(3), row(4))
    world.flow()
    world.remove(1)
    assert check(world).wrong == (), "the next pass detects it"
    changed = world.passed()
    assert check(world).wrong == (), "the removal is on its way"
    world.settle(*changed)
    assert check(world).wrong == ()
    world.run("INSERT INTO MON_CustMasterSchedule (source_uuid, [Item ID], version) VALUES (?, 5, 1)", identity(1))
    world.run("INSERT INTO MON_CustMasterSchedule (source_uuid, [Item ID], version) VALUES (?, 6, 1)", identity(9))
    assert sorted(kinds(check(world))) == [
        (findings.Kind.NOT_IN_SOURCE, identity(1)),
        (findings.Kind.NOT_IN_SOURCE, identity(9)),
    ]


def test_slices_look_at_every_order_and_find_the_same(world: World) -> None:
    world.add(*(row(n) for n in range(1, 8)), row(8, CUSTOMER_NAME=JOHNNIE))
    world.flow()
    world.run("UPDATE MON_CustMasterSchedule SET NOTES = 'by hand' WHERE source_uuid = ?", identity(5))
    world.run("UPDATE MON_CustMasterSchedule SET NOTES = 'by hand' WHERE source_uuid = ?", identity(8))
    world.state.set(f"hold.{JOHNNIE}", {"by": "test"})
    after, looked = "", 0
    wrong: list[findings.Finding] = []
    for _ in range(4):
        one = world.verifier().look(after, 3)
        after, looked = one.last, looked + one.rows
        wrong += one.wrong
        if not after:
            break
    assert (after, looked, [one.record_uuid for one in wrong]) == ("", 8, [identity(5)])
    assert [one.record_uuid for one in check(world).wrong] == [identity(5)]


def test_warnings_are_counted_and_listed(world: World) -> None:
    world.add(row(1), row(2, TOTAL_QTY=99))
    world.flow()
    (warned,) = check(world).warnings
    assert (warned.record_uuid, "TOTAL QTY" in warned.texts[0]) == (identity(2), True)


def test_a_failure_that_nobody_explains_is_named(world: World) -> None:
    world.add(row(1, CUSTOMER_PRICE="a lot"))
    world.flow()
    assert check(world).wrong == ()
    world.run("DELETE FROM ERR_MON_CustMasterSchedule")
    assert kinds(check(world)) == [(findings.Kind.UNEXPLAINED, identity(1))]


def test_it_adds_up_after_every_step_of_every_order(world: World) -> None:
    world.add(*(row(n) for n in range(1, 9)))
    for numbers in ((1, 2, 3), (3, 4), (5, 1)):
        for n in numbers:
            world.edit(n, {"NOTES": f"{numbers}"})
        world.edit(8, {"CUSTOMER PRICE": "a lot"})
        for event in world.passed():
            check(world)
            for emitted in world.stage(event):
                check(world)
                if isinstance(emitted, events.OrderFailed):
                    world.record(emitted)
                else:
                    world.promote(*world.arrive([emitted]))
        world.remove(max(numbers))
        check(world)
    assert states(check(world)) == {"IN_SYNC": 4, "FAILED": 1}
