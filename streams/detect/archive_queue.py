"""Customers whose newest snapshot is still to be archived: a fact that detect writes before its events leave.

So a crash anywhere between the two, or an archive that is away, puts a snapshot off and never loses it.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol

from schemas.base import Model

NAME = "archive.due"


class QueuedSnapshot(Model):
    """`version` is the pass that changed the customer last, `since` the first one's time. With `more`, the window holds
    back other changes of the same customer.
    """

    version: int
    since: datetime
    more: bool = False


class Store(Protocol):
    """Named facts that outlive the process (connectors.tables.state.State)."""

    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...


def read(store: Store) -> dict[str, QueuedSnapshot]:
    """What is due, by customer."""
    return {customer: QueuedSnapshot.model_validate(told) for customer, told in (store.get(NAME) or {}).items()}


def add(store: Store, customers: Collection[str], *, behind: Collection[str], version: int, now: datetime) -> None:
    """These customers were changed by this pass; of those `behind`, more is to come. Orders of nobody are left out."""
    known = read(store)
    changed = {
        customer: QueuedSnapshot(
            version=version, since=known[customer].since if customer in known else now, more=customer in behind
        )
        for customer in customers
        if customer
    }
    if changed:
        _write(store, known | changed)


def done(store: Store, customer: str) -> None:
    """Its snapshot is in the archive."""
    _write(store, {name: due for name, due in read(store).items() if name != customer})


def _write(store: Store, due: dict[str, QueuedSnapshot]) -> None:
    store.set(NAME, {customer: one.model_dump(mode="json") for customer, one in due.items()})
