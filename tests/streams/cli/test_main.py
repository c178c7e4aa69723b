"""The command line: one-line errors, exit codes, help."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer import testing

from connectors.database import sqlite
from streams.cli import main as cli

ROOT = Path(__file__).parents[3]


def ordersync(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORDERSYNC_", "KAFKA_", "MONDAY_"))}
    return subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


COMMANDS = ["setup", "validate", "detect", "work", "run", "status", "errors", "retry", "trace", "board", "demo"]


def test_help_names_every_command_and_the_first_one() -> None:
    shown = testing.CliRunner().invoke(cli.app, ["--help"])
    assert shown.exit_code == 0
    assert all(command in shown.output for command in COMMANDS)
    assert "ordersync demo" in shown.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    shown = testing.CliRunner().invoke(cli.app, [command, "--help"])
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 5


@pytest.mark.parametrize("command", ["status", "errors"])
@pytest.mark.processes
def test_before_setup_one_line_names_the_command(tmp_path: Path, command: str) -> None:
    shown = ordersync(tmp_path, command)
    assert shown.returncode == 1
    assert shown.stderr.count("\n") == 1
    assert "ordersync setup" in shown.stderr


@pytest.mark.processes
def test_bad_settings_stop_at_start_in_one_line(tmp_path: Path) -> None:
    shown = ordersync(tmp_path, "run", ORDERSYNC_POLL_EVERY="soon", ORDERSYNC_GUARD_DELETED="7")
    assert shown.returncode == 1
    assert shown.stderr.count("\n") == 1
    assert "poll_every" in shown.stderr
    assert "guard_deleted" in shown.stderr


@pytest.mark.processes
def test_a_broken_mapping_names_every_mistake(tmp_path: Path) -> None:
    shown = ordersync(tmp_path, "validate", ORDERSYNC_MAPPINGS=str(tmp_path))
    assert shown.returncode == 1
    assert all(name in shown.stderr for name in ("board.yaml", "customers.csv", "values.csv"))
    assert "Traceback" not in shown.stderr


@pytest.mark.processes
def test_an_unknown_command_is_wrong_usage(tmp_path: Path) -> None:
    assert ordersync(tmp_path, "synchronise").returncode == 2


@pytest.mark.processes
def test_filters_do_not_go_with_the_poller(tmp_path: Path) -> None:
    shown = ordersync(tmp_path, "detect", "--every", "1", "--customer", "GREYSON")
    assert shown.returncode == 2
    assert "--every" in shown.stderr


@pytest.mark.processes
def test_the_rights_can_be_printed_for_a_dba(tmp_path: Path) -> None:
    shown = ordersync(tmp_path, "setup", "--print-grants")
    assert shown.returncode == 0
    assert "GRANT SELECT ON [dbo].[ORDERS_UNIFIED] TO [ordersync]" in shown.stdout.splitlines()


@pytest.mark.processes
def test_the_t_sql_script_can_be_printed_for_a_dba(tmp_path: Path) -> None:
    shown = ordersync(tmp_path, "setup", "--print-sql")
    assert shown.returncode == 0
    assert shown.stdout.strip() == (ROOT / "sql" / "schema" / "sqlserver.sql").read_text().strip()
    assert not (tmp_path / ".ordersync").exists()


@pytest.mark.processes
def test_a_broker_that_does_not_answer_is_one_line_with_its_address(tmp_path: Path) -> None:
    shown = ordersync(
        tmp_path, "setup", KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", ORDERSYNC_MONDAY_URL="http://127.0.0.1:1/v2"
    )
    assert shown.returncode == 1
    assert "127.0.0.1:1" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.processes
def test_status_reads_as_json(tmp_path: Path) -> None:
    (tmp_path / ".ordersync").mkdir()
    database = sqlite.SqliteDatabase(tmp_path / ".ordersync" / "orders.db")
    database.apply_schema(datetime.now(UTC))
    database.close()
    shown = ordersync(tmp_path, "status", "--json")
    assert json.loads(shown.stdout)["source_rows"] == 0
