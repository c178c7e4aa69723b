"""Three hundred schedules of the whole flow; `make chaos-sim` plays as many as you like."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.chaos.judge import Verdict
from tests.chaos.sim import mutants, play, pool, world
from tests.chaos.sim.script import POINTS, schedule

SAMPLE = range(1, 301)


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


def test_a_seed_tells_the_same_story_every_time(templates: world.Templates) -> None:
    seed = next(seed for seed in SAMPLE if schedule(seed).interleaved == 0.5 and schedule(seed).strikes)
    first: list[str] = []
    again: list[str] = []
    with mutants.quiet():
        play.verdict(schedule(seed), templates, told=first)
        play.verdict(schedule(seed), templates, told=again)
    assert first == again


def test_a_planted_bug_is_caught_by_what_it_does() -> None:
    found = mutants.caught("ack before work", n=20)
    assert found is not None
    assert "lost" in found
