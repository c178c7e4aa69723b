"""verify and replay on the command line, as far as SQL answers; the rest needs a broker: tests/integration."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer import testing

from streams.cli import main as cli
from streams.commands import verify as verify_command
from tests.support import factories
from tests.support.factories import identity, row

GREYSON, OTHER = "GREYSON CLOTHIERS", "RHONE"


class Desk:
    """The command line, on a world in which every source row has another state."""

    def __init__(self, folder: Path, world: factories.World) -> None:
        self.folder = folder
        self.world = world
        world.add(
            row(1), row(2, CUSTOMER_PRICE="a lot"), row(3), factories.excluded_row(4), row(5, CUSTOMER_NAME=OTHER)
        )
        world.flow()
        world.add(row(6), {**row(7), "record_uuid": None})
        world.edit(3, {"NOTES": "new"})
        world.detect()
        world.state.set(f"hold.{OTHER}", {"by": "test"})

    def type(self, *arguments: str) -> testing.Result:
        runner = testing.CliRunner(env={"COLUMNS": "200", "ORDERSYNC_HOME": str(self.folder), "TERM": "dumb"})
        return runner.invoke(cli.app, ["--database", str(self.world.path), *arguments])


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with factories.world(tmp_path) as world:
        yield Desk(tmp_path, world)


def test_every_row_of_the_source_is_counted_once(desk: Desk) -> None:
    shown = desk.type("verify")
    assert shown.exit_code == 0
    assert "7 rows of ORDERS_UNIFIED, each in exactly one state" in shown.output
    assert "✓ every row is accounted for" in shown.output
    result = json.loads(desk.type("verify", "--json").output)
    states = {
        state: sum(one.get(state, 0) for one in result["customers"].values()) for state in result["customers"][GREYSON]
    }
    assert states == {"IN_SYNC": 1, "FAILED": 2, "WAITING": 2, "EXCLUDED": 1}
    assert result["customers"][OTHER] == {"HELD": 1}
    assert sum(states.values()) + 1 == result["source_rows"] == 7
    assert (result["sound"], result["wrong"], result["held"], result["stalled"]) == (True, [], 0, None)


def test_findings_are_listed_and_the_exit_code_is_1(desk: Desk) -> None:
    desk.world.run("DELETE FROM MON_CustMasterSchedule WHERE source_uuid = ?", identity(1))
    shown = desk.type("verify")
    assert shown.exit_code == 1
    assert f"✗ {GREYSON} {identity(1)}: marked as in sync, but production does not have the settled" in shown.output
    result = json.loads(desk.type("verify", "--json").output)
    assert [(one["record_uuid"], one["said"].startswith(GREYSON)) for one in result["wrong"]] == [(identity(1), True)]
    assert not result["sound"]


BEGINNING = "--from-beginning"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["verify", "--wait"], "--wait needs --fix"),
        (["verify", "--full"], "--full needs --board"),
        (["verify", "--timeout", "0"], "--timeout"),
        (["replay", BEGINNING], "give --customer, or --all"),
        (["replay", "--all", "--customer", "greyson", BEGINNING], "give --customer, or --all"),
        (["replay", "--customer", "greyson"], "give one of --from-offset, --since and --from-beginning"),
        (["replay", "--all", BEGINNING, "--since", "2026-11-21"], "give one of"),
        (["replay", "--all", "--from-offset", "3"], "goes with one --customer"),
        (["replay", "--customer", "greyson", "--customer", "rhone", BEGINNING, "--to-offset", "3"], "one --customer"),
        (["replay", "--all", "--since", "yesterday"], "'yesterday' is no time: write 2026-11-21T10:00"),
        (["replay", "--customer", "NOBODY", BEGINNING], "no order of customer 'NOBODY': `ordersync status`"),
    ],
)
def test_wrong_usage_is_explained_and_ends_with_2(desk: Desk, arguments: list[str], reason: str) -> None:
    shown = desk.type(*arguments)
    assert shown.exit_code == 2
    assert reason in " ".join(shown.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["verify"], "stopped\n"), (["verify", "--fix"], "emitted repairs stay emitted, and a worker carries them out")],
)
def test_ctrl_c_ends_as_a_shell_expects_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    def interrupted(*_: object, **__: object) -> verify_command.Result:
        raise KeyboardInterrupt

    monkeypatch.setattr(verify_command, "run", interrupted)
    shown = desk.type(*arguments)
    assert shown.exit_code == 130
    assert said in shown.stderr
