"""One fixed window of complexity points, as the API keeps it: it opens with its first call and then resets.

Pure: the time is an argument (seconds of a monotonic clock). The API keeps the true window; this is our
picture of it, set right by every answer. Where an answer leaves room, the picture stays on the safe side:
the window ends late rather than early, points count as spent until they are known to be free.
"""

from dataclasses import dataclass

from schemas import base


class Told(base.Model):
    """What an answer says about the window, in points and seconds. None where it says nothing."""

    cost: int | None = None
    before: int | None = None
    left: int | None = None
    resets_in: float | None = None
    limit: int | None = None


@dataclass(frozen=True, eq=False)
class Reservation:
    """Points set aside for a request that is about to leave. `opens`: it is the first of its window."""

    cost: int
    at: float
    number: int
    opens: bool


class Window:
    """`limit` is what we may use; `capacity` what a window turned out to hold, never more than `limit`."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self.capacity = limit
        self._spent = 0
        self._ends = float("-inf")
        self._number = 0
        self._open: set[Reservation] = set()
        # Told times are whole seconds: a window that resets in this much less than its length is fresh.
        self._coarse = min(1.0, seconds / 10)

    def spent(self, now: float) -> int:
        return self._spent if now < self._ends else 0

    def resets_in(self, now: float) -> float:
        """Seconds until the window is full again; 0 when it is."""
        return max(0.0, self._ends - now)

    def left(self, now: float) -> int:
        return max(0, self.capacity - self.spent(now))

    def delay(self, cost: int, now: float) -> float:
        """Seconds until `cost` points may be spent. What is bigger than a window has one to itself."""
        if cost <= self.left(now) or self.spent(now) == 0:
            return 0.0
        return self.resets_in(now)

    def reserve(self, cost: int, now: float) -> Reservation:
        opens = now >= self._ends
        if opens:
            self._spent, self._ends, self._number = 0, now + self.seconds, self._number + 1
        self._spent += cost
        reservation = Reservation(cost, now, self._number, opens)
        self._open.add(reservation)
        return reservation

    def cancel(self, reservation: Reservation) -> None:
        """Give the points back: the request never left, or was refused."""
        self._open.discard(reservation)
        if reservation.number == self._number:
            self._spent -= reservation.cost

    def lose(self, reservation: Reservation) -> None:
        """No answer came: the points stay spent."""
        self._open.discard(reservation)

    def settle(self, reservation: Reservation, told: Told, now: float) -> None:
        """An answer came: replace the estimate by what it tells."""
        self._open.discard(reservation)
        if reservation.number != self._number:
            return  # an answer from a window that is over says nothing about this one
        if told.cost is not None:
            self._spent += told.cost - reservation.cost
        if reservation.opens:
            # The window opened while the request was on its way: at the latest now.
            self._ends = now + self.seconds
        self._learn_capacity(reservation, told)
        self._learn_end(reservation, told, now)
        if told.left is not None:
            others = sum(other.cost for other in self._open)
            seen = max(0, self.capacity - told.left) + others
            # With others on their way, an answer may have overtaken a later one: keep the smaller remainder.
            self._spent = max(self._spent, seen) if others else seen

    def refuse(self, reservation: Reservation, told: Told, wait: float, now: float) -> None:
        """The API says that the window is spent: nothing more until `wait` seconds have passed."""
        self.cancel(reservation)
        if told.limit is not None:
            self.capacity = min(self.limit, told.limit)
        elif reservation.number == self._number and self._spent > 0:
            # It held what was answered before, and not this request on top.
            self.capacity = min(self.capacity, self._spent)
        elif wait >= self.seconds - self._coarse:
            # Refused as the first of a fresh window: it is bigger than the whole of it.
            self.capacity = max(1, min(self.capacity, reservation.cost // 2))
        self._spent, self._ends = self.capacity, now + wait

    def _learn_capacity(self, reservation: Reservation, told: Told) -> None:
        if told.limit is not None:
            self.capacity = min(self.limit, told.limit)
        elif (
            reservation.opens
            and told.before is not None
            and (told.resets_in is None or told.resets_in >= self.seconds - self._coarse)
        ):
            # Ours was the first call of a whole window: what was there before it is what a window holds.
            self.capacity = max(1, min(self.limit, told.before))

    def _learn_end(self, reservation: Reservation, told: Told, now: float) -> None:
        """Move the end only if it contradicts the answer: whole seconds are coarser than our own picture."""
        if told.resets_in is None:
            return
        earliest, latest = reservation.at + told.resets_in - 1, now + told.resets_in + 1
        if not earliest <= self._ends <= latest:
            self._ends = min(latest, now + self.seconds)
