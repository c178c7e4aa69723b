"""Every pause before a further attempt, in seconds. The functions are pure: none sleeps or reads a clock."""

import itertools
import random
from collections.abc import Iterator

# Before the writer repeats a request under the same key; the last one repeats.
RESEND_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
# Before each read of the board for an in-doubt request: the API promises no read after write.
LOOKUP_PAUSES = (0.0, 2.0, 5.0, 15.0)
# Before a full board is asked again for a create, if a minute of the API has 60 s; the last one repeats.
ROOM_PAUSES = (30.0, 60.0, 120.0, 300.0)
# Before the supervisor restarts a process that ended; the last one repeats.
RESTART_PAUSES = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0)
# Before a retry of a failed order: each pause is RETRY_FACTOR times the one before, plus or minus the jitter.
RETRY_FACTOR, RETRY_JITTER = 4, 0.25


def retry_pause(first: float, attempt: int, *, rng: random.Random) -> float:
    """The seconds before retry `attempt` (from 0) of a failed order: first * 4**attempt, plus or minus a quarter.

    The jitter spreads the retries of orders that failed together.
    """
    factor: int = RETRY_FACTOR**attempt
    return first * factor * rng.uniform(1 - RETRY_JITTER, 1 + RETRY_JITTER)


def delays(
    *,
    rng: random.Random,
    base: float = 1.0,
    factor: float = 2.0,
    cap: float = 60.0,
    tries: int | None = None,
) -> Iterator[float]:
    """Yields one pause in seconds for each retry: exponential, with full jitter.

    Pause n (from 0) is uniform between 0 and min(cap, base * factor**n), so that clients that failed together do not
    return together. `tries` bounds the number of pauses; None never ends.
    """
    ceiling = min(base, cap)
    for _ in itertools.count() if tries is None else range(tries):
        yield rng.uniform(0.0, ceiling)
        ceiling = min(ceiling * factor, cap)
