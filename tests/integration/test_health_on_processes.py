"""Two questions, two addresses, on real processes: /live of the worker, /health and `status --check` of the service."""

import json
import signal
import subprocess
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors import processes
from schemas import workers
from streams.resources import utcnow
from streams.runtime import supervisor
from tests.integration.test_worker_process import ROOT, Plant, Until, plant_in


def page(plant: Plant, path: str) -> tuple[int, dict[str, Any]]:
    address = plant.parts.state.all_of("worker")["worker-1"]["address"].replace("/health", path)
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def ill(plant: Plant) -> set[tuple[str, str]]:
    """The parts on /health that are not well. /live must be 200 meanwhile, whatever they are."""
    assert page(plant, "/live")[0] == 200
    status, body = page(plant, "/health")
    found = {(one["part"], one["severity"]) for one in body["reasons"]}
    assert status == (503 if found else 200)
    return found


def check(plant: Plant) -> tuple[int, list[str]]:
    """`ordersync status --check`: exit code and lines."""
    ended = subprocess.run(
        supervisor.ordersync("status", "--check"),
        env=plant.environment(), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.stderr == ""
    return ended.returncode, ended.stdout.splitlines()


def test_a_guard_stop_asks_for_an_operator_and_a_killed_poller_is_down_while_the_worker_lives(
    tmp_path: Path, broker: str, until: Until
) -> None:
    with plant_in(tmp_path, broker, until) as plant:
        plant.add_key_column()
        plant.start()
        assert ("poller", "down") in ill(plant)
        poller = processes.Child(
            supervisor.ordersync("detect", "--every", "0.5"),
            log=plant.log("poller"), environment=plant.environment(), folder=ROOT,
        )  # fmt: skip
        plant.workers.append(poller)
        until(lambda: not ill(plant), "the service is well")
        plant.settled()
        assert check(plant) == (0, ["well"])
        with plant.parts.db.write() as session:
            session.execute("DELETE FROM ORDERS_UNIFIED")
        until(lambda: ill(plant) == {("guard", "person")}, "the guard stops")
        code, [line] = check(plant)
        assert code == 3
        assert line.startswith("person    guard: ORDERS_UNIFIED is empty")
        assert f"`ordersync accept {plant.parts.state.get('detect.plan')}`" in line
        poller.signal(signal.SIGKILL)
        poller.wait()
        # Its last heartbeat becomes old: the test does not wait for that.
        last = workers.WorkerState.model_validate(plant.parts.state.get("worker.poller"))
        old = last.model_copy(update={"at": utcnow() - timedelta(seconds=workers.SILENT + 1)})
        plant.parts.state.set("worker.poller", old.model_dump(mode="json"))
        assert ill(plant) == {("poller", "down"), ("guard", "person")}
        code, lines = check(plant)
        assert (code, len(lines)) == (5, 2)
        assert lines[0].startswith("down      poller: no heartbeat since")
        assert "`ordersync run`" in lines[0]
