"""One owner among processes and objects, and no stale lock after kill -9."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors import errors, locks

HOLDER = """
import sys, pathlib
from connectors import locks
lock = locks.FileLock(pathlib.Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def hold_elsewhere(path: Path) -> subprocess.Popen[bytes]:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder


def test_a_second_owner_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "lock"
    with locks.FileLock(path, purpose="the worker name w1") as first:
        assert first.held
        assert locks.owner(path) == os.getpid()
        second = locks.FileLock(path, purpose="the worker name w1")
        with pytest.raises(errors.Misconfigured) as refused:
            second.acquire()
        assert str(refused.value) == f"the worker name w1 is in use by process {os.getpid()}"
        assert refused.value.code == "LOCKED"
        assert not second.held


def test_a_released_lock_is_free_and_has_no_owner(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = locks.FileLock(path), locks.FileLock(path)
    assert locks.owner(path) is None
    first.acquire()
    first.acquire()
    first.release()
    assert locks.owner(path) is None
    second.acquire()
    assert locks.owner(path) == os.getpid()
    second.release()


@pytest.mark.processes
def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold_elsewhere(path) as holder:
        assert locks.owner(path) == holder.pid
        with pytest.raises(errors.Misconfigured, match=f"process {holder.pid}"):
            locks.FileLock(path).acquire()
        holder.kill()
        holder.wait()
        assert locks.owner(path) is None
        with locks.FileLock(path):
            assert locks.owner(path) == os.getpid()


@pytest.mark.processes
def test_waiting_ends_when_the_holder_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold_elsewhere(path) as holder:
        assert holder.stdin is not None
        holder.stdin.close()
        lock = locks.FileLock(path)
        lock.acquire(wait=True)
        assert locks.owner(path) == os.getpid()
        lock.release()


def test_a_foreign_text_in_the_file_names_no_owner(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for text in ("", "hello", f"{os.getpid()}", f"{os.getpid()} 0", "1 2 3", "-1 5"):
        path.write_text(text)
        assert locks.owner(path) is None
    assert locks.owner(tmp_path / "absent") is None
