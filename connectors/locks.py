"""A lock on a file: one owner on this machine, known by its pid, and never a stale lock.

The kernel keeps the lock on the open file and frees it when the owner ends, kill -9 included. The file stays, because a
second process might lock a removed one; its text names the owner, for operators and for `owner`. A process that forks
without exec shares its locks with the copy: start programs, not copies.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from connectors import errors, processes


class FileLock:
    """A lock that lasts from `acquire` to `release` or to the end of the process.

    Two objects in one process exclude each other as two processes do. `purpose` completes the sentence "… is in use by
    process N".
    """

    def __init__(self, path: Path, *, purpose: str | None = None) -> None:
        self.path = path
        self._purpose = purpose or str(path)
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object owns the lock."""
        return self._file is not None

    def acquire(self, *, wait: bool = False) -> None:
        """Takes the lock; `wait` waits without limit, else a lock in use raises Misconfigured (LOCKED)."""
        if self.held:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, str(processes.Identity.of(os.getpid())).encode(), 0)
        except BlockingIOError:
            os.close(file)
            pid = owner(self.path)
            name = f"process {pid}" if pid else "another process"
            raise errors.Misconfigured(f"{self._purpose} is in use by {name}", code="LOCKED") from None
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Frees the lock; nothing happens if this object does not own it."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def owner(path: Path) -> int | None:
    """The pid of the running process that owns the lock on `path`, None if no process does.

    It only reads the file: an attempt to take the lock could refuse it to another process at that moment.
    """
    try:
        process = processes.Identity.parse(path.read_text())
    except FileNotFoundError:
        return None
    return process.pid if process and process.alive() else None
