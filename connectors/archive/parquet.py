"""An archived snapshot as one Parquet file: a customer's rows, columns under their own names, compressed with zstd.

Every cell is read as it was written: whole numbers as numbers, all else as text, NULL as None.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow
import pyarrow.parquet

from connectors import errors
from schemas.base import Cell

# The form of the file; `Archive.payload` refuses another one.
FORM = "1"
CHUNK = 2_000

IDENTITY, VERSION, ROW_HASH, STATE = "record_uuid", "version", "row_hash", "state"
OWN = (IDENTITY, VERSION, ROW_HASH, STATE)
_NUMBERS = ("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BIT")

Row = Sequence[Cell]


@dataclass(frozen=True)
class File:
    """A finished file. `plain_bytes` is the size of the cells before they are encoded and compressed."""

    payload: bytes
    rows: int
    columns: tuple[str, ...]
    plain_bytes: int

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, in hex."""
        return checksum(self.payload)


def checksum(payload: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(payload).hexdigest()


def write(rows: Iterable[Row], columns: Sequence[tuple[str, str]]) -> File:
    """A file of rows: identity, version, row hash, state, and a cell for each of `columns` (name, SQL type).

    Works in chunks, so only the compressed file grows with the rows. Raises Rejected for a cell that does not fit the
    type of its column, and Misconfigured for two columns of one name.
    """
    names = (*OWN, *(name for name, _ in columns))
    if clash := {name for name in names if names.count(name) > 1}:
        raise errors.Misconfigured(f"a snapshot has columns of its own named {sorted(clash)}: name the source's others")
    kinds = ["text", "number", "text", "text", *("number" if _is_number(kind) else "text" for _, kind in columns)]
    types = {"text": pyarrow.string(), "number": pyarrow.int64()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in zip(names, kinds, strict=True)])
    sink, count, plain = io.BytesIO(), 0, 0
    with pyarrow.parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for some in _chunks(rows):
            arrays = [_array(name, cells, schema) for name, cells in zip(names, zip(*some, strict=True), strict=True)]
            table = pyarrow.Table.from_arrays(arrays, schema=schema)
            writer.write_table(table)
            count += len(some)
            plain += table.nbytes
    return File(sink.getvalue(), count, names, plain)


def columns(payload: bytes) -> tuple[str, ...]:
    """The names of a file's columns."""
    return tuple(pyarrow.parquet.ParquetFile(io.BytesIO(payload)).schema_arrow.names)


def read(payload: bytes, columns: Sequence[str]) -> Iterator[tuple[Cell, ...]]:
    """The cells of `columns` in each row of a file; those of a column that it does not have are None. Streams."""
    file = pyarrow.parquet.ParquetFile(io.BytesIO(payload))
    there = set(file.schema_arrow.names)
    wanted = [name for name in columns if name in there]
    for batch in file.iter_batches(CHUNK, columns=wanted):
        cells = dict(zip(wanted, (column.to_pylist() for column in batch.columns), strict=True))
        blank = [None] * batch.num_rows
        yield from zip(*(cells.get(name, blank) for name in columns), strict=True)


def _array(name: str, cells: Sequence[Cell], schema: pyarrow.Schema) -> pyarrow.Array:
    try:
        return pyarrow.array(cells, schema.field(name).type)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError) as error:
        raise errors.Rejected(
            f"[{name}] has a value that does not fit its declared type: {error}", code="WRONG_VALUE"
        ) from error


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    some: list[Row] = []
    for row in rows:
        some.append(row)
        if len(some) == CHUNK:
            yield some
            some = []
    if some:
        yield some


def _is_number(kind: str) -> bool:
    return kind.upper() in _NUMBERS
