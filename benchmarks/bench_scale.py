"""python -m benchmarks.bench_scale: what do three workers stage, against one? And what keeps them from more?

Orders of many customers arrive at once on `orders.changed` while the real worker processes wait for them, all started
and with their partitions. The figure is orders a second from the first to the last OrderStaged, by the broker's own
times. The board is kept out of it: the lease is held here, so the sync lane holds. Every run has topics, a group and a
database of its own; one broker serves all. What limited a run is measured beside it: CPU of each process, of the
broker and of everything else on this machine, and the time that SQLite's one write lock was held and waited for.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import confluent_kafka
from confluent_kafka.admin import AdminClient

from connectors import processes, samples
from connectors.kafka import embedded
from mappings import columns, sizes
from schemas import events
from streams import topics
from streams.delivery import consumer as delivery
from streams.resources import Resources, new_id
from streams.settings import Settings

ROOT = Path(__file__).parents[1]
CUSTOMERS = 240
GOAL = 1.5
# Above this share of its time, what is busy is what limits.
BUSY = 0.85
# Cores that other programs may use before a run says nothing.
DISTURBED = 0.2
TICKS = os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Run:
    """One run's figures. CPU is in cores: 1.0 is one core all the time; lock times are shares of the run's seconds."""

    workers: int
    orders: int
    seconds: float
    worker_cpu: tuple[float, ...]
    broker_cpu: float
    other_cpu: float
    lock_held: float
    lock_waited: float

    @property
    def rate(self) -> float:
        return self.orders / self.seconds

    @property
    def limit(self) -> str:
        """What was used up."""
        cpu = sum(self.worker_cpu) + self.broker_cpu + self.other_cpu
        if self.other_cpu > DISTURBED:
            # A process that holds the lock and is not let on a core makes the others wait for it, too.
            return f"other work on this machine, {self.other_cpu:.2f} of {CORES} cores: this run says nothing"
        if self.lock_held > BUSY:
            return f"SQLite's write lock, held {self.lock_held:.0%} of the time"
        if cpu > BUSY * CORES:
            return f"CPU, {cpu:.2f} of {CORES} cores"
        if max(self.worker_cpu) > BUSY:
            return f"one process's CPU, {max(self.worker_cpu):.2f} of a core"
        return f"none was used up: CPU {cpu:.2f} of {CORES} cores, write lock held {self.lock_held:.0%}"

    def __str__(self) -> str:
        workers = "+".join(f"{cpu:.2f}" for cpu in self.worker_cpu)
        return (
            f"workers={self.workers} orders_per_s={self.rate:.0f} orders={self.orders} seconds={self.seconds:.1f} "
            f"cpu_workers={workers} cpu_broker={self.broker_cpu:.2f} cpu_others={self.other_cpu:.2f} "
            f"lock_held={self.lock_held:.2f} lock_waited={self.lock_waited:.2f} limit: {self.limit}"
        )


def changed(parts: Resources, count: int, seed: int) -> list[events.OrderChanged]:
    """Sample orders dealt out to many customers, in the order of customers, as a pass of the poller emits them."""
    live = parts.orders.columns()
    size_columns = sizes.size_columns(live, parts.mappings.board.sizes)
    base = set(columns.watched(parts.mappings, size_columns)) - set(size_columns)
    names = [name for name, _ in live]
    rows = samples.generate(seed=seed, orders=count * 2, columns=names, size_columns=size_columns)
    valid = itertools.islice((sample.row for sample in rows if sample.expected is samples.Expected.VALID), count)
    dealt = sorted(((at % CUSTOMERS, row) for at, row in zip(range(count), valid, strict=True)), key=lambda one: one[0])
    batches = {number: new_id() for number in range(CUSTOMERS)}
    return [
        events.OrderChanged(
            customer=_name(number),
            record_uuid=str(row["record_uuid"]),
            version=1,
            row_hash=str(position),
            batch_id=batches[number],
            change=events.Change.CREATED,
            position=position,
            detected_at=datetime.now(UTC),
            row={name: row[name] for name in base if row[name] is not None} | {"CUSTOMER NAME": _name(number)},
            sizes={name: row[name] for name in size_columns if row[name] is not None},
        )
        for position, (number, row) in enumerate(dealt)
    ]


def _name(number: int) -> str:
    return f"CUSTOMER {number:03d}"


def measure(broker: embedded.LocalKafka, home: Path, *, workers: int, orders: int, seed: int) -> Run:
    """One run in an empty folder."""
    home.mkdir()
    settings = Settings(
        home=home,
        kafka_bootstrap_servers=broker.bootstrap,
        topic_prefix=f"{home.name}-",
        # Nobody is there: the sync lane asks for the lease first, and does not get it.
        monday_url="http://127.0.0.1:9/v2",
        lease_seconds=3600.0,
        web_port=0,
    )
    parts = Resources(settings, bootstrap=broker.bootstrap)
    try:
        parts.db.apply_schema(datetime.now(UTC))
        parts.ensure_topics()
        assert parts.lease().acquire() is not None
        waiting = changed(parts, orders, seed)
        totals: dict[tuple[str, str], int] = {}
        for event in waiting:
            totals[event.batch_id, event.customer] = totals.get((event.batch_id, event.customer), 0) + 1
        parts.batches.open([(*names, total) for names, total in totals.items()], version=1, started_by="bench")
        messages = delivery.outgoing(waiting, settings.topic_prefix)
        with _workers(settings, workers) as children:
            _until(lambda: _ready(settings, children), "every worker has its partitions")
            before = _cpu(broker, children)
            parts.producer.send_all(messages)
            _until(lambda: _staged(parts) >= orders, f"{orders} orders are staged")
            after = _cpu(broker, children)
            broker_cpu, machine, own, *each = (b - a for a, b in zip(before[1:], after[1:], strict=True))
            elapsed = after[0] - before[0]
        first, last = _times(settings, orders)
        rows = _rows(parts)
        assert rows == orders, f"{rows} rows for {orders} orders"
    finally:
        parts.close()
    told = [json.loads(path.read_text()) for path in sorted(home.glob("*.json"))]
    assert len(told) == workers, "a worker did not end in order"
    return Run(
        workers=workers,
        orders=orders,
        seconds=last - first,
        worker_cpu=tuple(one / elapsed for one in each),
        broker_cpu=broker_cpu / elapsed,
        other_cpu=(machine - own - broker_cpu - sum(each)) / elapsed,
        lock_held=sum(one["held"] for one in told) / elapsed,
        lock_waited=sum(one["waited"] for one in told) / elapsed,
    )


@contextmanager
def _workers(settings: Settings, count: int) -> Iterator[list[processes.Child]]:
    children = []
    try:
        for number in range(1, count + 1):
            name = f"worker-{number}"
            told = settings.model_copy(update={"worker": name})
            children.append(
                processes.Child(
                    [sys.executable, "-m", "benchmarks.timed_worker", str(settings.home / f"{name}.json"), "work"],
                    log=settings.home / f"{name}.log",
                    environment={**os.environ, **told.environment(), "MONDAY_API_TOKEN": "none"},
                    folder=ROOT,
                )
            )
        yield children
    finally:
        for child in children:
            child.stop(8.0)


def _ready(settings: Settings, workers: Sequence[processes.Child]) -> bool:
    """Whether the group is stable and each worker holds partitions of `orders.changed`."""
    assert all(worker.running for worker in workers), "a worker ended"
    client = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers, "log_level": 0})
    group = settings.topic_prefix + settings.group
    try:
        found = client.describe_consumer_groups([group])[group].result(10)
    except confluent_kafka.KafkaException:
        return False  # A broker that has just started has no coordinator yet; whoever waits for this has a deadline.
    if found.state is not confluent_kafka.ConsumerGroupState.STABLE:
        return False
    topic = topics.named(topics.CHANGED, settings.topic_prefix)
    held = [any(part.topic == topic for part in member.assignment.topic_partitions) for member in found.members]
    return len(held) == len(workers) and all(held)


def _staged(parts: Resources) -> int:
    """How many OrderStaged there are."""
    return sum(parts.admin.end_offsets([topics.named(topics.STAGED, parts.settings.topic_prefix)]).values())


def _rows(parts: Resources) -> int:
    with parts.db.read() as session:
        return int(session.value("SELECT COUNT(*) FROM STG_MON_CustMasterSchedule"))


def _times(settings: Settings, count: int) -> tuple[float, float]:
    """When the first and the last OrderStaged were sent, in seconds."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap_servers, "group.id": f"{settings.topic_prefix}bench"}
    )
    topic = topics.named(topics.STAGED, settings.topic_prefix)
    consumer.assign([confluent_kafka.TopicPartition(topic, n, 0) for n in range(topics.STAGED.partitions)])
    times: list[int] = []

    def all_read() -> bool:
        times.extend(message.timestamp()[1] for message in consumer.consume(500, 0.1))
        return len(times) >= count

    _until(all_read, "read")
    consumer.close()
    return min(times) / 1000, max(times) / 1000


