"""The breaker: when most of the newest retries fail alike, more of them would only fail too, so they pause.

closed     retries go on
open       none is sent; those that are due stay due
half open  after a while one is: if it fails like the others the pause doubles, anything else closes the breaker

The state is a named fact in SQL, so it outlives the process and every worker and `ordersync status` see the same.
Two workers that look at the same moment may send two in place of one.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from schemas.base import Model

log = logging.getLogger(__name__)

FACT = "retry.breaker"
# So many of the newest retries are looked at, those of this time at most; such a share of them fails alike.
LAST, WITHIN, SHARE = 20, timedelta(hours=1), 0.8
# The longest pause, in first ones.
LONGEST = 64
EVER = datetime(2000, 1, 1, tzinfo=UTC)


class Facts(Protocol):
    """Named facts (connectors.tables.state.State)."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...


class State(Model):
    """`code` is what the retries fail with while the breaker is open, None while it is closed.

    `since` is when it opened or closed, `next_at` when one is tried, `pause` the seconds waited for it.
    """

    code: str | None = None
    since: datetime = EVER
    next_at: datetime = EVER
    pause: float = 0.0

    def __str__(self) -> str:
        if self.code is None:
            return "retries go on"
        return (
            f"retries pause since {self.since:%Y-%m-%d %H:%M:%S} UTC, most of the newest failed with {self.code}; "
            f"the next one is tried at {self.next_at:%H:%M:%S} UTC"
        )


def read(facts: Facts) -> State:
    """How it stands."""
    told = facts.get(FACT)
    return State() if told is None else State.model_validate(told)


@dataclass(frozen=True)
class Breaker:
    """`outcomes` gives the newest retries since a moment, the newest first: their code, "" for one that arrived.

    `first` is the first pause in seconds.
    """

    facts: Facts
    outcomes: Callable[[datetime, int], Sequence[str]]
    first: float

    def admits(self, now: datetime, most: int) -> int:
        """How many retries may be sent now: `most`, one or none. Opens and closes itself."""
        state = read(self.facts)
        if state.code is None:
            found = self.outcomes(max(state.since, now - WITHIN), LAST)
            code, alike = _most_common(found)
            if len(found) < LAST or alike < SHARE * LAST:
                return most
            opened = State(code=code, since=now, next_at=now + timedelta(seconds=self.first), pause=self.first)
            self._set(opened)
            log.warning("%s", opened)
            return 0
        # What was under way when it opened tells as much as the one that was let through.
        newest = self.outcomes(state.since, 1)
        if newest and newest[0] != state.code:
            log.warning("retries go on: the newest did not fail with %s", state.code)
            self._set(State(since=now))
            return most
        if now < state.next_at:
            return 0
        pause = min(state.pause * 2, self.first * LONGEST)
        self._set(state.model_copy(update={"pause": pause, "next_at": now + timedelta(seconds=pause)}))
        return 1

    def _set(self, state: State) -> None:
        self.facts.set(FACT, state.model_dump(mode="json"))


def _most_common(codes: Sequence[str]) -> tuple[str, int]:
    counted = Counter(code for code in codes if code).most_common(1)
    return counted[0] if counted else ("", 0)
