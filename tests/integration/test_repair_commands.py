"""verify and replay as a person types them, on a real broker, board and worker; killed, interrupted, refused, alone.

One story, told in order: the tests share one plant. Nothing polls: what is emitted, a command has emitted.
"""

import asyncio
import itertools
import json
import math
import os
import random
import signal
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka.admin
import pytest
from typer import testing

from connectors import errors, processes
from connectors.kafka import reader as kafka_replay
from connectors.simulator import config as simulator_config
from connectors.simulator import faults
from schemas import codec
from schemas.batches import SyncState
from streams import settings, topics
from streams.cli import main as cli
from streams.commands import setup
from streams.reconcile import repair
from streams.resources import Resources, utcnow
from streams.runtime import connect, embedded, passes, status, supervisor
from tests.conftest import SEED
from tests.support.factories import identity, row

ROOT = Path(__file__).parents[2]
# Each fills no call of 100 items; all together fill two and a part of a third.
CUSTOMERS = {"GREYSON CLOTHIERS": 60, "TRACKSMITH": 50, "JOHNNIE O": 40, "RHONE": 30, "MACK WELDON": 20, "PEERLESS": 30}
ORDERS = sum(CUSTOMERS.values())
# The number of the first order of each.
FIRST = dict(zip(CUSTOMERS, itertools.accumulate(CUSTOMERS.values(), initial=1), strict=False))
ALL = ("replay", "--all", "--from-beginning")
Until = Callable[..., Any]


class Plant:
    """A worker, a board, some customers' orders; and a person at a terminal."""

    def __init__(self, parts: Resources, until: Until) -> None:
        self.parts, self.until = parts, until
        self.environment = {
            **parts.settings.environment(),
            "MONDAY_API_TOKEN": simulator_config.TOKEN,
            "COLUMNS": "200",
            "TERM": "dumb",
        }
        self.worker: processes.Child | None = None

    def start_worker(self) -> None:
        self.worker = self.process("work", log="worker")

    def process(self, *arguments: str, log: str) -> processes.Child:
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(ROOT)}
        path = self.parts.settings.home / f"{log}.log"
        # As a person starts it: who runs the tests in the background of a script runs them with SIGINT ignored.
        command = ["env", "--default-signal=INT", *supervisor.ordersync(*arguments)]
        return processes.Child(command, log=path, environment=environment, folder=ROOT)

    def type(self, *arguments: str) -> testing.Result:
        return testing.CliRunner(env=self.environment).invoke(cli.app, list(arguments))

    def settles(self) -> None:
        self.until(lambda: status.collect(self.parts).settled, "everything is settled")

    def admin(self, page: str, body: bytes | None = None) -> dict[str, Any]:
        """A page of the board's side door."""
        url = self.parts.monday_url.rsplit("/", 1)[0] + f"/admin/{page}"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def rename(self, customer: str) -> tuple[str, str]:
        """A person writes another name over an item of this customer. Its name as it was, and its order."""
        item = self._item(FIRST[customer])
        edit = {"action": "set", "item_id": item["id"], "column_id": "name", "value": "by hand"}
        self.admin("edit", json.dumps(edit).encode())
        return item["name"], identity(FIRST[customer])

    def remove(self, number: int) -> str:
        """A person deletes the item of this order."""
        self.admin("edit", json.dumps({"action": "delete", "item_id": self._item(number)["id"]}).encode())
        return identity(number)

    def _item(self, number: int) -> dict[str, Any]:
        key = self.parts.mappings.board.key.id
        items = self.admin("board")["items"]
        found: dict[str, Any] = next(
            one for one in items if one["columns"].get(key) == identity(number) and one["state"] == "active"
        )
        return found

    def marks(self) -> dict[tuple[str, int], int]:
        """Where the topics of changes and of what arrived end now."""
        return self.parts.admin.end_offsets([self._named(topics.CHANGED), self._named(topics.SYNCED)])

    def told(self, marks: dict[tuple[str, int], int], topic: topics.Topic = topics.CHANGED) -> Counter[str]:
        """How often each order was told on this topic since then."""
        found: Counter[str] = Counter()
        with kafka_replay.TopicReader(self.parts.bootstrap, self._named(topic)) as reader:
            for partition in reader.partitions:
                start, end = marks.get((self._named(topic), partition), 0), reader.bounds(partition).end
                found.update(codec.decode(topic.event, m.value).record_uuid for m in reader.read(partition, start, end))
        return found

    def count(self, marks: dict[tuple[str, int], int]) -> int:
        """How many changes were told since then."""
        now = self.parts.admin.end_offsets([self._named(topics.CHANGED)])
        return sum(end - marks.get(partition, 0) for partition, end in now.items())

    def expire(self, customer: str) -> None:
        """Kafka retains nothing any more of the partition of this customer."""
        name = self._named(topics.CHANGED)
        with kafka_replay.TopicReader(self.parts.bootstrap, name) as reader:
            partition = reader.partition_of(customer)
            end = reader.bounds(partition).end
        client = confluent_kafka.admin.AdminClient({"bootstrap.servers": self.parts.bootstrap, "log_level": 0})
        for future in client.delete_records([confluent_kafka.TopicPartition(name, partition, end)]).values():
            future.result(60)

    def _named(self, topic: topics.Topic) -> str:
        return topics.named(topic, self.parts.settings.topic_prefix)


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, broker: str, until: Until) -> Iterator[Plant]:
    with planted(tmp_path_factory.mktemp("home"), broker, until, CUSTOMERS) as made:
        yield made


