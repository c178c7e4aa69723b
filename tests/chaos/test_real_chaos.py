"""Four schedules on real processes, on one stage; `make chaos` plays as many as you like."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mappings import loading, sizes
from sql import tables
from streams.demo import stage as demo
from tests.chaos.judge import Verdict
from tests.chaos.real import chaos, outcome, recovery
from tests.chaos.real.points import PLACES, Point, Strikes
from tests.chaos.real.schedule import Arm, Author, Schedule
from tests.chaos.real.stage import ROOT

# Three that take no broker away, hold no writer down and leave no create in doubt: each of these costs 20 to 40 s. And
# the first that leaves one in doubt. `make chaos` plays them all.
SAMPLE = (1, 2, 5, 13)


@pytest.fixture(scope="module")
def author() -> Author:
    live = [(column.name, column.type) for column in tables.get(tables.SOURCE).columns]
    return Author([name for name, _ in live], sizes.size_columns(live, loading.load().board.sizes))


@pytest.mark.timeout(3000)
def test_source_production_and_board_are_equal_whoever_was_killed(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    result = chaos.run(SAMPLE, in_flight=demo.IN_FLIGHT)
    with capsys.disabled():
        print("", *result.told(time.monotonic() - began), sep="\n")
    assert result.holds, "\n".join(f"seed {seed}\n{one}" for seed, one in result.verdicts.items() if not one.holds)
    assert sum(n for what, n in result.met.items() if what.startswith("died at")) >= 3, "the strikes really struck"


def test_a_seed_tells_the_same_story_every_time(author: Author) -> None:
    assert str(author.schedule(7)) == str(author.schedule(7))
    assert str(author.schedule(7)) != str(author.schedule(8))


def test_many_schedules_strike_every_point(author: Author) -> None:
    def armed(played: Schedule) -> set[Point]:
        return {act.point for _, act in played.steps if isinstance(act, Arm)}

    assert set().union(*(armed(author.schedule(seed)) for seed in range(1, 41))) == set(Point) == set(PLACES)


def test_a_point_ends_its_process_at_the_passage_it_was_armed_for(tmp_path: Path) -> None:
    script = (
        "from tests.chaos.real import points\nfrom connectors.tables import orders\n"
        "from pathlib import Path\nimport sys\n"
        "orders.Orders.move_snapshots = lambda self, snapshots: print('moved', flush=True)\n"
        "folder = Path(sys.argv[1])\npoints.patch(folder, 'poller', lease=folder / 'lease')\n"
        "points.Strikes(folder).arm(points.Point.SNAPSHOT, 2)\n"
        "for _ in range(3): orders.Orders.move_snapshots(None, [])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout.split()) == (-9, ["moved", "moved"])
    death = Strikes(tmp_path).deaths()
    assert [(one.process, one.point, one.writer) for one in death] == [("poller", Point.SNAPSHOT, False)]
    assert not (tmp_path / Point.SNAPSHOT).exists()


def test_the_99th_percentile_is_the_worst_of_few() -> None:
    assert recovery.percentile([3.0, 1.0, 2.0], 99) == 3.0
    assert recovery.percentile(range(1, 201), 99) == 198


def test_what_many_schedules_did_not_measure_is_a_goal_missed() -> None:
    few = chaos.Result({seed: Verdict() for seed in range(chaos.MANY - 1)})
    assert few.slow() == []
    assert "takeover_p99_s=not measured" in list(few.told(1.0))[-1]
    many = chaos.Result({seed: Verdict() for seed in range(chaos.MANY)}, recovery.Times(recovery={"ack": [1.0]}))
    assert [said.split(" was not")[0] for said in many.slow()] == [
        "several_died",
        "takeover",
        "all_in_doubt",
        f"no worker joined in {chaos.MANY} schedules",
    ]


def test_a_death_is_alone_when_no_other_start_competes_with_its_own() -> None:
    first, again, other, late = (recovery.WorkerDeath(at, "ack", writer=True) for at in (9.0, 10.0, 12.0, 15.0))
    assert recovery.alone(other, [other], 1.0)
    assert not recovery.alone(again, [first, again], 1.0)
    assert recovery.alone(first, [first, other], 2.5)
    assert not recovery.alone(first, [first, other], 3.5)
    assert recovery.alone(first, [first, late], 60.0), "it came when the goal was missed already"


def test_every_second_scenario_plays_on_the_pure_build(tmp_path: Path) -> None:
    played = outcome.every_second_pure({name: lambda folder, seed, *, pure: outcome.Outcome(True) for name in "abc"})
    builds = [[play(tmp_path, seed).figures["build"] for play in played.values()] for seed in (1, 2)]
    assert builds == [["compiled", "pure", "compiled"], ["pure", "compiled", "pure"]]
