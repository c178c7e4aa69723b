"""A child process that ends with its parent, however the parent ends. Linux only; standard library only,
because this file is also the launcher of such a child, run by a bare interpreter.
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
    """One process and no other: a pid is used again, a pid with its start (clock ticks since boot) is not.

    It has ended when all its threads have, for only then its ports and locks are free; a zombie has.
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process that has this pid now, if there is one."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The name, in brackets, may hold anything; the third field and on (proc_pid_stat(5)) follow it.
        return cls(pid, int(stat[stat.rindex(")") + 2 :].split()[19]))

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The reverse of `str`; None for any other text."""
        words = text.split()
        if len(words) != 2 or not all(word.isdecimal() for word in words):
            return None
        return cls(int(words[0]), int(words[1]))

    def __str__(self) -> str:
        return f"{self.pid} {self.started}"

    def alive(self) -> bool:
        return not self.wait(0)

    def wait(self, timeout: float) -> bool:
        """Whether it has ended, at the latest after `timeout` seconds."""
        with self._handle() as handle:
            return handle is None or _ended(handle, timeout)

    def kill(self, timeout: float) -> bool:
        """End it with SIGKILL. Whether it is gone, at the latest after `timeout` seconds."""
        with self._handle() as handle:
            if handle is None:
                return True
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            return _ended(handle, timeout)

    @contextlib.contextmanager
    def _handle(self) -> Iterator[int | None]:
        """A file descriptor that means this process, None if it is no more."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            yield None
            return
        try:
            # Asked after opening: from here on the handle can mean no other process.
            yield handle if type(self).of(self.pid) == self else None
        finally:
            os.close(handle)


def _ended(handle: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout * 1000))


class Child:
    """A running command, in a process group of its own, its output appended to `log`.

    It is killed by the kernel when this process ends in any way, and what it leaves behind in its group is
    killed when it ends. As a `standby` it gets as far as `stand_by`, and goes on when it is told to `take_over`.
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
        # The kernel's signal is bound to the thread that forked, not to its process: a thread that only
        # waits for the child lives exactly as long as needed.
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
        # Wait without reaping: until it is reaped below, under the lock, its pid cannot be another's.
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._ended.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return not self._ended.is_set()

    def take_over(self) -> None:
        """Tells a standby to go on, now or as soon as it is so far. Nothing happens if it has ended."""
        assert self._process.stdin is not None, "it was not started as a standby"
        with self._lock:
            if self.running:
                with contextlib.suppress(BrokenPipeError), self._process.stdin as gate:
                    gate.write(b"\n")

    def wait(self, timeout: float | None = None) -> int | None:
        """The exit code (minus the signal if one ended it); None if it still runs after `timeout` seconds."""
        return self._process.returncode if self._ended.wait(timeout) else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its whole group; nothing happens if it has ended."""
        with self._lock:
            if self.running:
                os.killpg(self._process.pid, number)

    def stop(self, grace: float) -> int:
        """SIGTERM, after `grace` seconds SIGKILL. The exit code."""
        self.signal(signal.SIGTERM)
        if not self._ended.wait(grace):
            self.signal(signal.SIGKILL)
            self._ended.wait()
        return int(self._process.returncode)


def stand_by() -> None:
    """In a child: returns at once, or when a standby is told to take over. A standby without a parent ends here."""
    if os.environ.pop(_STANDBY, None) is None:
        return
    if not os.read(0, 1):
        sys.exit(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _launch(parent: int, command: list[str]) -> None:
    """Become `command`, with the kernel told to kill it when the parent ends."""
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