@contextmanager
def planted(
    home: Path, broker: str, until: Until, customers: Mapping[str, int], mappings: Path | None = None
) -> Iterator[Plant]:
    """A plant of its own, with everything on the board."""
    simulator = embedded.Simulator(settings.Settings(home=home), Resources(settings.Settings(monday_minute=1.0)).limits)
    (home / "board").mkdir(parents=True)
    chosen = settings.Settings(
        home=home,
        kafka_bootstrap_servers=broker,
        topic_prefix=f"{uuid.uuid4().hex[:8]}-",
        monday_url=simulator.start(),
        monday_minute=1.0,
        monday_in_flight=5.0,
        monday_token=simulator_config.TOKEN,
        mappings=mappings,
    )
    parts = Resources(chosen, bootstrap=broker, monday_url=chosen.monday_url)
    made = Plant(parts, until)
    try:
        parts.db.apply_schema(utcnow())
        names = [name for name, count in customers.items() for _ in range(count)]
        with parts.db.write() as session:
            for number, name in enumerate(names, 1):
                setup.insert_order(session, row(number, {"S": number}, CUSTOMER_NAME=name))
        parts.ensure_topics()
        key = parts.mappings.board.key
        asyncio.run(connect.ask_board(parts, lambda board: board.ensure_key_column(key.id, key.title)))
        made.start_worker()
        passes.one_pass(parts, parts.detector(passes.publisher(parts)))
        made.settles()
        yield made
    finally:
        if made.worker is not None:
            made.worker.stop(5)
        parts.close()
        simulator.stop()


def test_all_customers_are_told_again_with_one_call_per_hundred_items_and_no_mutation(plant: Plant) -> None:
    before, marks = plant.admin("stats"), plant.marks()
    shown = plant.type(*ALL)
    assert shown.exit_code == 0, shown.output
    assert f"{ORDERS} orders were re-emitted, out of {ORDERS} events read, 0 of other customers" in shown.output
    plant.settles()
    after = plant.admin("stats")
    assert after["mutations"] == before["mutations"]
    assert after["query_requests"] - before["query_requests"] <= math.ceil(ORDERS / 100)
    assert plant.told(marks) == plant.told(marks, topics.SYNCED) == {identity(n + 1): 1 for n in range(ORDERS)}


