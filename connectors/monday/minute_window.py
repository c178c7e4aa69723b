"""A fixed window of complexity points, as the API has it: the first call opens it, and after a minute it resets.

The time is an argument (seconds of a monotonic clock). The API has the true window; this estimate is corrected by
every answer. Where an answer is ambiguous, the estimate is cautious: the window ends late rather than early, and
points count as spent until an answer says that they are free.
"""

from dataclasses import dataclass

from schemas import base


class WindowReport(base.Model):
    """The statements of an answer about the window, in points and seconds; None without one."""

    cost: int | None = None
    before: int | None = None
    left: int | None = None
    resets_in: float | None = None
    limit: int | None = None


@dataclass(frozen=True, eq=False)
class Reservation:
    """Points reserved for a request at the time `at`. `opens`: it is the first request of its window."""

    cost: int
    at: float
    number: int
    opens: bool


class Window:
    """`limit`: the points that we may use; `capacity`: the points of a window as learned, never more than `limit`."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self.capacity = limit
        self._spent = 0
        self._ends = float("-inf")
        self._number = 0
        self._open: set[Reservation] = set()
        # Answers state whole seconds: a window that resets in at most this much less than its length is fresh.
        self._tolerance = min(1.0, seconds / 10)

    def spent(self, now: float) -> int:
        """Points spent or reserved in the current window."""
        return self._spent if now < self._ends else 0

    def resets_in(self, now: float) -> float:
        """Seconds until the window resets; 0 when none is open."""
        return max(0.0, self._ends - now)

    def left(self, now: float) -> int:
        """Points that are left in the current window."""
        return max(0, self.capacity - self.spent(now))

    def delay(self, cost: int, now: float) -> float:
        """Seconds until `cost` points may be spent. A cost above the capacity waits for an unused window."""
        if cost <= self.left(now) or self.spent(now) == 0:
            return 0.0
        return self.resets_in(now)

    def reserve(self, cost: int, now: float) -> Reservation:
        """Count points as spent before the request is sent; it opens a new window when none is open."""
        opens = now >= self._ends
        if opens:
            self._spent, self._ends, self._number = 0, now + self.seconds, self._number + 1
        self._spent += cost
        reservation = Reservation(cost, now, self._number, opens)
        self._open.add(reservation)
        return reservation

    def cancel(self, reservation: Reservation) -> None:
        """Return the points: the request was never sent, or was refused."""
        self._open.discard(reservation)
        if reservation.number == self._number:
            self._spent -= reservation.cost

    def lose(self, reservation: Reservation) -> None:
        """Keep the points as spent: no answer arrived."""
        self._open.discard(reservation)

    def settle(self, reservation: Reservation, report: WindowReport, now: float) -> None:
        """Correct the estimate by the answer."""
        self._open.discard(reservation)
        if reservation.number != self._number:
            return  # the answer is about an earlier window
        if report.cost is not None:
            self._spent += report.cost - reservation.cost
        if reservation.opens:
            # The window opened while the request was under way: at the latest now.
            self._ends = now + self.seconds
        self._learn_capacity(reservation, report)
        self._learn_end(reservation, report, now)
        if report.left is not None:
            others = sum(other.cost for other in self._open)
            spent = max(0, self.capacity - report.left) + others
            # While other requests are under way, answers may arrive in another order: the smaller remainder counts.
            self._spent = max(self._spent, spent) if others else spent

    def refuse(self, reservation: Reservation, report: WindowReport, wait: float, now: float) -> None:
        """Count the window as spent for `wait` seconds: the API refused the request for its complexity."""
        self.cancel(reservation)
        if report.limit is not None:
            self.capacity = min(self.limit, report.limit)
        elif reservation.number == self._number and self._spent > 0:
            # Its points were enough for the earlier requests, but not for this one in addition.
            self.capacity = min(self.capacity, self._spent)
        elif wait >= self.seconds - self._tolerance:
            # The first request of a fresh window was refused: it is bigger than the whole window.
            self.capacity = max(1, min(self.capacity, reservation.cost // 2))
        self._spent, self._ends = self.capacity, now + wait

    def _learn_capacity(self, reservation: Reservation, report: WindowReport) -> None:
        if report.limit is not None:
            self.capacity = min(self.limit, report.limit)
        elif (
            reservation.opens
            and report.before is not None
            and (report.resets_in is None or report.resets_in >= self.seconds - self._tolerance)
        ):
            # This was the first call of a fresh window: the points before it are the points of a window.
            self.capacity = max(1, min(self.limit, report.before))

    def _learn_end(self, reservation: Reservation, report: WindowReport, now: float) -> None:
        """Move the end only if the answer contradicts it: whole seconds are coarser than the estimate."""
        if report.resets_in is None:
            return
        earliest, latest = reservation.at + report.resets_in - 1, now + report.resets_in + 1
        if not earliest <= self._ends <= latest:
            self._ends = min(latest, now + self.seconds)
