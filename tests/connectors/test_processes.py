"""A child ends with its parent, whatever ends the parent, and takes its own children along."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from connectors import processes

pytestmark = pytest.mark.processes

PYTHON = sys.executable
ROOT = Path(__file__).parents[2]
PARENT = """
import pathlib, sys, threading
from connectors import processes
command = ["sh", "-c", 'echo $$ > "$0"; exec sleep 600', sys.argv[1]]
def start():
    processes.Child(command, log=pathlib.Path(sys.argv[2]))
    sys.stdin.readline()
thread = threading.Thread(target=start)
thread.start()
thread.join()
sys.stdin.read()
"""


def test_output_and_exit_code(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = processes.Child(
        ["sh", "-c", "echo $WORD; pwd; exit 3"], log=log, folder=tmp_path, environment={"WORD": "hi"}
    )
    assert child.wait(60) == 3
    assert not child.running
    assert log.read_text() == f"hi\n{tmp_path}\n"
    child.signal(signal.SIGTERM)
    assert child.stop(1) == 3


def test_a_command_that_does_not_exist_ends_with_a_reason(tmp_path: Path) -> None:
    child = processes.Child(["/nowhere/java"], log=tmp_path / "log")
    assert child.wait(60) == 1
    assert (tmp_path / "log").read_text() == "/nowhere/java: No such file or directory\n"


def test_stop_asks_first_and_forces_then(tmp_path: Path) -> None:
    polite = processes.Child(["sleep", "600"], log=tmp_path / "polite")
    assert polite.wait(0) is None
    assert polite.stop(60) == -signal.SIGTERM
    fifo = tmp_path / "ready"
    os.mkfifo(fifo)
    deaf = processes.Child(
        ["sh", "-c", f"trap '' TERM; echo > {fifo}; while :; do sleep 1; done"], log=tmp_path / "deaf"
    )
    fifo.read_text()
    assert deaf.stop(0.1) == -signal.SIGKILL


STANDS_BY = """
import os, sys
from connectors import processes
processes.stand_by()
print("on", os.environ.get("ORDERSYNC_STANDBY"), os.readlink("/proc/self/fd/0"))
"""


def standby(log: Path) -> processes.Child:
    return processes.Child([PYTHON, "-c", STANDS_BY], log=log, folder=ROOT, standby=True)


def test_a_standby_continues_at_its_take_over(tmp_path: Path) -> None:
    one, other = standby(tmp_path / "one"), standby(tmp_path / "other")
    one.take_over()
    assert one.wait(60) == 0
    assert (tmp_path / "one").read_text() == "on None /dev/null\n"
    assert other.running
    assert other.stop(60) == -signal.SIGTERM
    other.take_over()
    assert (tmp_path / "other").read_text() == ""


def test_a_child_that_is_no_standby_continues_at_once(tmp_path: Path) -> None:
    assert processes.Child([PYTHON, "-c", STANDS_BY], log=tmp_path / "log", folder=ROOT).wait(60) == 0


def test_grandchildren_end_with_the_child(tmp_path: Path) -> None:
    child = processes.Child(["sh", "-c", "sleep 600 & echo $!"], log=tmp_path / "log")
    assert child.wait(60) == 0
    grandchild = processes.Identity.of(int((tmp_path / "log").read_text()))
    assert grandchild is None or grandchild.wait(60)


@pytest.mark.parametrize("killed", [True, False])
def test_a_child_outlives_the_thread_that_started_it_and_ends_with_the_process(tmp_path: Path, killed: bool) -> None:
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    command = [PYTHON, "-c", PARENT, str(fifo), str(tmp_path / "log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as parent:
        assert parent.stdin is not None
        child = processes.Identity.of(int(fifo.read_text()))
        assert child is not None
        parent.stdin.write(b"the child is up: its starter may end\n")
        parent.stdin.flush()
        assert not child.wait(0.2)
        if killed:
            parent.kill()
        else:
            parent.stdin.close()
        try:
            assert child.wait(60)
        finally:
            child.kill(60)


def test_a_reused_pid_is_another_process(tmp_path: Path) -> None:
    me = processes.Identity.of(os.getpid())
    assert me is not None
    assert me.alive()
    assert processes.Identity.parse(str(me)) == me
    other = processes.Identity(me.pid, me.started + 1)
    assert not other.alive()
    assert other.kill(1)  # This process still runs.


def test_kill_waits_until_it_is_gone(tmp_path: Path) -> None:
    child = processes.Child(["sleep", "600"], log=tmp_path / "log")
    identity = processes.Identity.of(child.pid)
    assert identity is not None
    assert identity.kill(60)
    assert not identity.alive()
    assert child.wait(60) == -signal.SIGKILL
    assert identity.kill(60)


def test_the_waiting_thread_ends_with_the_child(tmp_path: Path) -> None:
    before = threading.active_count()
    child = processes.Child(["true"], log=tmp_path / "log")
    assert child.wait(60) == 0
    for thread in threading.enumerate():
        if thread.name == "wait-true":
            thread.join(60)
    assert threading.active_count() == before