def _cpu(broker: embedded.LocalKafka, children: Sequence[processes.Child]) -> list[float]:
    """The time now, then seconds of CPU: of the broker, of the whole machine, of this process, of each child."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    assert broker.pid is not None
    machine = (user + nice + system + irq + softirq) / TICKS
    return [
        time.monotonic(),
        _used(broker.pid),
        machine,
        time.process_time(),
        *(_used(child.pid) for child in children),
    ]


def _used(pid: int) -> float:
    # Time in user mode and in the kernel: fields 14 and 15 of proc_pid_stat(5).
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _until(condition: Callable[[], object], what: str, within: float = 120.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within:g} s: {what}")
        time.sleep(0.05)


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_scale", description=__doc__)
    parser.add_argument("--orders", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="runs with one and with three workers, in turn")
    told = parser.parse_args(given)
    rates: dict[int, list[float]] = {1: [], 3: []}
    with (
        tempfile.TemporaryDirectory(prefix="bench-scale-") as name,
        embedded.LocalKafka(Path(name) / "kafka") as broker,
    ):
        for number, workers in enumerate([1, 3] * told.rounds, start=1):
            home = Path(name) / f"run-{number}"
            found = measure(broker, home, workers=workers, orders=told.orders, seed=told.seed)
            if found.other_cpu <= DISTURBED:
                rates[workers].append(found.rate)
            print(found, flush=True)
    if not all(rates.values()):
        print("ratio=none: the machine was busy with other work in every run with one, or with three workers")
        return 1
    ratio = statistics.median(rates[3]) / statistics.median(rates[1])
    print(f"ratio={ratio:.2f} (medians of undisturbed runs) {'ok' if ratio >= GOAL else 'MISSED'}")
    return int(ratio < GOAL)


if __name__ == "__main__":
    sys.exit(main())
