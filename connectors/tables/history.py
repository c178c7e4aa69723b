"""The rows of one order in every table, for `ordersync trace`. It only reads."""

import json
from typing import Any

import sql
from connectors import database
from connectors.tables import chunks, row_text
from schemas import identity, texts

STATEMENTS = sql.load("history")

Row = dict[str, Any]
NUMBERS = ("number", "po")


class History:
    """Reads one order. `find` reads the whole source, for want of an index; only operators call it, now and then."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def find(self, text: str) -> list[Row]:
        """Orders with this record_uuid, order number or PO number, now or in a version that is still stored.

        Each has the values of the source now, else those that were staged or detected last.
        """
        wanted = texts.trimmed(text)
        uuid = identity.canonical(wanted)
        key = "by_number" if uuid is None else "by_uuid"
        params = (wanted, wanted) if uuid is None else (uuid,)
        orders: dict[str, Row] = {}
        with self._db.read() as session:
            for place in ("known", "staged", "source"):
                statement = STATEMENTS[f"{place}_{key}"]
                if place == "source":
                    statement = self._of_source(statement)
                for found in session.query(statement, params):
                    row = {name: row_text.shown(value) for name, value in found.items()}
                    # The statement finds what contains a number; spaces and invisible characters may be around it.
                    if uuid is None and wanted not in (texts.trimmed(row[name] or "") for name in NUMBERS):
                        continue
                    values = {name: value for name, value in row.items() if value}
                    orders.setdefault(str(row["record_uuid"]), dict.fromkeys(row)).update(values)
        return list(orders.values())

    def snapshot(self, record_uuid: str) -> Row | None:
        """The snapshot row; None before the order was detected."""
        return self._first("snapshot", record_uuid)

    def staged(self, record_uuid: str) -> list[Row]:
        """The staged versions, the oldest first; `sizes` is their number of sizes, `batch` the row of their batch."""
        with self._db.read() as session:
            rows = [_shown(row) for row in session.query(STATEMENTS["staged"], (record_uuid,))]
            sizes = {row["version"]: row["sizes"] for row in session.query(STATEMENTS["staged_sizes"], (record_uuid,))}
            for row in rows:
                batch = chunks.first(session, STATEMENTS["batch"], (row["batch_id"],))
                row |= {"sizes": sizes.get(row["version"], 0), "batch": None if batch is None else _shown(batch)}
        return rows

    def requests(self, record_uuid: str, version: int, since: str, until: str) -> list[Row]:
        """The journalled requests between two times that carried this version out; `mutations` are only the order's."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["requests"], (since, until, record_uuid))
        carried_out = []
        for row in rows:
            stored = json.loads(row["mutations"])
            if stored["versions"].get(record_uuid) == version:
                own = [mutation for mutation in stored["mutations"] if mutation.get("record_uuid") == record_uuid]
                carried_out.append(row | {"mutations": own})
        return carried_out

    def errors(self, record_uuid: str) -> list[Row]:
        """Every failure of the order and of its sizes, open or ended."""
        with self._db.read() as session:
            return [_shown(row) for row in session.query(STATEMENTS["errors"], (record_uuid, record_uuid))]

    def production(self, record_uuid: str) -> Row | None:
        """The order in production; None when it is not there."""
        return self._first("production", record_uuid)

    def _of_source(self, statement: str) -> str:
        reading = row_text.reading(self._db)
        texts = {
            "uuid_text": reading.uuid_text,
            "name_text": reading.name_text,
            "number_text": reading.cell_text("AAG ORDER NUMBER"),
            "po_text": reading.cell_text("PO NUMBER"),
        }
        return sql.expand(statement, **texts)

    def _first(self, name: str, record_uuid: str) -> Row | None:
        with self._db.read() as session:
            row = chunks.first(session, STATEMENTS[name], (record_uuid,))
            return None if row is None else _shown(row)


def _shown(row: Row) -> Row:
    """The row for people. A table that another program wrote may hold bytes and fractions."""
    return {name: row_text.shown(value) if isinstance(value, bytes | float) else value for name, value in row.items()}
