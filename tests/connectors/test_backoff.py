"""Pauses: bounded, growing, jittered, and the same for the same seed."""

import itertools
import random

from connectors import backoff


class HighRoller(random.Random):
    """Always rolls the highest pause, which shows the ceiling."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    ceilings = list(backoff.delays(rng=HighRoller(), base=1, cap=10, tries=6))
    assert ceilings == [1, 2, 4, 8, 10, 10]


def test_full_jitter_spreads_pauses_from_zero_to_the_ceiling() -> None:
    pauses = [next(backoff.delays(rng=random.Random(seed), base=8)) for seed in range(400)]
    assert all(0 <= pause <= 8 for pause in pauses)
    assert min(pauses) < 0.5
    assert max(pauses) > 7.5


def test_tries_bound_the_pauses_and_none_never_ends() -> None:
    assert list(backoff.delays(rng=random.Random(1), tries=0)) == []
    endless = backoff.delays(rng=random.Random(1), cap=60)
    assert len(list(itertools.islice(endless, 5_000))) == 5_000


def test_a_base_above_the_cap_is_capped() -> None:
    assert next(backoff.delays(rng=HighRoller(), base=100, cap=5)) == 5


def test_equal_seeds_give_equal_pauses() -> None:
    first, second = (list(backoff.delays(rng=random.Random(7), tries=9)) for _ in range(2))
    assert first == second
