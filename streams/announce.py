"""From admitted changes to the events that tell of them and the snapshots that follow. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from mappings import hashing, items
from mappings.loading import Mappings
from schemas import detection, events
from schemas.base import Cell
from schemas.batches import SyncState
from streams import admission

# Of each identity that is still in the source: hash and state of its snapshot, and its canonical text.
Rows = Mapping[str, tuple[str | None, str | None, str]]


def announce(
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

    An excluded row is no order: it gets its snapshot in silence, unless the board may show it; then it leaves.
    """
    changed: list[events.OrderChanged] = []
    moved: dict[str, detection.Snapshot] = {}
    batch_ids: dict[str, str] = {}
    for customer, candidate in admitted:
        uuid, change, was, state = candidate.record_uuid, candidate.change, candidate.state, SyncState.WAITING
        row: dict[str, Cell] = {}
        row_hash = "DELETED"
        if change is not events.Change.DELETED:
            if uuid not in rows:
                continue  # It left between the scan and now: the next pass reports that.
            _, known_state, text = rows[uuid]
            was = None if known_state is None else SyncState(known_state)
            row_hash = hashing.row_hash(text)
            row = {
                name: cell
                for name, cell in zip(columns, hashing.cells(text), strict=True)
                if cell is not None
            }
            customer = mappings.customers.canonical(_text(row.get("CUSTOMER NAME"))) or customer
            if items.is_excluded(row, mappings):
                state, change = SyncState.EXCLUDED, events.Change.DELETED
        leaves = change is events.Change.DELETED
        silent = leaves and was in (None, SyncState.EXCLUDED)
        if silent and state is SyncState.WAITING:
            state = SyncState.IN_SYNC  # An excluded row left the source: nothing to tell anyone.
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


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)
