"""Customers whose newest snapshot the archive does not have yet: a named value that a pass writes before it emits.

So a crash between the two, or an archive that is away, delays an archived snapshot and never loses it.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol

from schemas.base import Model

NAME = "archive.due"


class QueuedSnapshot(Model):
    """`version` is the number of the pass that changed the customer last, `since` the UTC time of the first such pass.

    `more`: the admission window has deferred other changes of the customer.
    """

    version: int
    since: datetime
    more: bool = False


class Store(Protocol):
    """Named values (connectors.tables.state.State). Both raise Transient or Misconfigured for the database."""

    def get(self, name: str) -> Any:
        """The value of that name, None when there is none."""

    def set(self, name: str, value: Any) -> None:
        """Stores a value under that name, in a transaction of its own."""


def read(store: Store) -> dict[str, QueuedSnapshot]:
    """The queued snapshots, by customer."""
    return {customer: QueuedSnapshot.model_validate(stored) for customer, stored in (store.get(NAME) or {}).items()}


def add(store: Store, customers: Collection[str], *, deferred: Collection[str], version: int, now: datetime) -> None:
    """Queues the customers that the pass `version` changed; orders without a customer are not archived.

    `deferred` are the customers of which the admission window has deferred other changes.
    """
    known = read(store)
    changed = {
        customer: QueuedSnapshot(
            version=version, since=known[customer].since if customer in known else now, more=customer in deferred
        )
        for customer in customers
        if customer
    }
    if changed:
        _write(store, known | changed)


def done(store: Store, customer: str) -> None:
    """Removes a customer from the queue, after its snapshot is in the archive."""
    _write(store, {name: queued for name, queued in read(store).items() if name != customer})


def _write(store: Store, queue: dict[str, QueuedSnapshot]) -> None:
    store.set(NAME, {customer: queued.model_dump(mode="json") for customer, queued in queue.items()})
