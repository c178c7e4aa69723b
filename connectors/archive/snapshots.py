"""snapshot_archive: one Parquet file for each customer and pass, in PostgreSQL or in the embedded database.

Both databases run the same statements. A read checks form, size and checksum of the file before it returns it.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sql
from connectors import database, errors
from connectors.archive import parquet

STATEMENTS = sql.load("archive")
# The largest value of the column compression_ratio, a DECIMAL(5,2).
MOST_RATIO = 999.99


@dataclass(frozen=True)
class Entry:
    """One archived snapshot: the rows that `customer` had in the source at `taken_at` (UTC), after pass `version`.

    `size` is the size of its file in bytes.
    """

    id: int
    customer: str
    version: int
    taken_at: datetime
    rows: int
    size: int
    form: str
    checksum: str


class Archive:
    """Writes, lists, reads and removes archived snapshots. `days` is the promised retention. Times are UTC."""

    def __init__(self, db: database.Database, *, days: int, now: Callable[[], datetime]) -> None:
        self._db = db
        self._days = days
        self._now = now

    def prepare(self) -> list[str]:
        """Creates the missing tables. Returns the names of what it created, in words."""
        return self._db.apply_schema(self._now(), with_source=False)

    def has(self, customer: str, version: int) -> bool:
        """Whether the archive has the customer's snapshot of this pass."""
        with self._db.read() as session:
            return bool(session.value(STATEMENTS["stored"], (customer, version)))

    def store(self, customer: str, version: int, taken_at: datetime, file: parquet.File) -> None:
        """Adds a snapshot; an existing one of the same customer and pass stays as it is."""
        columns = hashlib.sha256("\n".join(file.columns).encode()).hexdigest()
        ratio = min(file.plain_bytes / max(1, len(file.payload)), MOST_RATIO)
        until = (taken_at + timedelta(days=self._days)).date()
        with self._db.write() as session:
            if session.value(STATEMENTS["stored"], (customer, version)):
                return
            session.execute(
                STATEMENTS["store"],
                (
                    customer, version, database.to_db_time(taken_at), file.rows, file.payload, len(file.payload),
                    f"{ratio:.2f}", len(file.columns), parquet.FORM, columns, file.checksum,
                    database.to_db_time(self._now()), until.isoformat(),
                ),
            )  # fmt: skip

    def entries(self, customer: str | None = None) -> list[Entry]:
        """The archived snapshots of one customer or of all, the oldest first."""
        with self._db.read() as session:
            if customer is None:
                rows = session.query(STATEMENTS["entries"])
            else:
                rows = session.query(STATEMENTS["entries_of"], (customer,))
        return [_entry(row) for row in rows]

    def entry(self, entry_id: int) -> Entry | None:
        """The archived snapshot of this number; None when there is none."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["entry"], (entry_id,))
        return _entry(rows[0]) if rows else None

    def payload(self, entry: Entry) -> bytes:
        """The Parquet file of a snapshot. Raises Misconfigured (ARCHIVE) for a damaged, removed or unreadable one."""
        if entry.form != parquet.FORM:
            raise errors.Misconfigured(
                f"snapshot {entry.id} has form {entry.form}, this version of ordersync reads form {parquet.FORM}: "
                "use the version that wrote it",
                code="ARCHIVE",
            )
        with self._db.read() as session:
            stored = session.value(STATEMENTS["payload"], (entry.id,))
        if stored is None:
            raise errors.Misconfigured(f"snapshot {entry.id} is no longer in the archive", code="ARCHIVE")
        payload = bytes(stored)
        if len(payload) != entry.size or parquet.checksum(payload) != entry.checksum:
            raise errors.Misconfigured(
                f"snapshot {entry.id} of {entry.customer} is damaged: its checksum has changed since it was stored. "
                "Choose another: `ordersync archive list`",
                code="ARCHIVE",
            )
        return payload

    def remove(self, ids: Iterable[int]) -> None:
        """Removes snapshots in one transaction."""
        with self._db.write() as session:
            session.execute_many(STATEMENTS["remove"], [(entry_id,) for entry_id in ids])


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        id=int(row["id"]),
        customer=row["customer_filter"],
        version=int(row["version"] or 0),
        taken_at=database.from_db_time(str(row["snapshot_date"])),
        rows=int(row["record_count"]),
        size=int(row["file_size_bytes"]),
        form=str(row["schema_version"]),
        checksum=str(row["file_checksum"]),
    )
