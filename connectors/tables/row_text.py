"""How the rows of ORDERS_UNIFIED are read: the canonical text of a row (mappings/hashing.py), and its identity.

SQLite builds JSON arrays of as many cells as one of its functions takes. SQL Server before 2022 builds none, so it
returns the cells. Both engines give the same text for the same cells.

A SQLite table that we did not make may hold anything in any cell. Text is therefore fetched as bytes. A cell that is no
text, whole number or NULL becomes a JSON object in the text, which no readable cell is, so its row differs from every
snapshot row, and detection refuses it (streams/detect/unreadable.py). REAL is what people see of it: a whole number
below 2^53 is that number, any other one is a text of its 15 significant digits, which hold every decimal of so many
digits exactly.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sql
from connectors import database
from connectors.tables import chunks
from schemas import identity
from sql import identifiers, uuids

SOURCE = "ORDERS_UNIFIED"
# SQLite takes at most 127 arguments to a function.
ARGUMENTS = 127
# The bytes of a BLOB that an ERR row shows.
SHOWN = 32
# The keys of the JSON object of an unreadable cell.
BLOB, BYTES, TEXT = "blob", "bytes", "text"

_INFINITY = re.compile(r"(?<=[\[,])(-?)Inf(?=[,\]])")
_KEY, _NAME = "record_uuid", "CUSTOMER NAME"


@dataclass(frozen=True)
class SourceReading:
    """The expressions of one engine for the cells of the source, called `s`. `types` are the SQL types by column."""

    engine: str
    types: Mapping[str, str]

    @property
    def uuid_text(self) -> str:
        """The canonical identity of a row; NULL for a row that has none."""
        return uuids.canonical(self.engine, "s.record_uuid", self.types.get(_KEY, ""))

    @property
    def key_text(self) -> str:
        """Equal for two spellings of one identity, and quicker; on SQLite not NULL for a text that is no UUID."""
        return uuids.key(self.engine, "s.record_uuid", self.types.get(_KEY, ""))

    @property
    def group_text(self) -> str:
        """`key_text` for `canonical`, whatever the cell contains."""
        return f"CAST({self.key_text} AS BLOB)" if self.engine == "sqlite" else self.key_text

    @property
    def plain_text(self) -> str:
        """The record_uuid as it is spelled, if the engine may compare any spelling with a UUID."""
        return "s.record_uuid" if self.engine == "sqlite" else self.uuid_text

    @property
    def name_text(self) -> str:
        """The raw customer name, for `text_of`."""
        return self.cell_text(_NAME)

    def cell_text(self, name: str = _KEY) -> str:
        """One cell, for `text_of`."""
        cell = f"s.{identifiers.quote(name)}"
        if self.engine != "sqlite":
            return cell
        return f"CASE WHEN typeof({cell}) = 'blob' THEN NULL ELSE CAST({cell} AS BLOB) END"

    def shown_text(self) -> str:
        """The record_uuid for `shown`, whatever it is."""
        cell = "s.record_uuid"
        if self.engine != "sqlite":
            return cell
        hexed = f"hex(substr({cell}, 1, {SHOWN}))"
        return f"CASE WHEN typeof({cell}) = 'blob' THEN 'BLOB ' || {hexed} ELSE CAST({cell} AS BLOB) END"

    def selected(self, columns: Sequence[str | None], *, guarded: bool = False) -> list[str]:
        """The select list for the text of these columns; a column None is read as NULL.

        SQLite refuses the whole statement at the first BLOB unless it is `guarded`, which costs time for every cell.
        """
        if self.engine != "sqlite":
            return ["NULL" if name is None else f"s.{identifiers.quote(name)}" for name in columns]
        cells = ["NULL" if name is None else self._cell(name, guarded=guarded) for name in columns]
        return [f"CAST(json_array({', '.join(some)}) AS BLOB)" for some in chunks.batched(cells, ARGUMENTS)]

    def expanded(self, statement: str, texts: Sequence[str], **marks: int) -> str:
        """A statement with the expressions that it asks for; `texts` are its select list."""
        given = {"uuid_text": self.uuid_text, "plain_text": self.plain_text, "texts": ", ".join(texts)}
        wanted = sql.placeholders(statement)
        return sql.expand(statement, **{name: text for name, text in given.items() if name in wanted}, **marks)

    def joined(self, parts: Sequence[Any]) -> str:
        """The canonical text, joined from the values of the select list."""
        if self.engine != "sqlite":
            return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
        text: bytes = parts[0]
        for array in parts[1:]:
            text = b"%b,%b" % (text[:-1], array[1:])
        try:
            return text.decode()
        except UnicodeDecodeError:
            return _with_undecodable(text)

    def _cell(self, name: str, *, guarded: bool) -> str:
        cell = f"s.{identifiers.quote(name)}"
        real = "" if _keeps_no_real(self.types.get(name, "")) else f"WHEN 'real' THEN {_real(cell)} "
        blob = f"WHEN 'blob' THEN json_object('{BLOB}', hex(substr({cell}, 1, {SHOWN})), 'size', length({cell})) "
        whens = real + (blob if guarded else "")
        return f"CASE typeof({cell}) {whens}ELSE {cell} END" if whens else cell


def reading(db: database.Database) -> SourceReading:
    """How this database's source is read. Raises Misconfigured when there is no source."""
    return SourceReading(db.engine, {column.name: column.type for column in db.columns(SOURCE)})


