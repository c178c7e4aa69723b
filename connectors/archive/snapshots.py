"""snapshot_archive: one Parquet file a customer and pass, in PostgreSQL or in the embedded database.

Both run the same statements. What is read is checked first: form, size and checksum.
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
# What compression_ratio holds at most: DECIMAL(5,2).
MOST_RATIO = 999.99


@dataclass(frozen=True)
class Entry:
    """One snapshot: the rows that `customer` had in the source at `taken_at`, after pass `version`."""

    id: int
    customer: str
    version: int
    taken_at: datetime
    rows: int
    size: int
    form: str
    checksum: str


class Archive:
    """Writes and reads snapshots. `days` is how long they are promised to be kept."""

    def __init__(self, db: database.Database, *, days: int, now: Callable[[], datetime]) -> None:
        self._db = db
        self._days = days
        self._now = now

    def prepare(self) -> list[str]:
        """Makes the tables that are missing. Returns what it made, in words."""
        return self._db.apply_schema(self._now(), with_source=False)

    def has(self, customer: str, version: int) -> bool:
        """Is the snapshot of this pass there?"""
        with self._db.read() as session:
            return bool(session.value(STATEMENTS["stored"], (customer, version)))

    def store(self, customer: str, version: int, taken_at: datetime, file: parquet.File) -> None:
        """Adds a snapshot; one of the same customer and pass that is there already stays as it is."""
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
        """What is archived, of one customer or of all, the oldest first."""
        with self._db.read() as session:
            if customer is None:
                rows = session.query(STATEMENTS["entries"])
            else:
                rows = session.query(STATEMENTS["entries_of"], (customer,))
        return [_entry(row) for row in rows]

    def entry(self, entry_id: int) -> Entry | None:
        """One of them, by its number."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["entry"], (entry_id,))
        return _entry(rows[0]) if rows else None

    def payload(self, entry: Entry) -> bytes:
        """The Parquet file of a snapshot. Raises Misconfigured when it is not what was stored, or of another form."""
        if entry.form != parquet.FORM:
            raise errors.Misconfigured(
                f"snapshot {entry.id} has form {entry.form}, this version of ordersync reads form {parquet.FORM}: "
                "use the version that wrote it",
                code="ARCHIVE",
            )
        with self._db.read() as session:
            found = session.value(STATEMENTS["payload"], (entry.id,))
        if found is None:
            raise errors.Misconfigured(f"snapshot {entry.id} is in the archive no more", code="ARCHIVE")
        payload = bytes(found)
        if len(payload) != entry.size or parquet.checksum(payload) != entry.checksum:
            raise errors.Misconfigured(
                f"snapshot {entry.id} of {entry.customer} is damaged: its checksum is not the one it was stored with. "
                "Choose another: `ordersync archive list`",
                code="ARCHIVE",
            )
        return payload

    def remove(self, ids: Iterable[int]) -> None:
        """Takes snapshots out, in one transaction."""
        with self._db.write() as session:
            session.execute_many(STATEMENTS["remove"], [(one,) for one in ids])


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
