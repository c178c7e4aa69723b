"""Builds archive and roll back from Resources, and runs them between passes. The worker does not load this module."""

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
    """The archive: in PostgreSQL when the settings name one, else beside the tables."""
    url = parts.settings.archive.get_secret_value()
    db: database.Database = parts.db
    if url:
        db = postgres.PostgresDatabase(url, parts.settings.archive_password().get_secret_value())
    elif parts.settings.server is not None:
        # SQL Server has no table for the archive, so the archive is a SQLite file in the home folder.
        db = sqlite.SqliteDatabase(parts.settings.home / "archive.db")
    return archived_snapshots.Archive(db, days=parts.settings.archive_days, now=utcnow)


def archiver(parts: Resources) -> archive_snapshots.Archiver:
    """The archiver of the queued customers."""
    retention = archive_snapshots.Retention(days=parts.settings.archive_days, most=parts.settings.archive_snapshots)
    return archive_snapshots.Archiver(
        source=parts.orders,
        customers=parts.customers,
        snapshots=snapshot_archive(parts),
        store=parts.state,
        mappings=parts.mappings,
        retention=retention,
        now=utcnow,
    )


def roll_back(parts: Resources, publish: emit.Publish) -> rollback.Rollback:
    """The roll back, with `publish` as the way to Kafka."""
    emitter = emit.Emitter(parts.batches, publish, parts.orders, parts.mappings, utcnow, new_id)
    return rollback.Rollback(
        source=parts.orders,
        customers=parts.customers,
        snapshots=snapshot_archive(parts),
        store=parts.state,
        emitter=emitter,
        mappings=parts.mappings,
        window=parts.window,
        now=utcnow,
    )


class BetweenPasses:
    """The poller's work between its passes: it continues roll backs and archives queued customers.

    An error in one of them stops nothing: the poller logs it once and retries. `alone` keeps other processes from
    running a pass meanwhile.
    """

    def __init__(
        self, parts: Resources, publish: emit.Publish, alone: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._rollback = roll_back(parts, publish)
        self._archiver = archiver(parts)
        self._parts = parts
        self._alone = alone
        # In the embedded database, `ordersync setup` has created the tables of the archive.
        self._prepared = not parts.settings.archive.get_secret_value() and parts.settings.server is None
        self._reported: dict[str, str] = {}

    def go_on(self) -> None:
        """Runs one step of every unfinished roll back, while the admission window is not full."""
        for held in self._rollback.unfinished():
            subject = f"roll back of {held.customer}"
            try:
                if self._parts.orders.unsettled_mutations() < self._parts.window:
                    with self._alone():
                        self._rollback.step(held)
            except errors.OrdersyncError as error:
                self._report(subject, error)
            else:
                self._report_recovery(subject)

    def archive(self, has_time: Callable[[], bool]) -> None:
        """Archives the queued customers, at least one, while `has_time` says so."""
        for customer in self._archiver.ready():
            subject = f"archive of {customer}"
            try:
                if not self._prepared:
                    self._archiver.snapshots.prepare()
                    self._prepared = True
                with self._alone():
                    self._archiver.archive(customer)
            except errors.Transient as error:
                self._report("archive", error)
                return
            except errors.OrdersyncError as error:
                self._report(subject, error)
            else:
                self._report_recovery("archive")
                self._report_recovery(subject)
            if not has_time():
                return

    def _report(self, subject: str, error: errors.OrdersyncError) -> None:
        if self._reported.get(subject) != str(error):
            log.warning("%s: %s. The poller retries it later", subject, error)
        self._reported[subject] = str(error)

    def _report_recovery(self, subject: str) -> None:
        if self._reported.pop(subject, None) is not None:
            log.warning("%s: works now", subject)
