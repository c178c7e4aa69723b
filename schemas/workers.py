"""How a worker or the poller is doing, as it tells SQL and /health."""

from datetime import datetime

from schemas.base import Model


class ApiBudget(Model):
    """The API's budget as the writer knows it. Complexity in points, `resets_in` in seconds.

    `calls_run_out_at`: when the day's calls end if they go on as they did; None if they last until midnight UTC.
    """

    complexity_spent: int
    complexity_limit: int
    resets_in: float
    throttled: int
    calls_today: float
    calls_limit: int
    calls_run_out_at: datetime | None


class WorkerState(Model):
    """One process. `holding`: topic → why its lane waits on purpose; `events`: topic → worked since the start.

    `trouble` names what waits for a person, a token, a permission, a board, a day's calls, or for a broker that does
    not answer ("kafka"). Waiting for the API's minute is no trouble. The poller has no pages and no API budget.
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
        """Nothing waits for a person or for the broker."""
        return not self.trouble
