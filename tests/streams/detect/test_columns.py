"""Columns that change: renamed, retyped, appended, moved. Each is right on the board, or held by its name."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.tables import orders
from mappings import fingerprint, hashing, loading
from schemas import detection, events
from schemas.batches import SyncState
from streams.detect import baseline
from tests.support import factories, transpiled
from tests.support.factories import World, identity, row

UPDATED, REMAP = events.Change.UPDATED, events.Cause.REMAP


@pytest.fixture(params=[factories.world, transpiled.world], ids=["client", "server"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with request.param(tmp_path) as made:
        made.add(*(row(n, {"S": n, "XL": 5}) for n in range(1, 11)))
        made.flow()
        yield made


def sizes_of(world: World, number: int) -> dict[str, str]:
    rows = world.query(
        "SELECT size_label, [Order Qty] AS n FROM MON_CustMasterSchedule_Subitems WHERE record_uuid = ?",
        identity(number),
    )
    return {line["size_label"]: line["n"] for line in rows}


def rename(world: World, old: str, new: str) -> None:
    world.run(f"ALTER TABLE ORDERS_UNIFIED RENAME COLUMN [{old}] TO [{new}]")


def retype(world: World, name: str, kind: str) -> None:
    world.reshape([(column, kind if column == name else k) for column, k in world.orders.columns()])


def test_a_renamed_size_is_held_by_its_name_and_then_shown_under_its_new_one(world: World) -> None:
    rename(world, "XL", "9X")
    report = world.detect()
    assert "[XL] is not in ORDERS_UNIFIED any more" in str(report.held)
    assert world.topic.take() == []
    world.flow(accept=True)
    assert sizes_of(world, 3) == {"S": "3", "9X": "5"}
    assert world.detect().quiet


def test_two_sizes_that_exchange_their_names_are_a_change(world: World) -> None:
    rename(world, "XL", "x")
    rename(world, "S", "XL")
    rename(world, "x", "S")
    assert {event.change for event in world.flow()} == {UPDATED}
    assert sizes_of(world, 3) == {"XL": "3", "S": "5"}


def test_a_size_that_is_no_integer_any_more_is_held_whatever_the_number_of_rows(world: World) -> None:
    retype(world, "XL", "REAL")
    if isinstance(world, transpiled.World):
        transpiled.database_of(world).types["XL"] = "REAL"
    report = world.detect()
    assert "[XL] is REAL now, and a size is an integer column" in str(report.held)
    assert world.topic.take() == []
    retype(world, "XL", "INTEGER")
    if isinstance(world, transpiled.World):
        transpiled.database_of(world).types["XL"] = "INT"
    assert world.detect().quiet, "it is a size again, and nobody has to be asked"


def test_a_wider_integer_is_the_same_size(world: World) -> None:
    if isinstance(world, transpiled.World):
        pytest.skip("its columns have one integer type")
    world.reshape([(column, "INT" if column == "XL" else kind) for column, kind in world.orders.columns()])
    assert world.detect().quiet


def test_a_size_that_moved_out_of_the_range_is_held_until_board_yaml_names_it(world: World) -> None:
    live = world.orders.columns()
    kind = dict(live)["XL"]
    world.reshape([*(pair for pair in live if pair[0] != "XL"), ("XL", kind)])
    assert '[XL] lies outside the range of sizes now: name it in "also" or "ignore"' in str(world.detect().held)
    world.use(world.with_sizes(also=("XL",)))
    assert world.flow() == []
    assert world.detect().quiet
    world.edit(3, {"XL": 6})
    assert [event.record_uuid for event in world.flow()] == [identity(3)]
    assert sizes_of(world, 3) == {"S": "3", "XL": "6"}


def test_an_appended_size_is_named_and_arrives_once_it_is_decided(world: World) -> None:
    world.run("ALTER TABLE ORDERS_UNIFIED ADD COLUMN [9X] INTEGER")
    world.flow()
    assert world.state.get("attention.columns") is None, "it is empty: there is nothing to decide"
    world.edit(3, {"9X": 7})
    assert world.flow() == []
    told = world.state.get("attention.columns")
    assert "[9X]" in told["reason"]
    assert told["severity"] == "person"
    world.use(world.with_sizes(also=("9X",)))
    assert [(event.record_uuid, event.cause) for event in world.flow()] == [(identity(3), REMAP)]
    assert sizes_of(world, 3) == {"S": "3", "XL": "5", "9X": "7"}
    assert world.state.get("attention.columns") is None


def test_an_ignored_size_leaves_the_orders_under_the_guards_eyes(world: World) -> None:
    world.use(world.with_sizes(ignore=("Sum of TOTAL QTY", "XL")))
    assert {event.cause for event in world.flow()} == {REMAP}
    assert sizes_of(world, 3) == {"S": "3"}


def test_a_home_of_the_first_scheme_is_adopted_without_a_storm(world: World) -> None:
    watched = baseline.today(world.orders.columns(), world.mappings).columns
    was = hashing.RowHasher(watched, hashing.WITHOUT_NAMES)
    texts = {uuid: text for uuid, _, text, _ in orders.Orders(world.db, world.clock).scan(watched)}
    for uuid, text in texts.items():
        for table, key in (("ORDERS_UNIFIED_SNAPSHOT", "record_uuid"), ("MON_CustMasterSchedule", "source_uuid")):
            world.run(f"UPDATE {table} SET row_hash = ? WHERE {key} = ?", was(text), uuid)
        world.run("UPDATE ORDERS_UNIFIED_SNAPSHOT SET settled_hash = row_hash WHERE record_uuid = ?", uuid)
    world.state.set(baseline.NAME, {"scheme": hashing.WITHOUT_NAMES, "columns": list(watched)})
    world.edit(4, {"NOTES": "a true change"})
    report = world.detect()
    assert (report.held, report.emitted, report.rebaselined) == (None, 1, 9)
    world.settle(*world.topic.take())
    assert world.detect().quiet
    snapshot = world.snapshot(3)
    assert snapshot["row_hash"] == snapshot["settled_hash"] == hashing.RowHasher(watched)(texts[identity(3)])


def mended(world: World, **aliases: str) -> loading.Mappings:
    """The mapping with more customer aliases."""
    given = world.mappings.customers
    names = {**given.names, **{alias.casefold(): name for alias, name in aliases.items()}}
    return loading.Mappings(world.mappings.board, type(given)(names, given.rules), world.mappings.rules)


def test_a_mended_alias_reaches_the_orders_that_did_not_change(world: World) -> None:
    world.add(*(row(n, CUSTOMER_NAME="Greysn") for n in range(20, 25)))
    world.flow()
    before = world.mappings
    world.use(mended(world, Greysn="GREYSON CLOTHIERS"))
    assert fingerprint.fingerprint(world.mappings) != fingerprint.fingerprint(before)
    emitted = world.flow()
    assert {(event.record_uuid, event.cause, event.customer) for event in emitted} == {
        (identity(n), REMAP, "GREYSON CLOTHIERS") for n in range(20, 25)
    }
    rows = world.query("SELECT CUSTOMER AS c, [Group] AS g FROM MON_CustMasterSchedule")
    assert {line["c"] for line in rows} == {"GREYSON CLOTHIERS"}
    assert world.detect().quiet


def test_a_remap_waits_for_room_and_is_not_judged_twice(world: World) -> None:
    world.use(mended(world, **{"GREYSON CLOTHIERS": "GREYSON"}))
    asked: list[int] = []

    def counting(rows: object) -> set[str]:
        asked.append(1)
        return world.comparison().remapped(rows)  # type: ignore[arg-type]

    first = world.detect(window=6, differing=counting)
    assert 0 < first.emitted < 10
    assert first.emitted + first.deferred == 10
    for _ in range(10):
        world.settle(*world.topic.take())
        world.detect(window=6, differing=counting)
    assert len(asked) == 1, "the first pass converted every row; the others knew what was left by its hash"
    assert {line["c"] for line in world.query("SELECT CUSTOMER AS c FROM MON_CustMasterSchedule")} == {"GREYSON"}


def test_a_refused_order_is_sent_when_the_mapping_is_mended(world: World) -> None:
    board = world.mappings.board
    strict = board.model_copy(update={"limits": board.limits.model_copy(update={"name": 5})})
    fine = world.mappings
    world.use(loading.Mappings(strict, fine.customers, fine.rules))
    world.add(row(30))
    world.flow(accept=True)
    assert world.states()[identity(30)] == SyncState.FAILED
    world.use(fine)
    world.flow(accept=True)
    assert set(world.states().values()) == {SyncState.IN_SYNC}
    assert [line for line in world.errors() if line["resolved_date"] is None] == []


def test_a_filtered_pass_never_adopts_a_new_mapping(world: World) -> None:
    world.use(mended(world, Greysn="GREYSON CLOTHIERS"))
    with pytest.raises(Exception, match="without filters first"):
        world.detect(detection.Filters(limit=1))
