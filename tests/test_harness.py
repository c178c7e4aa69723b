"""What would end, or hold up, the process that runs the tests fails the test, or the run, and no run waits for ever."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[1]
CONFTEST = """
pytest_plugins = ["tests.harness"]

def pytest_configure():
    from tests import harness
    harness.GRACE = 0.5
"""
# Past Python, as a null pointer in a library does it.
DIES = "__import__('ctypes').CDLL(None).abort()"
ENDS = """
import faulthandler, os, signal, subprocess, sys, threading
import pytest
from streams.delivery import exits

def test_at_once():
    os._exit(0)

def test_swallowed():
    try:
        os.kill(os.getpid(), signal.SIGKILL)
    except BaseException:
        pass

def test_the_product():
    with pytest.raises(AssertionError):
        exits.end_process(0, "enough")

def test_a_thread():
    exits.end_within(0.0)
    [last] = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)] or [None]
    if last:
        last.join()

def test_a_handler_that_stays():
    signal.signal(signal.SIGTERM, lambda *_: None)

def test_no_handler_stayed():
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

def test_others_may_be_ended():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    fork = os.fork()
    if not fork:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == 3
"""
LOST = f"def test_dies(): {DIES}"
HANGS = """
import time
import pytest

@pytest.mark.timeout(0.1)
def test_hangs():
    time.sleep(600)
"""
DEAF = """
import signal, time
import pytest

@pytest.mark.timeout(0.1)
def test_hears_nothing():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(600)
"""
PASSES = "def test_passes(): pass"


def run(folder: Path, *options: str, **files: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest in a process of its own, with our settings."""
    for name, text in ({"conftest": CONFTEST} | files).items():
        (folder / f"{name}.py").write_text(text)
    command = [sys.executable, "-m", "pytest", f"--config-file={ROOT / 'pyproject.toml'}", f"--rootdir={folder}"]
    inherited = {name: told for name, told in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [*command, *options, folder], cwd=ROOT, env=inherited, capture_output=True, text=True, timeout=200
    )


def test_what_would_end_the_process_fails_its_test_and_the_others_run(tmp_path: Path) -> None:
    done = run(tmp_path, "-p", "no:cacheprovider", test_ends=ENDS)
    assert "4 failed, 3 passed" in done.stdout, done.stdout
    assert done.returncode == 1
    for call in ("os._exit(0,)", "os.kill(", "faulthandler.dump_traceback_later("):
        assert call in done.stdout
    assert "would have ended the process that runs the tests" in done.stdout


def test_a_worker_process_that_is_lost_fails_the_run_which_ends(tmp_path: Path) -> None:
    # As `make test` runs it: with workers that are started anew, this run would wait for ever.
    options = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")
    done = run(tmp_path, *options, test_a=LOST, test_b=PASSES, test_c=PASSES)
    assert done.returncode == 1, done.stdout
    assert "crashed while running" in done.stdout
    assert "was lost: tests that it had still to run were not run" in done.stdout


def test_a_worker_process_that_is_lost_between_the_tests_fails_the_run_too(tmp_path: Path) -> None:
    # Its tests have all passed, and nobody's report tells of its end.
    dies = f"def pytest_sessionfinish(session):\n    if hasattr(session.config, 'workerinput'): {DIES}\n"
    options = ("--numprocesses=1", "--dist=loadfile", "--no-loadscope-reorder")
    done = run(tmp_path, *options, conftest=CONFTEST + dies, test_a=PASSES)
    assert done.returncode == 1, done.stdout
    assert "1 passed" in done.stdout


def test_a_test_that_hangs_fails_and_the_others_run(tmp_path: Path) -> None:
    done = run(tmp_path, test_a=HANGS, test_b=PASSES)
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "Timeout (>0.1s) from pytest-timeout" in done.stdout


def test_a_test_that_hears_no_signal_ends_its_process_and_says_where_it_stood(tmp_path: Path) -> None:
    done = run(tmp_path, test_a=DEAF, test_b=PASSES)
    assert done.returncode == 1
    assert "in test_hears_nothing" in done.stderr, done.stdout + done.stderr
