"""ORDERS_UNIFIED on SQL Server, where the server finds the rows that differ and only those travel.

The identity of a version stays the hash of its canonical text. The server's hash beside it is a filter, noted together
with the row_hash that it belongs to and only from the very read that gave both: without one, or after anybody changed
row_hash, a row travels and is compared as everywhere else. So the filter can cost a read, and can hide no change.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import datetime

import sql
from connectors import database, errors
from connectors.tables import chunks, orders, row_text
from schemas import detection
from sql import pushdown

STATEMENTS = sql.load("orders_pushdown", "sqlserver")

# Hashes noted in one transaction, for other writers stand in line behind it; and after one scan, so that memory does
# not grow with the table: of a large one, the rest is noted after the next.
AT_ONCE = 1_000
AFTER_SCAN = 100_000


class PushdownOrders(orders.Orders):
    """Detection's view of a database that hashes. `row_hash` makes the snapshot's hash of a canonical text.

    Raises Misconfigured for a watched column whose type the server cannot hash.
    """

    def __init__(self, db: database.Database, now: Callable[[], datetime], row_hash: Callable[[str], str]) -> None:
        super().__init__(db, now)
        self._row_hash = row_hash
        self._left_out = 0
        # Of the rows last read: their hash, and the server's.
        self._read: dict[str, tuple[str, bytes]] = {}
        # Server's hash, identity and hash of rows that travelled in vain.
        self._unchanged: list[tuple[bytes, str, str]] = []

    def scan(
        self,
        columns: Sequence[str],
        *,
        former: Sequence[str | None] | None = None,
        chosen: detection.Filters | None = None,
        raw_customers: Sequence[str] = (),
    ) -> Iterator[tuple[str, str | None, str, str | None]]:
        """Rows that differ from their snapshot, or have none; under a former column list every row, as ever."""
        self._left_out = 0
        self._unchanged = []
        if former is not None:
            yield from super().scan(columns, former=former, chosen=chosen, raw_customers=raw_customers)
            return
        suffix = "_chosen" if chosen is not None else ""
        marks = {"marks": max(1, len(raw_customers))} if chosen is not None else {}
        params = orders.filters(chosen, raw_customers) if chosen is not None else ()
        given = 0
        with self._db.read() as session:
            statement = sql.expand(STATEMENTS[f"scan{suffix}"], **self._texts(columns), **marks)
            for record_uuid, known, server_hash, *cells in session.stream(statement, params):
                text = self._text(cells)
                if known is not None and known == self._row_hash(text):
                    if len(self._unchanged) < AFTER_SCAN:
                        self._unchanged.append((server_hash, record_uuid, known))
                    continue
                given += 1
                yield record_uuid, known, text, None
        with self._db.read() as session:
            rows = session.value(sql.expand(STATEMENTS[f"rows_to_scan{suffix}"], **marks), params)
        self._left_out = max(0, int(rows) - given)

    def left_out(self) -> int:
        """How many rows the last scan did not give, because their snapshot was known to hold them."""
        return self._left_out

    def note_unchanged(self) -> None:
        """Note the server's hash of rows of the last scan that travelled in vain: the next one leaves them out."""
        self._note(self._unchanged)
        self._unchanged = []

    def rows(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> dict[str, tuple[str | None, str | None, str]]:
        """Of each identity that is still there: hash and state of its snapshot, and its text now."""
        found: dict[str, tuple[str | None, str | None, str]] = {}
        self._read = {}
        for record_uuid, known, state, text, server_hash in self.hashed(record_uuids, columns):
            found[record_uuid] = (known, state, text)
            self._read[record_uuid] = (self._row_hash(text), server_hash)
        return found

    def hashed(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> Iterator[tuple[str, str | None, str | None, str, bytes]]:
        """The same one by one, each with the server's hash of that text."""
        selected = [self._hash(columns), *row_text.selected(self._db.engine, columns)]
        for record_uuid, known, state, server_hash, *cells in self._rows(record_uuids, selected):
            yield record_uuid, known, state, self._text(cells), server_hash

    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None:
        """Follows what Kafka has confirmed; then notes the server's hashes, which a crash between may lose."""
        super().move_snapshots(snapshots)
        read = [(snapshot, self._read.get(snapshot.record_uuid)) for snapshot in snapshots]
        self._note([(pair[1], s.record_uuid, s.row_hash) for s, pair in read if pair and pair[0] == s.row_hash])

    def refused(self, columns: Sequence[str]) -> list[tuple[str, str]]:
        """Name and type of those columns whose type the server cannot hash."""
        types = dict(self.columns())
        return pushdown.refused([(name, types[name]) for name in columns])

    def hasher(self, columns: Sequence[str]) -> Callable[[Sequence[str]], int]:
        """What lets the server hash rows of some identities, of which nothing travels, and counts their hashes."""
        statement = STATEMENTS["hash_some"].replace("{hash_texts}", self._hash(columns))

        def hashes(record_uuids: Sequence[str]) -> int:
            with self._db.read() as session:
                return sum(
                    int(session.value(sql.expand(statement, marks=len(some)), tuple(some)))
                    for some in chunks.batched(record_uuids)
                )

        return hashes

    def identities(self) -> Generator[str, None, None]:
        """The identities of all rows. Streams."""
        with self._db.read() as session:
            for (record_uuid,) in session.stream(STATEMENTS["identities"]):
                yield str(record_uuid)

    def _note(self, hashes: Sequence[tuple[bytes, str, str]]) -> None:
        for some in chunks.batched(hashes, AT_ONCE):
            with self._db.write() as session:
                session.execute_many(STATEMENTS["note"], some)

    def _texts(self, columns: Sequence[str]) -> dict[str, str]:
        # By position: a column of the source may be called as one of ours.
        named = [f"{cell} AS c{at}" for at, cell in enumerate(row_text.selected(self._db.engine, columns))]
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
