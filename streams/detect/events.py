"""From admitted changes to the events that tell of them and the snapshots that follow. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from mappings import hashing, items
from mappings.loading import Mappings
from schemas import detection, events
from schemas.base import Cell
from schemas.batches import SyncState
from streams.detect import admission

# Characters of a whole row, of a cell beyond that, and of an event's key.
LONGEST, SHORTEST, KEY = 100_000, 100, 200

# Of each identity that is still in the source: hash and state of its snapshot, and its canonical text.
Rows = Mapping[str, tuple[str | None, str | None, str]]


def build_events(
    admitted: Sequence[tuple[str, admission.Candidate]],
    rows: Rows,
    *,
    columns: Sequence[str],
    size_columns: Collection[str],
    version: int,
    mappings: Mappings,
    now: datetime,
    new_id: Callable[[], str],
) -> tuple[list[events.OrderChanged], dict[str, detection.Snapshot]]:
    """The events, with each row's newest values, and the snapshot that each row gets; one batch a customer.

    An excluded row is no order: it gets its snapshot in silence, unless the board may show it. Then it leaves like a
    deleted one, but keeps its hash: by that `settle` knows it for EXCLUDED.
    """
    changed: list[events.OrderChanged] = []
    moved: dict[str, detection.Snapshot] = {}
    batch_ids: dict[str, str] = {}
    for customer, candidate in admitted:
        uuid, change, was = candidate.record_uuid, candidate.change, candidate.state
        if uuid in moved:
            continue  # A second row took this identity since the duplicates were counted: the next pass refuses both.
        row: dict[str, Cell] = {}
        row_hash = detection.DELETED
        if change is not events.Change.DELETED:
            if uuid not in rows:
                continue  # It left between the scan and now: the next pass reports that.
            _, known_state, canonical_text = rows[uuid]
            was = None if known_state is None else SyncState(known_state)
            row_hash = hashing.row_hash(canonical_text)
            row = truncate_row(dict(zip(columns, hashing.cells(canonical_text), strict=True)))
            customer = mappings.customers.canonical(cell_text(row.get("CUSTOMER NAME")))[:KEY] or customer
            if items.is_excluded(row, mappings):
                change = events.Change.DELETED
        leaves = change is events.Change.DELETED
        silent = leaves and was in (None, SyncState.EXCLUDED)
        state = SyncState.WAITING
        if silent:
            state = SyncState.IN_SYNC if row_hash == detection.DELETED else SyncState.EXCLUDED
        batch_id = None if silent else batch_ids.setdefault(customer, new_id())
        moved[uuid] = detection.Snapshot(
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
        event = events.OrderChanged(
            customer=customer,
            record_uuid=uuid,
            version=version,
            row_hash=row_hash,
            batch_id=batch_id,
            change=change,
            position=len(changed),
            detected_at=now,
            row={} if leaves else {name: cell for name, cell in row.items() if name not in size_columns},
            sizes={} if leaves else {name: cell for name, cell in row.items() if name in size_columns},
        )
        changed.append(event)
    return changed, moved


def truncate_row(row: Mapping[str, Cell]) -> dict[str, Cell]:
    """The cells that are not NULL, cut where the row is so long that no item could ever hold it.

    An order's texts may be 65,536 bytes together; one with more is refused when it is staged, and stays one with
    more. Uncut it would not fit into an event (1 MB), and no pass would ever get past it.
    """
    found: dict[str, Cell] = {}
    room = LONGEST
    for name, cell in row.items():
        if isinstance(cell, str):
            cell = cell[: max(room, SHORTEST)]
            room -= len(cell)
        if cell is not None:
            found[name] = cell
    return found


def excluded(changed: Sequence[events.OrderChanged], silent: Sequence[detection.Snapshot]) -> int:
    """How many rows were found to be no orders: those that leave the board, and those that were never on it."""
    leaving = sum(e.change is events.Change.DELETED and e.row_hash != detection.DELETED for e in changed)
    return leaving + sum(snapshot.state is SyncState.EXCLUDED for snapshot in silent)


def raw_names(names: Iterable[str | None], wanted: Callable[[str], bool], mappings: Mappings) -> list[str]:
    """Which names, as the source writes them, mean a customer that is wanted."""
    return [name for name in names if name and wanted(mappings.customers.canonical(name))]


def cell_text(cell: Cell) -> str | None:
    """A cell as text."""
    return None if cell is None else str(cell)
