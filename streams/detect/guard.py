"""What stops a detection pass before it emits anything, and the rows that are refused for their identity.

A truncate-and-reload upstream must never wipe a board: a person looks first, then `ordersync detect --accept`.
"""

from collections.abc import Mapping, Sequence

from schemas import events
from schemas.base import Model

ACCEPT = "If that is right, run `ordersync detect --accept`"


class Stop(Exception):
    """The pass may not go on. The text says why."""


class Limits(Model):
    """Shares of the known rows, and the number of rows below which the guard never stops a pass."""

    deleted: float
    changed: float
    rows: int


def listed(names: Sequence[str]) -> str:
    """Columns, as a person reads them."""
    return ", ".join(f"[{name}]" for name in names)


def reason(
    limits: Limits, known: int, counts: Mapping[events.Change, int], accepted: Mapping[events.Change, int]
) -> str | None:
    """Why the pass must stop, or None. `accepted` are changes that a person let pass and the window holds back."""
    for change, share in ((events.Change.DELETED, limits.deleted), (events.Change.UPDATED, limits.changed)):
        n = counts.get(change, 0) - accepted.get(change, 0)
        if n >= limits.rows and n > share * known:
            return (
                f"{n} of {known} orders were {change.value.lower()} at once, more than the {share:.0%} that the guard "
                f"lets pass. {ACCEPT}"
            )
    return None
