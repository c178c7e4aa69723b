"""Every source row with what snapshot and production know of it, and what the other tables hold beside the source."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import sql
from connectors import database
from connectors.tables import chunks, orders, row_text, state
from schemas.base import Cell

STATEMENTS = sql.load("row_states")
# Less than every identity, on every engine.
FIRST = "00000000-0000-0000-0000-000000000000"


class SourceRow(NamedTuple):
    """One source row. `name`: the raw customer name; `copies`: the rows that share the identity, None for one;
    `refused`: an ERR row says that the row cannot be read.

    `customer` to `settled_hash` are those of the snapshot row, `produced` to `production_hash` those of production;
    None without such a row. `text`: the text (row_text) of the columns that were asked for, "" for none.
    """

    record_uuid: str | None
    name: str | None
    copies: int | None
    refused: int
    customer: str | None
    sync_state: str | None
    row_hash: str | None
    version: int
    settled_version: int
    failed_version: int
    settled_hash: str | None
    produced: str | None
    production_version: Cell
    production_hash: str | None
    text: str


@dataclass(frozen=True)
class RowStatesReading:
    """The tables at one moment. `holds` are the names of the customers on hold."""

    holds: frozenset[str]
    source_rows: int
    rows: Iterator[SourceRow]


class Stray(NamedTuple):
    """What a table holds of an order. Without a snapshot row, `sync_state` is None. Other programs write NULLs too."""

    record_uuid: str | None
    version: int | None
    sync_state: str | None
    customer: str | None


class RowStates:
    """Reads states and production. `columns` are the promoted columns that staging and production share."""

    def __init__(self, db: database.Database, columns: Sequence[str]) -> None:
        self._db = db
        self._columns = sorted(set(columns) - {"Item ID"})

    @contextmanager
    def read(self, family: str, columns: Sequence[str] = ()) -> Iterator[RowStatesReading]:
        """Reads every row in one transaction, with the text of these columns (row_text). Streams.

        `family` is that of the named values of customer holds.
        """
        reading = row_text.reading(self._db)
        with self._db.read() as session:
            holds = frozenset(state.family_of(session, family))
            source_rows = orders.count_source(session)
            statement = _expanded("source_rows", reading, columns, group_text=reading.group_text)
            rows = (_row(row, reading, columns) for row in session.stream(statement))
            yield RowStatesReading(holds, source_rows, rows)

    def some(self, record_uuids: Sequence[str], columns: Sequence[str]) -> list[SourceRow]:
        """The rows of these identities, as `read` yields them."""
        rows: list[SourceRow] = []
        reading = row_text.reading(self._db)
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                statement = _expanded("source_rows_of", reading, columns, marks=len(some))
                rows += [_row(row, reading, columns) for row in session.stream(statement, tuple(some))]
        times = Counter(row.record_uuid for row in rows)
        return [row if times[row.record_uuid] == 1 else row._replace(copies=times[row.record_uuid]) for row in rows]

    def identities_after(self, record_uuid: str, count: int) -> list[str]:
        """The next detected orders of the source after this identity, in their order; fewer than `count` at the end."""
        with self._db.read() as session:
            rows = session.stream(STATEMENTS["identities_after"], (record_uuid or FIRST,), count)
            return [str(uuid) for (uuid,) in islice(rows, count)]

    def explained(self, record_uuids: Sequence[str]) -> dict[str, int]:
        """The newest version of each of these orders that has an ERR row."""
        newest: dict[str, int] = {}
        with self._db.read() as session:
            for name in ("errors_of", "size_errors_of"):
                for row in chunks.query(session, STATEMENTS[name], record_uuids):
                    uuid = str(row["record_uuid"])
                    newest[uuid] = max(newest.get(uuid, 0), row_text.number(row["version"]))
        return newest

    def alone(self) -> dict[str, list[Stray]]:
        """What no source row explains, as far as snapshot rows tell: orders and sizes of production, items."""
        with self._db.read() as session:
            return {
                name: [Stray(*row) for row in session.stream(STATEMENTS[name])]
                for name in ("production_alone", "sizes_alone", "items_alone")
            }

    def forged(self, newest: int) -> dict[str, list[Stray]]:
        """Staged versions with another hash than they were settled with; and versions above `newest`."""
        with self._db.read() as session:
            found = {"staged_otherwise": [Stray(*row) for row in session.stream(STATEMENTS["staged_otherwise"])]}
            for name in ("staged_in_future", "items_in_future"):
                found[name] = [Stray(*row) for row in session.stream(STATEMENTS[name], (newest,))]
        return found

    def production_items(self) -> dict[str, tuple[str, int]]:
        """Item id and version of each order in production, by identity; 0 where another program wrote no version."""
        with self._db.read() as session:
            rows = session.stream(STATEMENTS["production_items"])
            return {str(uuid): (str(item_id), row_text.number(version)) for uuid, item_id, version in rows}

    def production(self, record_uuids: Sequence[str]) -> tuple[list[dict[str, Cell]], list[dict[str, Cell]]]:
        """These orders in production (the promoted columns and `source_uuid`), and their sizes."""
        with self._db.read() as session:
            masters = chunks.query(session, STATEMENTS["some_orders"], record_uuids, columns=self._columns)
            return masters, chunks.query(session, STATEMENTS["some_sizes"], record_uuids)


def _expanded(name: str, reading: row_text.SourceReading, columns: Sequence[str], **more: str | int) -> str:
    # Guarded: a check must get past every cell, and what it costs is small beside the conversion of the rows.
    texts = ", ".join(reading.selected(columns, guarded=True)) if columns else "NULL AS no_text"
    return sql.expand(STATEMENTS[name], texts=texts, uuid_text=reading.uuid_text, name_text=reading.name_text, **more)


def _row(row: database.Fields, reading: row_text.SourceReading, columns: Sequence[str]) -> SourceRow:
    fixed = len(SourceRow._fields) - 1
    record_uuid, name, *others = row[:fixed]
    text = reading.joined(row[fixed:]) if columns else ""
    return SourceRow._make((record_uuid, row_text.text_of(name), *others, text))
