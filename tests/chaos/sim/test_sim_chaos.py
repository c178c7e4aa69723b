"""A hundred schedules of the whole flow; `make chaos-sim` plays as many as you like."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.judge import Verdict
from tests.chaos.sim import bad, mutants, play, pool, world
from tests.chaos.sim.script import POINTS, schedule

# The schedules keep all cores busy: where others have them too, three hundred took 459 s.
pytestmark = pytest.mark.timeout(1800)
ROOT = Path(__file__).parents[3]
SAMPLE = range(1, 101)
REFUSED = 12


@pytest.fixture(scope="module")
def played() -> dict[int, Verdict]:
    """Over all cores."""
    return dict(pool.verdicts(SAMPLE))


@pytest.fixture(scope="module")
def templates() -> Iterator[world.Templates]:
    with play.prepared() as made:
        yield made


def test_nothing_is_lost_made_twice_or_taken_back(played: dict[int, Verdict]) -> None:
    wrong = {seed: found for seed, found in played.items() if not found.holds}
    assert not wrong, "\n".join(f"make chaos-sim ONLY={seed}\n{found}" for seed, found in wrong.items())


def test_the_sample_meets_what_it_is_there_for(played: dict[int, Verdict]) -> None:
    met: Counter[str] = Counter()
    for found in played.values():
        met.update(found.met)
    struck = {what.rpartition(" at ")[2] for what in met if " at " in what}
    assert not set(POINTS) - struck
    acts = {what.partition(" at ")[0] for what in met if " at " in what}
    assert acts == {"kill", "freeze", "stop"}
    expected = (
        "rebalance",
        "broker away",
        "log wiped",
        "swept",
        "sent all and failed",
        "sent some and failed",
        "replays",
    )
    assert all(met[what] for what in expected), met


def _interleaved() -> int:
    """A seed whose tasks are often taken in another order, and whose processes are struck."""
    return next(seed for seed in SAMPLE if schedule(seed).interleaved == 0.5 and schedule(seed).strikes)


def test_a_seed_tells_the_same_story_every_time(templates: world.Templates) -> None:
    seed = _interleaved()
    first: list[str] = []
    again: list[str] = []
    with mutants.quiet():
        play.verdict(schedule(seed), templates, told=first)
        play.verdict(schedule(seed), templates, told=again)
    assert first == again


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    """Sets and hashes of text are in another order there."""
    script = (
        "import hashlib; from tests.chaos.sim import bad, mutants, play; from tests.chaos.sim.script import schedule\n"
        "told = []\n"
        "with mutants.quiet(), play.prepared() as made: play.verdict(schedule(SEED), made, told=told)\n"
        "print(len(told), hashlib.sha256('\\n'.join(told).encode()).hexdigest())"
    ).replace("SEED", str(_interleaved()))
    # Beside each other: each takes a second to start.
    playing = [
        subprocess.Popen(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hashed},
            stdout=subprocess.PIPE, text=True,
        )
        for hashed in ("1", "2")
    ]  # fmt: skip
    first, again = [one.communicate(timeout=120)[0].split() for one in playing]
    assert int(first[0]) > 0
    assert first == again


def test_who_failed_without_a_cause_is_seen(templates: world.Templates, monkeypatch: pytest.MonkeyPatch) -> None:
    """The board refuses orders of this seed; here nobody is told that it did."""
    with mutants.quiet():
        assert play.verdict(schedule(REFUSED), templates).holds
        monkeypatch.setattr(bad, "orders", lambda world: frozenset())
        found = play.verdict(schedule(REFUSED), templates)
    assert any("failed, and nobody made it" in said for said in found.other), str(found)


def test_a_planted_bug_is_caught_by_what_it_does() -> None:
    found = mutants.caught("ack before work", n=20)
    assert found is not None
    assert "lost" in found
