"""Customers on hold: detection leaves their orders alone, whatever the source says, until a person releases them.

A hold is a fact, `hold.<customer>`. One that names a snapshot of the archive is a roll back: board and production go
to that snapshot, and stay there.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from connectors import errors
from mappings.loading import Mappings
from schemas.base import Model
from schemas.batches import SyncState
from streams.detect import events as detect_events

FAMILY = "hold"
# What SYNC_State takes for a name.
LONGEST = 100


class Hold(Model):
    """Who put a customer on hold, and when.

    `complete` says that every order of the `snapshot` was emitted; until then the poller goes on with it.
    """

    customer: str
    by: str
    at: datetime
    snapshot: int | None = None
    taken_at: datetime | None = None
    complete: bool = True


class Store(Protocol):
    """Named facts that outlive the process (connectors.tables.state.State)."""

    def all_of(self, family: str) -> dict[str, Any]: ...
    def set(self, name: str, value: Any) -> None: ...
    def erase(self, name: str) -> Callable[[Any], None]: ...


class Orders(Protocol):
    """The order table and its snapshot (connectors.tables.orders.Orders)."""

    def customer_names(self) -> list[str | None]: ...
    def states(self) -> list[dict[str, Any]]: ...


class Customers(Protocol):
    """The same by customer (connectors.tables.customers.Customers)."""

    def states_beside(self, held: Sequence[str], raw_held: Sequence[str]) -> list[dict[str, Any]]: ...
    def held_rows(self, held: Sequence[str], raw_held: Sequence[str]) -> list[tuple[str, str, int]]: ...


def holds(store: Store) -> dict[str, Hold]:
    """The customers on hold, by name."""
    return {customer: Hold.model_validate(told) for customer, told in store.all_of(FAMILY).items()}


def keep(store: Store, hold: Hold) -> None:
    """Puts a customer on hold, or notes how far its roll back came. Raises Misconfigured for a name too long."""
    if len(_name(hold.customer)) > LONGEST:
        raise errors.Misconfigured(f"the name of {hold.customer!r} is too long for a hold: shorten it in customers.csv")
    store.set(_name(hold.customer), hold.model_dump(mode="json"))


def end(store: Store, customer: str) -> Callable[[Any], None]:
    """Releases a customer, inside the transaction that gives its orders back to detection."""
    return store.erase(_name(customer))


def states(store: Store, orders: Orders, customers: Customers, mappings: Mappings) -> dict[str, dict[SyncState, int]]:
    """Orders of the source by customer and state. Every row of a customer on hold is HELD, known before or not.

    Added up, they are the rows of the source but for those that are refused or not detected yet.
    """
    held = frozenset(holds(store))
    if not held:
        return _by_customer(orders.states())
    raw = detect_events.raw_names(orders.customer_names(), held.__contains__, mappings)
    found = _by_customer(customers.states_beside(sorted(held), raw))
    for name, known, rows in customers.held_rows(sorted(held), raw):
        canonical = mappings.customers.canonical(name)
        theirs = found.setdefault(canonical if canonical in held else known, {})
        theirs[SyncState.HELD] = theirs.get(SyncState.HELD, 0) + rows
    return found


def _by_customer(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[SyncState, int]]:
    found: dict[str, dict[SyncState, int]] = {}
    for row in rows:
        found.setdefault(row["customer"] or "", {})[SyncState(row["sync_state"])] = int(row["orders"])
    return found


def _name(customer: str) -> str:
    return f"{FAMILY}.{customer}"
