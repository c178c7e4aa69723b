"""Which of the planted bugs the simulated level catches, and by what."""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator

from streams.delivery import exits
from tests.chaos import planted
from tests.chaos.sim import play
from tests.chaos.sim.script import schedule
from tests.chaos.sim.world import Templates

# These are about Faust itself, or about the watchdog's thread: only real processes have them.
ELSEWHERE = frozenset({"orderly stop", "no watchdog"})


def caught(name: str, n: int = 400, seed: int = 1) -> str | None:
    """Plays up to `n` schedules with the bug planted. The seed that catches it and the first line of its verdict, or
    None when none does. Raises ValueError when the bug does not fit into the code any more.
    """
    if name in ELSEWHERE:
        return None
    with quiet(), planted.PLANTS[name].planted(), play.prepared() as made:
        _must_work_when_all_is_well(name, made, seed)
        for number in range(seed, seed + n):
            found = play.verdict(schedule(number), made)
            if not found.holds:
                return f"seed {number}: {str(found).splitlines()[0].strip()}"
    return None


def _must_work_when_all_is_well(name: str, made: Templates, seed: int) -> None:
    """A bug that ends every process at once would be caught by anything, and prove nothing."""
    calm = dataclasses.replace(schedule(seed), strikes=(), outages=(), joining=(), failing_sends={}, rules=())
    found = play.verdict(calm, made)
    unknown = [what for what in found.met if what.endswith(f"ended with {exits.EXIT_UNKNOWN}")]
    if unknown:
        raise ValueError(f"the plant {name!r} breaks the process in place of changing what it does: {unknown}")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the log of production, which here is told of hundreds of crashes."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
