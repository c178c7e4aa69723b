"""MON_CustMasterSchedule and its _Subitems: what people query. Written only from what was staged and confirmed."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

import sql
from connectors import database
from connectors.tables import batches, failures, orders, staging
from schemas import detection, versions
from schemas.batches import StagingStatus, SyncState
from schemas.versions import SyncedVersion, Version

MASTER = "MON_CustMasterSchedule"
SUBITEMS = "MON_CustMasterSchedule_Subitems"
STATEMENTS = sql.load("production")


class Production:
    """Promotion, one transaction for a batch of events. `columns` are the staged columns that production has too."""

    def __init__(self, db: database.Database, columns: Collection[str], *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._columns = sorted(set(columns) - {"Item ID"})
        self._insert = sql.expand(STATEMENTS["promote_order"], columns=self._columns)
        self._now = now

    @property
    def columns(self) -> list[str]:
        """The columns that are copied from staging as they are."""
        return self._columns

    def promote(self, settled: Sequence[SyncedVersion]) -> tuple[int, int]:
        """Promotes synced versions, the newest of each order. Returns how many were promoted and dropped.

        A version that production holds already, or a newer one, is dropped: so an event may come twice. One that was
        replayed, and that the board has confirmed anew, is promoted anew: its item may have another id now.
        """
        now = self._now()
        at = database.to_db_time(now)
        uuids = sorted({uuid for uuid, _, _ in settled})
        with self._db.write() as session:
            staged = {
                Version(str(row["source_uuid"]), int(row["version"])): row for row in staging.statuses(session, uuids)
            }
            # Not production's own versions: an order that was deleted has no row there.
            held = orders.settled_versions(session, uuids)
            fresh = [end for end in settled if _may_promote(end, staged.get(end.version), held.get(end.record_uuid, 0))]
            stay = [end for end in fresh if staged[end.version]["update_operation"] != "DELETE"]
            session.execute_many(STATEMENTS["remove_order"], [(uuid,) for uuid, _, _ in fresh])
            session.execute_many(STATEMENTS["remove_sizes"], [(uuid,) for uuid, _, _ in fresh])
            session.execute_many(self._insert, [(at, uuid, version) for uuid, version, _ in stay])
            session.execute_many(STATEMENTS["promote_sizes"], [(at, uuid, version) for uuid, version, _ in stay])
            ends = [(at, uuid, version) for uuid, version, _ in fresh]
            staging.mark_promoted(session, ends)
            removed = {end.version for end in fresh} - {end.version for end in stay}
            failed = failures.resolve(session, [(uuid, v, (uuid, v) in removed) for uuid, v, _ in fresh], at)
            newest = held | {uuid: version for uuid, version, _ in fresh}
            passed = [
                end
                for end in staged
                if versions.is_superseded(end.number, settled=newest.get(end.record_uuid, 0)) and _is_open(staged[end])
            ]
            staging.supersede_open(session, [(at, uuid, newest[uuid]) for uuid, _ in passed])
            orders.settle(session, [_end(end, staged[end.version]) for end in fresh], now)
            touched = [*passed, *(end.version for end in fresh)]
            batches.recount(session, {str(staged[end]["batch_id"]) for end in touched} | failed, now)
        return len(fresh), len(settled) - len(fresh)

    def count(self) -> int:
        """How many orders there are."""
        with self._db.read() as session:
            return int(session.value(STATEMENTS["production_count"]) or 0)

    def everything(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """All orders (the promoted columns and `source_uuid`) and all sizes, for a comparison."""
        with self._db.read() as session:
            orders = session.query(sql.expand(STATEMENTS["production_orders"], columns=self._columns))
            return orders, session.query(STATEMENTS["production_sizes"])


def _may_promote(end: SyncedVersion, staged: dict[str, Any] | None, settled: int) -> bool:
    status = None if staged is None else StagingStatus(staged["stg_status"])
    return versions.may_promote(end.number, settled=settled, status=status)


def _is_open(row: dict[str, Any]) -> bool:
    return StagingStatus(row["stg_status"]) in (
        StagingStatus.PENDING,
        StagingStatus.INFLIGHT,
        StagingStatus.API_SUCCESS,
    )


def _end(settled: SyncedVersion, row: dict[str, Any]) -> orders.End:
    uuid, version, row_hash = settled
    # A removal with the hash of a row: the row is there, but it is no order any more.
    excluded = row["update_operation"] == "DELETE" and row_hash != detection.DELETED
    state = SyncState.EXCLUDED if excluded else SyncState.IN_SYNC
    return orders.End(uuid, version, str(row["customer"]), state, row_hash)
