"""Which columns matter, and what their declared types say."""

import re
from collections.abc import Sequence

from mappings import loading
from schemas import mappings as shapes

_TEXT_OF_LENGTH = re.compile(r"\s*n?(?:var)?char\s*\(\s*([0-9]+)\s*\)\s*", re.IGNORECASE)


def watched(mappings: loading.Mappings, size_columns: Sequence[str]) -> tuple[str, ...]:
    """Every source column that the mapping reads, each once: an edit of any other costs nothing.

    In the order of board.yaml, which follows the table: sizes and their total come behind the sizes' marker,
    and last what only a name, a group or the exclusion reads. The row's key is left out: it never changes.
    """
    board = mappings.board
    mapped = [column.source for column in board.columns]
    cut = mapped.index(board.sizes.after) + 1 if board.sizes.after in mapped else len(mapped)
    others = [*board.item_name.parts, *board.group.seasons, *board.excluded.blank, board.excluded.zero]
    names = [*mapped[:cut], *size_columns, board.sizes.total, *mapped[cut:], *others]
    return tuple(name for name in dict.fromkeys(names) if name != board.key.source)


def text_length(sql_type: str) -> int | None:
    """200 for NVARCHAR(200); None for a type without a length, as NVARCHAR(MAX)."""
    found = _TEXT_OF_LENGTH.fullmatch(sql_type)
    return int(found[1]) if found else None


def text_lengths(staging_columns: Sequence[tuple[str, str]]) -> dict[str, int | None]:
    """The `target_lengths` of items.convert, out of the staging table's (name, SQL type) pairs."""
    return {name: text_length(sql_type) for name, sql_type in staging_columns}


def owned_by_people(mappings: loading.Mappings) -> frozenset[str]:
    """Ids of board columns that are filled when an item is made and belong to people from then on."""
    return frozenset(column.id for column in mappings.board.columns if column.owner is shapes.Owner.PEOPLE)
