"""Customer holds: detection ignores the orders of a customer on hold until an operator releases the customer.

A customer hold is a named value, `hold.<customer>`. One with an archived snapshot is a roll back: board and production
go to that snapshot and stay there.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from connectors import errors
from connectors.tables import row_text
from mappings.loading import Mappings
from schemas.base import Model
from schemas.batches import SyncState
from streams.detect import events as detect_events

FAMILY = "hold"
# The maximum length of a name in SYNC_State.
LONGEST = 100


class Hold(Model):
    """The customer, the operator that put it on hold, and the UTC time.

    For a roll back, `snapshot` is the id of the archived snapshot and `taken_at` its UTC time. `complete`: every order
    of the snapshot is emitted; until then the poller continues with the roll back.
    """

    customer: str
    by: str
    at: datetime
    snapshot: int | None = None
    taken_at: datetime | None = None
    complete: bool = True


class Store(Protocol):
    """Named values (connectors.tables.state.State). Every method raises Transient or Misconfigured for the database."""

    def all_of(self, family: str) -> dict[str, Any]:
        """The values named `family.…`, by the rest of their names."""

    def set(self, name: str, value: Any) -> None:
        """Stores a value under that name, in a transaction of its own."""

    def erase(self, name: str) -> Callable[[Any], None]:
        """The removal of that name, to run in a transaction of the caller."""


class Orders(Protocol):
    """Source and snapshot rows (connectors.tables.orders.Orders). Both raise Transient or Misconfigured."""

    def customer_names(self) -> list[str | None]:
        """The distinct customer names, as the source writes them."""

    def states(self) -> list[dict[str, Any]]:
        """Rows of `customer`, `sync_state` and `orders`, the number of orders of the source."""


class Customers(Protocol):
    """The same by customer (connectors.tables.customers.Customers). Both raise Transient or Misconfigured."""

    def states_beside(self, held: Sequence[str], raw_held: Sequence[str]) -> list[dict[str, Any]]:
        """`Orders.states` without the customers `held`, which the source writes as one of `raw_held`."""

    def held_rows(self, held: Sequence[str], raw_held: Sequence[str]) -> list[tuple[str, str, int]]:
        """Of the source rows of these customers: raw name, customer of the snapshot row, number of rows."""


def holds(store: Store) -> dict[str, Hold]:
    """The customer holds, by customer."""
    return {customer: Hold.model_validate(stored) for customer, stored in store.all_of(FAMILY).items()}


def keep(store: Store, hold: Hold) -> None:
    """Puts a customer on hold, or stores the progress of its roll back. Raises Misconfigured for too long a name."""
    if len(_name(hold.customer)) > LONGEST:
        raise errors.Misconfigured(
            f"the name of {hold.customer!r} is too long for a customer hold: shorten it in customers.csv"
        )
    store.set(_name(hold.customer), hold.model_dump(mode="json"))


def release(store: Store, customer: str) -> Callable[[Any], None]:
    """The release of a customer, to run in the transaction that returns its orders to detection."""
    return store.erase(_name(customer))


def states(store: Store, orders: Orders, customers: Customers, mappings: Mappings) -> dict[str, dict[SyncState, int]]:
    """The number of orders of the source by customer and state. Every row of a customer on hold counts as HELD.

    The sum is the number of source rows, without refused rows and rows that no pass has detected yet.
    """
    held = frozenset(holds(store))
    if not held:
        return _by_customer(orders.states())
    raw = detect_events.raw_names(orders.customer_names(), held.__contains__, mappings)
    counts = _by_customer(customers.states_beside(sorted(held), raw))
    for name, known, rows in customers.held_rows(sorted(held), raw):
        canonical = mappings.customers.canonical(name)
        of_customer = counts.setdefault(canonical if canonical in held else known, {})
        of_customer[SyncState.HELD] = of_customer.get(SyncState.HELD, 0) + rows
    return counts


def _by_customer(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[SyncState, int]]:
    counts: dict[str, dict[SyncState, int]] = {}
    for row in rows:
        of_customer = counts.setdefault(row_text.shown(row["customer"]) or "", {})
        state = SyncState.read(row["sync_state"])
        of_customer[state] = of_customer.get(state, 0) + int(row["orders"])
    return counts


def _name(customer: str) -> str:
    return f"{FAMILY}.{customer}"
