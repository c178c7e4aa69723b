"""GET /metrics: the metrics of a worker for Prometheus, each with its name, unit and meaning.

Values in memory are current. Values in SQL and Kafka are read in the thread of the scrape, at most every `KEEP`
seconds, so that a scrape never delays the lanes. Without an answer their metrics are missing, and `ordersync_readable`
is 0.
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
from connectors.monday import api_version
from schemas import workers
from streams import topics
from streams.delivery import health
from streams.diagnosis import heartbeat
from streams.diagnosis.troubles import Part, Severity
from streams.resources import Resources
from streams.runtime import status as statuses

log = logging.getLogger(__name__)

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST
KEEP = 10.0

T = TypeVar("T")


class Reporter(Protocol):
    """streams.runtime.heartbeat.Reporter."""

    def state(self) -> workers.WorkerState:
        """The state of the worker now."""


@dataclass
class Cached(Generic[T]):
    """The result of `ask`, read once more after `keep` seconds."""

    ask: Callable[[], T]
    keep: float = KEEP
    clock: Callable[[], float] = time.monotonic
    _answer: T | None = field(default=None, init=False)
    _asked: float | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def get(self) -> T | None:
        """The newest result; None if the newest read raised an OrdersyncError."""
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
    """The values from SQL: those of `ordersync status`, the time of the oldest waiting change, the lease's epoch."""

    status: statuses.Status
    waiting_since: datetime | None
    epoch: int


@dataclass(frozen=True, eq=False)
class Metrics(Collector):
    """The metrics of one worker. `lag`: the events that its group has yet to read, by topic without prefix."""

    state: health.Health
    reporter: Reporter
    tables: Cached[Tables]
    lag: Cached[Mapping[str, int]]

    def render(self) -> bytes:
        """The page. Blocks while it reads SQL and Kafka."""
        registry = prometheus_client.CollectorRegistry(auto_describe=False)
        registry.register(self)
        return prometheus_client.generate_latest(registry)

    def collect(self) -> Iterable[Metric]:
        """Every metric."""
        worker = self.reporter.state()
        yield from self._worker(worker)
        days = api_version.support(worker.at.date()).days_left
        yield _gauge("api_version_days_left", "Days for which Monday.com supports the pinned API version", days)
        if worker.budget is not None:
            yield from _budget(worker.budget)
        tables = self.tables.get()
        # A request to a broker that is away would block until its timeout.
        lag = None if heartbeat.BROKER in worker.trouble else self.lag.get()
        readable = {"tables": tables is not None, "kafka": lag is not None}
        yield _gauge("readable", "1 if the metrics of this source could be read", readable, "source")
        yield _parts(tables)
        if tables is not None:
            yield from _orders(tables)
            yield from _flow(tables)
        if lag is not None:
            yield _gauge("topic_lag_events", "Events of a topic that the group has yet to read", lag, "topic")

    def _worker(self, worker: workers.WorkerState) -> Iterable[Metric]:
        lanes = {topic.name for topic in topics.ALL}
        worked = CounterMetricFamily(
            "ordersync_events_worked", "Events worked and acknowledged by this worker since its start", labels=["lane"]
        )
        for lane in sorted(lanes):
            worked.add_metric([lane], worker.events.get(lane, 0))
        yield worked
        # Other names that hold or are in trouble, such as the broker, count as lanes too.
        names = sorted(lanes | worker.holding.keys() | set(worker.trouble) | {heartbeat.BROKER})
        holding = {name: name in worker.holding for name in names}
        trouble = {name: name in worker.trouble for name in names}
        yield _gauge("lane_holding", "1 while the lane waits on purpose", holding, "lane")
        yield _gauge("lane_in_trouble", "1 while the lane waits for an operator or the broker", trouble, "lane")
        idle = {lane: self.state.idle(lane) for lane in lanes}
        yield _gauge("lane_idle_seconds", "Time since the lane last made progress", idle, "lane")
        yield _gauge("loop_idle_seconds", "Time since the event loop last ran", self.state.clock() - self.state.ticked)


