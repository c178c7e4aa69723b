"""The worker's name in the consumer group: stable, so that a restart is no event for the group."""

import time
from pathlib import Path
from typing import Any

from streams.delivery import exits


class Member:
    """`name` is the same in every life, until a life is ended here.

    The group gives a known name its old partitions back without a look at the topics. That is wrong for a worker that
    does not consume: its next life takes a new name, and the partitions are dealt out anew.
    """

    def __init__(self, path: Path, worker: str) -> None:
        self._path = path
        told = path.read_text() if path.exists() else "1"
        # A machine that lost its power may leave an empty file: then a name that nobody had.
        self._life = int(told) if told.isdecimal() else time.time_ns()
        self.name = f"{worker}.{self._life}"

    def end(self, code: int, why: str) -> None:
        """Ends the process, and the name with it."""
        partial = self._path.with_suffix(".partial")
        partial.write_text(str(self._life + 1))
        partial.replace(self._path)
        exits.end_process(code, why)


def leave(consumer: Any) -> None:
    """Faust's consumer will leave its group when it stops; for a static member aiokafka sends no LeaveGroup."""
    consumer._thread._ensure_consumer()._coordinator._group_instance_id = None
