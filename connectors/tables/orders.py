"""ORDERS_UNIFIED, read only, and its snapshot: one row an order, its newest version and where it stands."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sql
from connectors import database
from connectors.tables import chunks, row_text
from schemas import detection
from schemas.base import Cell
from schemas.batches import SyncState

SOURCE = "ORDERS_UNIFIED"
STATEMENTS = sql.load("orders")


class End(NamedTuple):
    """How one version of an order ended: IN_SYNC, EXCLUDED (it left the board, the row stays) or FAILED."""

    record_uuid: str
    version: int
    customer: str
    state: SyncState
    row_hash: str = ""


class Orders:
    """Detection's view of the database. Times are UTC; hashes are 64 hex digits; "DELETED" marks a row that is gone."""

    def __init__(self, db: database.Database, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def columns(self) -> list[tuple[str, str]]:
        """Name and type of the live table's columns, in their order."""
        return [(column.name, column.type) for column in self._db.columns(SOURCE)]

    def source_rows(self) -> int:
        """How many rows the source has."""
        return self._number("source_rows")

    def known_rows(self) -> int:
        """How many orders of the source have a snapshot."""
        return self._number("known_rows")

    def unsettled_mutations(self) -> int:
        """Planned mutations of all that is on its way."""
        return self._number("unsettled")

    def customer_names(self) -> list[str | None]:
        """The raw customer names of the source."""
        with self._db.read() as session:
            return [row["name"] for row in session.query(STATEMENTS["customers"])]

    def scan(
        self,
        columns: Sequence[str],
        *,
        former: Sequence[str | None] | None = None,
        chosen: detection.Filters | None = None,
        raw_customers: Sequence[str] = (),
    ) -> Iterator[tuple[str, str | None, str, str | None]]:
        """Every row, or the chosen ones: identity, hash of its snapshot, text of `columns`, text of `former`.

        A column of `former` that is None is read as NULL. Streams: memory does not grow with the table.
        """
        pieces = row_text.selected(self._db.engine, columns)
        former_pieces = row_text.selected(self._db.engine, former) if former is not None else []
        selected = ", ".join(pieces + former_pieces)
        params: tuple[Cell, ...] = ()
        statement = STATEMENTS["scan"].replace("{texts}", selected)
        if chosen is not None:
            statement = STATEMENTS["scan_chosen"].replace("{texts}", selected)
            statement = sql.expand(statement, marks=max(1, len(raw_customers)))
            params = filters(chosen, raw_customers)
        n = len(pieces)
        with self._db.read() as session:
            for record_uuid, known, *parts in session.stream(statement, params):
                yield record_uuid, known, self._text(parts[:n]), self._text(parts[n:]) if former_pieces else None

    def left_out(self) -> int:
        """How many rows the last scan did not give, for their snapshot was known to hold them: here it gives all."""
        return 0

    def note_unchanged(self) -> None:
        """Remember, for the next scan, which rows of the last one equal their snapshot: here nothing needs it."""

    def rows(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> dict[str, tuple[str | None, str | None, str]]:
        """Of each identity that is still there: hash and state of its snapshot, and its text now."""
        found = self._rows(record_uuids, row_text.selected(self._db.engine, columns))
        return {record_uuid: (known, state, self._text(parts)) for record_uuid, known, state, *parts in found}

    def customers_of(self, record_uuids: Sequence[str]) -> set[str]:
        """Whose these orders were, as their snapshots know."""
        found: set[str] = set()
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                rows = session.query(sql.expand(STATEMENTS["customers_of"], marks=len(some)), tuple(some))
                found.update(str(row["customer"] or "") for row in rows)
        return found

    def identities_of(self, customers: Sequence[str]) -> frozenset[str]:
        """Every order that a snapshot knows as one of these customers'."""
        with self._db.read() as session:
            statement = sql.expand(STATEMENTS["identities_of"], marks=len(customers))
            return frozenset(str(uuid) for (uuid,) in session.stream(statement, tuple(customers)))

    def without_identity(self, columns: Sequence[str]) -> list[str]:
        """The texts of rows that have no record_uuid."""
        selected = ", ".join(row_text.selected(self._db.engine, columns))
        with self._db.read() as session:
            statement = STATEMENTS["rows_without_identity"].replace("{texts}", selected)
            return [self._text(parts) for parts in session.stream(statement)]

    def duplicates(self) -> dict[str, int]:
        """Identities that more than one row claims, and how many rows do."""
        with self._db.read() as session:
            return {str(row["record_uuid"]): _int(row["copies"]) for row in session.query(STATEMENTS["duplicates"])}

    def deleted(self) -> list[tuple[str, str, SyncState, bool]]:
        """Identity, customer and state of orders that have a snapshot and are in the source no more; and whether this
        is told for the first time, not again because its event was lost.
        """
        with self._db.read() as session:
            return [
                (
                    str(row["record_uuid"]),
                    str(row["customer"] or ""),
                    SyncState(str(row["sync_state"])),
                    row["row_hash"] != "",
                )
                for row in session.query(STATEMENTS["deleted"])
            ]

    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None:
        """Follows what Kafka has confirmed, in one transaction."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            ensure(session, [(s.record_uuid, s.customer) for s in snapshots], self._now())
            session.execute_many(STATEMENTS["move_snapshot"], [_moved(s, at) for s in snapshots])

    def rebaseline(self, hashes: Iterable[tuple[str, str, str]], mark: Callable[[database.Session], None]) -> None:
        """New hash, identity, old hash of unchanged rows, and `mark` in the same transaction: all or nothing."""
        with self._db.write() as session:
            session.execute_many(STATEMENTS["rebaseline"], hashes)
            mark(session)

    def states(self) -> list[dict[str, Any]]:
        """Orders of the source by customer and state, with their planned mutations."""
        with self._db.read() as session:
            return session.query(STATEMENTS["states"])

    def waiting_deletes(self) -> int:
        """Deletions that are on their way."""
        return self._number("waiting_deletes")

    def waiting_since(self) -> datetime | None:
        """When the pass began that found the oldest change that waits, in UTC; None when nothing waits."""
        with self._db.read() as session:
            found = session.value(STATEMENTS["oldest_waiting"])
        return None if found is None else database.from_db_time(str(found))

    def _text(self, parts: Sequence[Any]) -> str:
        return row_text.joined(self._db.engine, parts)

    def _rows(self, record_uuids: Sequence[str], selected: Sequence[str]) -> Iterator[database.Fields]:
        with self._db.read() as session:
            for some in chunks.batched(record_uuids):
                statement = STATEMENTS["rows"].replace("{texts}", ", ".join(selected))
                yield from session.stream(sql.expand(statement, marks=len(some)), tuple(some))

    def _number(self, name: str) -> int:
        with self._db.read() as session:
            return _int(session.value(STATEMENTS[name]))


def settle(session: database.Session, ends: Sequence[End], now: datetime) -> None:
    """Versions that arrived, inside the transaction that promotes them."""
    ensure(session, [(end.record_uuid, end.customer) for end in ends], now)
    session.execute_many(
        STATEMENTS["settle"],
        [(e.version, e.row_hash, *[e.version] * 4, e.state.value, e.record_uuid, e.version) for e in ends],
    )


def fail(session: database.Session, ends: Sequence[End], now: datetime) -> None:
    """Versions that did not arrive, inside the transaction that records why."""
    ensure(session, [(end.record_uuid, end.customer) for end in ends], now)
    session.execute_many(
        STATEMENTS["fail"],
        [(*[e.version] * 4, e.record_uuid, e.version, e.version) for e in ends],
    )


def ensure(session: database.Session, named: Iterable[tuple[str, str]], now: datetime) -> None:
    """An empty snapshot for each identity, with its customer, that has none.

    A version may end before its poller moves the snapshot, or in place of a poller that died.
    """
    at = database.to_db_time(now)
    session.execute_many(STATEMENTS["ensure_snapshot"], [(uuid, at, customer, uuid) for uuid, customer in named])


def fail_repair(session: database.Session, record_uuid: str, version: int) -> None:
    """An order that was in sync, and whose repair at its settled version failed."""
    session.execute(STATEMENTS["repair_failed"], (record_uuid, version, version))


def detect_again(session: database.Session, record_uuid: str, version: int) -> None:
    """The next pass takes the order for changed, unless a newer version than this one is on its way."""
    session.execute(STATEMENTS["detect_again"], (record_uuid, version))


def newest(session: database.Session, record_uuid: str) -> dict[str, Any] | None:
    """The newest version of an order, its settled one and its hash; None for an order without a snapshot."""
    found = session.query(STATEMENTS["snapshot"], (record_uuid,))
    return found[0] if found else None


def count_source(session: database.Session) -> int:
    """How many rows the source has, inside a transaction that is open already."""
    return _int(session.value(STATEMENTS["source_rows"]))


def settled_versions(session: database.Session, record_uuids: Sequence[str]) -> dict[str, int]:
    """The newest version of each order that arrived."""
    found: dict[str, int] = {}
    for some in chunks.batched(record_uuids):
        rows = session.query(sql.expand(STATEMENTS["settled_versions"], marks=len(some)), tuple(some))
        found.update({str(row["record_uuid"]): _int(row["settled_version"]) for row in rows})
    return found


def filters(chosen: detection.Filters, raw_customers: Sequence[str]) -> tuple[Cell, ...]:
    """The parameters of a statement on chosen rows. No NULL: pyodbc would ask the server what type it has."""
    names = tuple(raw_customers) or ("",)
    wanted = [chosen.po_number, chosen.aag_season, chosen.customer_season]
    pairs = [cell for value in wanted for cell in (int(value is not None), value or "")]
    return (int(chosen.customer is not None), *names, *pairs)


def _moved(snapshot: detection.Snapshot, at: str) -> tuple[Cell, ...]:
    row = snapshot.row

    def shown(column: str, width: int = 255) -> str | None:
        value = row.get(column)
        return None if value is None else str(value)[: width // 2]

    return (
        snapshot.row_hash, snapshot.version, snapshot.customer, snapshot.batch_id, at, snapshot.planned_mutations,
        shown("AAG ORDER NUMBER") or "", shown("CUSTOMER NAME"), shown("CUSTOMER STYLE"),
        shown("CUSTOMER COLOUR DESCRIPTION"), shown("PO NUMBER"), shown("CUSTOMER ALT PO"), shown("ACTIVE", 10),
        row.get("TOTAL QTY"), snapshot.version, snapshot.version, snapshot.state.value, snapshot.record_uuid,
        snapshot.version,
    )  # fmt: skip


def _int(value: Any) -> int:
    return int(value or 0)
