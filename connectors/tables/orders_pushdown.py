"""ORDERS_UNIFIED on SQL Server: the server hashes the rows and sends only those that differ from their snapshot rows.

A version is still known by the hash of its canonical text. The server's hash is only a filter. It is stored together
with the row_hash that it belongs to, and only out of the read that gave both. Without a stored hash, or after a change
of row_hash, the server sends the row and Python compares it. So the filter may cost a read and never hides a change.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import datetime

import sql
from connectors import database, errors
from connectors.tables import chunks, orders
from schemas import detection
from schemas.base import Cell
from sql import pushdown

STATEMENTS = sql.load("orders_pushdown", "sqlserver")

# The hashes that one transaction stores, because other writers wait for its end.
AT_ONCE = 1_000
# The hashes that one scan keeps, so that memory does not grow with the table; the next scan keeps the next ones.
AFTER_SCAN = 100_000


class PushdownOrders(orders.Orders):
    """Orders of a database that hashes. `hasher` gives, for a list of columns, the hash of a canonical text.

    Reads raise Misconfigured for a watched column whose type the server cannot hash.
    """

    def __init__(
        self,
        db: database.Database,
        now: Callable[[], datetime],
        hasher: Callable[[Sequence[str]], Callable[[str], str]],
    ) -> None:
        super().__init__(db, now)
        self._hasher = hasher
        self._left_out = 0
        # Our hash and the server's hash of each row that was read last, by identity.
        self._read: dict[str, tuple[str, bytes]] = {}
        # The server's hash, identity and our hash of rows that the server sent although they are unchanged.
        self._unchanged: list[tuple[bytes, str, str]] = []

    def scan(
        self,
        columns: Sequence[str],
        *,
        former: Sequence[str | None] | None = None,
        chosen: detection.Filters | None = None,
        raw_customers: Sequence[str] = (),
    ) -> Iterator[tuple[str, str | None, str, str | None]]:
        """As `Orders.scan`, without rows that equal their snapshot rows; with `former` columns it yields every row."""
        self._left_out = 0
        self._nameless = 0
        self._unchanged = []
        if former is not None:
            yield from super().scan(columns, former=former, chosen=chosen, raw_customers=raw_customers)
            return
        suffix = "_chosen" if chosen is not None else ""
        marks: dict[str, int] = {}
        params: tuple[Cell, ...] = ()
        yielded, row_hash = 0, self._hasher(columns)
        with self._db.read() as session:
            if chosen is not None:
                marks, params = orders.choice(session, self._reading, chosen, raw_customers)
            statement = sql.expand(STATEMENTS[f"scan{suffix}"], **self._texts(columns), **self._uuid, **marks)
            for record_uuid, known, server_hash, *cells in session.stream(statement, params):
                text = self._reading.joined(cells)
                if known is not None and known == row_hash(text):
                    if len(self._unchanged) < AFTER_SCAN:
                        self._unchanged.append((server_hash, record_uuid, known))
                    continue
                yielded += 1
                yield record_uuid, known, text, None
        with self._db.read() as session:
            rows = session.value(sql.expand(STATEMENTS[f"rows_to_scan{suffix}"], **self._uuid, **marks), params)
            self._nameless = int(session.value(sql.expand(STATEMENTS["nameless"], **self._uuid)))
        self._left_out = max(0, int(rows) - yielded)

    def left_out(self) -> int:
        """The number of unchanged rows that the last scan left out."""
        return self._left_out

    def note_unchanged(self) -> None:
        """Stores the server's hash of unchanged rows that the last scan received: the next scan leaves them out."""
        self._note(self._unchanged)
        self._unchanged = []

    def rows(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> dict[str, tuple[str | None, str | None, str]]:
        """As `Orders.rows`; it also keeps the server's hashes for `move_snapshots`."""
        rows: dict[str, tuple[str | None, str | None, str]] = {}
        self._read, row_hash = {}, self._hasher(columns)
        for record_uuid, known, state, text, server_hash in self.hashed(record_uuids, columns):
            rows[record_uuid] = (known, state, text)
            self._read[record_uuid] = (row_hash(text), server_hash)
        return rows

    def hashed(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> Iterator[tuple[str, str | None, str | None, str, bytes]]:
        """Identity, hash and state of the snapshot row, canonical text and the server's hash of each existing row."""
        reading = self._reading
        selected = [self._hash(columns), *reading.selected(columns)]
        for record_uuid, known, state, server_hash, *cells in self._rows(record_uuids, reading, lambda _: selected):
            yield record_uuid, known, state, reading.joined(cells), server_hash

    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None:
        """As `Orders.move_snapshots`; then stores the server's hashes, which a crash in between may lose."""
        super().move_snapshots(snapshots)
        read = [(snapshot, self._read.get(snapshot.record_uuid)) for snapshot in snapshots]
        self._note(
            [
                (hashes[1], moved.record_uuid, moved.row_hash)
                for moved, hashes in read
                if hashes and hashes[0] == moved.row_hash
            ]
        )

    def refused(self, columns: Sequence[str]) -> list[tuple[str, str]]:
        """Name and type of the columns whose type the server cannot hash."""
        types = dict(self.columns())
        return pushdown.refused([(name, types[name]) for name in columns])

    def hasher(self, columns: Sequence[str]) -> Callable[[Sequence[str]], int]:
        """A function that has the server hash the rows of some identities, and returns the number of their hashes.

        The server sends no row.
        """
        hashed = {"hash_texts": self._hash(columns), **self._uuid}

        def hashes(record_uuids: Sequence[str]) -> int:
            with self._db.read() as session:
                return sum(
                    int(session.value(sql.expand(STATEMENTS["hash_some"], **hashed, marks=len(some)), tuple(some)))
                    for some in chunks.batched(record_uuids)
                )

        return hashes

    def identities(self) -> Generator[str, None, None]:
        """The identities of all source rows that have one. Streams."""
        with self._db.read() as session:
            for (record_uuid,) in session.stream(sql.expand(STATEMENTS["identities"], **self._uuid)):
                yield str(record_uuid)

    def _note(self, hashes: Sequence[tuple[bytes, str, str]]) -> None:
        for some in chunks.batched(hashes, AT_ONCE):
            with self._db.write() as session:
                session.execute_many(STATEMENTS["note"], some)

    @property
    def _uuid(self) -> dict[str, str]:
        return {"uuid_text": self._reading.uuid_text}

    def _texts(self, columns: Sequence[str]) -> dict[str, str]:
        # The names are numbers, because a column of the source may have the name of one of ours.
        named = [f"{cell} AS c{at}" for at, cell in enumerate(self._reading.selected(columns))]
        return {
            "hash_texts": self._hash(columns),
            "named_texts": ", ".join(named),
            "cell_texts": ", ".join(f"d.c{at}" for at in range(len(named))),
        }

    def _hash(self, columns: Sequence[str]) -> str:
        types = dict(self.columns())
        try:
            return pushdown.expression([(name, types[name]) for name in columns])
        except pushdown.Unhashable as error:
            raise errors.Misconfigured(
                f"ORDERS_UNIFIED: {error}: change the type, or set detect_hash to client", code="SCHEMA"
            ) from error
