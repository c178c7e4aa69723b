"""What one detection pass has found so far."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from schemas import detection, events
from streams.detect import admission


@dataclass
class PassFindings:
    """What a pass has seen so far: `counts` of all, `admitted` what the window lets in, `deferred` the others.

    `held` are customers, `held_orders` the orders known as theirs; `behind` are customers of whom more is to come.
    Memory does not grow with the table: rows whose hash only has to be made anew wait in the file `unchanged`.
    """

    number: int
    chosen: detection.Filters | None
    watched: tuple[str, ...]
    size_columns: frozenset[str]
    unchanged: IO[str]
    held: frozenset[str] = frozenset()
    held_orders: frozenset[str] = frozenset()
    former: Sequence[str | None] | None = None
    scanned: int = 0
    met: int = 0
    refused: int = 0
    deferred: int = 0
    unchanged_rows: int = 0
    deleted_again: int = 0
    on_hold: int = 0
    behind: frozenset[str] = frozenset()
    counts: dict[events.Change, int] = field(default_factory=dict)
    admitted: list[tuple[str, admission.Candidate]] = field(default_factory=list)
    refusals: list[detection.Refusal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sizes_at = [at for at, name in enumerate(self.watched) if name in self.size_columns]

    def count(self, change: events.Change) -> None:
        """One more of a kind."""
        self.counts[change] = self.counts.get(change, 0) + 1

    @property
    def news(self) -> dict[events.Change, int]:
        """How many of each kind nobody has let pass before. What was lost with the log is no accident upstream."""
        return self.counts | {events.Change.DELETED: self.counts.get(events.Change.DELETED, 0) - self.deleted_again}

    @property
    def left(self) -> dict[events.Change, int]:
        """How many of each kind the window did not let in."""
        left = dict(self.counts)
        for _, candidate in self.admitted:
            left[candidate.change] -= 1
        return left

    def new_sizes(self) -> list[int]:
        """Where in a row the sizes stand that the former column list did not have."""
        former = None if self.former is None else set(self.former)
        return [at for at in self.sizes_at if former is not None and self.watched[at] not in former]

    def keep(self, new: str, old: str, record_uuid: str) -> None:
        """A row that changed in nothing but the column list."""
        self.unchanged.write(f"{new} {old} {record_uuid}\n")
        self.unchanged_rows += 1

    def kept(self) -> Iterator[tuple[str, str, str]]:
        """New hash, identity and old hash of those rows."""
        self.unchanged.seek(0)
        for line in self.unchanged:
            new, old, record_uuid = line.rstrip("\n").split(" ", 2)
            yield new, record_uuid, old
