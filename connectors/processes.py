"""A child process that ends with its parent, however the parent ends. Linux only.

It imports the standard library only, because a bare interpreter runs this file as the launcher of such a child.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PR_SET_PDEATHSIG = 1
_STANDBY = "ORDERSYNC_STANDBY"


@dataclass(frozen=True)
class Identity:
    """Exactly one process: the kernel reuses a pid, but not a pid with its start (clock ticks since boot).

    A process has ended when all its threads have, because only then its ports and locks are free; a zombie has ended.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process that has this pid now; None when there is none."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The name, in brackets, may contain any character; the other fields (proc_pid_stat(5)) follow it.
        return cls(pid, int(stat[stat.rindex(")") + 2 :].split()[19]))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The process that `str` wrote; None for any other text."""
        words = text.split()
        if len(words) != 2 or not all(word.isdecimal() for word in words):
            return None
        return cls(int(words[0]), int(words[1]))

    def __str__(self) -> str:
        return f"{self.pid} {self.started}"

    def alive(self) -> bool:
        """Whether the process has not ended."""
        return not self.wait(0)

    def wait(self, timeout: float) -> bool:
        """Waits for its end, at most `timeout` seconds. Returns whether it has ended."""
        with self._handle() as handle:
            return handle is None or _ended(handle, timeout)

    def kill(self, timeout: float) -> bool:
        """Ends it with SIGKILL and waits at most `timeout` seconds. Returns whether it has ended."""
        with self._handle() as handle:
            if handle is None:
                return True
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            return _ended(handle, timeout)

    @contextlib.contextmanager
    def _handle(self) -> Iterator[int | None]:
        """A file descriptor of this process, None when it has ended."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            # The check follows the opening, so the handle can belong to no other process.
            yield handle if type(self).of(self.pid) == self else None
        finally:
            os.close(handle)


def _ended(handle: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


class Child:
    """A running command in a process group of its own, with its output appended to `log`.

    The kernel kills it when this process ends in any way; when the command ends, this process kills the rest of its
    group. A `standby` waits in `stand_by` until `take_over`. Raises OSError when the launcher cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        standby: bool = False,
    ) -> None:
        self._standby = standby
        if standby:
            environment = {**(os.environ if environment is None else environment), _STANDBY: "1"}
        self._lock = threading.Lock()
        self._started = threading.Event()
        self._ended = threading.Event()
        self._failure: OSError | None = None
        launcher = [sys.executable, "-I", "-S", str(Path(__file__).resolve()), str(os.getpid())]
        # The kernel binds the signal to the thread that forked, not to its process: this thread only waits for the
        # child, so it ends exactly with the child.
        threading.Thread(
            target=self._run,
            args=([*launcher, *command], log, folder, environment),
            name=f"wait-{Path(command[0]).name}",
            daemon=True,
        ).start()
        self._started.wait()
        if self._failure:
            raise self._failure

    def _run(
        self, command: Sequence[str], log: Path, folder: Path | None, environment: Mapping[str, str] | None
    ) -> None:
        try:
            with log.open("ab") as sink:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE if self._standby else subprocess.DEVNULL,
                    stdout=sink,
                    stderr=sink,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            self._failure = error
            return
        finally:
            self._started.set()
        # Wait without reaping: until the code below reaps it, under the lock, no other process can have its pid.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._ended.set()

    @property
    def pid(self) -> int:
        """The pid of the command, which is that of its process group too."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the command has not ended."""
        return not self._ended.is_set()

    def take_over(self) -> None:
        """Lets a standby continue, now or as soon as it reaches `stand_by`. Nothing happens if it has ended."""
        assert self._process.stdin is not None, "the child was not started as a standby"
        with self._lock:
            if self.running:
                with contextlib.suppress(BrokenPipeError), self._process.stdin as gate:
                    gate.write(b"\n")

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code (minus the number of the signal that ended it); None if it runs after `timeout` seconds."""
        return self._process.returncode if self._ended.wait(timeout) else None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the whole process group; nothing happens if the command has ended."""
        with self._lock:
            if self.running:
                os.killpg(self._process.pid, number)

    def stop(self, grace: float) -> int:
        """Sends SIGTERM, and SIGKILL after `grace` seconds. Returns the exit code."""
        self.signal(signal.SIGTERM)
        if not self._ended.wait(grace):
            self.signal(signal.SIGKILL)
            self._ended.wait()
        return int(self._process.returncode)


def stand_by() -> None:
    """Called by a child: returns at once, but in a standby at its `take_over`. A standby without a parent ends here."""
    if os.environ.pop(_STANDBY, None) is None:
        return
    if not os.read(0, 1):
        sys.exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _launch(parent: int, command: list[str]) -> None:
    """Asks the kernel to kill this process when the parent ends, and turns it into `command`."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    _launch(int(sys.argv[1]), sys.argv[2:])
