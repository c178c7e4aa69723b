"""What a start loads: a worker has to be back soon, so it imports no module that only other commands need."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.database import sqlite
from streams.cli import lazy

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parent.parent
# Runs the program with these arguments, and prints the modules that it has loaded at its end.
RUN = """
import atexit, sys
sys.argv = ["ordersync", *{arguments!r}]
atexit.register(lambda: print("\\nLOADED", *sorted(sys.modules)))
{before}
from streams import __main__
__main__.main()
"""
# The worker would need a broker: the command loads its modules, and calls this instead.
NO_WORKER = """
import importlib
real = importlib.import_module
def imported(name, package=None):
    module = real(name, package)
    if name == "streams.commands.service":
        module.work = lambda settings: None
    return module
importlib.import_module = imported
"""
# A standby whose parent has ended: it loads everything, and ends instead of waiting.
STANDBY = "import os; os.environ['ORDERSYNC_STANDBY'] = '1'"


def loaded(folder: Path, program: str) -> set[str]:
    """The names of all modules that this program has loaded when it ends."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ORDERSYNC_", "KAFKA_", "MONDAY_"))}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return set(ended.stdout.splitlines()[-1].split()[1:])


def command(folder: Path, *arguments: str, before: str = "") -> set[str]:
    return loaded(folder, RUN.format(arguments=arguments, before=before))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ordersync").mkdir()
    database = sqlite.SqliteDatabase(tmp_path / ".ordersync" / "orders.db")
    database.apply_schema(datetime.now(UTC))
    database.close()
    return tmp_path


def test_the_worker_module_loads_no_module_of_other_commands(tmp_path: Path) -> None:
    modules = loaded(tmp_path, "import sys, streams.runtime.worker; print('LOADED', *sorted(sys.modules))")
    assert "faust" in modules
    assert not modules & {"pandas", "pyarrow", "rich", "typer", "psycopg"}


def test_the_command_work_loads_no_module_of_other_commands(tmp_path: Path) -> None:
    modules = command(tmp_path, "work", before=NO_WORKER)
    assert {"typer", "faust", "streams.runtime.worker"} <= modules
    assert not modules & {"pandas", "pyarrow", "rich", "psycopg"}


def test_a_standby_has_the_worker_loaded_before_it_waits(tmp_path: Path) -> None:
    modules = command(tmp_path, "-v", "work", before=STANDBY)
    assert {"faust", "streams.runtime.worker"} <= modules
    assert not modules & {"pandas", "pyarrow", "rich", "psycopg"}


def test_status_loads_nothing_of_the_worker_and_the_archive(home: Path) -> None:
    modules = command(home, "status")
    assert {"rich", "streams.runtime.status"} <= modules
    assert not modules & {"pandas", "pyarrow", "faust", "psycopg"}


def test_help_loads_no_connector(tmp_path: Path) -> None:
    modules = command(tmp_path, "--help")
    assert not modules & {"pandas", "pyarrow", "faust", "psycopg", "confluent_kafka", "aiohttp", "streams.resources"}


def test_every_module_that_a_command_imports_late_exists() -> None:
    # For mypy the modules are plain imports.
    modules: dict[str, str] = vars(lazy)["MODULES"]
    assert all(getattr(lazy, name).__name__ == path for name, path in modules.items())
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(lazy, "no" + "thing")
