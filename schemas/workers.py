"""The state of a worker or the poller, as it reports it to SQL and at /live."""

from datetime import datetime

from schemas.base import Model

# A process without a heartbeat for so many seconds does not run; it repeats its heartbeat every 10 s.
SILENT = 30.0


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
    "kafka" when no broker answers, "api" when the API does not, and "board" when orders wait because the board is full.
    `asks` are those of them that only an operator can end. A wait for the API's minute is no trouble.

    The poller has no address and no budget; `every` is its pause between two passes in seconds. `since` is the start
    of the process (UTC). `stopped`: this was its last heartbeat, because it was stopped in order.
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
    # Older processes do not report these.
    asks: list[str] = []
    since: datetime | None = None
    every: float = 0.0
    stopped: bool = False

    def silent(self, now: datetime) -> bool:
        """Whether its heartbeats ended, by this time (UTC)."""
        return (now - self.at).total_seconds() > SILENT
