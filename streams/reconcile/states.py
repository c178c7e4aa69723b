"""states judges a source row by snapshot, production and ERR tables: its state, or the reason why it has none."""

from collections.abc import Mapping
from enum import StrEnum

from connectors.tables.row_states import SourceRow
from schemas.batches import SyncState
from schemas.detection import DELETED


class RowState(StrEnum):
    """The states of a source row (schemas.batches.SyncState), and the reasons why a row is in none of them."""

    IN_SYNC = "IN_SYNC"
    WAITING = "WAITING"
    FAILED = "FAILED"
    HELD = "HELD"
    EXCLUDED = "EXCLUDED"
    # No pass has read the row as it is now.
    UNDETECTED = "UNDETECTED"
    # The row has no identity, or shares it with another row, or a cell of it cannot be read.
    REFUSED = "REFUSED"
    # The other tables do not prove the state that the snapshot row claims.
    NEVER_SENT = "NEVER_SENT"
    NOT_IN_PRODUCTION = "NOT_IN_PRODUCTION"
    STILL_IN_PRODUCTION = "STILL_IN_PRODUCTION"
    UNEXPLAINED = "UNEXPLAINED"


# The state that each of them counts as.
COUNTED = {
    RowState.IN_SYNC: SyncState.IN_SYNC,
    RowState.WAITING: SyncState.WAITING,
    RowState.FAILED: SyncState.FAILED,
    RowState.HELD: SyncState.HELD,
    RowState.EXCLUDED: SyncState.EXCLUDED,
    RowState.UNDETECTED: SyncState.WAITING,
    RowState.REFUSED: SyncState.FAILED,
    RowState.NEVER_SENT: SyncState.WAITING,
    RowState.NOT_IN_PRODUCTION: SyncState.WAITING,
    RowState.STILL_IN_PRODUCTION: SyncState.WAITING,
    RowState.UNEXPLAINED: SyncState.FAILED,
}
# A row in one of these states has ended: its source row can be compared with the tables.
ENDED = frozenset({RowState.IN_SYNC, RowState.FAILED, RowState.EXCLUDED})


def of_row(row: SourceRow, explained: Mapping[str, int]) -> RowState:
    """The state of a row. `explained`: the newest version of each failed order that has an ERR row."""
    if row.record_uuid is None or row.copies is not None or row.refused:
        return RowState.REFUSED
    if row.row_hash is None or row.row_hash in ("", DELETED):
        return RowState.UNDETECTED
    if not _has_versions(row):
        return RowState.UNEXPLAINED
    match row.sync_state:
        case SyncState.IN_SYNC:
            return _in_sync(row)
        case SyncState.EXCLUDED:
            return RowState.EXCLUDED if row.produced is None else RowState.STILL_IN_PRODUCTION
        case SyncState.WAITING:
            return RowState.WAITING
        case SyncState.FAILED if explained.get(row.record_uuid, -1) >= row.failed_version:
            return RowState.FAILED
        case _:
            return RowState.UNEXPLAINED


def _in_sync(row: SourceRow) -> RowState:
    if row.settled_version < row.version:
        return RowState.NEVER_SENT
    settled = (row.settled_version, row.settled_hash)
    if row.produced is None or (row.production_version, row.production_hash) != settled:
        return RowState.NOT_IN_PRODUCTION
    return RowState.IN_SYNC


def _has_versions(row: SourceRow) -> bool:
    """Has the row a snapshot row, with whole numbers as versions?"""
    return all(isinstance(one, int) for one in (row.version, row.settled_version, row.failed_version))


def has_future(row: SourceRow, newest_pass: int) -> bool:
    """Does snapshot or production hold a version of this row that no pass can have given?"""
    if not _has_versions(row):
        return False
    produced = row.production_version if isinstance(row.production_version, int) else 0
    return newest_pass < max(row.version, row.settled_version, row.failed_version, produced)


def is_ahead(row: SourceRow) -> bool:
    """Is a version settled or failed above the row's newest one, although its snapshot row does not lag behind?"""
    known = row.row_hash not in (None, "", DELETED) and _has_versions(row)
    return known and max(row.settled_version, row.failed_version) > row.version


def has_other_hash(row: SourceRow) -> bool:
    """Do snapshot row and production name different versions or hashes of what is settled?"""
    if row.row_hash in (None, "", DELETED):
        return False
    if row.sync_state == SyncState.FAILED:
        settled = (row.settled_version, row.settled_hash)
        return row.produced is not None and (row.production_version, row.production_hash) != settled
    ended = row.sync_state in (SyncState.IN_SYNC, SyncState.EXCLUDED)
    return ended and row.version == row.settled_version and row.settled_hash != row.row_hash
