"""The findings of one pass: its counts, its candidates and its refused rows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from mappings import hashing
from schemas import detection, events
from streams.detect import admission, plans


@dataclass(frozen=True)
class Comparison:
    """What the rows of a pass are compared with. `today` and `former` are baselines; `former` is None if it is today's.

    `former_columns` are the former columns as the source has them now: None for one that it lost. `lost` and `retyped`
    are sentences about columns.
    """

    today: detection.Baseline
    former: detection.Baseline | None
    former_columns: Sequence[str | None] | None
    lost: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()


@dataclass
class PassFindings:
    """The findings of a pass so far. `counts` are all changes, `admitted` are those that the window admits now.

    `tally` has all candidates, `accepted_tally` those that an operator has accepted; `draft` has the others.
    `held_orders` are the orders that the snapshot rows give to `held_customers`; `deferred_customers` have candidates
    that wait for a later pass. `matched` is the number of rows with a snapshot row. Memory does not grow with the
    table: the rows that only need a new hash are in the file `unchanged`.
    """

    number: int
    chosen: detection.Filters | None
    against: Comparison
    accepted: plans.Accepted
    tally: admission.Tally
    accepted_tally: admission.Tally
    draft: plans.Draft
    unchanged: IO[str]
    held_customers: frozenset[str] = frozenset()
    held_orders: frozenset[str] = frozenset()
    scanned: int = 0
    matched: int = 0
    refused: int = 0
    deferred: int = 0
    unchanged_rows: int = 0
    on_hold: int = 0
    deferred_customers: frozenset[str] = frozenset()
    counts: Counter[events.Change] = field(default_factory=Counter)
    admitted: list[tuple[str, admission.Candidate]] = field(default_factory=list)
    refusals: list[detection.Refusal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watched = self.against.today.columns
        self.size_columns = frozenset(self.against.today.sizes)
        self.size_positions = [at for at, name in enumerate(self.watched) if name in self.size_columns]
        self.row_hash = hashing.RowHasher(self.watched)

    def add(self, customer: str, candidate: admission.Candidate, *, judged: bool = True) -> None:
        """Counts a change. It belongs to the plan of this pass if the guard judges it and no operator accepted it."""
        self.counts[candidate.change] += 1
        self.tally.add(customer, candidate)
        if candidate.accepted:
            self.accepted_tally.add(customer, candidate)
        elif judged:
            row = plans.Row(candidate.record_uuid, candidate.change, candidate.row_hash, candidate.cause)
            self.draft.add(row, candidate.mutations)

    def admit(self, tally: admission.Tally, admitted: list[tuple[str, admission.Candidate]]) -> None:
        """Notes which candidates of a tally the window admits now."""
        self.admitted = admitted
        self.deferred = tally.total - len(admitted)
        self.deferred_customers = tally.deferred_customers

    @property
    def lost(self) -> list[str]:
        """The lost columns that no operator has accepted."""
        return [sentence for sentence in self.against.lost if sentence not in self.accepted.lost]

    @property
    def deferred_changes(self) -> dict[events.Change, int]:
        """The changes of the draft that the window did not admit, by kind: the guard has let them pass."""
        admitted = Counter(candidate.change for _, candidate in self.admitted if not candidate.accepted)
        return {change: n - admitted[change] for change, n in self.draft.counts.items() if n > admitted[change]}

    @property
    def all_accepted_admitted(self) -> bool:
        """Whether every candidate that an operator has accepted is admitted now."""
        return sum(candidate.accepted for _, candidate in self.admitted) == self.accepted_tally.total

    def replace_hash(self, new_hash: str, old_hash: str, record_uuid: str) -> None:
        """Notes a row that did not change and whose snapshot row gets another hash under the new baseline."""
        self.unchanged.write(f"{new_hash} {old_hash} {record_uuid}\n")

    def keep_unchanged(self, new_hash: str, old_hash: str, record_uuid: str) -> None:
        """The same for a row whose order is unchanged too, which the report counts."""
        self.replace_hash(new_hash, old_hash, record_uuid)
        self.unchanged_rows += 1

    def replaced_hashes(self) -> Iterator[tuple[str, str, str]]:
        """New hash, record_uuid and old hash of the noted rows, without those that are admitted: they owe nothing."""
        admitted = {candidate.record_uuid for _, candidate in self.admitted}
        self.unchanged.seek(0)
        for line in self.unchanged:
            new_hash, old_hash, record_uuid = line.rstrip("\n").split(" ", 2)
            if record_uuid not in admitted:
                yield new_hash, record_uuid, old_hash
