"""Checks the labels of a mutation by the policy of each column: the API's switch is per mutation only."""

from collections.abc import Collection, Mapping

from mappings import loading
from schemas import orders
from schemas.base import ColumnValue, Model
from schemas.mappings import ColumnType, LabelPolicy


class LabelCheck(Model):
    """`problems` refuse the order. `creates`: the mutation needs create_labels_if_missing."""

    problems: tuple[orders.Problem, ...] = ()
    creates: bool = False


def check(
    columns: Mapping[str, ColumnValue],
    board_labels: Mapping[str, Collection[str]],
    mappings: loading.Mappings,
) -> LabelCheck:
    """Compare the labels of one mutation, of an item or of a subitem, with the labels of the board.

    `columns` are API values by column id (None clears a column and needs no label); `board_labels` are the labels by
    column id, and a column without labels may be absent. Upper and lower case differ.
    """
    problems: list[orders.Problem] = []
    creates = False
    for column_id, title, source, column_type, policy in _label_columns(mappings):
        payload = columns.get(column_id)
        if payload is None:
            continue
        known = board_labels.get(column_id, ())
        status = column_type is ColumnType.STATUS
        limit = mappings.board.limits.status_labels if status else mappings.board.limits.dropdown_labels
        wanted = [payload["label"]] if status else payload["labels"]
        missing = [label for label in dict.fromkeys(wanted) if label not in known]
        for label in wanted:
            if status and label.isdigit():
                reason = f"the API takes a number for the id of a label, so [{title}] cannot be set by it"
                advice = "Give the label a name with a letter in it"
            elif label not in missing:
                continue
            elif policy is LabelPolicy.EXISTING:
                reason = f"[{title}] of the board has no such label, and labels are not created there"
                full = len(known) >= limit
                advice = f"It is full ({limit} labels): free one" if full else "Add it on the board, or correct it"
            elif len(known) + len(missing) > limit:
                reason = f"[{title}] of the board is full: it takes {limit} labels"
                advice = "Remove labels on the board, or make it a text column in board.yaml"
            else:
                creates = True
                continue
            problems.append(orders.Problem(column=source, value=label, reason=reason, advice=advice))
    return LabelCheck(problems=tuple(problems), creates=creates)


def with_labels(mappings: loading.Mappings) -> list[str]:
    """The ids of an item's columns whose labels `check` needs."""
    return [column.id for column in mappings.board.columns if column.labels is not None]


def _label_columns(mappings: loading.Mappings) -> list[tuple[str, str, str, ColumnType, LabelPolicy]]:
    size = mappings.board.subitem.size
    columns = [(size.id, size.title, size.title, ColumnType.DROPDOWN, size.labels)]
    for column in mappings.board.columns:
        if column.labels is not None:
            columns.append((column.id, column.title, column.source, column.type, column.labels))
    return columns
