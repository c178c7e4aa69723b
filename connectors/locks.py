"""A lock on a file: one holder on this machine, known by its pid, and never a stale lock.

The kernel keeps the lock on the open file and frees it when the holder dies, kill -9 included. The file is
never removed (a second process might lock the removed one); its text names the holder, for people and for
`owner`. A process that forks without exec shares its locks with the copy: start programs, not copies.
"""

import fcntl
import os
from pathlib import Path
from typing import Self

from connectors import errors, processes


class FileLock:
    """Held from `acquire` to `release` or to the end of the process. Two objects in one process exclude each
    other as two processes do. `purpose` completes the sentence "… is in use by process N".
    """

    def __init__(self, path: Path, *, purpose: str | None = None) -> None:
        self.path = path
        self._purpose = purpose or str(path)
        self._file: int | None = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def acquire(self, *, wait: bool = False) -> None:
        """Take the lock. Without `wait`, raises Misconfigured (LOCKED) that names the holder."""
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
            holder = owner(self.path)
            name = f"process {holder}" if holder else "another process"
            raise errors.Misconfigured(f"{self._purpose} is in use by {name}", code="LOCKED") from None
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
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
    """The pid of the living holder of the lock on `path`, None if nobody holds it.

    It only reads the holder's name: trying the lock instead could refuse it to someone else meanwhile.
    """
    try:
        holder = processes.Identity.parse(path.read_text())
    except FileNotFoundError:
        return None
    return holder.pid if holder and holder.alive() else None
