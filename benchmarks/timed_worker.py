"""python -m benchmarks.timed_worker FILE …: runs `ordersync …` and times SQLite's write lock.

At a normal end the process writes FILE as JSON: the number of write transactions, and the seconds in which it waited
for the lock and held it.
"""

import atexit
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors import database
from connectors.database.sqlite import SqliteDatabase
from streams.cli import main as cli


class Times:
    """The sums over all threads of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums = {"writes": 0, "waited": 0.0, "held": 0.0}

    def add(self, asked: float, began: float, ended: float) -> None:
        """Add one transaction, by its times in seconds."""
        with self._lock:
            self._sums["writes"] += 1
            self._sums["waited"] += began - asked
            self._sums["held"] += ended - began

    def write(self, path: Path) -> None:
        """Write the sums as JSON."""
        path.write_text(json.dumps(self._sums))


def watch(times: Times) -> None:
    """Time every later write transaction of this process, its commit included."""
    write = SqliteDatabase.write

    @contextmanager
    def timed(self: SqliteDatabase) -> Iterator[database.Session]:
        asked = time.monotonic()
        with write(self) as session:
            began = time.monotonic()
            yield session
        times.add(asked, began, time.monotonic())

    SqliteDatabase.write = timed  # type: ignore[method-assign]


if __name__ == "__main__":
    times = Times()
    atexit.register(times.write, Path(sys.argv.pop(1)))
    watch(times)
    cli.main()
