"""archive: what a pass changed is archived as the source has it, whatever dies or is away in between."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors import errors
from connectors.archive import parquet
from connectors.archive import snapshots as archived_snapshots
from connectors.tables import customers
from streams.archive import snapshots as archive_snapshots
from streams.detect import archive_queue, holds
from tests.support import factories
from tests.support.factories import World, excluded_row, identity, row

GREYSON, OTHER = "GREYSON CLOTHIERS", "JOHNNIE O"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Away(archived_snapshots.Archive):
    """An archive that does not answer."""

    def has(self, customer: str, version: int) -> bool:
        raise errors.Transient("the archive does not answer")


class Place:
    """A world with its archive beside its tables."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = archived_snapshots.Archive(world.db, days=30, now=world.clock)

    def archiver(self, store: archived_snapshots.Archive | None = None, most: int = 100) -> archive_snapshots.Archiver:
        world = self.world
        return archive_snapshots.Archiver(
            source=world.orders,
            customers=customers.Customers(world.db),
            snapshots=store or self.store,
            store=world.state,
            mappings=world.mappings,
            retention=archive_snapshots.Retention(days=30, most=most),
            now=world.clock,
        )

    def flow(self) -> None:
        """A pass with all that comes after it."""
        self.world.flow()
        archiver = self.archiver()
        for customer in archiver.ready():
            archiver.archive(customer)

    def newest(self, customer: str = GREYSON) -> dict[str, dict[str, object]]:
        """The newest snapshot's rows by identity, without what is NULL."""
        payload = self.store.payload(self.store.entries(customer)[-1])
        names = parquet.columns(payload)
        rows = (dict(zip(names, cells, strict=True)) for cells in parquet.read(payload, names))
        return {str(one["record_uuid"]): {k: v for k, v in one.items() if v is not None} for one in rows}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with factories.world(tmp_path) as world:
        yield Place(world)


def test_a_snapshot_holds_the_customers_rows_as_the_source_has_them(place: Place) -> None:
    world = place.world
    world.add(row(1, {"S": 3, "XXL": 0}, NOTES="a\nb"), row(2, CUSTOMER_NAME="greyson"), excluded_row(3))
    world.add(row(4, CUSTOMER_NAME=OTHER), row(5, CUSTOMER_PRICE="no price"), row(6, record_uuid=None))
    place.flow()
    assert [(entry.customer, entry.rows) for entry in place.store.entries()] == [(GREYSON, 4), (OTHER, 1)]
    found = place.newest()
    assert found.keys() == {identity(n) for n in (1, 2, 3, 5)}
    first = found[identity(1)]
    assert (first["S"], first["XXL"], first["NOTES"], first["CUSTOMER PRICE"]) == (3, 0, "a\nb", "12.5000")
    assert (first["version"], first["state"]) == (1, "IN_SYNC")
    assert first["row_hash"] == world.snapshot(1)["row_hash"]
    assert found[identity(5)]["state"] == "FAILED"
    assert found[identity(3)]["state"] == "EXCLUDED"
    assert "PLANNER" not in first


def test_only_customers_that_a_pass_changed_are_archived_and_each_once(place: Place) -> None:
    place.world.add(row(1), row(2, CUSTOMER_NAME=OTHER))
    place.flow()
    place.flow()
    place.world.edit(2, {"NOTES": "new"})
    place.flow()
    assert [(entry.customer, entry.version) for entry in place.store.entries()] == [
        (GREYSON, 1),
        (OTHER, 1),
        (OTHER, 3),
    ]
    assert place.newest(OTHER)[identity(2)]["NOTES"] == "new"


def test_an_order_that_goes_to_another_customer_changes_both(place: Place) -> None:
    place.world.add(row(1), row(2))
    place.flow()
    place.world.edit(2, {"CUSTOMER NAME": OTHER})
    place.flow()
    assert place.newest().keys() == {identity(1)}
    assert place.newest(OTHER).keys() == {identity(2)}


def test_a_customer_whose_last_order_left_has_an_empty_snapshot(place: Place) -> None:
    place.world.add(row(1), row(2, CUSTOMER_NAME=OTHER))
    place.flow()
    place.world.remove(1)
    place.flow()
    assert [entry.rows for entry in place.store.entries(GREYSON)] == [1, 0]
    assert place.newest() == {}


def test_what_a_crash_left_is_archived_later(place: Place) -> None:
    place.world.add(row(1))
    place.world.topic.break_after = 0
    with pytest.raises(errors.Transient):
        place.world.detect()
    assert archive_queue.read(place.world.state)[GREYSON].version == 1
    place.world.topic.break_after = None
    place.flow()
    assert [entry.version for entry in place.store.entries()] == [2]


