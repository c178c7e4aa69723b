"""Tells SQL how this worker is doing, so that `ordersync status` sees it from anywhere, also while Kafka is away."""

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from connectors import errors
from schemas import workers
from streams import health

log = logging.getLogger(__name__)

FAMILY = "worker"
EVERY = 2.0
# What did not change is told again after this, so that a reader can tell an idle worker from a dead one.
AGAIN = 10.0


class Facts(Protocol):
    """Named facts (connectors.state.State)."""

    def set(self, name: str, value: Any) -> None: ...


class Budget(Protocol):
    """The API's budget (connectors.monday.budget.Budget)."""

    def snapshot(self) -> Any: ...


class Reporter:
    """`tell` writes the state when it changed or grew old; `now` is UTC."""

    def __init__(
        self,
        facts: Facts,
        state: health.Health,
        budget: Budget,
        *,
        name: str,
        address: str,
        now: Callable[[], datetime],
    ) -> None:
        self._facts = facts
        self._state = state
        self._budget = budget
        self._name = name
        self._address = address
        self._now = now
        self._told: workers.WorkerState | None = None

    def state(self) -> workers.WorkerState:
        """How the worker is doing now."""
        seen = self._budget.snapshot()
        return workers.WorkerState(
            name=self._name,
            pid=os.getpid(),
            address=self._address,
            at=self._now(),
            holding=dict(self._state.holding),
            trouble=sorted(self._state.trouble),
            events=dict(self._state.counts),
            budget=workers.ApiBudget(
                complexity_spent=seen.complexity_spent,
                complexity_limit=seen.complexity_limit,
                resets_in=seen.resets_in,
                throttled=seen.throttled,
                calls_today=seen.calls_today,
                calls_limit=seen.calls_limit,
                calls_run_out_at=seen.calls_run_out_at,
            ),
        )

    async def run(self) -> None:
        """Tells for as long as the worker lives."""
        while True:
            try:
                await asyncio.to_thread(self.tell)
            except errors.Transient as error:
                log.debug("how the worker is doing was not told: %s", error)
            await asyncio.sleep(EVERY)

    def tell(self) -> bool:
        """Writes the state if there is news. Whether it did."""
        state, told = self.state(), self._told
        if told is not None and (state.at - told.at).total_seconds() < AGAIN and _same(state, told):
            return False
        self._facts.set(f"{FAMILY}.{self._name}", state.model_dump(mode="json"))
        self._told = state
        return True


def _same(one: workers.WorkerState, other: workers.WorkerState) -> bool:
    """Do they tell a person the same? What merely counts up does not matter."""
    return (one.holding, one.trouble) == (other.holding, other.trouble)
