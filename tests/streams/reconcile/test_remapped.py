"""Which orders the mapping of today would write otherwise than they are settled."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mappings import columns, hashing, loading, sizes
from tests.support import factories
from tests.support.factories import World, excluded_row, identity, row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def remapped(world: World, mappings: loading.Mappings | None = None) -> set[str]:
    """The orders that these mappings would write otherwise; by default those that the world was staged with."""
    mappings = mappings or world.mappings
    size_columns = sizes.size_columns(world.orders.columns(), mappings.board.sizes)
    watched = columns.watched(mappings, size_columns)
    rows = {
        uuid: dict(zip(watched, hashing.cells(text), strict=True)) for uuid, _, text, _ in world.orders.scan(watched)
    }
    return world.comparison(mappings).remapped(rows)


def renamed_items(world: World) -> loading.Mappings:
    """A mapping whose items have other names."""
    rule = world.mappings.board.item_name.model_copy(update={"separator": " / "})
    return replace(world.mappings, board=world.mappings.board.model_copy(update={"item_name": rule}))


def with_alias(world: World, written: str, customer: str) -> loading.Mappings:
    """A mapping with one more customer alias."""
    names = {**world.mappings.customers.names, written.casefold(): customer}
    return replace(world.mappings, customers=replace(world.mappings.customers, names=names))


def test_the_same_mapping_differs_nowhere(world: World) -> None:
    world.add(row(1), row(2, NOTES="two\nlines"), excluded_row(3), row(4, CUSTOMER_PRICE="a lot"))
    world.flow()
    assert remapped(world) == set()


def test_what_a_mended_mapping_writes_otherwise_is_named_and_nothing_else(world: World) -> None:
    world.add(row(1), row(2, CUSTOMER_NAME="GREYSEN"), excluded_row(3))
    world.flow()
    assert remapped(world, with_alias(world, "GREYSEN", "GREYSON CLOTHIERS")) == {identity(2)}
    assert remapped(world, renamed_items(world)) == {identity(1), identity(2)}


def test_a_row_that_is_refused_now_is_named_once_and_again_when_it_converts(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    world.run("UPDATE ORDERS_UNIFIED SET [CUSTOMER PRICE] = 'a lot' WHERE record_uuid = ?", identity(1))
    assert remapped(world) == {identity(1)}, "refused now: its ERR row tells why"
    world.flow()
    assert remapped(world) == set()
    world.run("UPDATE ORDERS_UNIFIED SET [CUSTOMER PRICE] = '7.0000' WHERE record_uuid = ?", identity(1))
    assert remapped(world) == {identity(1)}


def test_exclusion_counts_in_both_directions(world: World) -> None:
    world.add(row(1), excluded_row(2))
    world.flow()
    assert remapped(world) == set()
    world.run("UPDATE ORDERS_UNIFIED_SNAPSHOT SET sync_state = 'EXCLUDED' WHERE record_uuid = ?", identity(1))
    world.run("UPDATE ORDERS_UNIFIED_SNAPSHOT SET sync_state = 'IN_SYNC' WHERE record_uuid = ?", identity(2))
    assert remapped(world) == {identity(1)}, "nothing of 2 is in production"
    blank = world.mappings.board.excluded.model_copy(update={"blank": ("NOTES",), "zero": "NOTES"})
    world.run("UPDATE ORDERS_UNIFIED_SNAPSHOT SET sync_state = 'IN_SYNC'")
    assert remapped(
        world, replace(world.mappings, board=world.mappings.board.model_copy(update={"excluded": blank}))
    ) == {identity(1)}


def test_an_order_on_its_way_counts_by_what_is_staged(world: World) -> None:
    world.add(row(1), row(2))
    changed = world.passed()
    staged, other = changed[0].record_uuid, changed[1].record_uuid
    assert remapped(world) == {staged, other}, "a worker may still convert them with the mapping of before"
    world.stage(changed[0])
    assert remapped(world) == {other}
    assert remapped(world, renamed_items(world)) == {staged, other}


def test_what_a_pass_detects_anyway_is_left_out(world: World) -> None:
    world.add(row(1))
    world.flow()
    world.run("UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = ''")
    world.add(row(2))
    assert remapped(world, renamed_items(world)) == set()
