"""The lines of `ordersync status` about one worker."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas import workers
from streams.cli import show

NOW = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)


def worker(resume: datetime | None) -> workers.WorkerState:
    budget = workers.ApiBudget(
        complexity_spent=0,
        complexity_limit=1,
        resets_in=0,
        throttled=0,
        calls_today=5,
        calls_limit=10,
        calls_run_out_at=None,
        calls_resume_at=resume,
    )
    return workers.WorkerState(name="w", pid=1, address="", at=NOW, holding={}, trouble=[], events={}, budget=budget)


@pytest.mark.parametrize(
    ("resume", "shown"),
    [(None, False), (NOW + timedelta(minutes=10), True), (NOW - timedelta(seconds=1), False)],
)
def test_status_shows_when_the_api_allows_calls_again(resume: datetime | None, shown: bool) -> None:
    line = show._worker(worker(resume), NOW)
    assert ("the API allows no call before 2026-12-01 10:10 UTC" in line) is shown


def test_the_heartbeat_of_an_older_worker_is_read() -> None:
    stored = worker(None).model_dump(mode="json")
    del stored["budget"]["calls_resume_at"]
    assert workers.WorkerState.model_validate(stored) == worker(None)
