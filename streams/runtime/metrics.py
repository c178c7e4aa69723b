"""GET /metrics: what the worker knows, for Prometheus; every name, its unit and what it means.

What is in memory is told as it is. What stands in SQL and in Kafka is asked at most every `KEEP` seconds and in the
thread of the scrape, so that a scrape never costs the pipeline; where it cannot be had, its names are missing and
`ordersync_readable` says so.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors import errors
from schemas import workers
from streams import topics
from streams.delivery import health
from streams.resources import Resources
from streams.runtime import heartbeat
from streams.runtime import status as statuses

log = logging.getLogger(__name__)

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
KEEP = 10.0

T = TypeVar("T")


class Reporter(Protocol):
    """streams.runtime.heartbeat.Reporter."""

    def state(self) -> workers.WorkerState: ...


@dataclass
class Cached(Generic[T]):
    """An answer that is asked for again after `keep` seconds; None while it cannot be had."""

    ask: Callable[[], T]
    keep: float = KEEP
    clock: Callable[[], float] = time.monotonic
    _answer: T | None = field(default=None, init=False)
    _asked: float | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def get(self) -> T | None:
        with self._lock:
            if self._asked is None or self.clock() - self._asked >= self.keep:
                try:
                    self._answer = self.ask()
                except errors.OrdersyncError as error:
                    log.debug("metrics: %s", error)
                    self._answer = None
                self._asked = self.clock()
            return self._answer


@dataclass(frozen=True)
class Tables:
    """What SQL tells: the same as `ordersync status`, since when the oldest change waits, the epoch of the lease."""

    status: statuses.Status
    waiting_since: datetime | None
    epoch: int


@dataclass(frozen=True, eq=False)
class Metrics(Collector):
    """One worker's metrics. `lag` is what its group has yet to read, by topic without the prefix."""

    state: health.Health
    reporter: Reporter
    tables: Cached[Tables]
    lag: Cached[Mapping[str, int]]

    def render(self) -> bytes:
        """The page. Blocks while SQL and Kafka are asked."""
        registry = prometheus_client.CollectorRegistry(auto_describe=False)
        registry.register(self)
        return prometheus_client.generate_latest(registry)

    def collect(self) -> Iterable[Metric]:
        """Every metric."""
        told = self.reporter.state()
        yield from self._worker(told)
        if told.budget is not None:
            yield from _budget(told.budget)
        tables = self.tables.get()
        # A broker that is away keeps who asks it waiting.
        lag = None if heartbeat.BROKER in told.trouble else self.lag.get()
        readable = {"tables": tables is not None, "kafka": lag is not None}
        yield _gauge("readable", "1 if the metrics that come from there could be had", readable, "source")
        if tables is not None:
            yield from _orders(tables)
            yield from _flow(tables)
        if lag is not None:
            yield _gauge("topic_lag_events", "Events of a topic that the group has yet to read", lag, "topic")

    def _worker(self, told: workers.WorkerState) -> Iterable[Metric]:
        lanes = {topic.name for topic in topics.ALL}
        worked = CounterMetricFamily(
            "ordersync_events_worked", "Events worked and acknowledged by this worker since its start", labels=["lane"]
        )
        for lane in sorted(lanes):
            worked.add_metric([lane], told.events.get(lane, 0))
        yield worked
        # Whatever else holds or is in trouble, such as the broker, counts as a lane of its own.
        every = sorted(lanes | told.holding.keys() | set(told.trouble) | {heartbeat.BROKER})
        yield _gauge("lane_holding", "1 while the lane waits on purpose", {n: n in told.holding for n in every}, "lane")
        yield _gauge("lane_in_trouble", "1 while it waits for a person", {n: n in told.trouble for n in every}, "lane")
        idle = {lane: self.state.idle(lane) for lane in lanes}
        yield _gauge("lane_idle_seconds", "Time since the lane last got anywhere", idle, "lane")
        yield _gauge("loop_idle_seconds", "Time since the event loop last ran", self.state.clock() - self.state.ticked)


