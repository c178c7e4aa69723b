"""Counts the calls of the UTC day, and computes when they reset and when they run out. The clock is an argument.

The API's word is more than our count: when it refuses a call for the day, no call leaves until the time that it states,
and then the count begins anew.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta


def utcnow() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


class Day:
    """Counts calls against `limit`. `used`: calls of the current day that were used before."""

    def __init__(self, limit: int, *, used: float = 0.0, now: Callable[[], datetime] = utcnow) -> None:
        self.limit = limit
        self._now = now
        self._closed_until: datetime | None = None
        self._start(now(), used)

    @property
    def used(self) -> float:
        """Calls used on the current day."""
        now = self._now()
        if self._closed_until is not None and now >= self._closed_until:
            self._start(self._closed_until, 0.0)
            self._closed_until = None
        if now.date() != self._since.date():
            self._start(datetime.combine(now.date(), time(), UTC), 0.0)
        return self._used

    def add(self, calls: float) -> None:
        """Count calls; a negative number takes calls back."""
        self._used = max(0.0, self.used + calls)

    def close(self, seconds: float | None) -> None:
        """Allow no call for so many seconds, or until midnight UTC: the API says that none is left."""
        wait = self.resets_in() if seconds is None else seconds
        self._closed_until = self._now() + timedelta(seconds=wait)

    def closed_until(self) -> datetime | None:
        """The time (UTC) until which the API allows no call; None while it does."""
        closed = self._closed_until
        return closed if closed is not None and self._now() < closed else None

    def resets_in(self) -> float:
        """Seconds until midnight UTC."""
        now = self._now()
        return (datetime.combine(now.date() + timedelta(days=1), time(), UTC) - now).total_seconds()

    def runs_out_at(self) -> datetime | None:
        """The time (UTC) of the last call at the rate since this count began; None if the calls last the day.

        None too while the API allows no call: the count says nothing then.
        """
        if self.closed_until() is not None:
            return None
        left = self.limit - self.used
        now = self._now()
        if left <= 0:
            return now
        counted, elapsed = self._used - self._before, (now - self._since).total_seconds()
        if counted <= 0 or elapsed <= 0 or left / counted * elapsed >= self.resets_in():
            return None
        return now + timedelta(seconds=left / counted * elapsed)

    def _start(self, since: datetime, used: float) -> None:
        self._since, self._used, self._before = since, used, used
