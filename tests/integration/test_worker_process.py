"""Real workers: `ordersync work` in processes of their own, on the real broker, with the board in another process."""

import asyncio
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import admin

from connectors import kafka, processes
from connectors.simulator import config as simulator_config
from schemas import codec, events
from streams import settings, topics
from streams.commands import setup
from streams.resources import Resources, utcnow
from streams.runtime import connect, embedded, passes, status, supervisor

ROOT = Path(__file__).parents[2]
Until = Callable[..., Any]


class Plant:
    """Tables, topics and a board, and workers as a test wants them."""

    def __init__(self, parts: Resources, until: Until, simulator: embedded.Simulator) -> None:
        self.parts = parts
        self.simulator = simulator
        self.until = until
        self.home = parts.settings.home
        self.workers: list[processes.Child] = []

    def environment(self, **changed: object) -> dict[str, str]:
        chosen = self.parts.settings.model_copy(update=changed)
        return {
            **os.environ,
            **chosen.environment(),
            "MONDAY_API_TOKEN": simulator_config.TOKEN,
            "PYTHONPATH": str(ROOT),
        }

    def start(self, worker: str = "worker-1", **changed: object) -> processes.Child:
        """Returns once it works."""
        log = self.log(worker)
        known = log.read_text().count(" works\n") if log.exists() else 0
        child = processes.Child(
            supervisor.ordersync("-v", "work"),
            log=log,
            environment=self.environment(worker=worker, **changed),
            folder=ROOT,
        )
        self.workers.append(child)
        self.until(lambda: not child.running or log.read_text().count(" works\n") > known, "the worker works")
        assert child.running, log.read_text()
        return child

    def log(self, worker: str = "worker-1") -> Path:
        return self.home / f"{worker}.log"

    def restart_board(self) -> None:
        """At the same address."""
        running = self.home / "board" / "running"
        noted = running.read_text()
        self.simulator.stop()
        running.write_text(noted)
        assert self.simulator.start() == self.parts.monday_url

    def add_key_column(self) -> None:
        key = self.parts.mappings.board.key
        asyncio.run(connect.ask_board(self.parts, lambda board: board.ensure_key_column(key.id, key.title)))

    def detect(self) -> int:
        emitted: int = self.parts.detector(passes.publisher(self.parts)).run().emitted
        return emitted

    def change(self, count: int, freight: int) -> None:
        with self.parts.db.write() as session:
            session.execute(
                "UPDATE ORDERS_UNIFIED SET [FREIGHT] = ? WHERE record_uuid IN "
                "(SELECT record_uuid FROM ORDERS_UNIFIED ORDER BY record_uuid LIMIT ?)",
                (str(freight), count),
            )

    def settled(self) -> None:
        self.until(lambda: status.collect(self.parts).settled, "everything is settled")

    def holder(self) -> str | None:
        found: str | None = status.collect(self.parts).writer
        return found


@contextmanager
def plant_in(
    folder: Path,
    broker: str,
    until: Until,
    *,
    seconds: float = 60.0,
    options: Sequence[str] = (),
    orders: int = 90,
    **changed: Any,
) -> Iterator[Plant]:
    """`seconds`: the duration of the lease; `options`: of the simulator's command line; `changed`: other settings."""
    limits = Resources(settings.Settings(home=folder, monday_minute=2.0)).limits
    simulator = embedded.Simulator(settings.Settings(home=folder), limits, options)
    (folder / "board").mkdir(parents=True)
    chosen = settings.Settings(
        home=folder,
        kafka_bootstrap_servers=broker,
        topic_prefix=f"{uuid.uuid4().hex[:8]}-",
        monday_url=simulator.start(),
        monday_minute=2.0,
        monday_in_flight=5.0,
        monday_token=simulator_config.TOKEN,
        lease_seconds=seconds,
        **changed,
    )
    parts = Resources(chosen, bootstrap=broker, monday_url=chosen.monday_url)
    plant = Plant(parts, until, simulator)
    try:
        parts.db.apply_schema(utcnow())
        setup.fill_with_samples(parts, orders=orders, seed=3)
        parts.ensure_topics()
        yield plant
    finally:
        for worker in plant.workers:
            worker.stop(0)
        parts.close()
        simulator.stop()


@pytest.fixture
def plant(tmp_path: Path, broker: str, until: Until) -> Iterator[Plant]:
    with plant_in(tmp_path, broker, until) as made:
        made.add_key_column()
        yield made


