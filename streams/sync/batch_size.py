"""How many mutations one request carries. Pure: what the minute holds and how long answers took are arguments."""

import math

# A batch that took longer than this is halved; one that was quicker than a quarter of it may grow again.
SLOW = 20.0
# What is left of a minute is used if it holds this share of a batch; less waits for the next minute.
CRUMB = 0.25


class BatchSize:
    """At most `most`, and as many as are answered far below the API's own time-out of 60 s."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.current = most

    def share(self, left: int, room: int) -> int:
        """Of `left` mutations those that leave next, when the minute has `room` for so many.

        An even part of what fits: so the minute is used up without a crumb at its end.
        """
        todo = left if room < CRUMB * min(self.current, left) else min(left, room)
        return math.ceil(todo / math.ceil(todo / self.current))

    def answered(self, sent: int, seconds: float) -> None:
        """A request of `sent` mutations was answered, or given up, after so long."""
        if seconds > SLOW:
            self.current = max(1, min(self.current, sent) // 2)
        elif seconds < SLOW / 4 and 2 * sent >= self.current:
            self.current = min(self.most, self.current + 1)
