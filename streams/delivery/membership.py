"""The worker's member name in the consumer group: the same after a restart, so that the group does not rebalance."""

import time
from pathlib import Path
from typing import Any

from streams.delivery import exits


class Member:
    """`name` stays the same over restarts, until `end` ends it together with the process.

    The group gives a known name its old partitions back without a check of the topics. A worker that does not consume
    needs a new name instead: then the group assigns all partitions once more.
    """

    def __init__(self, path: Path, worker: str) -> None:
        self._path = path
        stored = path.read_text() if path.exists() else "1"
        # A machine that lost its power may leave an empty file. The time gives a number that no earlier name has.
        self._number = int(stored) if stored.isdecimal() else time.time_ns()
        self.name = f"{worker}.{self._number}"

    def end(self, code: int, why: str) -> None:
        """Ends the process; after the restart the worker has a new name."""
        partial = self._path.with_suffix(".partial")
        partial.write_text(str(self._number + 1))
        partial.replace(self._path)
        exits.end_process(code, why)


def leave(consumer: Any) -> None:
    """Lets Faust's consumer leave its group at the stop; aiokafka sends no LeaveGroup for a static member."""
    consumer._thread._ensure_consumer()._coordinator._group_instance_id = None
