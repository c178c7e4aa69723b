"""The watched columns of the source, the text lengths of the staging columns, and the columns that users own."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from mappings import loading
from schemas import mappings as shapes

_TEXT_OF_LENGTH = re.compile(r"\s*n?(?:var)?char\s*\(\s*([0-9]+)\s*\)\s*", re.IGNORECASE)


def watched(mappings: loading.Mappings, size_columns: Sequence[str]) -> tuple[str, ...]:
    """The watched columns: every source column that the mapping reads, once, and the size columns.

    The order is that of board.yaml, which follows the table: sizes and their total follow the first marker, and
    columns that only a name, a group or the exclusion reads are last. The key column is absent: it never changes.
    """
    board = mappings.board
    mapped = [column.source for column in board.columns]
    first_size = mapped.index(board.sizes.after) + 1 if board.sizes.after in mapped else len(mapped)
    others = [*board.item_name.parts, *board.group.seasons, *board.excluded.blank, board.excluded.zero]
    names = [*mapped[:first_size], *size_columns, board.sizes.total, *mapped[first_size:], *others]
    return tuple(name for name in dict.fromkeys(names) if name != board.key.source)


def text_length(sql_type: str) -> int | None:
    """200 for NVARCHAR(200); None for a type without a length, such as NVARCHAR(MAX)."""
    match = _TEXT_OF_LENGTH.fullmatch(sql_type)
    return int(match[1]) if match else None


def text_lengths(
    staging_columns: Sequence[tuple[str, str]], declared: Mapping[str, int | None] = MappingProxyType({})
) -> dict[str, int | None]:
    """The `target_lengths` of items.convert, from the staging table's (name, SQL type) pairs.

    `declared` are the lengths in our own schema. The smaller of the two holds, so that an engine whose texts have no
    length (SQLite) refuses what SQL Server would.
    """
    lengths = {}
    for name, sql_type in staging_columns:
        limits = [limit for limit in (text_length(sql_type), declared.get(name)) if limit is not None]
        lengths[name] = min(limits, default=None)
    return lengths


def owned_by_people(mappings: loading.Mappings) -> frozenset[str]:
    """Ids of the board columns that sync fills when it creates an item, and that the users own from then on."""
    return frozenset(column.id for column in mappings.board.columns if column.owner is shapes.Owner.PEOPLE)
