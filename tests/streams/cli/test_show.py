"""The lines of `ordersync status` about one worker and about the API."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from connectors.monday import api_version
from schemas import workers
from streams.cli import show
from streams.diagnosis import evidence, judgement
from streams.resources import utcnow
from streams.runtime import connect, status
from streams.settings import Settings

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


def test_status_warns_of_the_end_of_the_api_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect.database(Settings(home=tmp_path)) as parts:
        parts.db.apply_schema(utcnow())
        current = status.collect(parts)
    assert current.api_version == api_version.support(current.at.date())
    for today, lines in ((NOW, 0), (NOW + timedelta(days=31), 1)):
        shown = io.StringIO()
        monkeypatch.setattr(show, "console", Console(file=shown, width=200))
        found = judgement.judge(evidence.Evidence(at=today, processes=()))
        show.status(current.model_copy(update={"troubles": found.troubles}), as_json=False)
        assert shown.getvalue().count("API version 2026-10 for 90 more days") == lines


@pytest.mark.parametrize(("slowest", "shown"), [(31.0, True), (29.0, False)])
def test_status_says_how_long_requests_take_when_they_take_long(slowest: float, shown: bool) -> None:
    busy = worker(None)
    assert busy.budget is not None
    slow = busy.model_copy(update={"budget": busy.budget.model_copy(update={"slowest": slowest})})
    assert ("requests take up to 31 s of 60" in show._worker(slow, NOW)) is shown


def test_status_shows_the_requests_in_doubt_and_the_orders_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect.database(Settings(home=tmp_path)) as parts:
        parts.db.apply_schema(utcnow())
        current = status.collect(parts)
        assert (current.in_doubt, current.in_doubt_since, current.parked) == (0, None, 0)
    for parked, age, lines in ((3, 1, 1), (0, 11, 1), (0, 1, 0)):
        shown = io.StringIO()
        monkeypatch.setattr(show, "console", Console(file=shown, width=200))
        since = current.at - timedelta(seconds=age)
        doubt = {"in_doubt": 2, "in_doubt_since": since, "parked": parked}
        show.status(current.model_copy(update=doubt), as_json=False)
        told = f"2 requests without an answer since {since:%H:%M:%S} UTC, {parked} orders wait"
        assert shown.getvalue().count(told) == lines
