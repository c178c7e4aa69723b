"""The guard: compares the changes of a pass with configured limits before the pass emits anything.

A truncate-and-reload of the source must never empty the board, and a column that changed its meaning must never rewrite
it: the changes are held as a plan (plans.py) until an operator accepts it.
"""

from collections.abc import Mapping, Sequence

from schemas import events
from schemas.base import Model


class Stop(Exception):
    """The source cannot be compared at all. The text gives the reason to the operator."""


class Limits(Model):
    """`deleted`, `changed` and `created` are shares of the known rows; fewer changes than `rows` never stop a pass.

    For created orders the number is `created_rows`.
    """

    deleted: float
    changed: float
    rows: int
    created: float = 1.0
    created_rows: int = 500

    def of(self, change: events.Change) -> tuple[float, int]:
        """The share and the number of rows for this kind of change; both have to be exceeded."""
        return {
            events.Change.DELETED: (self.deleted, self.rows - 1),
            events.Change.UPDATED: (self.changed, self.rows - 1),
            events.Change.CREATED: (self.created, self.created_rows),
        }[change]


def listed(names: Sequence[str]) -> str:
    """Column names for a message, in brackets."""
    return ", ".join(f"[{name}]" for name in names)


def reasons(
    limits: Limits, known: int, counts: Mapping[events.Change, int], judged: Mapping[events.Change, int]
) -> list[str]:
    """Why the guard stops the pass, a sentence for each kind of change; none if it does not.

    `known` is the number of snapshot rows of the source; `judged` are changes that the guard has let pass before, and
    that the admission window has deferred since. The first load of an empty home creates as many orders as it likes.
    """
    found = []
    for change in (events.Change.DELETED, events.Change.UPDATED, events.Change.CREATED):
        share, rows = limits.of(change)
        number = counts.get(change, 0) - judged.get(change, 0)
        first_load = change is events.Change.CREATED and known == 0
        if number > rows and number > share * known and not first_load:
            found.append(
                f"{number} of {known} orders were {change.value.lower()} at once, more than the {share:.0%} that the "
                "guard lets pass"
            )
    return found
