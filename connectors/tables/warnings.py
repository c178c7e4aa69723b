"""The warnings of the orders in production, for users: status, errors, metrics. It only reads."""

from collections import Counter

import sql
from connectors import database
from connectors.tables import row_text
from schemas.orders import OrderWarning, read_problems

STATEMENTS = sql.load("warnings")


class Warnings:
    """The warnings of the settled version of each order, as stage found them."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def listed(self) -> list[OrderWarning]:
        """Every warning, by customer and order number."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["listed"])
        return [
            OrderWarning(
                record_uuid=str(row["source_uuid"]),
                version=row_text.number(row["version"]),
                customer=row_text.shown(row["customer"]) or "",
                order_number=row_text.shown(row["order_number"]) or "",
                problem=problem,
            )
            for row in rows
            for problem in read_problems(row["warnings"])
        ]

    def counts(self) -> dict[str, int]:
        """The number of warnings by source column."""
        with self._db.read() as session:
            stored = [row["warnings"] for row in session.query(STATEMENTS["stored"])]
        return dict(Counter(problem.column for one in stored for problem in read_problems(one)))
