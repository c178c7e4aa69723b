"""Compares the mapping with source table, staging table and board, and reports each disagreement in a line."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mappings import columns, loading, sizes
from schemas import mappings as shapes
from schemas.mappings import ColumnType

TableColumns = Sequence[tuple[str, str]]  # (name, SQL type), in table order
BoardColumns = Sequence[tuple[str, str, str]]  # (id, title, type)

# The API's types of columns that no request can write, and board_relation, which the mapping leaves to the users.
_READ_ONLY = frozenset(
    {"mirror", "formula", "creation_log", "last_updated", "item_id", "progress", "subtasks", "auto_number"}
    | {"button", "board_relation"}
)
COLUMN_MISSING, COLUMN_TYPE, COLUMN_TITLE = "COLUMN_MISSING", "COLUMN_TYPE", "COLUMN_TITLE"
_EXACT_NUMBERS = frozenset({"decimal", "numeric"})
_CONFIRM = " (`ordersync validate` confirms it)"
_TEXTS = frozenset({"nvarchar", "varchar", "nchar", "char", "text", "ntext"})
_NUMBERS = _EXACT_NUMBERS | {"float", "real", "money", "smallmoney", "bit"}
_UNREADABLE = {ColumnType.DATE: ("integer", "number"), ColumnType.NUMBERS: ("date",)}
_DATES = frozenset({"date", "datetime", "datetime2", "smalldatetime", "datetimeoffset"})


class ColumnMistake(NamedTuple):
    """A column of a board that is not as the mapping says. `text` is one line with what to do."""

    code: str
    text: str

    @property
    def stops(self) -> bool:
        """The writer cannot work with it: the column is missing, or takes other values."""
        return self.code != COLUMN_TITLE


def check(
    mappings: loading.Mappings,
    *,
    table_columns: TableColumns,
    staging_columns: TableColumns,
    board_columns: BoardColumns | None,
    subitem_columns: BoardColumns | None = None,
) -> list[str]:
    """All disagreements at once, one line each; an empty list means that everything fits.

    `board_columns` and `subitem_columns` are None when the board was not read (no network); then they are not checked.
    """
    disagreements = [*_source(mappings, table_columns), *_staging(mappings, staging_columns)]
    return disagreements + [mistake.text for mistake in board_columns_wrong(mappings, board_columns, subitem_columns)]


def board_columns_wrong(
    mappings: loading.Mappings, board_columns: BoardColumns | None, subitem_columns: BoardColumns | None
) -> list[ColumnMistake]:
    """Every column of the boards that is not as the mapping says: for `ordersync validate` and for the writer.

    The columns of a board that was not read are None; then they are not checked.
    """
    board = mappings.board
    mistakes: list[ColumnMistake] = []
    if board_columns is not None:
        mistakes += _key_column(board.key, board_columns)
        mapped = [(column.id, column.title, column.type) for column in board.columns]
        mistakes += _on_board(mapped, board_columns, f"board {board.board.id}")
    if subitem_columns is not None:
        fields = (board.subitem.size, board.subitem.quantity)
        mapped = [(column.id, column.title, column.type) for column in fields]
        mistakes += _on_board(mapped, subitem_columns, f"subitem board {board.board.subitem_board_id}")
    return mistakes


def _source(mappings: loading.Mappings, table: TableColumns) -> Iterator[str]:
    types = dict(table)
    board = mappings.board
    needed = dict.fromkeys([board.key.source, *columns.watched(mappings, ()), board.sizes.after, board.sizes.before])
    for name in needed:
        if name not in types:
            yield f"the source table has no column [{name}]: correct board.yaml, or the table"
    try:
        labels = sizes.size_columns(table, board.sizes)
    except shapes.MappingError as error:
        if board.sizes.after in types and board.sizes.before in types:
            yield from error.mistakes
        return
    if not labels:
        after, before = board.sizes.after, board.sizes.before
        yield f'no integer column is between [{after}] and [{before}]: correct "sizes" in board.yaml'
    for column in board.columns:
        if column.source in labels:
            yield f"[{column.source}] is a size and mapped to [{column.title}] too: remove it from board.yaml"
        sql_type = types.get(column.source, "")
        unreadable = _UNREADABLE.get(column.type, ())
        if _family(sql_type) in unreadable:
            yield (
                f"[{column.source}] is {sql_type} in the source table, [{column.title}] takes {column.type}: "
                "map another column"
            )


def _staging(mappings: loading.Mappings, staging: TableColumns) -> Iterator[str]:
    types = dict(staging)
    board = mappings.board
    targets = [(board.item_name.staging, ColumnType.TEXT), (board.group.staging, ColumnType.TEXT)]
    targets += [(column.staging, column.type) for column in board.columns]
    for name, column_type in targets:
        sql_type = types.get(name)
        if sql_type is None:
            yield f'the staging table has no column [{name}]: correct "staging" in board.yaml, or the table'
        elif not _can_store(sql_type, column_type):
            yield f"staging column [{name}] is {sql_type} and cannot store {column_type}: correct its type"


def _key_column(key: shapes.KeyColumn, board: BoardColumns) -> Iterator[ColumnMistake]:
    column = next((column for column in board if column[0] == key.id), None)
    if column is None:
        text = (
            f"the board has no key column {key.id!r} [{key.title}]: run `ordersync setup`, which creates it; "
            "if it was deleted, restore it on the board, because it says which item is which order"
        )
        yield ColumnMistake(COLUMN_MISSING, text)
    else:
        yield from _on_board([(key.id, key.title, key.type)], [column], "the board")


def _on_board(mapped: BoardColumns, board: BoardColumns, name: str) -> Iterator[ColumnMistake]:
    by_id = {column_id: (title, column_type) for column_id, title, column_type in board}
    ids_by_title = {title: column_id for column_id, title, _ in board}
    for column_id, title, column_type in mapped:
        if column_id not in by_id:
            same_title = ids_by_title.get(title)
            hint = f" (its column [{title}] is {same_title!r})" if same_title else ""
            text = (
                f"{name} has no column {column_id!r} for [{title}]{hint}: restore it, or correct the id in board.yaml"
            )
            yield ColumnMistake(COLUMN_MISSING, f"{text}{_CONFIRM}")
            continue
        actual_title, actual_type = by_id[column_id]
        if actual_title != title:
            text = (
                f"column {column_id!r} of {name} is called [{actual_title}], the mapping says [{title}]: "
                "check that it is the right column, then correct the title in board.yaml"
            )
            yield ColumnMistake(COLUMN_TITLE, text)
        if actual_type in _READ_ONLY:
            text = f"column {column_id!r} [{title}] of {name} is a read-only {actual_type}: remove its mapping"
            yield ColumnMistake(COLUMN_TYPE, f"{text}{_CONFIRM}")
        elif actual_type != column_type:
            text = (
                f"column {column_id!r} [{title}] of {name} is of type {actual_type}, "
                f"the mapping says {column_type}: restore the type, or correct it in board.yaml"
            )
            yield ColumnMistake(COLUMN_TYPE, f"{text}{_CONFIRM}")


def _family(sql_type: str) -> str:
    base = sql_type.partition("(")[0].strip().casefold()
    if sizes.is_integer(sql_type):
        return "integer"
    return "text" if base in _TEXTS else "number" if base in _NUMBERS else "date" if base in _DATES else "other"


def _can_store(sql_type: str, column_type: ColumnType) -> bool:
    """Can a staging column of this type store every canonical value? SQLite's TEXT can."""
    family = _family(sql_type)
    if column_type is ColumnType.NUMBERS:
        base, _, size = sql_type.partition("(")
        scale = size.rstrip(") ").partition(",")[2].strip()
        fixed = base.strip().casefold() in _EXACT_NUMBERS and scale.isdigit() and int(scale) >= 4
        return family == "text" or fixed
    if column_type is ColumnType.DATE:
        return family in ("text", "date")
    return family == "text"
