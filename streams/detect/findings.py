"""The findings of one pass: its counts, its admitted candidates and its refused rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from schemas import detection, events
from streams.detect import admission


@dataclass
class PassFindings:
    """The findings of a pass so far. `counts` are all changes, `admitted` are those that the window admits now.

    `held_orders` are the orders that the snapshot rows give to `held_customers`; `deferred_customers` have candidates
    that wait for a later pass; `former_columns` is the column list of the baseline where it differs from `watched`.
    `matched` is the number of rows with a snapshot row. Memory does not grow with the table: the rows that only need a
    new hash are in the file `unchanged`.
    """

    number: int
    chosen: detection.Filters | None
    watched: tuple[str, ...]
    size_columns: frozenset[str]
    unchanged: IO[str]
    held_customers: frozenset[str] = frozenset()
    held_orders: frozenset[str] = frozenset()
    former_columns: Sequence[str | None] | None = None
    scanned: int = 0
    matched: int = 0
    refused: int = 0
    deferred: int = 0
    unchanged_rows: int = 0
    redetected_deletions: int = 0
    on_hold: int = 0
    deferred_customers: frozenset[str] = frozenset()
    counts: dict[events.Change, int] = field(default_factory=dict)
    admitted: list[tuple[str, admission.Candidate]] = field(default_factory=list)
    refusals: list[detection.Refusal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size_positions = [at for at, name in enumerate(self.watched) if name in self.size_columns]

    def count(self, change: events.Change) -> None:
        """Counts one change of this kind."""
        self.counts[change] = self.counts.get(change, 0) + 1

    @property
    def new_changes(self) -> dict[events.Change, int]:
        """The changes for the guard, by kind: without deletions that a pass detects once more for a lost event."""
        deleted = self.counts.get(events.Change.DELETED, 0) - self.redetected_deletions
        return self.counts | {events.Change.DELETED: deleted}

    @property
    def deferred_changes(self) -> dict[events.Change, int]:
        """The changes that the admission window did not admit, by kind."""
        deferred = dict(self.counts)
        for _, candidate in self.admitted:
            deferred[candidate.change] -= 1
        return deferred

    def new_size_positions(self) -> list[int]:
        """The positions in a row of the size columns that the baseline does not have; none without a new baseline."""
        former = None if self.former_columns is None else set(self.former_columns)
        return [at for at in self.size_positions if former is not None and self.watched[at] not in former]

    def keep_unchanged(self, new_hash: str, old_hash: str, record_uuid: str) -> None:
        """Notes a row that differs from its snapshot row only by the column list."""
        self.unchanged.write(f"{new_hash} {old_hash} {record_uuid}\n")
        self.unchanged_rows += 1

    def kept_unchanged(self) -> Iterator[tuple[str, str, str]]:
        """New hash, record_uuid and old hash of the noted rows."""
        self.unchanged.seek(0)
        for line in self.unchanged:
            new_hash, old_hash, record_uuid = line.rstrip("\n").split(" ", 2)
            yield new_hash, record_uuid, old_hash