def test_a_name_is_for_one_worker_and_the_second_is_told_in_one_line(plant: Plant) -> None:
    first = plant.start()
    second = subprocess.run(
        supervisor.ordersync("work"), env=plant.environment(), cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr == f"ordersync: the worker name 'worker-1' is in use by process {first.pid}\n"
    assert first.running


def test_a_stop_is_quick_and_gives_the_lease_back(plant: Plant) -> None:
    worker = plant.start()
    assert plant.detect() > 50
    plant.until(plant.holder, "it holds the lease")
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait(60) == 0, plant.log().read_text()
    print(f"SIGTERM in the midst of a sync to the end: {time.monotonic() - began:.1f} s")
    assert plant.holder() is None
    assert "Traceback" not in plant.log().read_text()
    # What was in work comes again, and nothing twice.
    plant.start()
    plant.settled()
    items = asyncio.run(connect.ask_board(plant.parts, connect.read_items))
    key = plant.parts.mappings.board.key.id
    assert len({item.columns[key].text for item in items}) == len(items)


def test_an_idle_worker_shows_its_pages_and_stops_within_two_seconds(
    plant: Plant, record_property: Callable[[str, object], None]
) -> None:
    worker = plant.start()
    health = plant.until(lambda: plant.parts.state.all_of("worker").get("worker-1"), "it has told SQL")["address"]
    with urllib.request.urlopen(health.replace("/health", "/live"), timeout=60) as page:
        assert json.load(page)["status"] == "ok"
    with urllib.request.urlopen(health.replace("/health", "/metrics"), timeout=60) as page:
        assert page.headers["Content-Type"].startswith("text/plain")
        assert b"ordersync_loop_idle_seconds" in page.read()
    assert len(members(plant)) == 1
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    record_property("seconds of a stop", round(time.monotonic() - began, 2))
    assert plant.parts.state.all_of("worker")["worker-1"]["stopped"]
    # In order, not because its time was over. The group need not wait for it until its session runs out.
    assert members(plant) == []


def members(plant: Plant) -> list[str]:
    """Who is in the consumer group."""
    told = plant.parts.settings
    asked = admin.AdminClient({"bootstrap.servers": str(told.kafka_bootstrap_servers)})
    group = told.topic_prefix + told.group
    return [member.group_instance_id for member in asked.describe_consumer_groups([group])[group].result().members]


def test_a_killed_worker_writes_again_long_before_its_lease_runs_out(
    tmp_path: Path, broker: str, until: Callable[..., Any]
) -> None:
    with plant_in(tmp_path, broker, until, seconds=3600.0) as plant:
        plant.add_key_column()
        worker = plant.start()
        plant.detect()
        plant.settled()
        plant.change(5, 77)
        assert plant.detect() > 0
        worker.signal(signal.SIGKILL)
        worker.wait()
        # Nobody here waits for as long as the lease lasts.
        plant.start()
        plant.settled()
        assert "epoch 2" in plant.log().read_text()


def test_another_worker_takes_over_when_the_writer_is_killed(
    tmp_path: Path, broker: str, until: Callable[..., Any]
) -> None:
    with plant_in(tmp_path, broker, until, seconds=15.0) as plant:
        plant.add_key_column()
        workers = {name: plant.start(name) for name in ("worker-1", "worker-2")}
        plant.detect()
        plant.settled()
        writer = max(workers, key=lambda name: last_epoch(plant.log(name)))
        [other] = set(workers) - {writer}
        killed = time.monotonic()
        workers[writer].signal(signal.SIGKILL)
        plant.change(5, 88)
        assert plant.detect() > 0
        plant.settled()
        print(f"kill -9 of the writer to everything settled by another worker: {time.monotonic() - killed:.1f} s")
        assert last_epoch(plant.log(other)) > last_epoch(plant.log(writer))
        assert "watchdog" not in plant.log(other).read_text()


def last_epoch(log: Path) -> int:
    return max(
        (int(epoch) for epoch in re.findall(r"lease of the board is ours, epoch (\d+)", log.read_text())), default=0
    )


def test_a_hold_in_one_lane_lets_the_others_go_on_however_much_waits(
    tmp_path: Path, broker: str, until: Callable[..., Any]
) -> None:
    with plant_in(tmp_path, broker, until) as plant:
        # Nobody has run `setup`: the board has no column for the identity, so the writer holds.
        worker = plant.start()
        prefix = plant.parts.settings.topic_prefix
        unknown = [
            events.OrderStaged(customer="NOBODY", record_uuid=f"gone-{n}", version=1, row_hash="-", batch_id="-")
            for n in range(3000)
        ]
        plant.parts.producer.send_all(
            [
                kafka.OutgoingMessage(topics.named(topics.STAGED, prefix), event.customer, codec.encode(event))
                for event in unknown
            ]
        )
        plant.until(
            lambda: "orders.staged is paused: the board has no key column 'record_uuid'" in plant.log().read_text(),
            "the lane is paused",
        )
        emitted = plant.detect()
        assert emitted > 50

        def staged() -> int:
            with plant.parts.db.read() as session:
                return int(session.value("SELECT COUNT(*) FROM STG_MON_CustMasterSchedule") or 0)

        plant.until(lambda: staged() >= emitted, "every order is staged behind the hold")
        assert worker.running
        assert not status.collect(plant.parts).settled
        plant.add_key_column()
        plant.settled()
        assert plant.log().read_text().count("is paused:") == 1


def test_a_token_that_is_rotated_in_its_file_needs_no_restart(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text(simulator_config.TOKEN)
    worker = plant.start(monday_token_file=file)
    plant.detect()
    plant.settled()
    # The new token is in the file before the API refuses the old one: no lane pauses.
    file.write_text("second-Zk81\n")
    monkeypatch.setattr(simulator_config, "TOKEN", "second-Zk81")
    plant.restart_board()
    plant.change(5, 77)
    assert plant.detect() > 0
    plant.settled()
    assert "is paused:" not in plant.log().read_text()
    # The old token is revoked first: the lane pauses until a later try finds the new one.
    monkeypatch.setattr(simulator_config, "TOKEN", "third-Qm57")
    plant.restart_board()
    plant.change(5, 78)
    assert plant.detect() > 0
    plant.until(lambda: "is paused: Unauthorized (HTTP 401" in plant.log().read_text(), "the lane is paused")
    file.write_text("third-Qm57")
    plant.settled()
    assert worker.running
    log = plant.log().read_text()
    assert log.count("going on with the new one") == 2
    assert log.count("is paused:") == 1
    assert not [token for token in ("second-Zk81", "third-Qm57") if token in log]
    assert status.collect(plant.parts).failures == {}
