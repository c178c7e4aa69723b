"""python -m benchmarks.timed_worker FILE …: `ordersync …` that also tells how it got on with SQLite's write lock.

FILE is written as JSON when the process ends in order: transactions, seconds that the lock was waited for, and held.
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
    """What all threads of this process did, added up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told = {"writes": 0, "waited": 0.0, "held": 0.0}

    def add(self, asked: float, began: float, ended: float) -> None:
        with self._lock:
            self._told["writes"] += 1
            self._told["waited"] += began - asked
            self._told["held"] += ended - began

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self._told))


def watch(times: Times) -> None:
    """From here on every write transaction of this process is timed, its commit included."""
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
    told = Times()
    atexit.register(told.write, Path(sys.argv.pop(1)))
    watch(told)
    cli.main()
