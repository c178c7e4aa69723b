"""ORDERS_UNIFIED, which is only read, and ORDERS_UNIFIED_SNAPSHOT: the newest version and the state of each order."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import sql
from connectors import database, errors
from connectors.tables import chunks, row_text
from schemas import detection, texts
from schemas.base import Cell
from schemas.batches import SyncState
from sql import identifiers

SOURCE = row_text.SOURCE
STATEMENTS = sql.load("orders")
# Hashes that one transaction replaces, because other writers wait for its end.
AT_ONCE = 1_000
# The column of the source that each filter is about; that of the customer depends on the mapping.
FILTERS = {"po_number": "PO NUMBER", "aag_season": "AAG SEASON", "customer_season": "CUSTOMER SEASON"}


class End(NamedTuple):
    """The end of one version of an order: IN_SYNC, EXCLUDED (it left the board, its row stays) or FAILED."""

    record_uuid: str
    version: int
    customer: str
    state: SyncState
    row_hash: str = ""


class Orders:
    """Source and snapshot rows, for detection. Times are UTC; a hash is 64 hex digits, "DELETED" once a row left."""

    def __init__(self, db: database.Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now
        self._nameless = 0

    def columns(self) -> list[tuple[str, str]]:
        """Name and type of the source's live columns, in their order. Raises Misconfigured when there is no source."""
        return [(column.name, column.type) for column in self._db.columns(SOURCE)]

    def with_numbers(self, columns: Sequence[str]) -> list[str]:
        """Those of these integer columns in which any row has a number other than 0."""
        marks = ", ".join(f"MAX(CASE WHEN s.{identifiers.quote(name)} <> 0 THEN 1 ELSE 0 END)" for name in columns)
        with self._db.read() as session:
            (found,) = session.stream(STATEMENTS["with_numbers"].replace("{marks}", marks))
        return [name for name, has in zip(columns, found, strict=True) if has]

    def source_rows(self) -> int:
        """The number of rows of the source."""
        return self._number("source_rows")

    def known_rows(self) -> int:
        """The number of orders that have a snapshot row and are in the source."""
        return self._number("known_rows")

    def unsettled_mutations(self) -> int:
        """The planned mutations of all orders that are on their way."""
        return self._number("unsettled")

    def customer_names(self) -> list[str | None]:
        """The customer names of the source, as it writes them; None for rows without one."""
        with self._db.read() as session:
            rows = session.query(sql.expand(STATEMENTS["customers"], name_text=self._reading.name_text))
        return [row_text.text_of(row["name"]) for row in rows]

    def scan(
        self,
        columns: Sequence[str],
        *,
        former: Sequence[str | None] | None = None,
        chosen: detection.Filters | None = None,
        raw_customers: Sequence[str] = (),
    ) -> Iterator[tuple[str, str | None, str, str | None]]:
        """Identity, hash of the snapshot row, canonical text of `columns` and of `former`, for all or the chosen rows.

        A column of `former` that is None is read as NULL. Rows without identity are left out and counted (`nameless`).
        A text with an unreadable cell is no canonical one (connectors.tables.row_text). Streams: memory does not grow
        with the table.
        """
        reading = row_text.reading(self._db)
        cut = len(reading.selected(columns))
        self._nameless = 0
        for record_uuid, known, *parts in self._scanned(reading, columns, former, chosen, raw_customers):
            if row_text.is_identity(record_uuid):
                former_text = None if former is None else reading.joined(parts[cut:])
                yield record_uuid, known, reading.joined(parts[:cut]), former_text
            else:
                self._nameless += 1

    def nameless(self) -> int:
        """The number of rows of the last scan that have no identity."""
        return self._nameless

    def left_out(self) -> int:
        """The number of unchanged rows that the last scan left out: none here, because this scan yields every row."""
        return 0

    def note_unchanged(self) -> None:
        """Stores which rows of the last scan were unchanged, for the next scan: nothing here, no scan needs it."""

    def rows(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> dict[str, tuple[str | None, str | None, str]]:
        """Hash and state of the snapshot row, and canonical text now, of each identity that the source still has."""
        reading = row_text.reading(self._db)
        rows = self._rows(record_uuids, reading, lambda guarded: reading.selected(columns, guarded=guarded))
        return {record_uuid: (known, state, reading.joined(parts)) for record_uuid, known, state, *parts in rows}

    def customers_of(self, record_uuids: Sequence[str]) -> set[str]:
        """The customers of these orders in their snapshot rows; "" for a row without one."""
        with self._db.read() as session:
            rows = chunks.query(session, STATEMENTS["customers_of"], record_uuids)
        return {str(row["customer"] or "") for row in rows}

    def identities_of(self, customers: Sequence[str]) -> frozenset[str]:
        """The identities of all snapshot rows of these customers."""
        with self._db.read() as session:
            statement = sql.expand(STATEMENTS["identities_of"], marks=len(customers))
            return frozenset(str(uuid) for (uuid,) in session.stream(statement, tuple(customers)))

    def without_identity(self, columns: Sequence[str]) -> list[tuple[str | None, str]]:
        """The record_uuid, as far as it can be shown, and the text of rows that have none or one that is no UUID."""
        reading = row_text.reading(self._db)
        with self._db.read() as session:
            statement = sql.expand(
                STATEMENTS["rows_without_identity"],
                uuid_text=reading.uuid_text,
                shown_text=reading.shown_text(),
                texts=", ".join(reading.selected(columns, guarded=True)),
            )
            rows = session.stream(statement)
            return [(row_text.shown(spelling), reading.joined(parts)) for spelling, *parts in rows]

    def duplicates(self) -> dict[str, int]:
        """The identities that more than one source row has, in whatever spelling, with the number of those rows."""
        statement = sql.expand(STATEMENTS["duplicates"], group_text=self._reading.group_text)
        with self._db.read() as session:
            found = [(row_text.canonical(row["record_uuid"]), _int(row["copies"])) for row in session.query(statement)]
        return {uuid: copies for uuid, copies in found if uuid is not None}

    def spellings(self, record_uuids: Sequence[str]) -> dict[str, list[str]]:
        """The spellings of these identities in the source, each once, sorted."""
        found: dict[str, set[str]] = {}
        expressions = {"uuid_text": self._reading.uuid_text, "shown_text": self._reading.shown_text()}
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                statement = sql.expand(STATEMENTS["identity_spellings"], marks=len(some), **expressions)
                for uuid, spelling in session.stream(statement, tuple(some)):
                    found.setdefault(str(uuid), set()).add(row_text.shown(spelling) or "")
        return {uuid: sorted(spelled) for uuid, spelled in found.items()}

    def deleted(self) -> list[tuple[str, str, SyncState, str]]:
        """Identity, customer, state and row hash of orders that have a snapshot row and have left the source.

        The hash is "" when the order is detected once more because its event was lost.
        """
        statement = sql.expand(STATEMENTS["deleted"], key_text=self._reading.key_text)
        with self._db.read() as session:
            return [
                (
                    str(row["record_uuid"]),
                    str(row["customer"] or ""),
                    SyncState(str(row["sync_state"])),
                    str(row["row_hash"]),
                )
                for row in session.query(statement)
            ]

    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None:
        """Moves snapshot rows to the versions that Kafka has confirmed, in one transaction."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            ensure(session, [(s.record_uuid, s.customer) for s in snapshots], self._now())
            session.execute_many(STATEMENTS["move_snapshot"], [_moved(s, at) for s in snapshots])

    def rebaseline(self, hashes: Iterable[tuple[str, str, str]], mark: Callable[[database.Session], None]) -> None:
        """Replaces hashes of unchanged rows (new hash, identity, old hash) in pieces; calls `mark` with the last one.

        The settled version of a row keeps its hash, so the same hash is replaced wherever that version has it.
        """
        rest = iter(hashes)
        while piece := list(itertools.islice(rest, AT_ONCE)):
            with self._db.write() as session:
                for name in ("rebaseline", "rebaseline_settled", "rebaseline_production", "rebaseline_staged"):
                    session.execute_many(STATEMENTS[name], piece)
        with self._db.write() as session:
            mark(session)

    def states(self) -> list[dict[str, Any]]:
        """The number of orders of the source by customer and state, with their planned mutations."""
        with self._db.read() as session:
            return session.query(STATEMENTS["states"])

    def waiting_deletes(self) -> int:
        """The number of deletions that are on their way."""
        return self._number("waiting_deletes")

    def waiting_since(self) -> datetime | None:
        """The start (UTC) of the pass that found the oldest change on its way; None when no change is."""
        with self._db.read() as session:
            began = session.value(STATEMENTS["oldest_waiting"])
        return None if began is None else database.from_db_time(str(began))

    @cached_property
    def _reading(self) -> row_text.SourceReading:
        """For the identity and the customer name: their types stay what they are while a process runs."""
        return row_text.reading(self._db)

    def _scanned(
        self,
        reading: row_text.SourceReading,
        columns: Sequence[str],
        former: Sequence[str | None] | None,
        chosen: detection.Filters | None,
        raw_customers: Sequence[str],
    ) -> Iterator[database.Fields]:
        """The rows of a scan. At the first BLOB it begins again, guarded, behind the rows that it has yielded.

        Both statements read the source in the same order, because they read one state of it by the same plan.
        """
        statement, params = STATEMENTS["scan"], tuple[Cell, ...]()
        marks: dict[str, int] = {}

        def expanded(*, guarded: bool) -> str:
            pieces = reading.selected(columns, guarded=guarded)
            pieces += reading.selected(former, guarded=guarded) if former is not None else []
            return reading.expanded(statement, pieces, **marks)

        yielded = 0
        with self._db.read() as session:
            if chosen is not None:
                statement = STATEMENTS["scan_chosen"]
                marks, params = choice(session, reading, chosen, raw_customers)
            try:
                for row in session.stream(expanded(guarded=False), params):
                    yield row
                    yielded += 1
            except errors.Unreadable:
                rows = session.stream(expanded(guarded=True), params)
                yield from itertools.islice(rows, yielded, None)

    def _rows(
        self,
        record_uuids: Sequence[str],
        reading: row_text.SourceReading,
        selected: Callable[[bool], Sequence[str]],
    ) -> Iterator[database.Fields]:
        """The rows of these identities. `selected(guarded)` is the rest of the select list.

        It searches the usual spellings first, for an index of the source's owner; a row that another process corrects
        meanwhile may be missing, and the next pass finds it.
        """
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                spelled = (*some, *(uuid.lower() for uuid in some))
                found = set()
                for row in _guarded(session, STATEMENTS["rows"], reading, selected, spelled):
                    found.add(row[0])
                    yield row
                if missing := [uuid for uuid in some if uuid not in found]:
                    yield from _guarded(session, STATEMENTS["rows_spelled"], reading, selected, missing)

    def _number(self, name: str) -> int:
        with self._db.read() as session:
            return _int(session.value(STATEMENTS[name]))


def _guarded(
    session: database.Session,
    statement: str,
    reading: row_text.SourceReading,
    selected: Callable[[bool], Sequence[str]],
    marks: Sequence[str],
) -> list[database.Fields]:
    """The rows of one chunk; with guarded cells if one of them is a BLOB."""
    try:
        expanded = reading.expanded(statement, selected(False), marks=len(marks))
        return list(session.stream(expanded, tuple(marks)))
    except errors.Unreadable:
        expanded = reading.expanded(statement, selected(True), marks=len(marks))
        return list(session.stream(expanded, tuple(marks)))


def settle(session: database.Session, ends: Sequence[End], now: datetime) -> None:
    """Notes on snapshot rows the versions that arrived, inside the transaction that promotes them."""
    ensure(session, [(end.record_uuid, end.customer) for end in ends], now)
    session.execute_many(
        STATEMENTS["settle"],
        [
            (end.version, end.row_hash, *[end.version] * 4, end.state.value, end.record_uuid, end.version)
            for end in ends
        ],
    )


def fail(session: database.Session, ends: Sequence[End], now: datetime) -> None:
    """Notes on snapshot rows the versions that failed, inside the transaction that records the failures."""
    ensure(session, [(end.record_uuid, end.customer) for end in ends], now)
    session.execute_many(
        STATEMENTS["fail"],
        [(*[end.version] * 4, end.record_uuid, end.version, end.version) for end in ends],
    )


def ensure(session: database.Session, named: Iterable[tuple[str, str]], now: datetime) -> None:
    """Inserts an empty snapshot row for each identity (with its customer) that has none.

    A version may end before the poller moves the snapshot row, or after the poller ended without moving it.
    """
    at = database.to_db_time(now)
    session.execute_many(STATEMENTS["ensure_snapshot"], [(uuid, at, customer, uuid) for uuid, customer in named])


def fail_repair(session: database.Session, record_uuid: str, version: int) -> None:
    """Notes that the repair of an order at its settled version failed."""
    session.execute(STATEMENTS["repair_failed"], (record_uuid, version, version))


def detect_again(session: database.Session, record_uuid: str, version: int) -> None:
    """Has the next pass detect the order once more, unless a newer version than this one is on its way."""
    session.execute(STATEMENTS["detect_again"], (record_uuid, version))


def newest(session: database.Session, record_uuid: str) -> dict[str, Any] | None:
    """The newest version, settled version and hash of an order; None for an order without a snapshot row."""
    return chunks.first(session, STATEMENTS["snapshot"], (record_uuid,))


def count_source(session: database.Session) -> int:
    """The number of rows of the source, inside a transaction that is open already."""
    return _int(session.value(STATEMENTS["source_rows"]))


def settled_versions(session: database.Session, record_uuids: Sequence[str]) -> dict[str, int]:
    """The settled version of each order that has a snapshot row, by identity; 0 for none."""
    rows = chunks.query(session, STATEMENTS["settled_versions"], record_uuids)
    return {str(row["record_uuid"]): _int(row["settled_version"]) for row in rows}


def choice(
    session: database.Session,
    reading: row_text.SourceReading,
    chosen: detection.Filters,
    raw_customers: Sequence[str],
) -> tuple[dict[str, int], tuple[Cell, ...]]:
    """The numbers of marks in a statement on chosen rows, and its parameters.

    A filter chooses every spelling of its value in the source: with white space and invisible characters at the ends,
    in upper or lower case. No parameter is NULL: pyodbc would ask the server for its type.
    """
    marks = {"marks": max(1, len(raw_customers))}
    params: list[Cell] = [int(chosen.customer is not None), *(raw_customers or ("",))]
    for name, column in FILTERS.items():
        wanted: str | None = getattr(chosen, name)
        spellings = ["" if wanted is None else wanted]
        if wanted is not None:
            statement = sql.expand(STATEMENTS["spellings"], column=column, value_text=reading.cell_text(column))
            written = (row_text.text_of(cell) for (cell,) in session.stream(statement))
            found = [cell for cell in written if cell is not None and _folded(cell) == _folded(wanted)]
            spellings = found or spellings
        marks[f"{name}_marks"] = len(spellings)
        params += [int(wanted is not None), *spellings]
    return marks, tuple(params)


def _folded(value: Any) -> str:
    return texts.trimmed(str(value)).casefold()


def _moved(snapshot: detection.Snapshot, at: str) -> tuple[Cell, ...]:
    row = snapshot.row

    def text(column: str, width: int = 255) -> str | None:
        value = row.get(column)
        return None if value is None else texts.cut(str(value), width)

    return (
        snapshot.row_hash, snapshot.version, snapshot.customer, snapshot.batch_id, at, snapshot.planned_mutations,
        text("AAG ORDER NUMBER") or "", text("CUSTOMER NAME"), text("CUSTOMER STYLE"),
        text("CUSTOMER COLOUR DESCRIPTION"), text("PO NUMBER"), text("CUSTOMER ALT PO"), text("ACTIVE", 10),
        _total(row.get("TOTAL QTY")), snapshot.version, snapshot.version, snapshot.state.value, snapshot.record_uuid,
        snapshot.version,
    )  # fmt: skip


def _total(cell: Cell) -> int | None:
    """The total as the column takes it; stage refuses any other one."""
    return cell if isinstance(cell, int) and abs(cell) < 1 << 31 else None


def _int(value: Any) -> int:
    return int(value or 0)
