"""What only the metrics ask the tables."""

from datetime import datetime

import sql
from connectors import database

METRICS = sql.load("metrics")
SYNC = sql.load("sync")


def waiting_since(db: database.Database) -> datetime | None:
    """When the oldest change that waits was found; None when nothing waits."""
    with db.read() as session:
        found = session.value(METRICS["oldest_waiting"])
    return None if found is None else database.from_db_time(str(found))


def epoch(db: database.Database, lease: str) -> int:
    """The epoch of a lease, which rises with every new holder; 0 before the first."""
    with db.read() as session:
        found = session.query(SYNC["lease"], (lease,))
    return int(found[0]["token"]) if found else 0
