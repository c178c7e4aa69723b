"""How long to wait before trying again. Pure: nothing here sleeps, reads a clock or rolls dice of its own."""

import itertools
import random
from collections.abc import Iterator


def delays(
    *,
    rng: random.Random,
    base: float = 1.0,
    factor: float = 2.0,
    cap: float = 60.0,
    tries: int | None = None,
) -> Iterator[float]:
    """Yield one pause in seconds per retry: exponential with full jitter.

    Pause n (from 0) is uniform between 0 and min(cap, base * factor**n), so that clients which failed
    together do not come back together. `tries` bounds the number of pauses; None never ends.
    """
    ceiling = min(base, cap)
    for _ in itertools.count() if tries is None else range(tries):
        yield rng.uniform(0.0, ceiling)
        ceiling = min(ceiling * factor, cap)
