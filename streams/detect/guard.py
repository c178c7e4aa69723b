"""The guard: compares the changes of a pass with configured limits before the pass emits anything.

A truncate-and-reload of the source must never empty the board: an operator checks first, then runs
`ordersync detect --accept`.
"""

from collections.abc import Mapping, Sequence

from schemas import events
from schemas.base import Model

ACCEPT = "If that is right, run `ordersync detect --accept`"


class Stop(Exception):
    """The guard stops the pass. The text gives the reason to the operator."""


class Limits(Model):
    """`deleted` and `changed` are shares (0 to 1) of the known rows; fewer than `rows` changes never stop a pass."""

    deleted: float
    changed: float
    rows: int


def listed(names: Sequence[str]) -> str:
    """Column names for a message, in brackets."""
    return ", ".join(f"[{name}]" for name in names)


def reason(
    limits: Limits, known: int, counts: Mapping[events.Change, int], accepted: Mapping[events.Change, int]
) -> str | None:
    """The reason why the guard stops the pass, or None.

    `known` is the number of snapshot rows of the source, `accepted` the changes that an operator has accepted and the
    admission window has deferred since.
    """
    for change, share in ((events.Change.DELETED, limits.deleted), (events.Change.UPDATED, limits.changed)):
        number = counts.get(change, 0) - accepted.get(change, 0)
        if number >= limits.rows and number > share * known:
            return (
                f"{number} of {known} orders were {change.value.lower()} at once, more than the {share:.0%} that the "
                f"guard lets pass. {ACCEPT}"
            )
    return None
