"""How a process reports its state to SQL."""

from typing import Any

from connectors import errors, kafka
from streams import resources
from streams.delivery import health
from streams.diagnosis import heartbeat


class Store:
    """A database that refuses the first writes, and stores the next ones."""

    def __init__(self, *refusals: errors.OrdersyncError) -> None:
        self.refusals = list(refusals)
        self.stored: dict[str, Any] = {}

    def set(self, name: str, value: Any) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.stored[name] = value


def test_a_database_that_is_busy_or_full_gets_the_next_report() -> None:
    store = Store(errors.Transient("busy"), errors.Misconfigured("the disk is full"))
    reporter = heartbeat.Reporter(
        store, health.Health(), kafka.BrokerNoise(), name="worker-1", bootstrap="kafka:9092", now=resources.utcnow
    )
    reporter.try_report()
    reporter.try_report()
    assert not store.stored
    reporter.try_report()
    assert store.stored["worker.worker-1"]["name"] == "worker-1"
