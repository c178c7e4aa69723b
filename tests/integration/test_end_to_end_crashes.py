"""The first sync, with a part of the set-up killed in the midst of it: it ends in the same proof as without.

Nothing is lost, nothing is on the board twice, and whoever died is started again by its supervisor.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import processes
from connectors.kafka import embedded_node
from streams import settings
from streams.demo import stage as demo
from streams.runtime import connect

ORDERS, SEED = 140, 11
Until = Callable[..., Any]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[demo.Stage]:
    base = settings.Settings(home=tmp_path)
    with demo.stage(demo.settings_of(base, minute=3.0), orders=ORDERS, seed=SEED) as shown:
        yield shown


def mutations(stage: demo.Stage) -> int:
    found: int = stage.stats()["mutations"]
    return found


def in_the_midst(stage: demo.Stage, until: Until) -> int:
    """Waits until the board shows some items and not all; how many mutations it has seen."""
    until(lambda: len(stage.ask("board")["items"]) >= 50, "the board shows 50 items")
    assert len(stage.ask("board")["items"]) < ORDERS
    return mutations(stage)


def everything_proves(stage: demo.Stage) -> None:
    demo.settle(stage, within=50.0, on_look=lambda seen: None)
    found = stage.prove()
    assert found.wrong == []
    assert found.items == found.valid == ORDERS - found.excluded - found.failed - found.refused
    items = asyncio.run(connect.ask_board(stage.parts, connect.read_items))
    key = stage.parts.mappings.board.key.id
    assert len({item.columns[key].text for item in items}) == len(items)
    assert len([item for item in items if item.group_title == "GREYSON CLOTHIERS 2025 FALL"]) >= 69


def log(stage: demo.Stage, name: str) -> str:
    return (stage.parts.settings.home / "logs" / f"{name}.log").read_text()


def test_the_worker_is_killed(stage: demo.Stage, until: Until, record_property: Callable[[str, object], None]) -> None:
    worker = stage.supervisor.services["worker"]
    before, killed = in_the_midst(stage, until), time.monotonic()
    assert worker.child is not None
    worker.child.signal(signal.SIGKILL)
    until(lambda: not worker.child or not worker.child.running or worker.restarts, "it is dead")
    before = mutations(stage)
    until(lambda: mutations(stage) > before, "it writes again")
    took = time.monotonic() - killed
    record_property("seconds to the next write", round(took, 2))
    print(f"kill -9 of the worker to its next confirmed write: {took:.1f} s")
    assert took < 10
    everything_proves(stage)
    assert worker.restarts == 1
    assert "Traceback" not in log(stage, "worker")


def test_the_poller_is_killed(stage: demo.Stage, until: Until) -> None:
    poller = stage.supervisor.services["poller"]
    # First in the midst of a pass, when a batch is open and Kafka has not confirmed it; then while orders are synced.
    until(stage.parts.batches.active, "a pass has opened a batch")
    assert poller.child is not None
    poller.child.signal(signal.SIGKILL)
    until(lambda: poller.restarts == 1, "it is started again")
    in_the_midst(stage, until)
    poller.child.signal(signal.SIGKILL)
    everything_proves(stage)
    assert poller.restarts == 2
    assert "Traceback" not in log(stage, "poller")


def test_the_board_is_killed(stage: demo.Stage, until: Until) -> None:
    in_the_midst(stage, until)
    text = (stage.parts.settings.home / "board" / "running").read_text()
    board = processes.Identity.parse(text.partition(" ")[2])
    assert board is not None
    assert board.kill(10)
    everything_proves(stage)
    assert [one.restarts for one in stage.supervisor.services.values()] == [0, 0], "they wait for it, they do not die"
    assert "Traceback" not in log(stage, "worker")


def test_the_broker_is_killed(stage: demo.Stage, until: Until, caplog: pytest.LogCaptureFixture) -> None:
    in_the_midst(stage, until)
    broker = embedded_node.State.read(stage.parts.settings.home / "kafka").jvm
    assert broker is not None
    assert broker.kill(10)
    everything_proves(stage)
    assert "the embedded Kafka had ended: started again" in caplog.messages
    assert len(log(stage, "worker").splitlines()) < 60, "a broker that is away is a line or two, not a flood"
    assert "Traceback" not in log(stage, "worker")