def of_worker(parts: Resources, state: health.Health, reporter: Reporter, group: str) -> Metrics:
    """The metrics of a worker that consumes in this group."""
    by_topic = {topics.named(topic, parts.settings.topic_prefix): topic.name for topic in topics.ALL}

    def tables() -> Tables:
        return Tables(statuses.collect(parts), parts.orders.waiting_since(), parts.lease_status.epoch())

    def lag() -> dict[str, int]:
        lags = dict.fromkeys(by_topic.values(), 0)
        for (topic, _), events in parts.admin.lag(group, list(by_topic)).items():
            lags[by_topic[topic]] += events
        return lags

    return Metrics(state, reporter, Cached(tables), Cached(lag))


def _parts(tables: Tables | None) -> Metric:
    """Each part as /health judges it. Without the tables only the database is known: it does not answer."""
    meaning = "0 while a part of the service is down or asks for an operator: /health says why"
    if tables is None:
        return _gauge("part_well", meaning, {Part.DATABASE.value: False}, "part")
    ill = {one.part for one in tables.status.troubles if one.severity in (Severity.DOWN, Severity.PERSON)}
    names = ill | {part.value for part in Part}
    return _gauge("part_well", meaning, {name: name not in ill for name in names}, "part")


def _budget(budget: workers.ApiBudget) -> Iterable[Metric]:
    points = {"spent": budget.complexity_spent, "limit": budget.complexity_limit}
    yield _gauge("api_complexity_points", "Complexity of the API's present minute", points, "what")
    yield _gauge("api_complexity_resets_seconds", "Time until that minute ends", budget.resets_in)
    calls = {"used": budget.calls_today, "limit": budget.calls_limit}
    yield _gauge("api_calls_today", "Calls of the present day, in UTC", calls, "what")
    throttled = "Requests that the API refused as too many since the start of this worker"
    yield CounterMetricFamily("ordersync_api_throttled", throttled, value=budget.throttled)


def _orders(tables: Tables) -> Iterable[Metric]:
    status = tables.status
    orders = GaugeMetricFamily("ordersync_orders", "Orders of the source by state", labels=["customer", "state"])
    for customer in status.customers:
        for state, count in customer.orders.items():
            orders.add_metric([customer.customer, state.value], count)
    yield orders
    yield _gauge("source_rows", "Rows of ORDERS_UNIFIED", status.source_rows)
    yield _gauge("undetected_rows", "Rows that no pass has admitted yet", status.undetected)
    yield _gauge("refused_rows", "Rows without an identity of their own", status.refused)
    yield _gauge("failures_open", "Open failures by code", status.failures, "code")
    yield _gauge("warnings", "Warnings of orders in production by source column", status.warnings, "column")
    age = 0.0 if tables.waiting_since is None else (status.at - tables.waiting_since).total_seconds()
    yield _gauge("oldest_waiting_seconds", "Time since the oldest waiting change was detected", max(0.0, age))
    yield _gauge("customers_on_hold", "Customers on hold", len(status.holds))


def _flow(tables: Tables) -> Iterable[Metric]:
    status = tables.status
    mutations = {"unsettled": status.unsettled_mutations, "window": status.window}
    yield _gauge(
        "mutations", "Planned mutations that are unsettled, and the limit of the admission window", mutations, "what"
    )
    yield _gauge("batches_open", "Batches that have not ended", len(status.open_batches))
    yield _gauge("guard_holds", "1 while the guard stops detection", status.held is not None)
    yield _gauge("lease_epoch", "Epoch of the board's lease: it rises with every new writer", tables.epoch)
    yield _gauge("writer_present", "1 while some worker holds the lease", status.writer is not None)
    if status.last_pass is not None:
        last = status.last_pass
        yield CounterMetricFamily("ordersync_passes", "Detection passes so far", value=last.number)
        yield _gauge("last_pass_timestamp_seconds", "When the last pass ended", last.finished_at.timestamp())
        took = (last.finished_at - last.started_at).total_seconds()
        yield _gauge("last_pass_duration_seconds", "Duration of the last pass", took)
        yield _gauge("last_pass_scanned_rows", "Rows that the last pass compared", last.scanned)
        yield _gauge("last_pass_deferred_rows", "Changes that the last pass deferred", last.deferred)


def _gauge(name: str, meaning: str, value: float | Mapping[str, float], label: str = "") -> Metric:
    """A gauge; with a label, one sample for each value of the label."""
    if not isinstance(value, Mapping):
        return GaugeMetricFamily(f"ordersync_{name}", meaning, value=float(value))
    gauge = GaugeMetricFamily(f"ordersync_{name}", meaning, labels=[label])
    for key in sorted(value):
        gauge.add_metric([key], float(value[key]))
    return gauge