def test_killed_half_way_it_goes_on_and_tells_nothing_twice(plant: Plant) -> None:
    at = random.Random(f"killed {SEED}").randrange(1, 150)
    before, marks = plant.admin("stats"), plant.marks()
    replay = plant.process(*ALL, log="replay")
    plant.until(lambda: plant.count(marks) >= at, f"{at} orders are told")
    replay.signal(signal.SIGKILL)
    assert replay.wait(60) == -signal.SIGKILL
    told = plant.count(marks)
    assert told < ORDERS
    shown = plant.type(*ALL)
    assert shown.exit_code == 0, shown.output
    assert "continues at offset " in shown.stderr
    assert f" re-emitted {told} of {ORDERS} orders" in shown.stderr
    assert f"{ORDERS - told} orders were re-emitted" in shown.stdout
    plant.settles()
    assert plant.told(marks) == plant.told(marks, topics.SYNCED) == {identity(n + 1): 1 for n in range(ORDERS)}
    assert plant.admin("stats")["mutations"] == before["mutations"]
    assert plant.parts.state.all_of("replay") == {}


def test_a_dry_run_tells_fields_and_cost_and_a_replay_since_a_time_mends_them(plant: Plant) -> None:
    name, order = plant.rename("TRACKSMITH")
    gone = plant.remove(FIRST["TRACKSMITH"] + 1)
    marks = plant.marks()
    asked = ("replay", "--customer", "tracksmith", "--since", "2026-01-01T00:00")
    shown = plant.type(*asked, "--dry-run")
    assert shown.exit_code == 0, shown.output
    lines = [line for line in shown.stdout.splitlines() if "│" in line]
    assert [all(told in line for told in (order, "(name)", name, "by hand")) for line in lines] == [False, True]
    assert all(told in lines[0] for told in (gone, "(item)", "one item"))
    assert "50 orders would be re-emitted" in shown.stdout
    assert "cost: 2 API calls to read the board, about 2 to repair it" in shown.stdout
    assert plant.count(marks) == 0
    assert "50 orders were re-emitted" in plant.type(*asked).stdout
    plant.settles()
    assert plant.type("verify", "--board").exit_code == 0


def test_the_board_is_compared_and_mended_and_waited_for(plant: Plant) -> None:
    name, order = plant.rename("JOHNNIE O")
    shown = plant.type("verify", "--board")
    assert shown.exit_code == 1
    assert "1 orders differ on the board: 1 edited" in shown.stdout
    assert name in shown.stdout
    assert order in shown.stdout
    shown = plant.type("verify", "--board", "--fix")
    assert shown.exit_code == 0
    assert "1 repairs were emitted" in shown.stdout
    plant.settles()
    plant.rename("JOHNNIE O")
    shown = plant.type("verify", "--board", "--fix", "--wait")
    assert shown.exit_code == 0
    assert "orders that were compared as production has them" in shown.stdout
    shown = plant.type("verify", "--board", "--full")
    assert shown.exit_code == 0
    assert f"board: all {ORDERS} items compared (full audit: --full)" in shown.stdout
    assert f"the board shows {ORDERS} orders as production has them" in shown.stdout


def test_a_customer_on_hold_is_left_alone_and_that_is_said(plant: Plant) -> None:
    assert plant.type("hold", "--customer", "rhone").exit_code == 0
    plant.rename("RHONE")
    marks = plant.marks()
    shown = plant.type("replay", "--customer", "rhone", "--from-beginning")
    assert shown.exit_code == 0
    assert "0 orders were re-emitted" in shown.stdout
    assert "30 orders of customers on hold left alone" in shown.stdout
    for waits in ((), ("--wait",)):
        shown = plant.type("verify", "--board", "--fix", *waits)
        assert shown.exit_code == 1
        assert "1 orders differ and are left alone: their customers are on hold" in shown.stdout
    assert plant.count(marks) == 0
    assert plant.type("release", "--customer", "rhone").exit_code == 0
    assert plant.type("verify", "--board", "--fix", "--wait").exit_code == 0


