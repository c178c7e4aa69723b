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


class Api:
    silence: str | None = None


def test_a_silent_api_is_reported_at_once_and_its_answer_too() -> None:
    store, api = Store(), Api()
    reporter = heartbeat.Reporter(
        store, health.Health(), kafka.BrokerNoise(), name="w", bootstrap="k", now=resources.utcnow, api=api
    )
    assert reporter.report()
    assert not reporter.report()
    api.silence = "https://m gives no answer"
    assert reporter.report()
    assert (store.stored["worker.w"]["trouble"], store.stored["worker.w"]["asks"]) == (["api"], [])
    assert store.stored["worker.w"]["holding"] == {"api": "https://m gives no answer"}
    api.silence = None
    assert reporter.report()
    assert store.stored["worker.w"]["trouble"] == []


def test_a_full_board_asks_for_an_operator() -> None:
    store, state = Store(), health.Health()
    state.note_waiting("board", "3 orders wait for room")
    heartbeat.Reporter(store, state, kafka.BrokerNoise(), name="w", bootstrap="k", now=resources.utcnow).report()
    assert store.stored["worker.w"]["asks"] == ["board"]


def test_the_last_heartbeat_says_that_it_is_the_last() -> None:
    store = Store()
    reporter = heartbeat.Reporter(
        store, health.Health(), kafka.BrokerNoise(), name="w", bootstrap="k", now=resources.utcnow
    )
    assert reporter.report()
    reporter.stop()
    assert store.stored["worker.w"]["stopped"]
    # A report that was on its way does not take it back.
    reporter.try_report()
    assert store.stored["worker.w"]["stopped"]
