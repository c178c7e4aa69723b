"""Ten-line stand-ins where the real thing cannot be had in a test of one step."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from connectors import errors
from schemas import events


class Clock:
    """Time that moves when it is told to; every look at it is a millisecond later, so that no two are equal."""

    def __init__(self) -> None:
        self._now = datetime(2026, 11, 21, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._now += timedelta(milliseconds=1)
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class Topic:
    """Where a detector publishes. After `break_after` calls Kafka does not answer any more, until it is None again."""

    def __init__(self) -> None:
        self.published: list[events.OrderChanged] = []
        self.break_after: int | None = None
        self._read = 0

    def __call__(self, changed: Sequence[events.OrderChanged]) -> None:
        if self.break_after == 0:
            raise errors.Transient("no broker answers")
        if self.break_after is not None:
            self.break_after -= 1
        self.published += changed

    def take(self) -> list[events.OrderChanged]:
        """What came since the last time, in order."""
        new = self.published[self._read :]
        self._read = len(self.published)
        return new
