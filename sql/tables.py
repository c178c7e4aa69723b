"""Every table as data: the columns of the contract, and those that ordersync adds.

`tables.csv` lists the tables, `indexes.csv` their indexes and `tables/<name>.csv` their columns in order. A column's
origin is `contract` or `ordersync`. Types are SQL Server's (the archive's are PostgreSQL's).

Types never narrow along the flow, or a settled order could not be promoted: where the contract's type is smaller than
that of a column's source, the wider type stands and `widened_from` keeps the contract's. A `binary` column compares
byte by byte, because SQL Server's default collation takes 30X30 for 30x30.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

SOURCE = "ORDERS_UNIFIED"
SNAPSHOT = "ORDERS_UNIFIED_SNAPSHOT"
STAGING = "STG_MON_CustMasterSchedule"
STAGING_SUBITEMS = "STG_MON_CustMasterSchedule_Subitems"
PRODUCTION = "MON_CustMasterSchedule"
PRODUCTION_SUBITEMS = "MON_CustMasterSchedule_Subitems"
ERRORS = "ERR_MON_CustMasterSchedule"
ERRORS_SUBITEMS = "ERR_MON_CustMasterSchedule_Subitems"
BATCHES = "MON_BatchProcessing"
ACTIVE_BATCHES = "VW_MON_ActiveBatches"
LEDGER = "SYNC_Ledger"
REQUESTS = "SYNC_Requests"
GROUPS = "SYNC_Groups"
LEASE = "SYNC_Lease"
# Write transactions take the lock of this row of it, on an engine that would let them run side by side.
WRITE_LINE = "database.write"
STATE = "SYNC_State"
SCHEMA_VERSION = "SYNC_SchemaVersion"
ARCHIVE = "snapshot_archive"

_FOLDER = Path(__file__).parent
_TYPE = re.compile(r"(?P<base>[A-Z0-9]+)(?:\((?P<size>MAX|\d+)(?:,\d+)?\))?")
_SIZED = frozenset({"NVARCHAR", "VARCHAR", "VARBINARY"})


@dataclass(frozen=True)
class Column:
    """A column as ordersync declares it. `default` is SQL text."""

    name: str
    type: str
    nullable: bool
    default: str | None = None
    binary: bool = False
    origin: str = "ordersync"
    widened_from: str | None = None

    @property
    def base(self) -> str:
        """The type without its size: `NVARCHAR(200)` is `NVARCHAR`."""
        return self._parts()[0]

    @property
    def length(self) -> int | None:
        """The size of a text (in UTF-16 units) or binary (in bytes) column; None for no limit, or for other types."""
        base, size = self._parts()
        return int(size) if base in _SIZED and size and size != "MAX" else None

    def _parts(self) -> tuple[str, str | None]:
        match = _TYPE.fullmatch(self.type)
        if match is None:
            raise ValueError(f"[{self.name}] has a type of unknown form: {self.type}")
        return match["base"], match["size"]


@dataclass(frozen=True)
class Index:
    """An index. `when_not_null` and `when_null` limit it to rows whose columns are or are not set.

    A unique index needs `when_not_null` for every column that may be NULL: SQL Server admits only one NULL.
    """

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    when_not_null: tuple[str, ...] = ()
    when_null: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table, its columns in order, and the engines that have it."""

    name: str
    purpose: str
    engines: tuple[str, ...]
    primary_key: tuple[str, ...]
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def lengths(self) -> dict[str, int | None]:
        """The length of each column (see `Column.length`)."""
        return {column.name: column.length for column in self.columns}

    def column(self, name: str) -> Column:
        """The column of that name. Raises KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column [{name}]")


@cache
def all_tables() -> Mapping[str, Table]:
    """Every table by name, in the order of `tables.csv`."""
    indexes = _rows(_FOLDER / "indexes.csv")
    return MappingProxyType(
        {
            row["table"]: Table(
                name=row["table"],
                purpose=row["purpose"],
                engines=_split(row["engines"]),
                primary_key=_split(row["primary_key"]),
                columns=tuple(map(_column, _rows(_FOLDER / "tables" / f"{row['table']}.csv"))),
                indexes=tuple(_index(index) for index in indexes if index["table"] == row["table"]),
            )
            for row in _rows(_FOLDER / "tables.csv")
        }
    )


def get(name: str) -> Table:
    """The table of that name. Raises KeyError when there is none."""
    return all_tables()[name]


def of_engine(engine: str) -> tuple[Table, ...]:
    """The tables that an engine (sqlite, sqlserver, postgresql) has."""
    return tuple(table for table in all_tables().values() if engine in table.engines)


def _column(row: Mapping[str, str]) -> Column:
    return Column(
        name=row["name"],
        type=row["type"],
        nullable=row["nullable"] == "yes",
        default=row["default"] or None,
        binary=row["collation"] == "BIN2",
        origin=row["origin"],
        widened_from=row["widened_from"] or None,
    )


def _index(row: Mapping[str, str]) -> Index:
    return Index(
        name=row["index"],
        columns=_split(row["columns"]),
        unique=row["unique"] == "yes",
        when_not_null=_split(row["when_not_null"]),
        when_null=_split(row["when_null"]),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _split(text: str) -> tuple[str, ...]:
    return tuple(text.split("|")) if text else ()
