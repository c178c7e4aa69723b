"""A command waits as long as something moves, and then gives the reason; the test sets the clock."""

from datetime import timedelta
from typing import Any

from schemas import workers
from streams.commands import stall
from tests.support import fakes

NOW = fakes.Clock()()


class Way:
    """Orders on their way, and a clock that a wait advances."""

    def __init__(self) -> None:
        self.waiting, self.unsettled, self.seconds = 100, 100, 0.0
        self.reports: list[int] = []
        self.wait = stall.StallDetector(
            lambda: self.waiting,
            lambda: self.unsettled,
            10.0,
            self.reports.append,
            self._sleep,
            lambda: self.seconds,
        )

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def lasts(self) -> float:
        """Seconds that it waits while nothing changes."""
        began = self.seconds
        while self.wait():
            assert self.seconds - began < 100
        return self.seconds - began


def test_it_waits_so_long_and_then_stops() -> None:
    way = Way()
    assert way.lasts() == 10.0
    assert set(way.reports) == {100}


def test_any_progress_starts_the_wait_over() -> None:
    way = Way()
    way.lasts()
    way.waiting = 99
    assert way.lasts() == 10.0
    way.waiting = 199  # It sent more itself.
    assert way.lasts() == 10.0
    way.unsettled = 50  # Live changes went on, which had filled the window.
    assert way.lasts() == 10.0


def test_mutations_of_other_processes_are_no_progress() -> None:
    way = Way()
    way.lasts()
    way.unsettled = 5000
    assert not way.wait()


class Store(dict[str, Any]):
    def all_of(self, family: str) -> dict[str, Any]:
        assert family == "worker"
        return self


def worker(name: str, *, quiet: float = 0.0, role: str = "worker", **holding: str) -> dict[str, Any]:
    state = workers.WorkerState(
        role=role, name=name, pid=1, address="", at=NOW - timedelta(seconds=quiet), holding=holding,
        trouble=[], events={}, budget=None,
    )  # fmt: skip
    return {name: state.model_dump(mode="json")}


def test_the_reason_comes_from_the_heartbeats_of_the_workers() -> None:
    dead = worker("w1", quiet=31.0, sync="a token") | worker("poller", role="poller")
    assert stall.stall_reason(Store(dead), NOW, 120) == (
        "nothing moved for 120 s, and no worker runs: `ordersync run` starts one"
    )
    holds = Store(dead | worker("w2", sync="the token was refused"))
    assert "w2 pauses sync: the token was refused" in stall.stall_reason(holds, NOW, 120)
    assert "the log of the worker" in stall.stall_reason(Store(worker("w3")), NOW, 120)
