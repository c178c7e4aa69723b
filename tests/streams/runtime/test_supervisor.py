"""The supervisor, on real child processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors import backoff, errors, processes
from streams.runtime import supervisor

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]
Until = Callable[..., Any]
RUNS = "import signal; print('begins', flush=True); signal.pause()"
LOADS_AND_RUNS = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from connectors import processes
print('loaded', os.getpid(), flush=True)
processes.stand_by()
{RUNS}
"""


def service(name: str, folder: Path, script: str, **more: Any) -> supervisor.Service:
    return supervisor.Service(name, [sys.executable, "-c", script], dict(os.environ), folder / f"{name}.log", **more)


def begun(one: supervisor.Service, times: int) -> bool:
    return one.log.exists() and one.log.read_text().count("begins") == times


def loaded(one: supervisor.Service) -> list[int]:
    """Who was loaded so far, the standby last."""
    return [int(pid) for pid in re.findall(r"loaded (\d+)", one.log.read_text())] if one.log.exists() else []


@contextmanager
def running(*services: supervisor.Service, revive: Callable[[], list[str]] = list) -> Iterator[supervisor.Supervisor]:
    made = supervisor.Supervisor(services, revive)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def test_a_killed_child_is_started_again_at_once(
    tmp_path: Path, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = service("worker", tmp_path, RUNS), service("poller", tmp_path, RUNS)
    with running(one, other):
        until(lambda: begun(one, 1) and begun(other, 1), "it is so")
        assert one.child is not None
        assert other.child is not None
        neighbour = other.child.pid
        one.child.signal(signal.SIGKILL)
        until(lambda: begun(one, 2), "it is so")
        assert (one.restarts, other.restarts) == (1, 0)
        assert other.child.pid == neighbour
        children = [processes.Identity.of(each.child.pid) for each in (one, other) if each.child is not None]
    assert "worker ended (-9), restart at once: begins" in caplog.messages
    assert not [child for child in children if child is not None and child.alive()]


def test_a_child_that_keeps_ending_is_started_at_growing_pauses_and_says_its_last_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    one = service("worker", tmp_path, "print('begins'); print('no token'); raise SystemExit(1)", clock=lambda: now)
    one.start()
    waited = []
    for n in range(1, len(backoff.RESTART_PAUSES) + 2):
        assert one.child is not None
        one.child.wait(60)
        one.check()
        began = now
        while one.restarts < n:
            now += 0.25
            one.check()
        waited.append(now - began)
    one.stop()
    assert waited == [0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 5.0]
    assert caplog.messages[1] == "worker ended (1), restart in 0.2 s: no token"
    assert len(caplog.messages) == len(waited), "one line for each end"


def test_a_child_that_was_well_for_a_while_is_started_at_once_again(tmp_path: Path) -> None:
    now = 1000.0
    pauses = supervisor.Pauses(clock=lambda: now)
    given = []
    for life in (1, 1, 1, supervisor.WELL_AFTER + 1, 1):
        pauses.started()
        now += life
        given.append(pauses.ended())
    assert given == [0.0, 0.2, 0.5, 0.0, 0.2]


@pytest.fixture
def stood_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[supervisor.Service]:
    monkeypatch.setattr(supervisor, "STANDBY_AFTER", 0.0)
    one = service("worker", tmp_path, LOADS_AND_RUNS, standby=True)
    with running(one):
        yield one
    assert not any(processes.Identity.of(pid) for pid in loaded(one))


def standby_of(one: supervisor.Service) -> int | None:
    """Who is loaded and waits, when the child itself has begun."""
    assert one.child is not None
    others = [pid for pid in loaded(one) if pid != one.child.pid and processes.Identity.of(pid)]
    return others[0] if others and begun(one, one.restarts + 1) else None


def test_a_standby_takes_over_at_once_and_another_one_stands_by(stood_by: supervisor.Service, until: Until) -> None:
    for life in (2, 3, 4):
        standby = until(lambda: standby_of(stood_by), "the next one waits")
        assert stood_by.child is not None
        stood_by.child.signal(signal.SIGKILL)
        until(lambda n=life: begun(stood_by, n), "it goes on")
        assert (stood_by.child.pid, stood_by.restarts) == (standby, life - 1)


def test_without_its_standby_a_child_is_started_as_ever(stood_by: supervisor.Service, until: Until) -> None:
    standby = until(lambda: standby_of(stood_by), "a standby waits")
    os.kill(standby, signal.SIGKILL)
    until(lambda: processes.Identity.of(standby) is None, "it is gone")
    assert stood_by.child is not None
    stood_by.child.signal(signal.SIGKILL)
    until(lambda: begun(stood_by, 2), "it is started")
    assert until(lambda: standby_of(stood_by), "and has a standby again") != standby


def test_a_standby_ends_with_a_parent_that_was_killed(tmp_path: Path, until: Until) -> None:
    script = PARENT.format(root=str(ROOT), folder=str(tmp_path), script=LOADS_AND_RUNS, more="standby=True")
    logs = [tmp_path / name for name in ("a", "b")]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        told = re.compile(r"loaded (\d+)")
        until(lambda: all(log.exists() and len(told.findall(log.read_text())) == 2 for log in logs), "both have one")
        ours = [processes.Identity.of(int(pid)) for log in logs for pid in told.findall(log.read_text())]
        assert len(ours) == 4
        assert all(child is not None and child.alive() for child in ours)
        parent.kill()
    assert all(child is None or child.wait(60) for child in ours)


def test_the_last_one_started_is_stopped_first(tmp_path: Path, until: Until) -> None:
    told = tmp_path / "order"
    script = """
import pathlib, signal, sys
def end(*_):
    with open({told!r}, "a") as file:
        file.write({name!r})
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("begins", flush=True)
while True:
    signal.pause()
"""
    services = [service(name, tmp_path, script.format(told=str(told), name=name)) for name in ("worker ", "poller ")]
    with running(*services):
        until(lambda: all(begun(one, 1) for one in services), "it is so")
    assert told.read_text() == "poller worker "


def test_a_child_that_does_not_stop_is_killed(tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "GRACE", 0.2)
    deaf = service("worker", tmp_path, f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {RUNS}")
    with running(deaf):
        until(lambda: begun(deaf, 1), "it is so")
    assert deaf.child is not None
    assert deaf.child.wait(0) == -signal.SIGKILL


PARENT = """
import sys, pathlib
sys.path.insert(0, {root!r})
from streams.runtime import supervisor
supervisor.STANDBY_AFTER = 0.0
folder = pathlib.Path({folder!r})
command = [sys.executable, "-c", {script!r}]
made = supervisor.Supervisor([supervisor.Service(name, command, {{}}, folder / name, {more}) for name in "ab"], list)
made.start()
print(*[one.child.pid for one in made.services.values()], flush=True)
made.wait()
made.stop()
"""


def test_the_children_die_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = PARENT.format(root=str(ROOT), folder=str(tmp_path), script=RUNS, more="")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [processes.Identity.of(int(pid)) for pid in parent.stdout.readline().split()]
        assert len(children) == 2
        assert all(child is not None and child.alive() for child in children)
        parent.kill()
    assert all(child is None or child.wait(60) for child in children)


def handles(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal."""
    [caught] = re.findall(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return bool(int(caught, 16) >> (number - 1) & 1)


def test_a_signal_stops_the_parent_and_its_children_in_order(tmp_path: Path, until: Until) -> None:
    script = PARENT.format(root=str(ROOT), folder=str(tmp_path), script=RUNS, more="")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [processes.Identity.of(int(pid)) for pid in parent.stdout.readline().split()]
        until(lambda: handles(parent.pid, signal.SIGTERM), "it waits for the signal")
        parent.terminate()
        assert parent.wait(60) == 0
    assert not any(child is not None and child.alive() for child in children)


def test_what_the_parent_owns_is_revived_and_its_trouble_is_no_flood(
    tmp_path: Path, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[float] = []

    def revive() -> list[str]:
        tries.append(time.monotonic())
        if len(tries) < 4:
            raise errors.Misconfigured("the embedded Kafka did not start")
        return ["the embedded Kafka had ended: started again"] if len(tries) == 4 else []

    one = service("worker", tmp_path, RUNS)
    with running(one, revive=revive):
        until(lambda: len(tries) >= 4, "it is so")
        # The children are looked after meanwhile.
        assert one.child is not None
        assert one.child.running
    assert tries[2] - tries[1] >= 0.2
    assert tries[3] - tries[2] >= 0.5
    assert caplog.messages[:4] == [
        "the embedded Kafka did not start; next attempt in 0 s",
        "the embedded Kafka did not start; next attempt in 0.2 s",
        "the embedded Kafka did not start; next attempt in 0.5 s",
        "the embedded Kafka had ended: started again",
    ]


def test_a_supervisor_that_fails_itself_ends_the_process(
    tmp_path: Path, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[tuple[int, str]] = []

    def revive() -> list[str]:
        raise ZeroDivisionError

    made = supervisor.Supervisor([], revive, end=lambda code, why: ended.append((code, why)))
    made.start()
    until(lambda: ended, "it is so")
    made.stop()
    assert ended == [(70, "supervisor: ZeroDivisionError")]
    assert "supervisor: unknown error" in caplog.text


def test_a_log_that_has_grown_makes_room_at_the_next_start(
    tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOG_BYTES", 5)
    one = service("worker", tmp_path, RUNS)
    one.log.write_text("an old and long story")
    one.start()
    until(lambda: one.log.read_text() == "begins\n", "the service wrote its line")
    one.stop()
    assert (tmp_path / "worker.log.1").read_text() == "an old and long story"
