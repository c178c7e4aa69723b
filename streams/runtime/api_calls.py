"""The API calls of a UTC day. The limit belongs to the token, so calls of the worker and of commands count together."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from streams.diagnosis import heartbeat

READS = "api.reads"


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any:
        """The named value; None if it was never stored. Raises Transient."""

    def set(self, name: str, value: Any) -> None:
        """Stores a named value. Raises Transient."""

    def all_of(self, family: str) -> dict[str, Any]:
        """The named values of a family, by the rest of their names. Raises Transient."""


def calls_today(store: Store, writes_since: Callable[[datetime], int], now: datetime) -> float:
    """The calls since midnight UTC: the journal's or a worker's count, whichever is higher, plus reads of commands."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    counted = [
        float(worker["budget"]["calls_today"])
        for worker in store.all_of(heartbeat.FAMILY).values()
        if worker.get("budget") and datetime.fromisoformat(worker["at"]) >= midnight
    ]
    return max([float(writes_since(midnight)), *counted]) + _reads(store, now)


def note(store: Store, calls: int, now: datetime) -> None:
    """Adds the calls that a command has sent."""
    store.set(READS, {"day": now.date().isoformat(), "calls": _reads(store, now) + calls})


def _reads(store: Store, now: datetime) -> int:
    stored = store.get(READS) or {}
    return int(stored["calls"]) if stored.get("day") == now.date().isoformat() else 0
