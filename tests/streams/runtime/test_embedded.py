"""The embedded broker and the bundled board: one owner in a home folder, and never a gap without one."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import errors, processes
from streams import resources, settings
from streams.runtime import embedded

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[3]
OWNER = """
import signal, sys
from pathlib import Path
from streams import resources, settings
from streams.runtime import embedded
chosen = settings.Settings(home=Path(sys.argv[1]), monday_minute=2.0)
print(embedded.Simulator(chosen, resources.Resources(chosen).limits).start(), flush=True)
signal.pause()
"""


class Broker:
    """Something that one process runs and others use; what it answers is up to the test."""

    def __init__(self, running: str | None = None) -> None:
        self.running = running
        self.starts = 0
        self.locked = 0
        self.address = "127.0.0.1:1"
        self.shared = embedded.Shared("the broker", lambda: self.running, self.start)

    def start(self) -> str:
        if self.locked:
            self.locked -= 1
            if not self.locked:
                self.running = self.address
            raise errors.Misconfigured("the folder is in use by process 7", code="LOCKED")
        self.starts += 1
        self.running = self.address
        return self.address


def test_what_runs_already_is_used_and_what_does_not_is_started() -> None:
    running, away = Broker("127.0.0.1:1"), Broker()
    assert running.shared.had() == away.shared.had() == "127.0.0.1:1"
    assert (running.starts, away.starts) == (0, 1)


def test_two_that_begin_at_once_agree_on_one_owner() -> None:
    broker = Broker()
    broker.locked = 3  # The other one is quicker, and still starting.
    assert broker.shared.had() == "127.0.0.1:1"
    assert broker.starts == 0


def test_a_start_that_fails_is_told_and_not_repeated_for_ever() -> None:
    def start() -> str:
        raise errors.Misconfigured("no jars")

    with pytest.raises(errors.Misconfigured, match="no jars"):
        embedded.Shared("the broker", lambda: None, start).had()


def test_what_ended_is_started_again_at_its_address_whoever_owned_it() -> None:
    broker = Broker("127.0.0.1:1")
    broker.shared.had()
    assert broker.shared.revive() is None
    broker.running = None
    assert broker.shared.revive() == "the broker had ended: started again"
    assert broker.starts == 1
    broker.running, broker.locked = None, 2
    assert broker.shared.revive() is None, "its owner sees to it"


def test_another_address_is_told_because_the_children_know_only_the_old_one() -> None:
    broker = Broker()
    broker.shared.had()
    broker.running, broker.address = None, "127.0.0.1:2"
    with pytest.raises(errors.Misconfigured, match=r"127\.0\.0\.1:2 now"):
        broker.shared.revive()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[embedded.Simulator]:
    made = embedded.Simulator(chosen(tmp_path), resources.Resources(chosen(tmp_path)).limits)
    (tmp_path / "board").mkdir()
    yield made
    made.stop()
    assert embedded.Simulator.attach(tmp_path) is None


def chosen(home: Path) -> settings.Settings:
    return settings.Settings(home=home, monday_minute=2.0)


def process_of(home: Path) -> processes.Identity:
    found = processes.Identity.parse((home / "board" / "running").read_text().partition(" ")[2])
    assert found is not None
    return found


def answers(url: str) -> bool:
    with urllib.request.urlopen(url.rsplit("/", 1)[0] + "/admin/stats", timeout=60) as answer:
        return bool(answer.status == 200)


def test_a_killed_board_is_gone_for_everybody_and_comes_back_at_its_address(
    board: embedded.Simulator, tmp_path: Path
) -> None:
    url = board.start()
    assert embedded.Simulator.attach(tmp_path) == url
    assert process_of(tmp_path).kill(60)
    assert embedded.Simulator.attach(tmp_path) is None
    assert board.start() == url
    assert answers(url)
    assert embedded.Simulator.attach(tmp_path) == url


def test_a_board_whose_owner_was_killed_is_taken_over_at_its_address(board: embedded.Simulator, tmp_path: Path) -> None:
    shared = embedded.Shared("the board", lambda: embedded.Simulator.attach(tmp_path), board.start)
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        first = process_of(tmp_path)
        assert shared.had() == url
        with pytest.raises(errors.Misconfigured, match=f"in use by process {owner.pid}"):
            board.start()
        owner.kill()
    assert first.wait(60), "it ends with its owner"
    assert shared.revive() == "the board had ended: started again"
    assert answers(url)
    assert process_of(tmp_path) != first


def test_a_board_that_is_anothers_is_not_stopped_by_us(board: embedded.Simulator, tmp_path: Path) -> None:
    board.start()
    embedded.Simulator(chosen(tmp_path), resources.Resources(chosen(tmp_path)).limits).stop()
    assert process_of(tmp_path).alive()
    assert (tmp_path / "board" / "lock").read_text().startswith(str(os.getpid()))


def test_a_board_that_cannot_start_is_one_line_with_its_reason(board: embedded.Simulator, tmp_path: Path) -> None:
    (tmp_path / "board" / "board.db").mkdir()
    with pytest.raises(
        errors.Misconfigured, match=r"the bundled board did not start: .*unable to open.*simulator\.log"
    ) as failed:
        board.start()
    assert "\n" not in str(failed.value)
