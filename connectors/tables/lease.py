"""The right to write to a board: one row in SQL, with an epoch that rises with every new holder.

Partition ownership does not fence a paused or doubled process; a row that is checked in the transaction of every
intent does. Expiry compares the callers' clocks: the life of a lease is far above their skew.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sql
from connectors import database, errors
from schemas.base import Model

STATEMENTS = sql.load("lease")


class Grant(Model):
    """Proof of a lease: the holder, the epoch it holds, and how long each renewal lasts."""

    name: str
    owner: str
    token: int
    seconds: float


class Lease:
    """Acquire, renew, release. `owner` is unique per process."""

    def __init__(
        self, db: database.Database, name: str, *, owner: str, seconds: float, now: Callable[[], datetime]
    ) -> None:
        self._db = db
        self._name = name
        self._owner = owner
        self._life = timedelta(seconds=seconds)
        self._now = now

    def acquire(self) -> Grant | None:
        """The lease, if it is free or expired; None while another process holds it."""
        now = self._now()
        at, until = database.to_db_time(now), database.to_db_time(now + self._life)
        with self._db.write() as session:
            session.execute(STATEMENTS["ensure_lease"], (self._name, at, self._name))
            if session.execute(STATEMENTS["acquire_lease"], (self._owner, until, self._name, at)) == 0:
                return None
            token = session.query(STATEMENTS["lease"], (self._name,))[0]["token"]
        return Grant(name=self._name, owner=self._owner, token=token, seconds=self._life.total_seconds())

    def renew(self, grant: Grant) -> bool:
        """False when the lease is ours no more: write nothing, end."""
        with self._db.write() as session:
            return _renew(session, grant, self._now())

    def release(self, grant: Grant) -> None:
        """Lets the next one in at once, instead of after the lease's life."""
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
        """The epoch of the process that holds the lease now, and until when; None when no process does."""
        found = self._row()
        if found is None or found["owner"] is None:
            return None
        expired = str(found["expires_at"]) < database.to_db_time(self._now())
        return None if expired else f"epoch {found['token']}, until {found['expires_at']}"

    def epoch(self) -> int:
        """The epoch, which rises with every new holder; 0 before the first."""
        found = self._row()
        return 0 if found is None else int(found["token"])

    def _row(self) -> dict[str, Any] | None:
        with self._db.read() as session:
            found = session.query(STATEMENTS["lease"], (self._name,))
        return found[0] if found else None


def renew(session: database.Session, grant: Grant, now: datetime) -> None:
    """Renews the lease inside a transaction: its holder may send for the lease's whole life. Raises LeaseLost."""
    if not _renew(session, grant, now):
        raise lost(grant)


def require(session: database.Session, grant: Grant) -> None:
    """Keeps the lease with its holder until the transaction ends, whether it has expired or not. Raises LeaseLost."""
    if session.execute(STATEMENTS["hold_lease"], (grant.name, grant.owner, grant.token)) == 0:
        raise lost(grant)


def lost(grant: Grant) -> errors.LeaseLost:
    """The error of a process that is not the writer any more."""
    return errors.LeaseLost(f"the lease {grant.name!r} is held by another process")


def _renew(session: database.Session, grant: Grant, now: datetime) -> bool:
    until, at = database.to_db_time(now + timedelta(seconds=grant.seconds)), database.to_db_time(now)
    return session.execute(STATEMENTS["renew_lease"], (until, grant.name, grant.owner, grant.token, at)) == 1
