"""Tells SQL how this process is doing, so that `ordersync status` sees it from anywhere, also while Kafka is away."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from connectors import errors
from schemas import workers
from streams.delivery import health

log = logging.getLogger(__name__)

FAMILY = "worker"
BROKER = "kafka"
EVERY = 2.0
# What did not change is told again after this, so that a reader can tell an idle worker from a dead one.
AGAIN = 10.0


class Store(Protocol):
    """Named facts (connectors.tables.state.State)."""

    def set(self, name: str, value: Any) -> None: ...


class Budget(Protocol):
    """The API's budget (connectors.monday.budget.Budget)."""

    def snapshot(self) -> Any: ...


class Broker(Protocol):
    """Since when the broker does not answer (connectors.kafka.BrokerNoise)."""

    @property
    def since(self) -> datetime | None: ...


@dataclass
class Reporter:
    """`tell` writes the state when it changed or grew old. `now` is UTC; a poller has no `address` and no `budget`."""

    store: Store
    health: health.Health
    broker: Broker
    name: str
    bootstrap: str
    now: Callable[[], datetime]
    role: str = "worker"
    address: str = ""
    budget: Budget | None = None
    _told: workers.WorkerState | None = field(default=None, init=False)

    def state(self) -> workers.WorkerState:
        """How the process is doing now."""
        holding, trouble = dict(self.health.holding), set(self.health.trouble)
        away = self.broker.since
        if away is not None:
            holding[BROKER] = f"Kafka at {self.bootstrap} does not answer since {away:%H:%M:%S} UTC"
            trouble.add(BROKER)
        return workers.WorkerState(
            role=self.role,
            name=self.name,
            pid=os.getpid(),
            address=self.address,
            at=self.now(),
            holding=holding,
            trouble=sorted(trouble),
            events=dict(self.health.counts),
            budget=None if self.budget is None else _budget(self.budget.snapshot()),
        )

    async def run(self) -> None:
        """Tells for as long as the worker lives."""
        while True:
            await asyncio.to_thread(self.try_to_tell)
            await asyncio.sleep(EVERY)

    def try_to_tell(self) -> None:
        """A database that is busy, or full, hears of it the next time."""
        try:
            self.tell()
        except errors.OrdersyncError as error:
            log.debug("how %s is doing was not told: %s", self.name, error)

    def tell(self) -> bool:
        """Writes the state if there is news. Whether it did."""
        state, told = self.state(), self._told
        if told is not None and (state.at - told.at).total_seconds() < AGAIN and _same(state, told):
            return False
        self.store.set(f"{FAMILY}.{self.name}", state.model_dump(mode="json"))
        self._told = state
        return True


def _budget(seen: Any) -> workers.ApiBudget:
    return workers.ApiBudget(
        complexity_spent=seen.complexity_spent,
        complexity_limit=seen.complexity_limit,
        resets_in=seen.resets_in,
        throttled=seen.throttled,
        calls_today=seen.calls_today,
        calls_limit=seen.calls_limit,
        calls_run_out_at=seen.calls_run_out_at,
    )


def _same(one: workers.WorkerState, other: workers.WorkerState) -> bool:
    """Do they tell a person the same? What merely counts up does not matter."""
    return (one.holding, one.trouble) == (other.holding, other.trouble)