def of_worker(parts: Resources, state: health.Health, reporter: Reporter, group: str) -> Metrics:
    """The metrics of a worker that consumes in this group."""
    by_topic = {topics.named(topic, parts.settings.topic_prefix): topic.name for topic in topics.ALL}

    def tables() -> Tables:
        return Tables(statuses.collect(parts), parts.orders.waiting_since(), parts.lease_status.epoch())

    def lag() -> dict[str, int]:
        found = dict.fromkeys(by_topic.values(), 0)
        for (topic, _), events in parts.admin.lag(group, list(by_topic)).items():
            found[by_topic[topic]] += events
        return found

    return Metrics(state, reporter, Cached(tables), Cached(lag))


def _budget(budget: workers.ApiBudget) -> Iterable[Metric]:
    points = {"spent": budget.complexity_spent, "limit": budget.complexity_limit}
    yield _gauge("api_complexity_points", "Complexity of the API's present minute", points, "what")
    yield _gauge("api_complexity_resets_seconds", "Time until that minute ends", budget.resets_in)
    calls = {"used": budget.calls_today, "limit": budget.calls_limit}
    yield _gauge("api_calls_today", "Calls of the present day, in UTC", calls, "what")
    throttled = "Requests that the API refused as too many since the start of this worker"
    yield CounterMetricFamily("ordersync_api_throttled", throttled, value=budget.throttled)


def _orders(tables: Tables) -> Iterable[Metric]:
    seen = tables.status
    orders = GaugeMetricFamily(
        "ordersync_orders", "Orders of the source by where they stand", labels=["customer", "state"]
    )
    for one in seen.customers:
        for state, count in one.orders.items():
            orders.add_metric([one.customer, state.value], count)
    yield orders
    yield _gauge("source_rows", "Rows of ORDERS_UNIFIED", seen.source_rows)
    yield _gauge("undetected_rows", "Rows that no pass has let in yet", seen.undetected)
    yield _gauge("refused_rows", "Rows without an identity of their own", seen.refused)
    yield _gauge("failures_open", "Failures that wait, by code", seen.failures, "code")
    age = 0.0 if tables.waiting_since is None else (seen.at - tables.waiting_since).total_seconds()
    yield _gauge("oldest_waiting_seconds", "Time since the oldest change that waits was found", max(0.0, age))
    yield _gauge("customers_on_hold", "Customers whose changes wait for a person", len(seen.holds))


def _flow(tables: Tables) -> Iterable[Metric]:
    seen = tables.status
    mutations = {"unsettled": seen.unsettled_mutations, "window": seen.window}
    yield _gauge("mutations", "Mutations that are planned and unsettled, and how many may be", mutations, "what")
    yield _gauge("batches_open", "Batches that have not ended", len(seen.open_batches))
    yield _gauge("guard_holds", "1 while the guard stops detection", seen.held is not None)
    yield _gauge("lease_epoch", "Epoch of the board's lease: it rises with every new writer", tables.epoch)
    yield _gauge("writer_present", "1 while some worker holds the lease", seen.writer is not None)
    if seen.last_pass is not None:
        last = seen.last_pass
        yield CounterMetricFamily("ordersync_passes", "Detection passes so far", value=last.number)
        yield _gauge("last_pass_timestamp_seconds", "When the last pass ended", last.finished_at.timestamp())
        took = (last.finished_at - last.started_at).total_seconds()
        yield _gauge("last_pass_duration_seconds", "How long it took", took)
        yield _gauge("last_pass_scanned_rows", "Rows that it compared", last.scanned)
        yield _gauge("last_pass_deferred_rows", "Changes that found no room in the window", last.deferred)


def _gauge(name: str, says: str, value: float | Mapping[str, float], label: str = "") -> Metric:
    """One gauge; with a label, one value for each of its values."""
    if not isinstance(value, Mapping):
        return GaugeMetricFamily(f"ordersync_{name}", says, value=float(value))
    found = GaugeMetricFamily(f"ordersync_{name}", says, labels=[label])
    for key in sorted(value):
        found.add_metric([key], float(value[key]))
    return found