def test_a_repair_that_the_api_refuses_is_a_failure_with_a_reason_and_the_next_fix_tries_it_again(plant: Plant) -> None:
    _, order = plant.rename("MACK WELDON")
    refusal = faults.Rule(kind=faults.Kind.PARTIAL_ALIASES, at=(1,), code="ColumnValueException", share=1.0)
    plant.admin("faults", faults.Rules.dump_json((refusal,)))

    def state() -> SyncState:
        (found,) = [one["sync_state"] for one in _snapshots(plant) if one["record_uuid"] == order]
        return SyncState(found)

    assert plant.type("verify", "--board", "--fix").exit_code == 0
    plant.until(lambda: state() is SyncState.FAILED, "the repair failed")
    told = json.loads(plant.type("verify", "--json").output)
    assert told["customers"]["MACK WELDON"] == {"FAILED": 1, "IN_SYNC": 19}
    shown = plant.type("errors").output
    assert "ColumnValueException" in shown
    assert "MACK WELDON" in shown
    assert plant.type("verify", "--board").exit_code == 1
    # The tables alone know of it too: the board need not be read to try it again.
    assert "1 repairs were emitted" in plant.type("verify", "--fix").stdout
    plant.until(lambda: state() is SyncState.IN_SYNC, "the second repair arrived")
    assert plant.type("verify", "--board").exit_code == 0
    assert plant.parts.failures.waiting() == []


def test_without_a_worker_nobody_waits_for_ever_and_what_was_told_stays_told(plant: Plant) -> None:
    assert plant.worker is not None
    plant.worker.stop(60)
    plant.rename("GREYSON CLOTHIERS")
    marks = plant.marks()
    shown = plant.type("verify", "--board", "--fix", "--wait", "--timeout", "1")
    assert shown.exit_code == 1
    assert "nothing moved for 1 s" in shown.stdout
    assert "emitted repairs stay emitted" in shown.stdout
    assert plant.told(marks) == {identity(1): 1}
    # It waits on for what it has emitted, and does not emit that again.
    assert "nothing moved for 1 s" in plant.type("verify", "--board", "--fix", "--wait", "--timeout", "1").stdout
    assert plant.told(marks) == {identity(1): 1}
    marks = plant.marks()
    shown = plant.type(*ALL, "--timeout", "1")
    assert shown.exit_code == 1
    # Two portions: one that is worked, and one that waits.
    assert plant.count(marks) == 2 * repair.PORTION
    assert "nothing moved for 1 s" in shown.stdout
    assert f"the same command continues with the {ORDERS - 200} orders that are left" in shown.stdout

    interrupted = plant.process(*ALL, "--anew", log="interrupted")
    plant.until(lambda: plant.count(marks) >= 4 * repair.PORTION, "it waits for room")
    interrupted.signal(signal.SIGINT)
    assert interrupted.wait(60) == 130
    said = (plant.parts.settings.home / "interrupted.log").read_text()
    assert said == "stopped: re-emitted orders stay re-emitted; the same command continues with the rest\n"

    plant.start_worker()
    shown = plant.type(*ALL)
    assert shown.exit_code == 0
    assert f" re-emitted 200 of {ORDERS} orders" in shown.stderr
    plant.settles()
    assert plant.type("verify", "--board").exit_code == 0


def test_what_is_not_retained_is_said_and_another_way_is_offered(plant: Plant) -> None:
    plant.expire("PEERLESS")
    shown = plant.type("replay", "--customer", "PEERLESS", "--from-offset", "0")
    assert isinstance(shown.exception, errors.Misconfigured)
    assert "offset 0 of partition" in str(shown.exception)
    assert "`ordersync verify --board --fix`" in str(shown.exception)
    shown = plant.type("replay", "--customer", "PEERLESS", "--from-beginning")
    assert shown.exit_code == 0
    assert "retains no such event: `ordersync verify --board --fix` compares" in shown.stdout
    shown = plant.type("replay", "--customer", "PEERLESS", "--since", "2026-01-01")
    assert "events of 2026-01-01 00:00:00 UTC are not retained any more" in str(shown.exception)


def _snapshots(plant: Plant) -> list[dict[str, Any]]:
    with plant.parts.db.read() as session:
        return session.query("SELECT record_uuid, sync_state FROM ORDERS_UNIFIED_SNAPSHOT")
