"""Which of the planted bugs the simulated level catches, and by what."""

import contextlib
import logging
from collections.abc import Iterator

from tests.chaos import planted
from tests.chaos.sim import play

# These are about Faust itself, or about the watchdog's thread: only real processes have them.
ELSEWHERE = frozenset({"orderly stop", "no watchdog"})


def caught(name: str, n: int = 200, seed: int = 1) -> str | None:
    """Plays up to `n` schedules with the bug planted. The seed that catches it and the first line of its verdict, or
    None when none does.
    """
    with _quiet(), planted.PLANTS[name].planted(), play.prepared() as made:
        for number in range(seed, seed + n):
            found = play.verdict(number, made)
            if not found.holds:
                return f"seed {number}: {str(found).splitlines()[0].strip()}"
    return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
