"""The right to write to a board: one row in SQL, with an epoch that rises with every new holder.

Partition ownership does not fence a paused or doubled process; a row that is checked in the transaction of every
intent does. Expiry compares the callers' clocks: the life of a lease is far above their skew.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

import sql
from connectors import database
from schemas.base import Model

STATEMENTS = sql.load("sync")


class Grant(Model):
    """Proof of a lease: the holder, the epoch it holds, and how long each renewal lasts."""

    name: str
    owner: str
    token: int
    seconds: float


def renewal(grant: Grant, now: datetime) -> tuple[str, str, str, int, str]:
    """What `renew_lease` asks for."""
    until = database.to_db_time(now + timedelta(seconds=grant.seconds))
    return until, grant.name, grant.owner, grant.token, database.to_db_time(now)


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
            return session.execute(STATEMENTS["renew_lease"], renewal(grant, self._now())) == 1

    def release(self, grant: Grant) -> None:
        """Lets the next one in at once, instead of after the lease's life."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            session.execute(STATEMENTS["release_lease"], (at, grant.name, grant.owner, grant.token))