def text_of(value: Any) -> str | None:
    """A value of `cell_text`, as the source writes it; None for NULL and for what is no text."""
    if not isinstance(value, bytes):
        return None if value is None else str(value)
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def shown(value: Any) -> str | None:
    """A value of `shown_text` or `cell_text` for people: bytes that are no UTF-8 are escaped."""
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return None if value is None else str(value)


def number(value: Any) -> int:
    """A whole number; 0 for NULL, and for what another program wrote in place of one."""
    return value if isinstance(value, int) else 0


def is_identity(record_uuid: str | None) -> bool:
    """Is this an identity? Snapshot rows of earlier versions may know a text of another length."""
    return record_uuid is not None and len(record_uuid) == 36


def canonical(value: Any) -> str | None:
    """The identity in a value of `group_text`; None for a text that is no UUID."""
    text = text_of(value)
    return None if text is None else identity.canonical(text)


def cells(text: str) -> list[Any]:
    """The cells in a text, unreadable ones included: JSON objects, and numbers with a fraction.

    SQLite before 3.43 writes an infinity as `Inf`, which is no JSON.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = json.loads(_INFINITY.sub(r"\g<1>1e999", text))
    return list(found)


def _with_undecodable(text: bytes) -> str:
    """The text, with an object in the place of each cell that is no UTF-8."""
    found = cells(text.decode(errors="surrogateescape"))
    for at, cell in enumerate(found):
        if isinstance(cell, str) and not _is_unicode(cell):
            raw = cell.encode(errors="surrogateescape")
            found[at] = {BYTES: raw[:SHOWN].hex().upper(), TEXT: raw.decode(errors="backslashreplace")}
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _real(cell: str) -> str:
    # 2^53 is the end of the whole numbers that REAL holds exactly. An infinity stays what it is, which is refused.
    whole = f"abs({cell}) < 9007199254740992.0 AND {cell} = CAST({cell} AS INTEGER)"
    digits = f"WHEN abs({cell}) < 9e307 THEN printf('%.15g', {cell})"
    return f"CASE WHEN {whole} THEN CAST({cell} AS INTEGER) {digits} ELSE {cell} END"


def _keeps_no_real(kind: str) -> bool:
    """Whether a column of this declared type turns a REAL into its exact other form (sqlite.org/datatype3).

    A column of whole numbers keeps only what is none; a column of texts keeps texts.
    """
    kind = kind.upper()
    return any(word in kind for word in ("INT", "CHAR", "CLOB", "TEXT"))
