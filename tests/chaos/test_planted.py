"""The planted bugs fit the code of today and leave nothing behind. `make chaos-mutants` shows what catches them."""

import time
from pathlib import Path

import pytest

from tests.chaos import planted
from tests.chaos.real import mutants as real
from tests.chaos.real import points
from tests.chaos.real.points import How, Place, Point, Strikes
from tests.chaos.sim import mutants as simulated

# What the check of the checker has to try at least.
WANTED = {
    "ack before work",
    "send not awaited",
    "concurrency 2",
    "snapshot before delivery",
    "no intent",
    "wrong partitioner",
    "swallowed exception",
    "plain noack_take",
    "orderly stop",
    "no lease",
    "no watchdog",
}


def test_the_bugs_that_have_to_be_tried_are_all_there() -> None:
    assert planted.PLANTS.keys() >= WANTED
    assert len(planted.PLANTS) >= 12


def test_what_the_simulated_level_cannot_have_is_tried_on_real_processes() -> None:
    assert simulated.ELSEWHERE <= real.TRIALS.keys() <= planted.PLANTS.keys()


@pytest.mark.parametrize("name", planted.PLANTS)
def test_a_bug_replaces_what_is_there_and_gives_it_back(name: str) -> None:
    patches = planted.PLANTS[name].patches
    before = [getattr(where, what) for where, what, _ in patches]
    with planted.PLANTS[name].planted():
        assert all(getattr(where, what) is not was for (where, what, _), was in zip(patches, before, strict=True))
    assert [getattr(where, what) for where, what, _ in patches] == before


def test_a_step_fails_late_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Step:
        def run(self) -> str:
            return "done"

    monkeypatch.setattr(points, "PLACES", {Point.STAGE_COMMIT: Place(Step, "run")})
    monkeypatch.setattr(points, "STALL_SECONDS", 0.05)
    points.patch(tmp_path, "worker-1", lease=tmp_path / "lease")
    Strikes(tmp_path).arm(Point.STAGE_COMMIT, 2, How.FAIL_LATE)
    assert Step().run() == "done"
    began = time.monotonic()
    with pytest.raises(RuntimeError, match="struck at stage-commit"):
        Step().run()
    assert time.monotonic() - began >= 0.05
    assert Step().run() == "done"