def test_a_crash_after_the_snapshot_was_stored_stores_no_second_one(place: Place) -> None:
    place.world.add(row(1))
    place.world.flow()
    waiting = place.world.state.get(archive_queue.NAME)
    archiver = place.archiver()
    archiver.archive(GREYSON)
    place.world.state.set(archive_queue.NAME, waiting)
    archiver.archive(GREYSON)
    assert len(place.store.entries()) == 1
    assert archiver.ready() == []


def test_what_another_process_archived_since_it_was_ready_is_left_out(place: Place) -> None:
    place.world.add(row(1))
    place.world.flow()
    poller, command = place.archiver(), place.archiver()
    (ready,) = poller.ready()
    command.archive(ready)
    poller.archive(ready)
    assert len(place.store.entries()) == 1


def test_an_archive_that_is_away_puts_snapshots_off_and_the_oldest_comes_first(place: Place) -> None:
    world = place.world
    world.add(row(1, CUSTOMER_NAME=OTHER))
    world.flow()
    with pytest.raises(errors.Transient):
        place.archiver(Away(world.db, days=30, now=world.clock)).archive(OTHER)
    world.add(row(2))
    world.flow()
    world.edit(1, {"NOTES": "new"})
    world.flow()
    assert place.archiver().ready() == [OTHER, GREYSON]
    place.flow()
    assert [(entry.customer, entry.version) for entry in place.store.entries()] == [(GREYSON, 2), (OTHER, 3)]


def test_while_the_window_holds_back_more_the_snapshot_waits_but_not_for_ever(place: Place) -> None:
    world = place.world
    world.add(*(row(n) for n in range(1, 7)))
    world.passed(window=4)
    assert archive_queue.read(world.state)[GREYSON].more
    assert place.archiver().ready() == []
    world.clock.advance(archive_snapshots.PATIENCE.total_seconds())
    assert place.archiver().ready() == [GREYSON]
    world.passed()
    assert not archive_queue.read(world.state)[GREYSON].more


def entries(*hours_ago: float) -> list[archived_snapshots.Entry]:
    return [
        archived_snapshots.Entry(at, GREYSON, at, NOW - timedelta(hours=hours), 1, 1, "1", "")
        for at, hours in enumerate(hours_ago, start=1)
    ]


def kept(
    found: list[archived_snapshots.Entry], *, days: int = 30, most: int = 100, pinned: tuple[int, ...] = ()
) -> list[int]:
    gone = archive_snapshots.Retention(days, most).superfluous(found, pinned, NOW)
    return [one.id for one in found if one not in gone]


def test_what_stood_at_the_horizon_stays_and_what_was_before_goes() -> None:
    assert kept(entries(900, 800, 721, 719, 1)) == [3, 4, 5]
    assert kept(entries(900, 800)) == [2]


def test_of_too_many_those_go_that_tell_least() -> None:
    every_ten_seconds = entries(*(n / 360 for n in range(400, 0, -1)))
    left = kept(every_ten_seconds, most=100)
    assert len(left) == 100
    assert left[0] == 1
    assert left[-1] == 400
    ages = [401 - one for one in left]
    gaps = [older - newer for older, newer in itertools.pairwise(ages)]
    assert max(gaps[-30:]) < 5 < gaps[0]
    assert sum(age > 200 for age in ages) >= 5


def test_neither_the_newest_nor_what_a_hold_stands_on_is_taken_out() -> None:
    assert kept(entries(900, 800, 3, 2, 1), most=1, pinned=(1, 4)) == [1, 4, 5]
    assert kept(entries(3, 2, 1), most=1) == [3]


def test_pruning_keeps_what_a_hold_stands_on(place: Place) -> None:
    for text in ("a", "b", "c", "d"):
        if text == "a":
            place.world.add(row(1))
        place.world.edit(1, {"NOTES": text})
        place.flow()
    pinned = place.store.entries()[1]
    holds.keep(place.world.state, holds.Hold(customer=GREYSON, by="me", at=NOW, snapshot=pinned.id))
    assert place.archiver(most=2).prune() == 2
    assert [entry.version for entry in place.store.entries()] == [2, 4]


def test_the_newest_at_or_before_a_moment_or_what_there_is_instead() -> None:
    found = entries(3, 2, 1)
    assert archive_snapshots.at(found, GREYSON, found[1].taken_at).id == 2
    assert archive_snapshots.at(found, GREYSON, NOW).id == 3
    with pytest.raises(errors.Misconfigured, match="first snapshot is of 2026-11-21 09:00:00"):
        archive_snapshots.at(found, GREYSON, NOW - timedelta(days=1))
    with pytest.raises(errors.Misconfigured, match="has nothing of NOBODY"):
        archive_snapshots.at([], "NOBODY", NOW)
