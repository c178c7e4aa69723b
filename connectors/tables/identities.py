"""Identities in our own tables: one spelling, also in a home that an earlier version of ordersync wrote.

Earlier versions stored a record_uuid on SQLite as the source spelled it. Everything now looks an order up by the
canonical UUID, so the first process that opens such a home respells it, in one transaction. What ordersync reads from
elsewhere, events and the board, it respells when it reads it (schemas/identity.py).
"""

import re

import sql
from connectors import database, errors
from schemas import identity
from sql import uuids

STATEMENTS = sql.load("identities", "sqlite")

# Table, its column of identities, and the columns whose texts repeat the identity of their row.
COLUMNS = (
    ("ORDERS_UNIFIED_SNAPSHOT", "record_uuid", ()),
    ("STG_MON_CustMasterSchedule", "source_uuid", ("source_row",)),
    ("STG_MON_CustMasterSchedule_Subitems", "source_uuid", ()),
    ("MON_CustMasterSchedule", "source_uuid", ()),
    ("MON_CustMasterSchedule_Subitems", "record_uuid", ()),
    ("ERR_MON_CustMasterSchedule", "record_uuid", ("error_key",)),
    ("ERR_MON_CustMasterSchedule_Subitems", "record_uuid", ("error_key",)),
    ("SYNC_Ledger", "record_uuid", ("columns_json",)),
)
_QUOTED = re.compile(r'"([0-9A-Fa-f{}-]{32,38})"')


def respell(db: database.Database) -> int:
    """Gives every identity in our tables its canonical spelling. Returns how many orders had another one.

    The item of an order stays its item. Where an earlier version took two spellings for two orders, one of them stays
    known, and the audit of the board finds the item of the other as a second copy. Without tables it does nothing.
    """
    if db.engine != "sqlite":
        return 0
    misspelled = sql.expand(STATEMENTS["misspelled"], uuid_text=uuids.canonical("sqlite", "s.record_uuid"))
    try:
        with db.read() as session:
            orders = int(session.value(misspelled))
    except errors.Misconfigured:
        return 0  # `ordersync setup` has not run yet.
    if orders:
        with db.write() as session:
            for table, column, holders in COLUMNS:
                _respell_table(session, table, column, holders)
            _respell_journal(session)
    return orders


def _respell_table(session: database.Session, table: str, column: str, holders: tuple[str, ...]) -> None:
    names = {"table": table, "column": column, "own_text": uuids.canonical("sqlite", column)}
    for holder in holders:
        session.execute(sql.expand(STATEMENTS["respell_within"], **names, holder=holder))
    session.execute(sql.expand(STATEMENTS["respell"], **names))
    if not table.startswith("ERR_"):
        session.execute(sql.expand(STATEMENTS["forget_twins"], **names))


def _respell_journal(session: database.Session) -> None:
    changed = []
    for key, mutations in session.stream(STATEMENTS["journalled"]):
        respelled = _QUOTED.sub(lambda found: f'"{identity.same(found[1])}"', mutations)
        if respelled != mutations:
            changed.append((respelled, key))
    session.execute_many(STATEMENTS["respell_request"], changed)
