"""How a worker is doing, as it tells SQL and /health."""

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
    """One worker. `holding`: topic → why its lane waits on purpose; `events`: topic → worked since the start.

    `trouble` names the lanes that wait for a person: a token, a permission, a board, a day's calls. Waiting for the
    API's minute is no trouble.
    """

    name: str
    pid: int
    address: str
    at: datetime
    holding: dict[str, str]
    trouble: list[str]
    events: dict[str, int]
    budget: ApiBudget

    @property
    def well(self) -> bool:
        """No lane waits for a person."""
        return not self.trouble
