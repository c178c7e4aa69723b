"""MON_CustMasterSchedule and its _Subitems: production, written only from staged orders that the board confirmed."""

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
    """Promotes staged orders and reads production. `columns` are the staged columns that production has too."""

    def __init__(self, db: database.Database, columns: Collection[str], *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._columns = sorted(set(columns) - {"Item ID"})
        self._insert = sql.expand(STATEMENTS["promote_order"], columns=self._columns)
        self._now = now

    @property
    def columns(self) -> list[str]:
        """The columns that promotion copies from staging as they are, sorted."""
        return self._columns

    def promote(self, settled: Sequence[SyncedVersion]) -> tuple[int, int]:
        """Promotes synced versions, the newest of each order, in one transaction. Returns the promoted and the dropped.

        A version that is settled already, or older, is dropped, so an event may arrive twice. A replayed version that
        the board has confirmed once more is promoted once more, because its item may have another id now.
        """
        now = self._now()
        at = database.to_db_time(now)
        uuids = sorted({uuid for uuid, _, _ in settled})
        with self._db.write() as session:
            staged = {
                Version(str(row["source_uuid"]), int(row["version"])): row for row in staging.statuses(session, uuids)
            }
            # The snapshot rows have them and production does not: a deleted order has no row there.
            known = orders.settled_versions(session, uuids)
            fresh = [
                end for end in settled if _may_promote(end, staged.get(end.version), known.get(end.record_uuid, 0))
            ]
            stay = [end for end in fresh if staged[end.version]["update_operation"] != "DELETE"]
            session.execute_many(STATEMENTS["remove_order"], [(uuid,) for uuid, _, _ in fresh])
            session.execute_many(STATEMENTS["remove_sizes"], [(uuid,) for uuid, _, _ in fresh])
            session.execute_many(self._insert, [(at, uuid, version) for uuid, version, _ in stay])
            session.execute_many(STATEMENTS["promote_sizes"], [(at, uuid, version) for uuid, version, _ in stay])
            ends = [(at, uuid, version) for uuid, version, _ in fresh]
            staging.mark_promoted(session, ends)
            removed = {end.version for end in fresh} - {end.version for end in stay}
            failed = failures.resolve(session, [(uuid, v, (uuid, v) in removed) for uuid, v, _ in fresh], at)
            newest = known | {uuid: version for uuid, version, _ in fresh}
            superseded = [
                end
                for end in staged
                if versions.is_superseded(end.number, settled=newest.get(end.record_uuid, 0)) and _is_open(staged[end])
            ]
            staging.supersede_open(session, [(at, uuid, newest[uuid]) for uuid, _ in superseded])
            orders.settle(session, [_end(end, staged[end.version]) for end in fresh], now)
            touched = [*superseded, *(end.version for end in fresh)]
            batches.recount(session, {str(staged[end]["batch_id"]) for end in touched} | failed, now)
        return len(fresh), len(settled) - len(fresh)

    def legacy(self, columns: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """The rows that an earlier workflow wrote, by item id: these columns, those of them that production has."""
        chosen = [name for name in columns if name in self._columns]
        if not chosen:
            return {}
        rows: dict[str, list[dict[str, Any]]] = {}
        with self._db.read() as session:
            for *cells, item_id in session.stream(sql.expand(STATEMENTS["legacy_orders"], columns=chosen)):
                rows.setdefault(str(item_id), []).append(dict(zip(chosen, cells, strict=True)))
        return rows

    def legacy_parents(self) -> set[str]:
        """The ids of the items of which an earlier workflow wrote rows of sizes."""
        with self._db.read() as session:
            return {str(parent) for (parent,) in session.stream(STATEMENTS["legacy_parents"])}

    def link(self, orders_of: Sequence[tuple[str, str]], parents: Collection[str]) -> None:
        """Links the row of an earlier workflow to its order (order, item id), in one transaction.

        Version 0 says that nothing of it is settled; the promotion of the order replaces it. `parents` are items that
        have rows of sizes. No item may have two rows.
        """
        with self._db.write() as session:
            session.execute_many(STATEMENTS["link_order"], [(uuid, int(item_id), uuid) for uuid, item_id in orders_of])
            sizes = [(uuid, item_id, uuid) for uuid, item_id in orders_of if item_id in parents]
            session.execute_many(STATEMENTS["link_sizes"], sizes)

    def count(self) -> int:
        """The number of orders in production."""
        with self._db.read() as session:
            return int(session.value(STATEMENTS["production_count"]) or 0)

    def everything(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """All orders (the promoted columns and `source_uuid`) and all sizes, of one moment."""
        with self._db.read() as session:
            masters = session.query(sql.expand(STATEMENTS["production_orders"], columns=self._columns))
            return masters, session.query(STATEMENTS["production_sizes"])


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
    # Not the event's hash: of a replayed version it may be one of an earlier baseline.
    uuid, version, row_hash = settled.record_uuid, settled.number, str(row["row_hash"])
    # A removal has the hash of a row when the row is still there and has become an excluded one.
    excluded = row["update_operation"] == "DELETE" and row_hash != detection.DELETED
    state = SyncState.EXCLUDED if excluded else SyncState.IN_SYNC
    return orders.End(uuid, version, str(row["customer"]), state, row_hash)
