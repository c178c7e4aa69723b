"""Calls of the API's day, as far as anyone has told: they belong to the token, whoever makes them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from streams.runtime import heartbeat

READS = "api.reads"


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...
    def all_of(self, family: str) -> dict[str, Any]: ...


def calls_today(store: Store, writes_since: Callable[[datetime], int], now: datetime) -> float:
    """Of this UTC day: what the journal knows or a worker counted, whichever is more; and what commands have read."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    told = [
        float(worker["budget"]["calls_today"])
        for worker in store.all_of(heartbeat.FAMILY).values()
        if worker.get("budget") and datetime.fromisoformat(worker["at"]) >= midnight
    ]
    return max([float(writes_since(midnight)), *told]) + _read(store, now)


def note(store: Store, calls: int, now: datetime) -> None:
    """A command has made so many."""
    store.set(READS, {"day": now.date().isoformat(), "calls": _read(store, now) + calls})


def _read(store: Store, now: datetime) -> int:
    told = store.get(READS) or {}
    return int(told["calls"]) if told.get("day") == now.date().isoformat() else 0
