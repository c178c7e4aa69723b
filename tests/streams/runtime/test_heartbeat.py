"""How a process tells in SQL how it is doing."""

from typing import Any

from connectors import errors, kafka
from streams import resources
from streams.delivery import health
from streams.runtime import heartbeat


class Facts:
    """A database that refuses so often, and takes what comes then."""

    def __init__(self, *refusals: errors.OrdersyncError) -> None:
        self.refusals = list(refusals)
        self.told: dict[str, Any] = {}

    def set(self, name: str, value: Any) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.told[name] = value


def test_a_database_that_is_busy_or_full_hears_of_it_the_next_time() -> None:
    facts = Facts(errors.Transient("busy"), errors.Misconfigured("the disk is full"))
    reporter = heartbeat.Reporter(
        facts, health.Health(), kafka.BrokerNoise(), name="worker-1", bootstrap="kafka:9092", now=resources.utcnow
    )
    reporter.try_to_tell()
    reporter.try_to_tell()
    assert not facts.told
    reporter.try_to_tell()
    assert facts.told["worker.worker-1"]["name"] == "worker-1"
