"""The wiring of archive and roll back, on top of Resources: the worker has no use for it, and does not load it."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

from connectors import database, errors
from connectors.archive import postgres
from connectors.archive import snapshots as archived_snapshots
from connectors.database import sqlite
from streams.archive import rollback
from streams.archive import snapshots as archive_snapshots
from streams.detect import emit
from streams.resources import Resources, new_id, utcnow

log = logging.getLogger(__name__)


def snapshot_archive(parts: Resources) -> archived_snapshots.Archive:
    """Snapshots of customers: in PostgreSQL when the settings name one, else beside the tables."""
    url = parts.settings.archive.get_secret_value()
    db: database.Database = parts.db
    if url:
        db = postgres.PostgresDatabase(url, parts.settings.archive_password().get_secret_value())
    elif parts.settings.server is not None:
        # SQL Server has no table for it: it is a file of its own then.
        db = sqlite.SqliteDatabase(parts.settings.home / "archive.db")
    return archived_snapshots.Archive(db, days=parts.settings.archive_days, now=utcnow)


def archiver(parts: Resources) -> archive_snapshots.Archiver:
    """What archives customers that are due."""
    kept = archive_snapshots.Retention(days=parts.settings.archive_days, most=parts.settings.archive_snapshots)
    return archive_snapshots.Archiver(
        source=parts.orders,
        customers=parts.customers,
        snapshots=snapshot_archive(parts),
        store=parts.state,
        mappings=parts.mappings,
        retention=kept,
        now=utcnow,
    )


def roll_back(parts: Resources, publish: emit.Publish) -> rollback.Rollback:
    """From the archive back to the board."""
    told = emit.Emitter(parts.batches, publish, parts.orders, parts.mappings, utcnow, new_id)
    return rollback.Rollback(
        source=parts.orders,
        customers=parts.customers,
        snapshots=snapshot_archive(parts),
        store=parts.state,
        emitter=told,
        mappings=parts.mappings,
        window=parts.window,
        now=utcnow,
    )


class BetweenPasses:
    """What the poller does between its passes: goes on with roll backs, archives what is due.

    None of their trouble stops it: it is said once, until it is over. `alone` holds off the passes of other processes.
    """

    def __init__(
        self, parts: Resources, publish: emit.Publish, alone: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._rollback = roll_back(parts, publish)
        self._archiver = archiver(parts)
        self._parts = parts
        self._alone = alone
        # The embedded database gets all of its tables from `ordersync setup`.
        self._prepared = not parts.settings.archive.get_secret_value() and parts.settings.server is None
        self._told: dict[str, str] = {}

    def go_on(self) -> None:
        """One step of every roll back of which something is left, while the window has room."""
        for held in self._rollback.unfinished():
            what = f"roll back of {held.customer}"
            try:
                if self._parts.orders.unsettled_mutations() < self._parts.window:
                    with self._alone():
                        self._rollback.step(held)
            except errors.OrdersyncError as error:
                self._tell(what, error)
            else:
                self._over(what)

    def archive(self, has_time: Callable[[], bool]) -> None:
        """Archives what is due, at least one customer, while there is time."""
        for customer in self._archiver.ready():
            what = f"archive of {customer}"
            try:
                if not self._prepared:
                    self._archiver.snapshots.prepare()
                    self._prepared = True
                with self._alone():
                    self._archiver.archive(customer)
            except errors.Transient as error:
                self._tell("archive", error)
                return
            except errors.OrdersyncError as error:
                self._tell(what, error)
            else:
                self._over("archive")
                self._over(what)
            if not has_time():
                return

    def _tell(self, what: str, error: errors.OrdersyncError) -> None:
        if self._told.get(what) != str(error):
            log.warning("%s: %s. It is made up for later", what, error)
        self._told[what] = str(error)

    def _over(self, what: str) -> None:
        if self._told.pop(what, None) is not None:
            log.warning("%s: goes on", what)
