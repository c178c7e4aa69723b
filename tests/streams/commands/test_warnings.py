"""Warnings: visible in status, errors, trace and metrics for as long as their version is in production."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer import testing

from connectors.tables import cleanup, warnings
from streams import cleanup as cleanup_step
from streams.cli import main as cli
from streams.detect import guard
from streams.resources import utcnow
from streams.runtime import connect, metrics
from streams.runtime import status as statuses
from streams.settings import Settings
from tests.support import factories
from tests.support.factories import World, identity, row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


@pytest.fixture
def settings(world: World) -> Settings:
    return Settings(home=world.path.parent)


def run(settings: Settings, *arguments: str) -> Any:
    given = ["--home", str(settings.home), *arguments]
    return testing.CliRunner().invoke(cli.app, given, env={"COLUMNS": "250"})


def listed(world: World) -> list[tuple[str, int, str]]:
    found = warnings.Warnings(world.db).listed()
    return [(one.record_uuid, one.version, one.problem.column) for one in found]


def warned(world: World) -> None:
    """Three orders with warnings, one without, and a refused one, whose warning nobody needs."""
    world.add(
        row(1, TOTAL_QTY=99),
        row(2, ORDER_TYPE="REBUY", EX_FACTORY_DATE="1900-01-01"),
        row(3, CUSTOMER_NAME="EXOTIC", TOTAL_QTY=7),
        row(4),
        row(5, TOTAL_QTY=99, CUSTOMER_PRICE="cheap"),
    )
    world.flow()


def test_warnings_are_counted_and_listed_everywhere(world: World, settings: Settings) -> None:
    warned(world)
    counts = {"TOTAL QTY": 2, "ORDER TYPE": 1, "EX FACTORY DATE": 1}
    shown = json.loads(run(settings, "errors", "--warnings", "--json").output)
    assert [(line["order_number"], line["column"], line["value"]) for line in shown] == [
        ("JOO-00003", "TOTAL QTY", "7"),
        ("JOO-00001", "TOTAL QTY", "99"),
        ("JOO-00002", "ORDER TYPE", "REBUY"),
        ("JOO-00002", "EX FACTORY DATE", "1900-01-01"),
    ]
    assert {key for line in shown for key in line} == {
        "record_uuid", "version", "customer", "order_number", "column", "value", "reason", "advice",
    }  # fmt: skip
    table = run(settings, "errors", "--warnings").output
    assert "4 warnings" in table
    assert "its sizes add up to 3" in table
    assert "correct the total" in table
    one = json.loads(run(settings, "errors", "--warnings", "--customer", "exotic", "--json").output)
    assert [line["customer"] for line in one] == ["EXOTIC"]
    status = run(settings, "status").output
    assert "warned      2 × [TOTAL QTY]: `ordersync errors --warnings`" in status
    assert json.loads(run(settings, "status", "--json").output)["warnings"] == counts
    traced = run(settings, "trace", "JOO-00001").output
    assert "warned   [TOTAL QTY] is '99': its sizes add up to 3" in traced
    assert json.loads(run(settings, "trace", "JOO-00001", "--json").output)["warnings"][0]["column"] == "TOTAL QTY"
    assert "warned" not in run(settings, "trace", "JOO-00004").output
    with connect.database(settings) as parts:
        tables = metrics.Tables(statuses.collect(parts), None, 0)
    (gauge,) = [metric for metric in metrics._orders(tables) if metric.name == "ordersync_warnings"]
    assert {sample.labels["column"]: sample.value for sample in gauge.samples} == counts


def test_a_warning_lives_as_long_as_its_version_is_in_production(world: World) -> None:
    warned(world)
    world.edit(1, {"NOTES": "new"})
    world.edit(2, {"ORDER TYPE": "ACTIVE", "EX FACTORY DATE": "2025-03-04"})
    world.remove(3)
    world.flow(limits=guard.Limits(deleted=1, changed=1, rows=50))
    assert listed(world) == [(identity(1), 2, "TOTAL QTY")]
    world.clock.advance(timedelta(days=100).total_seconds())
    cleaner = cleanup_step.Cleaner(
        cleanup.Cleanup(world.db, now=world.clock), world.state, timedelta(days=1), world.clock
    )
    while cleaner.step():
        pass
    stored = "SELECT version FROM STG_MON_CustMasterSchedule WHERE source_uuid = ?"
    assert [line["version"] for line in world.query(stored, identity(1))] == [2]
    assert listed(world) == [(identity(1), 2, "TOTAL QTY")]
    world.edit(1, {"CUSTOMER PRICE": "cheap"})  # refused: the board keeps the version that has the warning
    world.flow()
    assert listed(world) == [(identity(1), 2, "TOTAL QTY")]


def test_a_home_of_an_earlier_version_gets_the_columns(world: World) -> None:
    world.add(row(1))
    world.flow()
    world.run("DROP INDEX IX_MON_Warnings")
    for table in ("MON_CustMasterSchedule", "STG_MON_CustMasterSchedule"):
        world.run(f"ALTER TABLE {table} DROP COLUMN warnings")
    done = world.db.apply_schema(utcnow())
    assert sum("[warnings]" in line for line in done) == 2
    world.edit(1, {"TOTAL QTY": 5})
    world.flow()
    assert listed(world) == [(identity(1), 2, "TOTAL QTY")]


def test_usage(settings: Settings) -> None:
    assert "no warning" in run(settings, "errors", "--warnings").output
    assert run(settings, "errors", "--warnings", "--code", "X").exit_code == 2
