"""A record_uuid is a UUID, however it is spelled; what is none is refused."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.tables import identities, row_states
from schemas import events
from schemas import identity as identities_of
from sql import uuids
from streams.detect import holds
from streams.reconcile.states import of_row
from tests.support import factories
from tests.support.factories import World, identity, row

SPELLINGS: dict[str, Callable[[str], str]] = {
    "lower": str.lower,
    "braces": lambda text: f"{{{text.lower()}}}",
    "blanks": lambda text: f" \t{text}\n ",
    "no hyphens": lambda text: text.replace("-", "").lower(),
    "no hyphens, in braces and blanks": lambda text: f" {{{text.replace('-', '')}}} ",
}
NO_UUIDS = [
    "abc", "", " ", "12", identity(7) + "0", identity(7)[:-1], identity(7).replace("-", "")[:-1] + "G",
    identity(7).replace("0", "G"), "{" + identity(7), identity(7) + "}", "ab-" * 12, identity(7).replace("-", "", 1),
    identity(7) + "\0", "\0" * 36, identity(7)[:-1] + "\0", "é" * 18,
]  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def lettered(number: int) -> str:
    """A record_uuid with letters, whose spellings differ."""
    return f"ABCDEF{number:02X}-ABCD-4BCD-8BCD-ABCDEFABCDEF"


def errors(world: World) -> list[tuple[str, str | None]]:
    return sorted((line["error_code"], line["order_number"]) for line in world.failures.waiting())


@pytest.mark.parametrize(
    "text", [*(spell(lettered(7)) for spell in SPELLINGS.values()), lettered(7), *NO_UUIDS], ids=repr
)
def test_sql_and_python_agree_on_what_is_a_uuid(world: World, text: str) -> None:
    expected = None if text in NO_UUIDS else lettered(7)
    assert identities_of.canonical(text) == expected
    for expression in (uuids.canonical("sqlite", "t.cell"), uuids.key("sqlite", "t.cell")):
        [line] = world.query(f"SELECT {expression} AS found FROM (SELECT ? AS cell) AS t", text)
        found = line["found"] if line["found"] is None else identities_of.canonical(line["found"])
        assert found == expected
    if expected is not None:
        assert str(uuid.UUID(text.strip())).upper() == expected


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_an_order_that_changes_its_spelling_is_the_same_order(world: World, spell: Callable[[str], str]) -> None:
    world.add(row(1, record_uuid=lettered(1)), row(2))
    world.flow()
    world.run("UPDATE ORDERS_UNIFIED SET record_uuid = ? WHERE record_uuid = ?", spell(lettered(1)), lettered(1))
    assert world.flow() == []
    assert world.detect().scanned == 2
    world.run("UPDATE ORDERS_UNIFIED SET [PO NUMBER] = 'x' WHERE record_uuid <> ?", identity(2))
    [event] = world.flow()
    assert (event.record_uuid, event.change) == (lettered(1), events.Change.UPDATED)
    world.run("DELETE FROM ORDERS_UNIFIED WHERE record_uuid <> ?", identity(2))
    [event] = world.flow()
    assert (event.record_uuid, event.change) == (lettered(1), events.Change.DELETED)


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_twins_in_two_spellings_are_refused_by_both_names(world: World, spell: Callable[[str], str]) -> None:
    world.add(row(1, record_uuid=lettered(1)), row(2))
    world.flow()
    world.add(row(1, record_uuid=spell(lettered(1)), NOTES="a twin"))
    assert world.flow() == []
    assert errors(world) == [("DUPLICATE_IDENTITY", None)]
    [error] = world.errors()
    assert lettered(1) in error["error_message"]
    assert repr(spell(lettered(1)))[1:-1].replace("\\", "") in error["error_message"].replace("\\", "")
    with row_states.RowStates(world.db, world.production.columns).read(holds.FAMILY) as reading:
        assert sorted(of_row(one, {}) for one in reading.rows) == ["IN_SYNC", "REFUSED", "REFUSED"]
    world.run("DELETE FROM ORDERS_UNIFIED WHERE NOTES = 'a twin'")
    assert (world.flow(), errors(world)) == ([], [])


def test_what_is_no_uuid_is_refused_and_keeps_its_item(world: World) -> None:
    world.add(*(row(n) for n in range(1, 4)))
    world.flow()
    world.run("UPDATE ORDERS_UNIFIED SET record_uuid = 'abc' WHERE record_uuid = ?", identity(1))
    world.add(*(row(10 + at, record_uuid=text) for at, text in enumerate(NO_UUIDS)))
    report = world.detect()
    assert (report.refused, report.changes, world.topic.take()) == (1 + len(NO_UUIDS), {}, [])
    assert {code for code, _ in errors(world)} == {"NOT_A_UUID"}
    assert len(errors(world)) == 1 + len(NO_UUIDS)
    world.run("DELETE FROM ORDERS_UNIFIED WHERE [AAG ORDER NUMBER] >= 'JOO-00010'")
    world.run("UPDATE ORDERS_UNIFIED SET record_uuid = ? WHERE record_uuid = 'abc'", identity(1).lower())
    assert (world.flow(), errors(world)) == ([], [])


def respelled(world: World) -> None:
    """Spells every identity as an earlier version stored it for a source that pandas wrote."""
    for table, column, holders in (("ORDERS_UNIFIED", "record_uuid", ()), *identities.COLUMNS):
        for holder in holders:
            world.run(f"UPDATE {table} SET {holder} = REPLACE({holder}, {column}, lower({column}))")
        world.run(f"UPDATE {table} SET {column} = lower({column})")


def test_a_home_that_knows_lower_case_goes_on_without_a_storm(world: World) -> None:
    ids = [lettered(n) for n in range(1, 4)]
    world.add(*(row(n, record_uuid=uuid) for n, uuid in enumerate(ids, 1)), row(9, record_uuid=lettered(9), S=-1))
    world.flow()
    before = {table: world.query(f"SELECT * FROM {table}") for table, _, _ in identities.COLUMNS}
    assert len(before["ERR_MON_CustMasterSchedule"]) == 1
    respelled(world)
    assert identities.respell(world.db) == 4
    assert {table: world.query(f"SELECT * FROM {table}") for table, _, _ in identities.COLUMNS} == before
    assert identities.respell(world.db) == 0
    assert world.flow() == []
    world.run("UPDATE ORDERS_UNIFIED SET [PO NUMBER] = 'x' WHERE record_uuid = ?", ids[0].lower())
    assert [(event.record_uuid, event.change) for event in world.flow()] == [(ids[0], events.Change.UPDATED)]


def test_of_two_orders_that_are_one_an_earlier_home_keeps_one(world: World) -> None:
    world.add(row(1, record_uuid=lettered(1)))
    world.flow()
    for table, column, _ in identities.COLUMNS:
        twin = world.query(f"SELECT * FROM {table}")
        for line in twin:
            keys = {name: 10**9 + int(line[name]) for name in line if name in ("stg_id", "err_id")}
            made = line | keys | {column: lettered(1).lower()}
            marks = ", ".join("?" * len(made))
            world.run(
                f"INSERT INTO {table} ({', '.join(f'[{name}]' for name in made)}) VALUES ({marks})", *made.values()
            )
    assert len(world.query("SELECT * FROM MON_CustMasterSchedule")) == 2
    identities.respell(world.db)
    assert [line["source_uuid"] for line in world.query("SELECT * FROM MON_CustMasterSchedule")] == [lettered(1)]
    assert world.flow() == []
