"""Builds events and snapshot rows from admitted candidates, without side effects."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from connectors.tables import row_text
from mappings import fingerprint, items
from mappings.loading import Mappings
from schemas import detection, events, texts
from schemas.base import Cell
from schemas.batches import SyncState
from streams.detect import admission, unreadable

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
) -> tuple[list[events.OrderChanged], dict[str, detection.Snapshot], list[detection.Refusal]]:
    """The events with the newest values of each row, and the snapshot row that each order gets, by record_uuid.

    `row_hash_of` hashes a canonical text of these columns. Each customer gets one batch. An excluded row moves its
    snapshot row without an event, unless the board may show it: then the order leaves the board like a deleted one but
    keeps its hash, by which settle sets EXCLUDED. An exception of one row is that row's refusal; the others go on.
    """
    changed: list[events.OrderChanged] = []
    snapshots: dict[str, detection.Snapshot] = {}
    refused: dict[str, detection.Refusal] = {}
    batch_ids: dict[str, str] = {}

    def build(customer: str, candidate: admission.Candidate) -> None:
        uuid, change, state_before = candidate.record_uuid, candidate.change, candidate.state
        row, lengths = Truncated({}, {})
        row_hash = detection.DELETED
        if change is not events.Change.DELETED:
            row_now = _row_now(rows.get(uuid), columns)
            if row_now is None:
                return  # The row left the source, or became unreadable, after the scan: the next pass detects that.
            (row, lengths), state_before = row_now
            row_hash = row_hash_of(rows[uuid][2])
            customer = message_key(mappings.customers.canonical(cell_text(row.get("CUSTOMER NAME")))) or customer
            if items.is_excluded(row, mappings):
                change = events.Change.DELETED
        leaves = change is events.Change.DELETED
        silent = leaves and state_before in (None, SyncState.EXCLUDED)
        state = SyncState.WAITING
        if silent:
            state = SyncState.IN_SYNC if row_hash == detection.DELETED else SyncState.EXCLUDED
        batch_id = None if silent else batch_ids.get(customer) or new_id()
        snapshot = detection.Snapshot(
            record_uuid=uuid,
            row_hash=row_hash,
            version=version,
            customer=customer,
            batch_id=batch_id,
            planned_mutations=candidate.mutations,
            state=state,
            row=row,
        )
        if batch_id is not None:
            cells = Truncated({}, {}) if leaves else Truncated(row, lengths)
            event = _event(snapshot, batch_id, change, cells, size_columns, now)
            more = {"cause": candidate.cause, "position": len(changed), "mapping": fingerprint.fingerprint(mappings)}
            changed.append(event.model_copy(update=more))
            batch_ids[customer] = batch_id
        snapshots[uuid] = snapshot

    for customer, candidate in admitted:
        uuid = candidate.record_uuid
        if uuid in snapshots or uuid in refused:
            continue  # A second row got this record_uuid after the pass counted duplicates: the next pass refuses both.
        try:
            build(customer, candidate)
        except Exception as error:
            row_hash = row_hash_of(rows[uuid][2]) if uuid in rows else detection.DELETED
            refused[uuid] = unreadable.unusable(uuid, customer, row_hash, error)
    return changed, snapshots, list(refused.values())


def _row_now(
    read: tuple[str | None, str | None, str] | None, columns: Sequence[str]
) -> tuple["Truncated", SyncState | None] | None:
    """The cells of a row and the state of its snapshot row; None if it is gone or unreadable."""
    if read is None:
        return None
    _, state, canonical_text = read
    cells = row_text.cells(canonical_text)
    if not unreadable.is_readable(cells):
        return None
    return truncated(dict(zip(columns, cells, strict=True))), None if state is None else SyncState(state)


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
