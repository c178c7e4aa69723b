"""Who was made to fail: by a value that nobody can read, or by the board."""

import json
from collections.abc import Iterator

from schemas.batches import SyncState
from tests.chaos.sim.script import BAD_PRICE
from tests.chaos.sim.world import World


def orders(world: World) -> frozenset[str]:
    """The orders that may have failed in the version that they are in now. Whoever else failed did so without cause.

    Poison and broken records do not occur here: these two are all that a schedule has against an order.
    """
    shown = {edit.uuid: edit.row for edit in world.edits}
    unreadable = {uuid for uuid, row in shown.items() if row is not None and row.get("CUSTOMER PRICE") == BAD_PRICE}
    failed = _failed(world)
    return frozenset(unreadable | {uuid for uuid, version in _refused(world) if (uuid, version) in failed})


def _failed(world: World) -> set[tuple[str, int]]:
    with world.db.read() as session:
        rows = session.query(
            "SELECT record_uuid, version FROM ORDERS_UNIFIED_SNAPSHOT WHERE sync_state = ?", (SyncState.FAILED,)
        )
    return {(row["record_uuid"], row["version"]) for row in rows}


def _refused(world: World) -> Iterator[tuple[str, int]]:
    """Identity and version of what the board refused, or gave no id for.

    An alias without an id and without an error fails its order only if it stays so through all retries; how often that
    was is not counted, so every such order may fail. Nor is it known which orders a group was to be made for: all that
    were ever staged for it may.
    """
    with world.db.read() as session:
        requests = {row["request_key"]: json.loads(row["mutations"]) for row in session.query(_REQUESTS)}
        staged = session.query("SELECT source_uuid, version, [Group] FROM STG_MON_CustMasterSchedule")
    for key, position in world.board.failed:
        held = requests[key]
        mutation = held["mutations"][position]
        if mutation["kind"] == "rename_group":
            continue
        if mutation["kind"] != "create_group":
            yield mutation["record_uuid"], held["versions"][mutation["record_uuid"]]
            continue
        for row in staged:
            if row["Group"] == mutation["group_name"]:
                yield row["source_uuid"], row["version"]


_REQUESTS = "SELECT request_key, mutations FROM SYNC_Requests"
