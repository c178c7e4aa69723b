"""`ordersync status --check`: lines and exit codes, also where there is no database, or one that is locked."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer import testing

from connectors import kafka
from streams import resources, settings
from streams.cli import exit_codes
from streams.cli import main as cli
from streams.commands import status
from streams.delivery import health
from streams.detect import step as detect
from streams.diagnosis import heartbeat, troubles

RUNNER = testing.CliRunner()


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(home: Path, *more: str) -> tuple[int, list[str]]:
    """Exit code and lines. A traceback fails."""
    ended = RUNNER.invoke(cli.app, ["--home", str(home), "status", "--check", *more])
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exc_info
    return ended.exit_code, ended.output.splitlines()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose poller and worker run."""
    folder = tmp_path / "home"
    parts = resources.Resources(settings.Settings(home=folder))
    parts.db.apply_schema(resources.utcnow())
    for role in (heartbeat.POLLER, heartbeat.WORKER):
        heartbeat.Reporter(
            parts.state, health.Health(), kafka.BrokerNoise(), name=role, bootstrap="", role=role, now=resources.utcnow
        ).report()
    parts.close()
    return folder


def test_the_exit_code_is_that_of_the_gravest_trouble(home: Path) -> None:
    assert check(home) == (0, ["well"])
    parts = resources.Resources(settings.Settings(home=home))
    with parts.db.write() as session:
        session.execute(
            "INSERT INTO ERR_MON_CustMasterSchedule (err_id, error_type, error_code, error_message, retryable, "
            "error_key, retry_count, max_retries_reached, created_date) "
            "VALUES (1, 'VALIDATION_ERROR', 'BAD_VALUE', 'no number', 0, 'k', 0, 0, '2026-12-01T00:00:00.000000')"
        )
    code, lines = check(home)
    assert (code, len(lines)) == (1, 1)
    assert "orders: 1 × BAD_VALUE" in lines[0]
    parts.state.set(detect.HELD, "60 of 100 orders were deleted at once")
    code, lines = check(home)
    assert (code, len(lines)) == (3, 2)
    assert "guard: 60 of 100 orders" in lines[0]
    parts.state.erase_all([f"{heartbeat.FAMILY}.{heartbeat.POLLER}"])
    code, lines = check(home)
    assert (code, len(lines)) == (5, 3)
    assert "poller: no poller runs" in lines[0]
    code, lines = check(home, "--json")
    assert code == 5
    found = troubles.Diagnosis.model_validate(json.loads("\n".join(lines)))
    assert [one.part for one in found.troubles] == ["poller", "guard", "orders"]
    parts.close()


def test_without_a_database_setup_is_missing_and_none_is_created(tmp_path: Path) -> None:
    code, lines = check(tmp_path / "nowhere")
    assert (code, len(lines)) == (3, 1)
    assert "`ordersync setup`" in lines[0]
    assert not (tmp_path / "nowhere").exists()


def test_a_database_without_tables_and_a_file_that_is_none_ask_for_an_operator(tmp_path: Path) -> None:
    for folder, content in (("empty", b""), ("other", b"no database" * 100)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "orders.db").write_bytes(content)
        code, lines = check(tmp_path / folder)
        assert (code, len(lines)) == (3, 1), lines


def test_a_locked_database_is_down_in_one_line_within_its_time(home: Path) -> None:
    with closing(sqlite3.connect(home / "orders.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        found = status.check(lambda: settings.Settings(home=home), within=0.2)
    assert [(one.part, one.severity) for one in found.troubles] == [("database", "down")]
    assert exit_codes.OF_SEVERITY[found.gravest] == exit_codes.Exit.DOWN


def test_settings_and_a_mapping_that_can_never_work_ask_for_an_operator(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORDERSYNC_MAPPINGS", str(home))
    code, lines = check(home)
    assert (code, len(lines)) == (3, 1)
    assert "settings: " in lines[0]
    monkeypatch.setenv("ORDERSYNC_POLL_EVERY", "soon")
    code, lines = check(home)
    assert (code, len(lines)) == (3, 1)
    assert "poll_every" in lines[0]


def test_help_has_the_one_table_of_exit_codes_and_so_have_the_pages() -> None:
    assert exit_codes.OF_SEVERITY.keys() == {*troubles.Severity, None}
    shown = " ".join(RUNNER.invoke(cli.app, ["--help"], env={"COLUMNS": "500"}).output.split())
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    for code, meaning in exit_codes.MEANING.items():
        assert f"{code.value} {meaning}" in shown
        assert f"| {code.value} | {meaning} |" in page
