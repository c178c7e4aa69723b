"""A version that no pass can have given: verify names it, and its repair voids it in every table."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.batches import SyncState
from streams.detect import step as detect
from tests.support import factories
from tests.support.factories import World, identity, row

FAR = 999_999
TABLES = {
    "ORDERS_UNIFIED_SNAPSHOT": ("record_uuid", "version = {}, settled_version = {}"),
    "STG_MON_CustMasterSchedule": ("source_uuid", "version = {}, [CUSTOMER PRICE] = '99.0000'"),
    "STG_MON_CustMasterSchedule_Subitems": ("source_uuid", "version = {}"),
    "MON_CustMasterSchedule": ("source_uuid", "version = {}, [CUSTOMER PRICE] = '99.0000'"),
    "MON_CustMasterSchedule_Subitems": ("record_uuid", "version = {}"),
    "SYNC_Ledger": ("record_uuid", "version = {}"),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        made.add(*(row(n) for n in range(1, 4)))
        made.flow()
        yield made


def versions(world: World) -> set[int]:
    found: set[int] = set()
    for table in TABLES:
        found |= {line["version"] for line in world.query(f"SELECT version FROM {table}")}
    return found


def test_what_was_forged_in_every_table_is_voided_and_the_order_arrives_again(world: World) -> None:
    for table, (key, changes) in TABLES.items():
        world.run(f"UPDATE {table} SET {changes.replace('{}', str(FAR))} WHERE {key} = ?", identity(2))
    assert FAR in versions(world)
    world.repairs.forget_future([identity(2)], int(world.state.get(detect.PASS)))
    assert FAR not in versions(world)
    assert [event.record_uuid for event in world.flow()] == [identity(2)]
    assert set(world.states().values()) == {SyncState.IN_SYNC}
    prices = world.query("SELECT [CUSTOMER PRICE] AS p FROM MON_CustMasterSchedule")
    assert {line["p"] for line in prices} == {"12.5000"}
    assert world.detect().quiet
