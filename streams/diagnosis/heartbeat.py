"""Writes the state of this process to SQL, so that every page and command knows it, on any machine, without Kafka."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from connectors import errors
from schemas import workers
from streams.delivery import health

log = logging.getLogger(__name__)

FAMILY = "worker"
# The roles of a process.
WORKER, POLLER = "worker", "poller"
# What else than a lane may be in trouble: the broker, and the API of the board.
BROKER, API = "kafka", "api"
# Seconds between two reports.
EVERY = 2.0
# Seconds after which an unchanged state is written once more, so that readers recognise a process that has ended.
REPEAT_AFTER = 10.0


class Store(Protocol):
    """connectors.tables.state.State."""

    def set(self, name: str, value: Any) -> None:
        """Stores a named value. Raises Transient, and Misconfigured when the disk is full."""


class Budget(Protocol):
    """The API's budget (connectors.monday.budget.Budget)."""

    def snapshot(self) -> Any:
        """Complexity in points, times in seconds, calls of this UTC day."""


class Broker(Protocol):
    """The reachability of the broker (connectors.kafka.BrokerNoise)."""

    @property
    def since(self) -> datetime | None:
        """The time (UTC) since when the broker does not answer; None while it does."""


class Api(Protocol):
    """The reachability of the board's API (connectors.monday.client.Client)."""

    @property
    def silence(self) -> str | None:
        """Since when the API gives no answer, and why, in one line; None while it does or is not asked."""


@dataclass
class Reporter:
    """`report` writes a state that is new or old. `now` is UTC; a poller has no `address`, no `budget` and no `api`.

    `every`: the poller's pause between two passes in seconds.
    """

    store: Store
    health: health.Health
    broker: Broker
    name: str
    bootstrap: str
    now: Callable[[], datetime]
    role: str = WORKER
    address: str = ""
    budget: Budget | None = None
    api: Api | None = None
    every: float = 0.0
    _since: datetime = field(init=False)
    _stopped: bool = field(default=False, init=False)
    _reported: workers.WorkerState | None = field(default=None, init=False)
    # The last heartbeat is written while one from before may still be on its way.
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._since = self.now()

    def state(self) -> workers.WorkerState:
        """The state of this process now."""
        holding = {**self.health.holding, **self.health.waiting}
        trouble = self.health.trouble | self.health.waiting.keys()
        away = self.broker.since
        if away is not None:
            holding[BROKER] = f"Kafka at {self.bootstrap} does not answer since {away:%H:%M:%S} UTC"
            trouble.add(BROKER)
        silence = None if self.api is None else self.api.silence
        if silence is not None:
            holding[API] = silence
            trouble.add(API)
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
            asks=sorted(self.health.asks | self.health.waiting.keys()),
            since=self._since,
            every=self.every,
            stopped=self._stopped,
        )

    async def run(self) -> None:
        """Reports until the task is cancelled."""
        while True:
            await asyncio.to_thread(self.try_report)
            await asyncio.sleep(EVERY)

    def try_report(self) -> None:
        """Reports; a database that is busy or full gets the next report."""
        try:
            self.report()
        except errors.OrdersyncError as error:
            log.debug("the state of %s was not stored: %s", self.name, error)

    def report(self) -> bool:
        """Writes the state if it changed or was written long ago. Returns whether it wrote. Raises what SQL raises."""
        with self._lock:
            state, last = self.state(), self._reported
            if last is not None and (state.at - last.at).total_seconds() < REPEAT_AFTER and _same(state, last):
                return False
            self.store.set(f"{FAMILY}.{self.name}", state.model_dump(mode="json"))
            self._reported = state
            return True

    def stop(self) -> None:
        """Writes the last heartbeat: this process is being stopped in order, and nobody need miss it."""
        self._stopped = True
        self.try_report()


def _budget(snapshot: Any) -> workers.ApiBudget:
    return workers.ApiBudget(
        complexity_spent=snapshot.complexity_spent,
        complexity_limit=snapshot.complexity_limit,
        resets_in=snapshot.resets_in,
        throttled=snapshot.throttled,
        slowest=snapshot.slowest,
        calls_today=snapshot.calls_today,
        calls_limit=snapshot.calls_limit,
        calls_run_out_at=snapshot.calls_run_out_at,
        calls_resume_at=snapshot.calls_resume_at,
    )


def _same(one: workers.WorkerState, other: workers.WorkerState) -> bool:
    """Whether both states mean the same to an operator; counters do not matter."""
    return _meaning(one) == _meaning(other)


def _meaning(state: workers.WorkerState) -> tuple[object, ...]:
    return state.holding, state.trouble, state.asks, state.stopped
