"""The PostgreSQL of the tests: a given server, or the binaries of a wheel; else a reason to skip."""

import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

VARIABLE = "ORDERSYNC_TEST_POSTGRES"


class Server:
    """A PostgreSQL of the test run, without durability, on a Unix socket in a folder of its own."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        # It refuses to run as root.
        self._user: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(self._folder, "nobody", "nogroup")
        self.url = f"postgresql://postgres@/postgres?host={self._folder}"

    def make(self) -> None:
        self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "--locale=C")

    def start(self) -> None:
        self._run("pg_ctl", "--wait", f"--log={self._folder / 'log'}", "-o", f"-k {self._folder} -h '' -F", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "--mode=immediate", "--wait", "stop")

    def remove(self) -> None:
        shutil.rmtree(self._folder)

    def _run(self, program: str, *arguments: str) -> None:
        data = f"--pgdata={self._folder / 'data'}"
        # The server inherits what is open: it writes to its log, and nothing waits for the end of its output.
        with (self._folder.parent / f"{self._folder.name}.out").open("w+") as out:
            Path(out.name).unlink()
            command = [str(self._binaries / program), data, *arguments]
            done = subprocess.run(command, stdout=out, stderr=out, cwd="/", **self._user)
            out.seek(0)
            assert done.returncode == 0, out.read()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A server that a test may stop; that test restarts it."""
    found = importlib.util.find_spec("pgserver")
    if found is None or not found.submodule_search_locations:
        pytest.skip(f"no PostgreSQL: set {VARIABLE} to an address, or install the wheel pgserver")
    server = Server(Path(found.submodule_search_locations[0]) / "pginstall" / "bin")
    try:
        server.make()
    except PermissionError:
        server.remove()
        pytest.skip("PostgreSQL does not run as root, and nobody else may read this virtual environment")
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty database of this test's own, dropped at the end."""
    server = os.environ.get(VARIABLE) or request.getfixturevalue("postgres_server").url
    name = f"ordersync_test_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    yield conninfo.make_conninfo(server, dbname=name)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
