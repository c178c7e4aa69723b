"""Tables that one story after the other finds as they were made."""

from pathlib import Path

from connectors import database
from connectors.database.sqlite import SqliteDatabase
from sql import identifiers

TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"


class Reused(SqliteDatabase):
    """A database whose connections stay from story to story: to open one and to prepare its statements costs more
    than most of what a story asks.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._made: dict[str, list[database.Row]] = {}
        self._columns: dict[str, list[database.Column]] = {}

    def seal(self) -> None:
        """What it holds now is what every story begins with; the tables themselves do not change any more."""
        with self.read() as session:
            names = [identifiers.quote(str(row["name"])) for row in session.query(TABLES)]
            self._made = {name: session.query(f"SELECT * FROM {name}") for name in names}
        self._columns.clear()

    def restore(self) -> None:
        """Makes it what it was. Raises Transient when the story before left a transaction open."""
        with self.write() as session:
            for name, rows in self._made.items():
                session.execute(f"DELETE FROM {name}")
                for row in rows:
                    marks = ", ".join("?" * len(row))
                    session.execute(f"INSERT INTO {name} ({identifiers.listed(row)}) VALUES ({marks})", [*row.values()])

    def columns(self, table: str) -> list[database.Column]:
        if table not in self._columns:
            self._columns[table] = super().columns(table)
        return self._columns[table]
