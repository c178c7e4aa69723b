"""The whole flow over the tables: detected, staged, settled, refused, retried, verified, traced."""

from datetime import timedelta

from connectors.tables import cleanup, customers, history, repairs, row_states
from schemas import detection, events
from schemas.batches import SyncState
from tests.support import factories
from tests.support.factories import World, identity, row

GREYSON = "GREYSON CLOTHIERS"


def test_orders_are_created_changed_and_deleted(world: World) -> None:
    world.add(*(row(n) for n in range(1, 8)), factories.excluded_row(8), row(9, CUSTOMER_PRICE="cheap"))
    assert len(world.flow()) == 8
    world.check_batches()
    assert set(world.states().values()) == {SyncState.IN_SYNC, SyncState.EXCLUDED, SyncState.FAILED}
    assert world.passed() == []
    world.edit(1, {"PO NUMBER": "é \N{SPOOL OF THREAD}", "S": None, "XL": 7, "EX FACTORY DATE": "2026-03-01"})
    world.edit(9, {"CUSTOMER PRICE": "9.99"})
    world.remove(2)
    emitted = {(event.record_uuid, event.change) for event in world.flow()}
    assert emitted == {
        (identity(1), events.Change.UPDATED),
        (identity(9), events.Change.UPDATED),
        (identity(2), events.Change.DELETED),
    }
    world.check_batches()
    assert set(world.states().values()) == {SyncState.IN_SYNC, SyncState.EXCLUDED}
    assert [line["resolved_date"] is None for line in world.errors()] == [False]
    sizes = world.query(
        "SELECT size_label, [Order Qty] FROM MON_CustMasterSchedule_Subitems WHERE record_uuid = ? ORDER BY size_label",
        identity(1),
    )
    assert {line["size_label"]: line["Order Qty"] for line in sizes} == {"M": "2", "XL": "7"}
    (order,) = world.query("SELECT * FROM MON_CustMasterSchedule WHERE source_uuid = ?", identity(1))
    assert (order["PO NUMBER"], order["CUSTOMER PRICE"]) == ("é \N{SPOOL OF THREAD}", "12.5000")
    assert world.query("SELECT source_uuid FROM MON_CustMasterSchedule WHERE source_uuid = ?", identity(2)) == []


def test_a_chosen_pass_sees_the_chosen_rows(world: World) -> None:
    world.add(row(1), row(2, PO_NUMBER="77"), row(3, CUSTOMER_NAME="OTHER", PO_NUMBER="77"))
    for chosen, numbers in (
        (detection.Filters(customer="greyson", po_number="77"), {2}),
        (detection.Filters(po_number="77"), {2, 3}),
        (detection.Filters(aag_season="2025 FALL", limit=1), {1}),
    ):
        report = world.detect(chosen)
        found = {event.record_uuid for event in world.topic.take()}
        assert report.filtered
        assert found == {identity(n) for n in numbers} or chosen.limit == len(found) == 1
        world.run("DELETE FROM ORDERS_UNIFIED_SNAPSHOT")


def test_a_row_without_identity_and_one_that_is_there_twice_are_refused(world: World) -> None:
    world.add(row(1), row(2), row(2), row(3, record_uuid=None))
    assert [event.record_uuid for event in world.flow()] == [identity(1)]
    assert world.orders.duplicates() == {identity(2): 2}
    assert len([line for line in world.errors() if line["resolved_date"] is None]) == 2


def test_a_rejected_order_is_retried_when_it_is_due(world: World) -> None:
    world.add(row(1), row(2))
    staged = world.stage(*world.passed())
    refused = world.refuse(staged[0], retryable=True, code="API_TEMPORARILY_BLOCKED")
    recorded = world.record(refused)
    world.promote(*world.arrive(staged[1:]))
    assert len(recorded) == 1
    assert world.states()[identity(1)] == SyncState.FAILED
    assert world.retries.schedule(refused, world.clock() + timedelta(seconds=60))
    assert world.retries.claim_due(world.clock() + timedelta(hours=1), 10) == []
    world.clock.advance(61)
    (again,) = world.retries.claim_due(world.clock() + timedelta(hours=1), 10)
    assert (again.record_uuid, again.version) == (identity(1), refused.version)
    world.promote(*world.arrive([again]))
    assert world.states()[identity(1)] == SyncState.IN_SYNC
    world.check_batches()


def test_every_row_stands_somewhere(world: World) -> None:
    world.add(*(row(n) for n in range(1, 6)), factories.excluded_row(8), row(9, record_uuid=None))
    world.flow()
    world.edit(3, {"NOTES": "new"})
    world.passed()
    found = world.verifier().check(thorough=True)
    assert sum(found.total.values()) == 7, found.total
    assert found.wrong == ()
    world.run("UPDATE MON_CustMasterSchedule SET [COLOR] = ? WHERE source_uuid = ?", "other", identity(1))
    world.run("UPDATE MON_CustMasterSchedule_Subitems SET [Order Qty] = ? WHERE record_uuid = ?", "9", identity(2))
    assert {one.record_uuid for one in world.verifier().check(thorough=True).wrong} == {identity(1), identity(2)}
    assert world.verifier().look("", 4).last == identity(4)
    standings = row_states.RowStates(world.db, world.production.columns)
    assert set(standings.production_items()) == {identity(n) for n in range(1, 6)}


def test_customers_history_repairs_and_growth_read_the_same_tables(world: World) -> None:
    world.add(row(1), row(2), row(3, CUSTOMER_NAME="OTHER"))
    world.flow()
    of = customers.Customers(world.db)
    assert {uuid for uuid, *_ in of.rows(["PO NUMBER"], [GREYSON])} == {identity(1), identity(2)}
    assert set(of.known_of(GREYSON)) == {identity(1), identity(2)}
    orders = history.History(world.db)
    assert [line["record_uuid"] for line in orders.find("JOO-00002")] == [identity(2)]
    assert orders.production(identity(2)) is not None
    assert len(orders.staged(identity(2))) == 1
    repaired = repairs.Repairs(world.db, world.clock)
    assert repaired.in_source([identity(1), identity(7)]) == {identity(1)}
    repaired.detect_again([identity(1)])
    assert [event.record_uuid for event in world.flow()] == [identity(1)]
    grown = cleanup.Cleanup(world.db, now=world.clock)
    before = grown.rows()
    assert before["STG_MON_CustMasterSchedule"] == 4
    assert grown.orders(world.clock() + timedelta(days=1), 100, "PROMOTED")[0] > 0
    assert grown.rows()["STG_MON_CustMasterSchedule"] < 4
