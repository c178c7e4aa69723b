"""Orders that arrived: on the simulated board, in the ledger and in production."""

import sql
from connectors.tables import failures, production
from schemas import events
from schemas.orders import StagedOrder
from sql import tables
from streams import settle
from tests.support.writer_desk import Desk


async def arrived(at: Desk, *orders: StagedOrder) -> None:
    """On the board and in production."""
    with at.world.db.write() as session:
        for one in orders:
            told = (one.record_uuid, "2026-11-21T10:00:00.000000", one.customer, one.record_uuid)
            session.execute(sql.load("orders")["ensure_snapshot"], told)
    promote(at, await at.sync(*orders))


async def told_again(at: Desk, *orders: StagedOrder) -> None:
    """What becomes of a repair's events."""
    promote(at, await at.again(*orders, cause=events.Cause.REPLAY))


def promote(at: Desk, emitted: list[events.OrderEvent]) -> None:
    synced = [one for one in emitted if isinstance(one, events.OrderSynced)]
    assert len(synced) == len(emitted), emitted
    settle.promote(synced, of_world(at), failures.Failures(at.world.db, now=at.world.clock.now))


def of_world(at: Desk) -> production.Production:
    """The MON tables, with the columns that staging shares with them."""
    staged = [column.staging for column in at.world.mappings.board.columns]
    named = {*staged, "Title", "Group", "CUSTOMER", "UpdateDate"}
    return production.Production(at.world.db, named & set(tables.get(tables.PRODUCTION).names), now=at.world.clock.now)
