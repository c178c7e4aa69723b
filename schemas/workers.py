"""The state of a worker or the poller, as it reports it to SQL and at /health."""

from datetime import datetime

from schemas.base import Model


class ApiBudget(Model):
    """The API's budget as the writer counts it. Complexity in points, `resets_in` and `slowest` in seconds.

    `slowest`: the longest one of the latest answers to mutations; the API gives a request 60 s.

    `calls_run_out_at`: the time (UTC) of the day's last call at the present rate; None if the calls last until
    midnight UTC. `calls_resume_at`: the time (UTC) until which the API allows no call; None while it does.
    """

    complexity_spent: int
    complexity_limit: int
    resets_in: float
    throttled: int
    slowest: float = 0.0
    calls_today: float
    calls_limit: int
    calls_run_out_at: datetime | None
    # An older worker does not report it.
    calls_resume_at: datetime | None = None


class WorkerState(Model):
    """One process. `holding` maps a topic to the reason why its lane is paused, `events` to its events since the start.

    `trouble` names each paused lane that waits for an operator, a token, a permission, a board or the day's calls,
    "kafka" when no broker answers, and "board" when orders wait because the board is full. A wait for the API's minute
    is no trouble. The poller has no address and no budget.
    """

    role: str = "worker"
    name: str
    pid: int
    address: str
    at: datetime
    holding: dict[str, str]
    trouble: list[str]
    events: dict[str, int]
    budget: ApiBudget | None

    @property
    def well(self) -> bool:
        """No lane waits for an operator or for the broker."""
        return not self.trouble
