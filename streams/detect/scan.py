"""scan finds the candidates of a pass: rows that differ from their snapshot rows, and orders whose row has left.

With a new baseline (another mapping, other columns) it also converts every row that did not change, in portions, and
compares the result with what is settled: what differs is a candidate of cause REMAP. A snapshot row of such an order
gets the hash `owed`, by which later passes find it without another conversion, until the window admits it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.tables import row_text
from mappings import hashing
from mappings.loading import Mappings
from schemas import detection, events
from schemas.base import Cell
from streams.detect import admission, identities, unreadable
from streams.detect import events as detect_events
from streams.detect.findings import PassFindings
from streams.detect.ports import Source

# Rows that are converted at once.
PORTION = 500

# The orders of these source rows (cells by column, by identity) whose conversion differs from what is settled.
Differing = Callable[[Mapping[str, Mapping[str, Cell]]], set[str]]


@dataclass
class Scan:
    """One scan of the source. `differing` is asked only under a new baseline."""

    source: Source
    mappings: Mappings
    differing: Differing
    found: PassFindings
    # Rows that did not change: hash of the snapshot row and canonical text, by identity.
    _unjudged: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)

    def run(self, duplicates: Mapping[str, int], raw_customers: Sequence[str]) -> None:
        """Adds a candidate for each row that differs, and, in a pass over the whole table, for each that left."""
        found, former = self.found, self.found.against.former
        was = None if former is None else hashing.RowHasher(former.columns, former.scheme)
        for record_uuid, known, text, former_text in self.source.scan(
            found.watched,
            former=found.against.former_columns,
            chosen=found.chosen,
            raw_customers=raw_customers,
        ):
            found.scanned += 1
            if record_uuid in duplicates:
                continue
            found.matched += known is not None and known != detection.DELETED
            row_hash = found.row_hash(text)
            if was is not None and known is not None and self._is_same(known, text, row_hash, former_text, was):
                self._unjudged[record_uuid] = known, text
                if len(self._unjudged) >= PORTION:
                    self._judge()
            elif row_hash != known:
                owed = known == found.row_hash.owed(text)
                self._add(record_uuid, known, text, events.Cause.REMAP if owed else events.Cause.LIVE)
        self._judge()
        found.scanned += self.source.left_out()
        nameless = self._refuse_identities(duplicates)
        # When every snapshot row has its source row, no row is missing, and the query for deletions can be skipped.
        if found.chosen is None and found.matched != self.source.known_rows():
            self._deleted(nameless)

    def _refuse_identities(self, duplicates: Mapping[str, int]) -> frozenset[str]:
        """Refuses the rows without an identity of their own. Returns the hashes of those that have none.

        A filtered pass does not meet all rows, so it asks for those without one.
        """
        found, source = self.found, self.source
        nameless = source.without_identity(found.watched) if found.chosen is not None or source.nameless() else []
        spellings = source.spellings(list(duplicates)) if duplicates else {}
        found.refusals += identities.refusals(nameless, found.watched, duplicates, spellings)
        found.refused += len(nameless) + sum(duplicates.values())
        return frozenset(found.row_hash(text) for _, text in nameless)

    def _is_same(self, known: str, text: str, row_hash: str, former_text: str | None, was: hashing.RowHasher) -> bool:
        """Whether a row is as its snapshot row has it, under the new baseline or the former one."""
        if known == row_hash or known == self.found.row_hash.owed(text):
            return True
        return former_text is not None and (known == was(former_text) or known == was.owed(former_text))

    def _judge(self) -> None:
        """Converts the rows that did not change, and adds those whose order differs from what is settled."""
        if not self._unjudged:
            return
        for uuid in [uuid for uuid, (_, text) in self._unjudged.items() if self._is_refused(uuid, text)]:
            del self._unjudged[uuid]
        rows = {uuid: self._row(uuid, text) for uuid, (_, text) in self._unjudged.items()}
        differing = self.differing(rows)
        for uuid, (known, text) in self._unjudged.items():
            if uuid in differing:
                self._add(uuid, known, text, events.Cause.REMAP)
                self.found.replace_hash(self.found.row_hash.owed(text), known, uuid)
            elif (row_hash := self.found.row_hash(text)) != known:
                self.found.keep_unchanged(row_hash, known, uuid)
        self._unjudged.clear()

    def _is_refused(self, record_uuid: str, text: str) -> bool:
        """Refuses each unreadable cell of a row. False for a row without one."""
        refused = unreadable.refusals(record_uuid, self.found.watched, row_text.cells(text))
        self.found.refusals += refused
        self.found.refused += bool(refused)
        return bool(refused)

    def _row(self, record_uuid: str, text: str) -> dict[str, Cell]:
        cells = zip(self.found.watched, hashing.cells(text), strict=True)
        return {self.mappings.board.key.source: record_uuid, **{name: cell for name, cell in cells if cell is not None}}

    def _add(self, record_uuid: str, known: str | None, text: str, cause: events.Cause) -> None:
        if self._is_refused(record_uuid, text):
            return
        found, cells = self.found, hashing.cells(text)
        change = events.Change.UPDATED if known and known != detection.DELETED else events.Change.CREATED
        customer = self.mappings.customers.canonical(detect_events.cell_text(cells[self._customer_at]))
        if customer in found.held_customers or record_uuid in found.held_orders:
            found.on_hold += 1
            return
        quantities = sum(1 for at in found.size_positions if cells[at])
        row_hash = found.row_hash(text)
        candidate = admission.Candidate(
            record_uuid,
            change,
            admission.cost(change, quantities),
            row_hash=row_hash,
            cause=cause,
            accepted=found.accepted.has(record_uuid, change, row_hash),
        )
        # An order that is detected once more, after a lost event or for an operator, passed the guard before.
        found.add(customer, candidate, judged=known != "")

    @property
    def _customer_at(self) -> int:
        return self.found.watched.index("CUSTOMER NAME")

    def _deleted(self, nameless: Collection[str]) -> None:
        """Adds a candidate for each order whose row has left. A row that lost only its identity has not."""
        found = self.found
        for record_uuid, customer, state, row_hash in self.source.deleted():
            if row_hash in nameless:
                continue
            if record_uuid in found.held_orders:
                found.on_hold += 1
                continue
            candidate = admission.Candidate(
                record_uuid,
                events.Change.DELETED,
                1,
                state,
                row_hash=detection.DELETED,
                accepted=found.accepted.has(record_uuid, events.Change.DELETED, detection.DELETED),
            )
            # A deletion that is detected once more, because its event was lost, passed the guard before.
            found.add(customer, candidate, judged=bool(row_hash))
