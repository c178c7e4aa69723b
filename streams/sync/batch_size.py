"""How many mutations one request carries. Pure: the API budget left and the duration of an answer are arguments."""

import math

# Seconds. A request that took longer halves the batch size; one that took less than a quarter lets it grow.
SLOW = 20.0
# The rest of a minute is used if it fits this share of a request; a smaller rest waits for the next minute.
SMALLEST_SHARE = 0.25


class BatchSize:
    """The batch size: at most `maximum`, and few enough that answers arrive far below the API's time-out of 60 s."""

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.current = maximum

    def share(self, left: int, budget_left: int) -> int:
        """How many of `left` mutations the next request carries, if the minute has a budget for `budget_left` more.

        The requests of a minute get equal shares, so that no small rest of the budget stays unused.
        """
        to_share = left if budget_left < SMALLEST_SHARE * min(self.current, left) else min(left, budget_left)
        return math.ceil(to_share / math.ceil(to_share / self.current))

    def adapt(self, sent: int, seconds: float, *, answered: bool = True) -> None:
        """Adapts to a request of `sent` mutations that took `seconds` until its answer, or until none came."""
        if seconds > SLOW:
            self.current = max(1, min(self.current, sent) // 2)
        elif answered and seconds < SLOW / 4 and 2 * sent >= self.current:
            self.current = min(self.maximum, self.current + 1)
