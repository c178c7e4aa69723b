"""The commands about archive and holds, as a person meets them; roll back itself needs a broker: tests/integration."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest
from typer import testing

from connectors.archive import snapshots as archived_snapshots
from connectors.tables import customers
from streams.archive import snapshots as archive_snapshots
from streams.cli import main as cli
from streams.detect import holds
from tests.support import factories
from tests.support.factories import identity, row

GREYSON, OTHER = "GREYSON CLOTHIERS", "JOHNNIE O"


class Desk:
    """A person at a terminal, beside a world with two archived customers."""

    def __init__(self, folder: Path, world: factories.World) -> None:
        self.folder = folder
        self.world = world
        self.store = archived_snapshots.Archive(world.db, days=30, now=world.clock)
        world.add(row(1, NOTES="[red]late[/red]"), row(2), row(3, CUSTOMER_NAME=OTHER))
        world.flow()
        archiver = archive_snapshots.Archiver(
            source=world.orders,
            customers=customers.Customers(world.db),
            snapshots=self.store,
            store=world.state,
            mappings=world.mappings,
            retention=archive_snapshots.Retention(30, 100),
            now=world.clock,
        )
        for customer in archiver.ready():
            archiver.archive(customer)

    def type(self, *arguments: str) -> testing.Result:
        runner = testing.CliRunner(env={"COLUMNS": "200", "ORDERSYNC_HOME": str(self.folder)})
        return runner.invoke(cli.app, ["--database", str(self.world.path), *arguments])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with factories.world(tmp_path) as world:
        yield Desk(tmp_path, world)


def test_the_list_names_customer_time_and_rows(desk: Desk) -> None:
    shown = desk.type("archive", "list")
    assert shown.exit_code == 0
    assert GREYSON in shown.output
    assert OTHER in shown.output
    only = desk.type("archive", "list", "--customer", "greyson").output
    assert GREYSON in only
    assert OTHER not in only


def test_a_snapshot_is_shown_by_number_or_by_customer_and_time(desk: Desk) -> None:
    number = desk.store.entries(GREYSON)[0].id
    shown = desk.type("archive", "show", str(number), "--order", "JOO-00001")
    assert identity(1) in shown.output
    assert identity(2) not in shown.output
    assert "[red]late[/red]" in shown.output
    assert desk.type("archive", "show", "--customer", "greyson", "--at", "2026-12-31").output.count("version") == 2
    assert desk.type("archive", "show", str(number), "--order", "NOBODYS").exit_code == 1


def test_a_snapshot_is_written_as_csv_and_as_parquet(desk: Desk) -> None:
    number = str(desk.store.entries(GREYSON)[0].id)
    csv, file = desk.folder / "one.csv", desk.folder / "one.parquet"
    assert desk.type("archive", "show", number, "--csv", str(csv)).exit_code == 0
    assert desk.type("archive", "show", number, "--parquet", str(file)).exit_code == 0
    rows = pd.read_csv(csv, dtype=str)
    assert list(rows["record_uuid"]) == [identity(1), identity(2)]
    assert list(rows["S"]) == ["1", "1"]
    assert pyarrow.parquet.read_table(file).num_rows == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["archive", "show", "77"], "has no snapshot 77"),
        (["archive", "show", "--customer", "greyson", "--at", "2020-01-01"], "first snapshot is of 2026-11-21"),
        (["archive", "show", "--customer", "NOBODY"], "has nothing of NOBODY"),
        (["hold", "--customer", "NOBODY"], "no order of customer 'NOBODY'"),
        (["release", "--customer", "greyson"], "is not on hold"),
        (["rollback", "--customer", "greyson", "--release"], "is not on hold"),
    ],
)
def test_what_cannot_be_is_said_with_what_to_do(desk: Desk, arguments: list[str], reason: str) -> None:
    shown = desk.type(*arguments)
    assert shown.exit_code == 1
    assert reason in str(shown.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ["rollback", "--customer", "greyson"],
        ["rollback", "--customer", "greyson", "--to", "2026-11-21", "--release"],
        ["rollback", "--customer", "greyson", "--to", "yesterday"],
        ["archive", "show"],
        ["archive", "show", "1", "--parquet", "a", "--csv", "b"],
    ],
)
def test_wrong_usage_ends_with_2(desk: Desk, arguments: list[str]) -> None:
    assert desk.type(*arguments).exit_code == 2


def test_a_hold_is_shown_by_status_and_ended_by_release(desk: Desk) -> None:
    assert f"{GREYSON} is on hold" in desk.type("hold", "--customer", "greyson").output
    first = holds.holds(desk.world.state)
    desk.type("hold", "--customer", "GREYSON")
    assert holds.holds(desk.world.state) == first
    status = desk.type("status").output
    assert "on hold     GREYSON CLOTHIERS" in status
    desk.world.edit(1, {"NOTES": "new"})
    assert desk.world.passed() == []
    assert "1 orders, and new ones" in desk.type("release", "--customer", "greyson").output
    assert [event.record_uuid for event in desk.world.passed()] == [identity(1)]


def test_prune_says_how_many_it_took_out(desk: Desk) -> None:
    assert desk.type("archive", "prune").output == "took out 0 snapshots\n"
