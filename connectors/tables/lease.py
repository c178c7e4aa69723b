"""SYNC_Lease, the right to write to a board: one row, with an epoch that rises with every new holder.

The ownership of a partition does not fence a paused or doubled process; this row does, because the transaction of every
intent checks it. Expiry compares the clocks of the callers, so a lease must last far longer than their skew.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sql
from connectors import database, errors
from connectors.tables import chunks
from schemas.base import Model

STATEMENTS = sql.load("lease")


class Grant(Model):
    """The proof of a lease: lease name, owner, epoch (`token`), and the seconds that each renewal lasts."""

    name: str
    owner: str
    token: int
    seconds: float


class Lease:
    """Acquires, renews and releases a lease of `seconds`. `owner` is unique for each process."""

    def __init__(
        self, db: database.Database, name: str, *, owner: str, seconds: float, now: Callable[[], datetime]
    ) -> None:
        self._db = db
        self._name = name
        self._owner = owner
        self._duration = timedelta(seconds=seconds)
        self._now = now

    def acquire(self) -> Grant | None:
        """The grant, with a new epoch, if the lease is free or expired; None while another process owns it."""
        now = self._now()
        at, until = database.to_db_time(now), database.to_db_time(now + self._duration)
        with self._db.write() as session:
            session.execute(STATEMENTS["ensure_lease"], (self._name, at, self._name))
            if session.execute(STATEMENTS["acquire_lease"], (self._owner, until, self._name, at)) == 0:
                return None
            token = session.query(STATEMENTS["lease"], (self._name,))[0]["token"]
        return Grant(name=self._name, owner=self._owner, token=token, seconds=self._duration.total_seconds())

    def renew(self, grant: Grant) -> bool:
        """Renews the lease; False when the grant has expired or another process owns it: write nothing, end."""
        with self._db.write() as session:
            return _renew(session, grant, self._now())

    def release(self, grant: Grant) -> None:
        """Frees the lease, so that the next writer need not wait until it expires."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            session.execute(STATEMENTS["release_lease"], (at, grant.name, grant.owner, grant.token))


class LeaseStatus:
    """A lease as `status` and the metrics show it: read only."""

    def __init__(self, db: database.Database, name: str, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._name = name
        self._now = now

    def holder(self) -> str | None:
        """The epoch of the lease holder and the end of the lease (UTC), in words; None when no process owns it."""
        row = self._row()
        if row is None or row["owner"] is None:
            return None
        expired = str(row["expires_at"]) < database.to_db_time(self._now())
        return None if expired else f"epoch {row['token']}, until {row['expires_at']}"

    def epoch(self) -> int:
        """The epoch, which rises with every new holder; 0 before the first."""
        row = self._row()
        return 0 if row is None else int(row["token"])

    def _row(self) -> dict[str, Any] | None:
        with self._db.read() as session:
            return chunks.first(session, STATEMENTS["lease"], (self._name,))


def renew(session: database.Session, grant: Grant, now: datetime) -> None:
    """Renews the lease inside a transaction: its holder may send for the whole duration. Raises LeaseLost."""
    if not _renew(session, grant, now):
        raise lost(grant)


def require(session: database.Session, grant: Grant) -> None:
    """Keeps the lease with its owner until the transaction ends, whether it has expired or not. Raises LeaseLost."""
    if session.execute(STATEMENTS["hold_lease"], (grant.name, grant.owner, grant.token)) == 0:
        raise lost(grant)


def lost(grant: Grant) -> errors.LeaseLost:
    """The error for a process that is no longer the writer."""
    return errors.LeaseLost(f"the lease {grant.name!r} is held by another process")


def _renew(session: database.Session, grant: Grant, now: datetime) -> bool:
    until, at = database.to_db_time(now + timedelta(seconds=grant.seconds)), database.to_db_time(now)
    return session.execute(STATEMENTS["renew_lease"], (until, grant.name, grant.owner, grant.token, at)) == 1
