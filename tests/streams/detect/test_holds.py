"""Customers on hold: detection leaves them alone, and every row of the source is counted once all the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import errors
from connectors.tables import customers
from schemas.batches import SyncState
from streams.detect import holds
from tests.support import factories
from tests.support.factories import World, excluded_row, identity, row

GREYSON, OTHER = "GREYSON CLOTHIERS", "JOHNNIE O"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def put_on_hold(world: World, customer: str = GREYSON) -> None:
    holds.keep(world.state, holds.Hold(customer=customer, by="me", at=world.clock()))


def states(world: World) -> dict[str, dict[SyncState, int]]:
    return holds.states(world.state, world.orders, customers.Customers(world.db), world.mappings)


def test_nothing_of_a_customer_on_hold_is_emitted_and_nothing_is_lost(world: World) -> None:
    world.add(row(1), row(2), row(3), row(4, CUSTOMER_NAME=OTHER))
    world.flow()
    put_on_hold(world)
    world.edit(1, {"NOTES": "new"})
    world.remove(2)
    world.add(row(5), row(6, CUSTOMER_NAME="greyson"))
    world.edit(4, {"NOTES": "new"})
    report = world.detect()
    assert [event.record_uuid for event in world.topic.take()] == [identity(4)]
    assert (report.on_hold, report.emitted, report.deferred) == (4, 1, 0)
    assert world.detect().on_hold == 4
    with world.db.write() as session:
        holds.release(world.state, GREYSON)(session)
    assert {event.record_uuid for event in world.passed()} == {identity(n) for n in (1, 2, 5, 6)}


def test_an_order_that_comes_to_or_goes_from_a_customer_on_hold_stays_where_it_was(world: World) -> None:
    world.add(row(1), row(2, CUSTOMER_NAME=OTHER))
    world.flow()
    put_on_hold(world)
    world.edit(1, {"CUSTOMER NAME": OTHER})
    world.edit(2, {"CUSTOMER NAME": GREYSON})
    assert world.passed() == []
    assert states(world) == {GREYSON: {SyncState.HELD: 2}}


def test_the_guard_does_not_count_what_is_on_hold(world: World) -> None:
    world.add(*(row(n) for n in range(1, 61)), *(row(n, CUSTOMER_NAME=OTHER) for n in range(61, 71)))
    world.flow()
    put_on_hold(world)
    for n in range(1, 61):
        world.edit(n, {"NOTES": "new"})
    assert world.detect().held is None


def test_states_add_up_to_the_source_with_new_rows_deleted_rows_and_excluded_ones(world: World) -> None:
    world.add(row(1), row(2), excluded_row(3), row(4, CUSTOMER_NAME=OTHER), row(5, CUSTOMER_NAME=OTHER))
    world.flow()
    put_on_hold(world)
    world.remove(2)
    world.add(row(6), row(7, CUSTOMER_NAME="GREYSON"), row(8), row(8), row(9, record_uuid=None))
    assert world.detect().refused == 3
    found = states(world)
    assert found == {GREYSON: {SyncState.HELD: 4}, OTHER: {SyncState.IN_SYNC: 2}}
    assert sum(sum(one.values()) for one in found.values()) + 3 == world.orders.source_rows()


def test_without_a_hold_states_are_those_of_the_snapshots(world: World) -> None:
    world.add(row(1), excluded_row(2))
    world.flow()
    assert states(world) == {GREYSON: {SyncState.IN_SYNC: 1, SyncState.EXCLUDED: 1}}


def test_a_column_that_is_watched_anew_does_not_touch_a_customer_on_hold(world: World) -> None:
    world.add(row(1))
    world.flow()
    put_on_hold(world)
    world.reshape([*world.orders.columns(), ("LAST", "TEXT")])
    assert world.passed() == []


def test_a_hold_outlives_the_process_and_is_known_by_the_customers_whole_name(world: World) -> None:
    put_on_hold(world, "A.B/C")
    (held,) = holds.holds(world.state).values()
    assert (held.customer, held.by, held.snapshot, held.complete) == ("A.B/C", "me", None, True)


def test_a_name_that_is_too_long_for_a_named_value_is_refused(world: World) -> None:
    with pytest.raises(errors.Misconfigured, match="too long for a customer hold"):
        put_on_hold(world, "X" * 100)
