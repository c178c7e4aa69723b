"""A disk that a broker can fill: a small file system in memory where one may be mounted, else a limit of file size."""

import contextlib
import errno
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MEGABYTES = 64
CHUNK = 1 << 20
# Less than any segment in use has: the broker's next append fails with "File too large" instead of "No space left".
FILE_BYTES = 1


@dataclass
class Disk:
    """The place of a broker's data. `mounted`: it is a file system of its own."""

    folder: Path
    mounted: bool = False

    @contextmanager
    def limited(self) -> Iterator["Disk"]:
        """There while the broker is; mounting takes the rights of root."""
        self.folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "ordersync-chaos", str(self.folder)]
        with contextlib.suppress(FileNotFoundError):
            self.mounted = subprocess.run(mount, capture_output=True).returncode == 0
        try:
            yield self
        finally:
            if self.mounted:
                subprocess.run(["umount", str(self.folder)], check=True)

    @contextmanager
    def full(self, pid: int) -> Iterator[None]:
        """No room meanwhile for the process that writes here; a process that is started afterwards has room again."""
        if not self.mounted:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
            yield
            return
        others = self.folder / "others"
        try:
            _fill(others)
            yield
        finally:
            others.unlink()


def _fill(path: Path) -> None:
    """A file that takes what is left of its file system, to the last byte."""
    with path.open("wb", buffering=0) as file:
        chunk = CHUNK
        while chunk:
            try:
                file.write(b"\0" * chunk)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                chunk //= 2
