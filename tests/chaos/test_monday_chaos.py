"""A sample of the fault schedules; `python -m tests.chaos.monday` plays as many as you like."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import monday
from tests.support.board_script import schedule

SAMPLE = range(1, 16)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    with monday.empty_database() as path:
        yield path


@pytest.mark.parametrize("seed", SAMPLE)
def test_the_board_is_right_in_the_end_and_nothing_is_there_twice(seed: int, template: Path) -> None:
    found = monday.verdict(seed, template)
    assert found.holds, f"{schedule(seed)}\n{found}"


def test_a_seed_tells_the_same_story_every_time(template: Path) -> None:
    assert str(schedule(7)) == str(schedule(7))
    assert monday.verdict(7, template).met == monday.verdict(7, template).met


def test_the_sample_holds_what_it_is_there_for() -> None:
    stories = [schedule(seed) for seed in SAMPLE]
    kinds = {rule.kind for story in stories for rule in story.rules}
    assert len(kinds) >= 15
    assert any(story.lookup_lag for story in stories)
    assert {strike.frozen for story in stories for strike in story.strikes} == {False, True}
