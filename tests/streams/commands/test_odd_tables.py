"""status, verify, trace and the plans of repairs on tables that hold anything: each ends, and tells what it found.

The tables are as another program makes them: not STRICT, without NOT NULL. Each order has another odd cell.
"""

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer import testing

from connectors import errors
from streams.cli import main as cli
from streams.commands import trace
from streams.commands.fix import FixLoop
from streams.progress import silent
from streams.reconcile import audit
from streams.resources import Resources
from streams.settings import Settings
from tests.support import factories
from tests.support.factories import World, identity, row

# NULL, text that is no UTF-8, a BLOB, text that is no number and no JSON, a fraction, JSON of another shape.
ODD = ("NULL", "CAST(X'61FF' AS TEXT)", "X'61FF'", "'nonsense'", "1.5", '\'{"a": [1, {"b": null}]}\'')
KEYS = {
    "MON_CustMasterSchedule": "source_uuid",
    "MON_CustMasterSchedule_Subitems": "record_uuid",
    "STG_MON_CustMasterSchedule": "source_uuid",
    "SYNC_Ledger": "record_uuid",
    "ORDERS_UNIFIED": "record_uuid",
    "ORDERS_UNIFIED_SNAPSHOT": "record_uuid",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def loosen(world: World, table: str) -> list[str]:
    """Makes the table anew, with the same rows, so that it takes anything. Returns its columns."""
    (made,) = world.query("SELECT sql FROM sqlite_master WHERE name = ?", table)
    views = world.query("SELECT name, sql FROM sqlite_master WHERE type = 'view'")
    indexes = world.query("SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql <> ''", table)
    body = made["sql"].removesuffix("STRICT").replace(" NOT NULL", "").replace(table, "LOOSE", 1)
    for view in views:
        world.run(f"DROP VIEW {view['name']}")
    world.run(body)
    world.run(f"INSERT INTO LOOSE SELECT * FROM {table}")
    world.run(f"DROP TABLE {table}")
    world.run(f"ALTER TABLE LOOSE RENAME TO {table}")
    for made in [*indexes, *views]:
        world.run(made["sql"])
    return [column["name"] for column in world.query("SELECT name FROM pragma_table_info(?)", table)]


def type_(world: World, *arguments: str) -> testing.Result:
    """What a person types. A traceback fails."""
    environment = {"ORDERSYNC_HOME": str(world.path.parent), "COLUMNS": "200", "TERM": "dumb"}
    ended = testing.CliRunner(env=environment).invoke(cli.app, list(arguments))
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exc_info
    assert ended.exit_code in (0, 1, 3), ended.output
    return ended


@pytest.mark.parametrize("table", KEYS)
def test_no_cell_of_any_table_ends_a_command_in_a_traceback(world: World, table: str) -> None:
    columns = [column["name"] for column in world.query("SELECT name FROM pragma_table_info(?)", table)]
    if table == "ORDERS_UNIFIED":
        columns = [name for name in columns if name in row(1)]
    odd = list(enumerate(itertools.product(columns, ODD), start=1))
    world.add(*(row(n) for n, _ in odd))
    world.flow()
    loosen(world, table)
    only_item = " AND size_label = ''" if table == "SYNC_Ledger" else ""
    for n, (name, value) in odd:
        # The key of the row is a whole number in SQLite, whatever the table is like.
        with contextlib.suppress(errors.Rejected):
            world.run(f"UPDATE {table} SET [{name}] = {value} WHERE {KEYS[table]} = ?{only_item}", identity(n))
    for arguments in (("status",), ("status", "--json"), ("verify", "--fix", "--dry-run")):
        type_(world, *arguments)
    found = json.loads(type_(world, "verify", "--json").output)
    assert sum(n for states in found["customers"].values() for n in states.values()) == found["source_rows"]
    uuids = [identity(n) for n, _ in odd]
    parts = Resources(Settings(home=world.path.parent))
    try:
        # The columns that a trace reads are among the last ones, those of ordersync.
        for uuid in uuids[-31 * len(ODD) :]:
            for order in trace.find(parts.settings, uuid):
                json.loads(trace.trace(parts.settings, order).model_dump_json())
        drift = [
            audit.Drift(kind=audit.Kind.EDITED, record_uuid=uuid, item_id="7", field="(name)", shown="by hand")
            for uuid in uuids
        ]
        board = audit.BoardReport(items=1, compared=1, unkeyed=0, drift=tuple(drift))
        plan = FixLoop(parts, silent, 1.0).plan(parts.verifier().check(thorough=True), board)
        assert len(plan.repairs) + len(plan.left) >= len(uuids)
    finally:
        parts.close()


def test_a_production_text_that_is_no_utf_8_is_a_difference_that_can_be_read(world: World) -> None:
    world.add(row(1), row(2, NOTES="a\ufffd"), row(3))
    world.flow()
    world.run("UPDATE MON_CustMasterSchedule SET NOTES = CAST(X'61FF' AS TEXT) WHERE source_uuid <> ?", identity(3))
    found = json.loads(type_(world, "verify", "--json").output)["wrong"]
    assert [(one["record_uuid"], one["differences"][0]["production"]) for one in found] == [
        (identity(1), "a\\xff"),
        (identity(2), "a\\xff"),
    ]
    assert "production 'a\\\\xff'" in type_(world, "verify").output


def test_a_ledger_row_that_is_no_json_is_a_difference_and_its_repair_sends_every_column(world: World) -> None:
    world.add(row(1), row(2))
    world.flow()
    world.run("UPDATE SYNC_Ledger SET columns_json = 'no JSON' WHERE record_uuid = ? AND size_label = ''", identity(1))
    (found,) = json.loads(type_(world, "verify", "--json").output)["wrong"]
    assert found["record_uuid"] == identity(1)
    (item, _) = world.ledger.known([identity(1)])[identity(1)]
    assert item is not None
    assert (item.columns, item.active) == ({}, True)


def test_rows_of_an_earlier_workflow_are_counted_and_identities_may_be_spelled_in_any_way(world: World) -> None:
    world.add(row(1), row(2), row(3))
    world.flow()
    world.run("UPDATE ORDERS_UNIFIED SET record_uuid = '{' || LOWER(record_uuid) || '}' WHERE record_uuid = ?",
              identity(2))  # fmt: skip
    world.add({**row(4), "record_uuid": "JOO-1"})
    loosen(world, "MON_CustMasterSchedule")
    for item in (1, 2, 3):
        world.run("INSERT INTO MON_CustMasterSchedule ([Item ID], Title) VALUES (?, 'of an earlier workflow')", item)
    world.run("INSERT INTO MON_CustMasterSchedule ([Item ID], source_uuid) VALUES (4, 'no identity')")
    found = json.loads(type_(world, "verify", "--json").output)
    assert (found["wrong"], found["legacy"]) == ([], {"production": 4})
    assert "4 rows of production were written by another program" in type_(world, "verify").output
    for spelled in (identity(2), identity(2).lower(), "{" + identity(2) + "}"):
        assert json.loads(type_(world, "trace", spelled, "--json").output)["order"]["record_uuid"] == identity(2)
