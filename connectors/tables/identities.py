"""Identities in our own tables: one spelling, also in a home that an earlier version of ordersync wrote.

Earlier versions stored a record_uuid on SQLite as the source spelled it. Everything now looks an order up by the
canonical UUID, so the first process that opens such a home respells it, in one transaction. What ordersync reads from
elsewhere, events and the board, it respells when it reads it (schemas/identity.py).
"""

import re

import sql
from connectors import database, errors
from schemas import identity

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
    try:
        with db.read() as session:
            orders = len(_misspelled(session, *COLUMNS[0][:2]))
    except errors.Misconfigured:
        return 0  # `ordersync setup` has not run yet.
    if orders:
        with db.write() as session:
            for table, column, holders in COLUMNS:
                for spelling, uuid in _misspelled(session, table, column).items():
                    _respell_order(session, {"table": table, "key": column}, holders, spelling, uuid)
            _respell_journal(session)
    return orders


def _misspelled(session: database.Session, table: str, column: str) -> dict[str, str]:
    """The canonical identity of each spelling in a table that is another one."""
    rows = session.query(sql.expand(STATEMENTS["misspelled"], table=table, key=column))
    found = {str(row["spelling"]): identity.canonical(str(row["spelling"])) for row in rows}
    return {spelling: uuid for spelling, uuid in found.items() if uuid is not None and uuid != spelling}


def _respell_order(
    session: database.Session, names: dict[str, str], holders: tuple[str, ...], spelling: str, uuid: str
) -> None:
    for holder in holders:
        statement = sql.expand(STATEMENTS["respell_within"], **names, holder=holder)
        session.execute(statement, (spelling, uuid, spelling))
    try:
        session.execute(sql.expand(STATEMENTS["respell"], **names), (uuid, spelling))
    except errors.Rejected:  # The table has this order in another spelling too.
        session.execute(sql.expand(STATEMENTS["forget_twin"], **names), (spelling,))


def _respell_journal(session: database.Session) -> None:
    changed = []
    for key, mutations in session.stream(STATEMENTS["journalled"]):
        respelled = _QUOTED.sub(lambda found: f'"{identity.same(found[1])}"', mutations)
        if respelled != mutations:
            changed.append((respelled, key))
    session.execute_many(STATEMENTS["respell_request"], changed)
