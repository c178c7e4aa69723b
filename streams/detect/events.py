"""Builds events and snapshot rows from admitted candidates, without side effects."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from mappings import fingerprint, hashing, items
from mappings.loading import Mappings
from schemas import detection, events, texts
from schemas.base import Cell
from schemas.batches import SyncState
from streams.detect import admission

# Maximum of UTF-16 units: in a whole row, in each cell after that, and in the key of an event.
LONGEST, SHORTEST, KEY = 100_000, 100, 200

# By record_uuid of the rows that are still in the source: hash and state of the snapshot row, and canonical text.
Rows = Mapping[str, tuple[str | None, str | None, str]]


def build_events(
    admitted: Sequence[tuple[str, admission.Candidate]],
    rows: Rows,
    *,
    columns: Sequence[str],
    size_columns: Collection[str],
    version: int,
    mappings: Mappings,
    row_hash_of: Callable[[str], str],
    now: datetime,
    new_id: Callable[[], str],
) -> tuple[list[events.OrderChanged], dict[str, detection.Snapshot]]:
    """The events with the newest values of each row, and the snapshot row that each order gets, by record_uuid.

    `row_hash_of` hashes a canonical text of these columns. Each customer gets one batch. An excluded row moves its
    snapshot row without an event, unless the board may show it: then the order leaves the board like a deleted one but
    keeps its hash, by which settle sets EXCLUDED.
    """
    changed: list[events.OrderChanged] = []
    snapshots: dict[str, detection.Snapshot] = {}
    batch_ids: dict[str, str] = {}
    for customer, candidate in admitted:
        uuid, change, state_before = candidate.record_uuid, candidate.change, candidate.state
        if uuid in snapshots:
            continue  # A second row got this record_uuid after the pass counted duplicates: the next pass refuses both.
        row: dict[str, Cell] = {}
        lengths: dict[str, int] = {}
        row_hash = detection.DELETED
        if change is not events.Change.DELETED:
            if uuid not in rows:
                continue  # The row left the source after the scan: the next pass detects the deletion.
            _, stored_state, canonical_text = rows[uuid]
            state_before = None if stored_state is None else SyncState(stored_state)
            row_hash = row_hash_of(canonical_text)
            row, lengths = truncated(dict(zip(columns, hashing.cells(canonical_text), strict=True)))
            customer = message_key(mappings.customers.canonical(cell_text(row.get("CUSTOMER NAME")))) or customer
            if items.is_excluded(row, mappings):
                change = events.Change.DELETED
        leaves = change is events.Change.DELETED
        silent = leaves and state_before in (None, SyncState.EXCLUDED)
        state = SyncState.WAITING
        if silent:
            state = SyncState.IN_SYNC if row_hash == detection.DELETED else SyncState.EXCLUDED
        batch_id = None if silent else batch_ids.setdefault(customer, new_id())
        snapshots[uuid] = detection.Snapshot(
            record_uuid=uuid,
            row_hash=row_hash,
            version=version,
            customer=customer,
            batch_id=batch_id,
            planned_mutations=candidate.mutations,
            state=state,
            row=row,
        )
        if batch_id is None:
            continue
        cells = Truncated({}, {}) if leaves else Truncated(row, lengths)
        event = _event(snapshots[uuid], batch_id, change, cells, size_columns, now)
        more = {"cause": candidate.cause, "position": len(changed), "mapping": fingerprint.fingerprint(mappings)}
        changed.append(event.model_copy(update=more))
    return changed, snapshots


def _event(
    snapshot: detection.Snapshot,
    batch_id: str,
    change: events.Change,
    cells: "Truncated",
    size_columns: Collection[str],
    now: datetime,
) -> events.OrderChanged:
    return events.OrderChanged(
        customer=snapshot.customer,
        record_uuid=snapshot.record_uuid,
        version=snapshot.version,
        row_hash=snapshot.row_hash,
        batch_id=batch_id,
        change=change,
        position=0,
        detected_at=now,
        row={name: cell for name, cell in cells.row.items() if name not in size_columns},
        sizes={name: cell for name, cell in cells.row.items() if name in size_columns},
        cut=cells.cut,
    )


class Truncated(NamedTuple):
    """The cells of a row as an event holds them, and the true length of each text that was cut, in UTF-16 units."""

    row: dict[str, Cell]
    cut: dict[str, int]


def truncate_row(row: Mapping[str, Cell]) -> dict[str, Cell]:
    """The cells that `truncated` keeps."""
    return truncated(row).row


def truncated(row: Mapping[str, Cell]) -> Truncated:
    """The cells that are not NULL, cut where the row is longer than any item can be.

    The texts of an order may have 65,536 bytes together. Without the cut a longer row would not fit into an event
    (1 MB), and no pass could get past it.
    """
    kept: dict[str, Cell] = {name: cell for name, cell in row.items() if cell is not None}
    lengths: dict[str, int] = {}
    if sum(len(cell) for cell in kept.values() if isinstance(cell, str)) * 2 <= LONGEST:
        return Truncated(kept, lengths)
    units_left = LONGEST
    for name, cell in kept.items():
        if isinstance(cell, str):
            begins = texts.cut(cell, max(units_left, SHORTEST))
            units_left -= texts.length(begins)
            if begins != (whole := texts.trimmed(cell)):
                lengths[name] = texts.length(whole)
            kept[name] = begins
    return Truncated(kept, lengths)


def message_key(customer: str) -> str:
    """The key of the events of a customer: its canonical name, as far as a key may have it."""
    return texts.cut(customer, KEY)


def excluded(changed: Sequence[events.OrderChanged], silent: Sequence[detection.Snapshot]) -> int:
    """The number of excluded rows in a pass: those that leave the board, and those that never were on it."""
    leaving = sum(e.change is events.Change.DELETED and e.row_hash != detection.DELETED for e in changed)
    return leaving + sum(snapshot.state is SyncState.EXCLUDED for snapshot in silent)


def raw_names(names: Iterable[str | None], wanted: Callable[[str], bool], mappings: Mappings) -> list[str]:
    """The names, as the source writes them, whose canonical name is `wanted`."""
    return [name for name in names if name and wanted(mappings.customers.canonical(name))]


def cell_text(cell: Cell) -> str | None:
    """A cell as text; None for NULL."""
    return None if cell is None else str(cell)
