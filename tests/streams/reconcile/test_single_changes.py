"""verify finds any single cell that changes in source, production, ledger, snapshot or staging: no change is missed."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.tables import records
from mappings import columns, hashing, items, sizes
from schemas import events, versions
from sql import identifiers
from tests.support import factories
from tests.support.factories import World, excluded_row, identity, row

CHANGES, SEED = 2_000, 20261201
SETTLED, EXCLUDED, FAILED = (1, 2, 3), 4, 5
MON, SIZES, LEDGER = "MON_CustMasterSchedule", "MON_CustMasterSchedule_Subitems", "SYNC_Ledger"
SNAPSHOT, STAGING = "ORDERS_UNIFIED_SNAPSHOT", "STG_MON_CustMasterSchedule"
TABLES = ("ORDERS_UNIFIED", MON, SIZES, LEDGER, SNAPSHOT, STAGING)
HASH = "F" * 64
# Size M of order 2 has left it: a subitem of quantity 0 is as good as none.
SHOWN = f"NOT (record_uuid = '{identity(2)}' AND size_label = 'M')"
# Makes one change in one table and returns its text, which begins with the name of the table.
Change = Callable[[World, random.Random], str]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        made.add(
            row(1, NOTES="two\nlines", CUSTOMER_PRICE="$1,200.50"),
            row(2, {"S": 3, "32DD": 7, "M": 2}, CUSTOMER_NAME="GREYSON", PO_NUMBER=" 12 "),
            row(3, NOTES=None),
            excluded_row(EXCLUDED),
            row(FAILED, {"S": 4}),
        )
        made.flow()
        # Size M of order 2 stays in production and on the board, with quantity 0.
        made.edit(2, {"M": None, "TOTAL QTY": 10})
        made.edit(FAILED, {"CUSTOMER PRICE": "a lot"})
        changed = made.passed()
        made.record(*[event for event in made.stage(*changed) if isinstance(event, events.OrderFailed)])
        (staged,) = [event for event in made.stage(*changed) if isinstance(event, events.OrderStaged)]
        left = versions.Version(staged.record_uuid, staged.version)
        (order,) = made.staging.load([left]).values()
        made.staging.stage_left_sizes([versions.LeftSizes(order.stg_id, left, ["M"])])
        made.promote(*made.arrive([staged]))
        yield made


def rows_of(world: World, table: str, where: str = "1 = 1") -> list[dict[str, Any]]:
    return world.query(f"SELECT rowid AS at, * FROM {table} WHERE {where} ORDER BY rowid")


def set_cell(world: World, table: str, at: int, column: str, value: Any) -> str:
    world.run(f"UPDATE {table} SET [{column}] = ? WHERE rowid = ?", value, at)
    return f"{table} [{column}] of row {at} becomes {value!r}"


def restore(world: World, table: str, tables: dict[str, list[dict[str, Any]]]) -> None:
    """The table as it was when all rows of it were read."""
    with world.db.write() as session:
        session.execute(f"DELETE FROM {table}")
        first = tables[table][0]
        names, marks = identifiers.listed(first), ", ".join("?" * len(first))
        session.execute_many(
            f"INSERT INTO {table} ({names}) VALUES ({marks})", [tuple(one.values()) for one in tables[table]]
        )


def another(value: Any, dice: random.Random) -> Any:
    """A value that is not this one, in whatever form it is written."""
    if isinstance(value, int):
        return value + dice.choice([-1, 1, 7])
    if value in (None, ""):
        return f"new {dice.randrange(100)}"
    return dice.choice([None, "2031-01-31", f"{value}1", f"x{value}", "999.0000"])


def conversions(world: World) -> dict[str, Any]:
    expectations = world.comparison().expectations
    watched = columns.watched(world.mappings, expectations.size_columns)
    return {
        uuid: expectations.of(uuid, dict(zip(watched, hashing.cells(text), strict=True)))
        for uuid, _, text, _ in world.orders.scan(watched)
    }


def source_cell(world: World, dice: random.Random) -> str:
    """A watched cell of an order whose row converts otherwise after it."""
    before = conversions(world)
    size_columns = sizes.size_columns(world.orders.columns(), world.mappings.board.sizes)
    watched = columns.watched(world.mappings, size_columns)
    while True:
        found = dice.choice(rows_of(world, "ORDERS_UNIFIED", f"record_uuid <> '{identity(FAILED)}'"))
        column = dice.choice(dice.choice([watched, size_columns]))
        value = dice.randrange(99) if column in size_columns or column == "TOTAL QTY" else another(found[column], dice)
        text = set_cell(world, "ORDERS_UNIFIED", found["at"], column, value)
        after = conversions(world)
        if any(after[uuid].order != one.order or after[uuid].excluded != one.excluded for uuid, one in before.items()):
            return text
        set_cell(world, "ORDERS_UNIFIED", found["at"], column, found[column])


def order_in_production(world: World, dice: random.Random) -> str:
    found = dice.choice(rows_of(world, MON))
    shown = [*records.Records(world.db, world.production.columns).columns, "Item ID", "version", "row_hash"]
    column = dice.choice([*shown, "version", "row_hash"])
    value = dice.choice([another(found[column], dice)] * 3 + [None])
    if column == "row_hash":
        value = dice.choice([HASH, None])
    if value is None and (found[column] is None or column == "Item ID"):
        value = another(found[column], dice)
    return set_cell(world, MON, found["at"], column, value)


def size_in_production(world: World, dice: random.Random) -> str:
    found = dice.choice(rows_of(world, SIZES))
    changed = ["size_label", "Order Qty", "Size", "ORDER_QTY", *records.COPIED.values(), "version"]
    column = dice.choice(changed)
    return set_cell(world, SIZES, found["at"], column, another(found[column], dice))


def row_of_production_is_gone(world: World, dice: random.Random) -> str:
    table = dice.choice([MON, SIZES])
    where = "1 = 1" if table == MON else "[Order Qty] <> '0'"
    found = dice.choice(rows_of(world, table, where))
    world.run(f"DELETE FROM {table} WHERE rowid = ?", found["at"])
    return f"{table} row {found['at']} is gone"


def row_of_production_is_extra(world: World, dice: random.Random) -> str:
    uuid, version = identity(dice.choice([*SETTLED, FAILED, 99])), dice.randrange(1, 3)
    if dice.random() < 0.5:
        world.run(f"INSERT INTO {SIZES} (record_uuid, size_label, [Order Qty], version) VALUES (?, 'XXL', '5', ?)",
                  uuid, version)  # fmt: skip
        return f"{SIZES} has an extra size of {uuid}"
    uuid = identity(dice.choice([EXCLUDED, 99]))
    world.run(f"INSERT INTO {MON} (source_uuid, [Item ID], version) VALUES (?, 7, ?)", uuid, version)
    return f"{MON} has an extra order {uuid}"


def cell_of_the_ledger(world: World, dice: random.Random) -> str:
    found = dice.choice(rows_of(world, LEDGER, SHOWN))
    column = dice.choice(["name", "group_name", "item_id", "columns_json", "columns_json", "columns_json", "active"])
    if found["size_label"] and column in ("group_name", "item_id"):
        column = "columns_json"
    if column == "active":
        return set_cell(world, LEDGER, found["at"], column, 0)
    if column != "columns_json":
        return set_cell(world, LEDGER, found["at"], column, f"{found[column]}1")
    cells = json.loads(found["columns_json"])
    key = dice.choice(sorted(cells))
    strange = dice.choice(["no JSON", "[]", "null", None])
    if strange is None:
        cells[key] = dice.choice([{"label": "strange"}, "strange", {"ordersync": "unsure"}, 987])
    elif dice.random() < 0.5:
        return set_cell(world, LEDGER, found["at"], column, strange)
    else:
        del cells[key]
        key = f"{key} (gone)"
    return set_cell(world, LEDGER, found["at"], column, json.dumps(cells)) + f" at {key}"


def row_of_the_ledger(world: World, dice: random.Random) -> str:
    found = dice.choice(rows_of(world, LEDGER, SHOWN))
    if dice.random() < 0.5:
        world.run(f"DELETE FROM {LEDGER} WHERE rowid = ?", found["at"])
        return f"{LEDGER} row {found['at']} is gone"
    size = "XXL" if found["record_uuid"] != identity(99) and dice.random() < 0.7 else ""
    uuid = found["record_uuid"] if size else identity(dice.choice([EXCLUDED, 99]))
    columns_json = json.dumps(items.subitem_columns("XXL", 3, world.mappings))
    world.run(
        f"INSERT INTO {LEDGER} (record_uuid, size_label, item_id, board_id, name, group_name, columns_json, active,"
        " version, updated_at) VALUES (?, ?, '5', '9', 'Size XXL', '', ?, 1, 1, '2026-01-01T00:00:00.000000')",
        uuid, size, columns_json,
    )  # fmt: skip
    return f"{LEDGER} has an extra {size or 'item'} of {uuid}"


def cell_of_the_snapshot(world: World, dice: random.Random) -> str:
    found = dice.choice(rows_of(world, SNAPSHOT, f"record_uuid NOT IN ('{identity(EXCLUDED)}', '{identity(FAILED)}')"))
    column, value = dice.choice([
        ("row_hash", HASH), ("settled_hash", HASH), ("settled_hash", None), ("version", found["version"] + 1),
        ("version", found["version"] - 1), ("version", 10**6), ("settled_version", found["version"] + 1),
        ("settled_version", found["version"] - 1), ("settled_version", 10**9), ("failed_version", 10**6),
        ("sync_state", "NONSENSE"), ("sync_state", "FAILED"), ("sync_state", "EXCLUDED"),
    ])  # fmt: skip
    return set_cell(world, SNAPSHOT, found["at"], column, value)


def cell_of_staging(world: World, dice: random.Random) -> str:
    settled = f"version = (SELECT settled_version FROM {SNAPSHOT} WHERE record_uuid = source_uuid)"
    found = dice.choice(rows_of(world, STAGING, settled))
    column, value = dice.choice([("row_hash", HASH), ("version", 10**6)])
    return set_cell(world, STAGING, found["at"], column, value)


KINDS: tuple[Change, ...] = (
    source_cell, order_in_production, order_in_production, size_in_production, row_of_production_is_gone,
    row_of_production_is_extra, cell_of_the_ledger, cell_of_the_ledger, row_of_the_ledger, cell_of_the_snapshot,
    cell_of_staging,
)  # fmt: skip


def test_no_single_change_is_missed(world: World) -> None:
    settled = world.verifier().check(thorough=True)
    assert settled.wrong == ()
    assert settled.undetected == 0
    assert Counter({state.value: n for state, n in settled.total.items() if n}) == {
        "IN_SYNC": 3,
        "EXCLUDED": 1,
        "FAILED": 1,
    }
    dice = random.Random(SEED)
    tables = {table: world.query(f"SELECT rowid, * FROM {table}") for table in TABLES}
    missed = []
    for _ in range(CHANGES):
        text = dice.choice(KINDS)(world, dice)
        found = world.verifier().check(thorough=True)
        assert sum(found.total.values()) == found.source_rows, text
        if not found.wrong and not found.undetected:
            missed.append(text)
        restore(world, text.split(maxsplit=1)[0], tables)
    assert missed == [], "\n".join(sorted(set(missed)))
    assert world.verifier().check(thorough=True).wrong == ()
